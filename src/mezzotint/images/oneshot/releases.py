"""All that our own method asks of the private images, in order; nothing else sees them.

Event 0 holds the images' number, the sum of their pixels, of their squared lengths and of their
scattering features; event 1 sum and second moments of centred pixels; event 2, by class, the
number, sum and second moments of coordinates on the leading axes; event 3 the same by parts of
classes; event 4 the second moments of centred scattering features; event 5, by class, mean
embeddings of pixels and of scattering, and the mean of the scattering features; all others are
gradient steps of the linear teacher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.integers import UNIT, l2_bound, release
from mezzotint.images.oneshot import axes, embedding, features, gaussians, parts, teacher
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.embedding import Frequencies
from mezzotint.images.oneshot.features import Whitening
from mezzotint.images.oneshot.gaussians import Basis, ClassMoments
from mezzotint.images.oneshot.parts import Mixture
from mezzotint.images.oneshot.scattering import Scattering
from mezzotint.images.work import Work
from mezzotint.privacy.events import Gaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run

BEFORE_TEACHER = 6
# Noisy axes still help: the refiner makes images of their noise, and more kinds of them.
_CLEAR = 0.1


@dataclass(frozen=True)
class Released:
    """Everything that became public. Nothing in it was not released, or made from that.

    Attributes:
        basis, moments: axes, and a Gaussian a class.
        mixture: the same classes in parts.
        grain: what the axes do not show: a standard deviation for every pixel of a canvas.
        whitening: of the scattering features.
        frequencies: of the embeddings.
        targets: their noisy means by class: (K, 2 m), (K, 2 m), (K, features).
        noise: the standard deviation of the noise in every number of the targets, shape (K,).
        weights: the teacher's, shape (features, K).
    """

    basis: Basis
    moments: ClassMoments
    mixture: Mixture
    grain: np.ndarray
    whitening: Whitening
    frequencies: Frequencies
    targets: tuple[np.ndarray, ...]
    noise: np.ndarray
    weights: np.ndarray


def steps(teacher_steps: int) -> tuple[str, ...]:
    """What every event is, in words."""
    return (
        "number of images, sums of pixels, squared lengths and scattering features",
        "centred pixels: sum, second moments",
        "coordinates by class: number, sum, second moments",
        "coordinates by parts of classes: the same",
        "second moments of scattering features",
        "mean embeddings by class",
        *(f"gradient step {step + 1} of the teacher" for step in range(teacher_steps)),
    )


def release_all(
    data: ImageData,
    facts: ImageFacts,
    programme: Programme,
    run: Run,
    work: Work,
    *,
    components: int | None,
    frequencies: int,
) -> Released:
    """Spend the whole programme.

    Guarantee: that of the programme, for one image added or removed: every event is a Gaussian on
        a sum of integer vectors of bounded norm, which depends on earlier results only.
    Sensitivity: `integers.l2_bound` of each event's blocks.
    Private and public: the data, its size included, and what is computed from it on the way are
        private; what `release` returns is public, and so is the result.
    Units: grid steps on the way; the result is in natural units.
    """
    sigmas = [event.noise_multiplier for event in programme.events if isinstance(event, Gaussian)]
    about = steps(len(sigmas) - BEFORE_TEACHER)
    classes, canvas, scattering = len(facts.classes), Canvas.of(facts), Scattering(facts)
    size = scattering.size

    def done(event: int) -> None:
        work.progress("measuring", event / len(sigmas))

    done(0)
    private = features.raw_features(scattering, data)
    blocks = (*axes.level_blocks(canvas.size), features.mean_block(size))
    sums = [*axes.level_sums(canvas, data), features.feature_sum(private)]
    *pixels, total_features = release(run, 0, about[0], blocks, sums)
    level = axes.level_from(canvas, pixels)
    mean = features.mean_from(total_features, level.total)
    features.centre(private, mean)

    done(1)
    blocks = axes.moment_blocks(canvas.size)
    noised = release(run, 1, about[1], blocks, axes.moment_sums(canvas, level, data))
    basis, grain = axes.axes_from(
        canvas,
        level,
        noised,
        (sigmas[1], sigmas[2]),
        classes=classes,
        components=components,
        clear=_CLEAR,
    )

    done(2)
    blocks = gaussians.class_blocks(classes, basis.axes.shape[1])
    noised = release(run, 2, about[2], blocks, gaussians.class_moment_sums(canvas, basis, data))
    moments = parts.classes_from(basis, noised, sigmas[2])

    done(3)
    cuts = parts.cuts_from(moments, sigmas[3])
    blocks = gaussians.class_blocks(sum(cut.parts for cut in cuts), basis.axes.shape[1])
    sums = parts.part_sums(canvas, basis, moments, cuts, data)
    mixture = parts.mixture_from(moments, cuts, release(run, 3, about[3], blocks, sums), sigmas[3])

    done(4)
    blocks = features.moment_blocks(size)
    (second,) = release(run, 4, about[4], blocks, features.moment_sums(private))
    whitening = features.whitening_from(mean, second, basis.total, sigmas[4])

    done(5)
    waves = Frequencies.draw(canvas.size, size, frequencies, _spread(moments), work.seed)
    blocks = embedding.embedding_blocks(classes, frequencies, size)
    bound = l2_bound(blocks) / UNIT
    noised = release(
        run, 5, about[5], blocks, embedding.embedding_sums(canvas, waves, data, private)
    )
    least = 2 * sigmas[2] * l2_bound(gaussians.class_blocks(1, 1)) / gaussians.COUNT
    targets = embedding.means_from(noised, moments.counts, least)
    noise = bound * sigmas[5] / np.maximum(moments.counts, least)

    weights = teacher.taught(
        private,
        data.y,
        whitening,
        run=run,
        first=BEFORE_TEACHER,
        about=about[BEFORE_TEACHER:],
        sigma=sigmas[-1],
        total=basis.total,
        classes=classes,
        done=done,
    )
    done(len(sigmas))
    return Released(
        basis, moments, mixture, grain, whitening, waves, tuple(targets), noise, weights
    )


def _spread(moments: ClassMoments) -> float:
    """The variance inside a class, over all axes: the squared length scale of the kernel."""
    shares = np.maximum(moments.counts, 0.0) + 1e-9
    within = np.square(moments.factors).sum(axis=(1, 2))
    return float((shares * within).sum() / shares.sum())
