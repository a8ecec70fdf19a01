"""The teacher who judges drawn images: released once, before the training."""

from __future__ import annotations

from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.integers import release
from mezzotint.images.oneshot import features, teacher
from mezzotint.images.oneshot.judge import Judge
from mezzotint.images.oneshot.scattering import Scattering
from mezzotint.images.work import Work
from mezzotint.privacy.run import Run


def taught(
    data: ImageData,
    facts: ImageFacts,
    run: Run,
    work: Work,
    *,
    about: tuple[str, ...],
    sigmas: list[float],
    total: float,
) -> Judge:
    """A linear classifier on scattering features: events 1 to the last but one.

    Guarantee and sensitivity: those of `features` and `teacher`.
    Private and public: the data is private; all else is public, and so is the result.
    """
    scattering = Scattering(facts)
    size = scattering.size

    def done(event: int) -> None:
        work.progress("measuring", event / len(sigmas))

    done(1)
    private = features.raw_features(scattering, data)
    block = features.mean_block(size)
    (noised,) = release(run, 1, about[1], (block,), [features.feature_sum(private)])
    mean = features.mean_from(noised, total)
    features.centre(private, mean)
    done(2)
    sums = features.moment_sums(private)
    (second,) = release(run, 2, about[2], features.moment_blocks(size), sums)
    whitening = features.whitening_from(mean, second, total, sigmas[2])
    weights = teacher.taught(
        private,
        data.y,
        whitening,
        run=run,
        first=3,
        about=about[3 : len(sigmas)],
        sigma=sigmas[-1],
        total=total,
        classes=len(facts.classes),
        done=done,
    )
    done(len(sigmas))
    return Judge(facts, mean, whitening.matrix @ weights)
