"""A small but complete method: noisy class means, drawn with noise around them.

Guarantee: that of one Gaussian; one image changes one class's row (its pixels in 0 to 255, and a
count worth `COUNT`), so the L2 sensitivity is at most GRID sqrt(pixels 255^2 + COUNT^2).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from mezzotint.images.data import ImageFacts
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.plan import Estimate
from mezzotint.privacy import noise
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.programme import Programme

GRID = 1 << 16
COUNT = 1000


class ToyGenerator:
    kind: ClassVar[str] = "toy"

    def __init__(self, facts: ImageFacts, means: np.ndarray, spread: float) -> None:
        if means.shape != (len(facts.classes), facts.pixels):
            raise ValueError(f"means of shape {means.shape}")
        self.facts, self.means, self.spread = facts, means, spread

    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        x = self.means[labels] + self.spread * rng.normal(size=(len(labels), self.facts.pixels))
        return x.clip(0, 255).astype(np.uint8).reshape(-1, *self.facts.shape)

    def config(self) -> dict[str, Any]:
        return {"spread": self.spread}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"means": self.means}

    @classmethod
    def restore(cls, facts, config, arrays) -> ToyGenerator:
        return cls(facts, arrays["means"], float(config["spread"]))


class Toy(ImageMethod):
    name: ClassVar[str] = "toy"

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        spread: float = 20.0,
        rounds: int = 1,
        tidy: bool = True,
        remark: str | None = None,
    ) -> None:
        self.epsilon, self.delta = epsilon, delta
        self.spread, self.rounds, self.tidy, self.remark = spread, rounds, tidy, remark

    def programme(self, facts, budget) -> Programme:
        return Programme.calibrated(budget, lambda s: Programme((Gaussian(s),) * self.rounds))

    def steps(self, facts) -> tuple[str, ...]:
        return tuple(f"class sums, round {i}" for i in range(self.rounds))

    def bound(self, facts: ImageFacts) -> int:
        return math.ceil(GRID * math.sqrt(facts.pixels * 255**2 + COUNT**2))

    def sums(self, data, facts) -> np.ndarray:
        rows = np.zeros((len(facts.classes), facts.pixels + 1), np.int64)
        np.add.at(rows[:, :-1], data.y, data.x.reshape(len(data), -1).astype(np.int64))
        np.add.at(rows[:, -1], data.y, COUNT)
        return rows * GRID

    def release(self, data, facts, programme, run, work):
        total = 0
        for i, about in enumerate(self.steps(facts)):
            spend = run.vector(i, about, l2=self.bound(facts))
            rows = self.sums(data, facts)
            total = total + rows + noise.integer_gaussian(spend, rows.size).reshape(rows.shape)
            work.progress("releasing", (i + 1) / self.rounds)
        return total / (GRID * self.rounds)

    def train(self, released, facts, work) -> Trained:
        counts = np.maximum(released[:, -1:] / COUNT, 1.0)
        means = (released[:, :-1] / counts).clip(0, 255)
        return Trained(ToyGenerator(facts, means, self.spread), counts[:, 0])

    def estimate(self, facts, device) -> Estimate:
        return Estimate(1.0, 10.0)


class Sampled(Toy):
    """As `Toy`, with a sampling rate that rests on the number of images; draws nothing from it."""

    name: ClassVar[str] = "sampled"
    needs_population: ClassVar[bool] = True

    def programme(self, facts, budget) -> Programme:
        rate = min(1.0, 64 / facts.population)
        return Programme.calibrated(
            budget, lambda s: Programme((Gaussian(4 * s), SubsampledGaussian(s, rate, 10)))
        )

    def steps(self, facts) -> tuple[str, ...]:
        return ("class sums", "steps")

    def release(self, data, facts, programme, run, work):
        released = Toy(self.epsilon).release(data, facts, programme, run, work)
        noise.training(run.training(1, "steps")).gaussian(0, 3)
        return released
