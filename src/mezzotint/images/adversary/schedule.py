"""How long a training is, and how many images a step sees; from public facts only."""

from __future__ import annotations

from mezzotint.images.data import ImageFacts

_SMALLEST_BATCH = 32


def schedule(facts: ImageFacts, *, batch: float, epochs: float) -> tuple[float, int]:
    """Sampling rate and steps, from the public number of images.

    Args:
        facts: With a population.
        batch: Images a step, expected; fewer where there are few images.
        epochs: How often each image is sampled, on average.
    """
    assert facts.population is not None
    rate = expected_batch(facts, batch) / facts.population
    return rate, max(1, round(epochs / rate))


def expected_batch(facts: ImageFacts, batch: float) -> float:
    """At most a tenth of the images a step, where that is not too few."""
    assert facts.population is not None
    most = max(facts.population / 10, min(_SMALLEST_BATCH, facts.population))
    return min(float(batch), most)
