"""Counts, means and second moments of every class, as one Gaussian release.

What is summed is an image's code in the public frame of frequencies, taken from grey and shortened
to a public length: the blocks of `oneshot.gaussians`, whose integer arithmetic is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.frequencies import Frequencies
from mezzotint.images.integers import UNIT, Block, l2_bound, symmetric
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.gaussians import (
    COUNT,
    SUM,
    Basis,
    class_blocks,
    class_moment_sums,
)

_SIDES = {1: 12, 3: 8}
_MOST_NUMBERS = 1 << 22
_CLIP = 0.45
_GREY = 0.25


@dataclass(frozen=True)
class Moments:
    """Noisy moments of every class, in the frame of the frequencies. Public.

    Attributes:
        counts: images of each class, shape (classes,).
        means: of their codes, shape (classes, size).
        covariances: of their codes, shape (classes, size, size); noise may make them indefinite.
        noise: the standard deviation of the noise in one entry of a covariance, per class.
    """

    counts: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    noise: np.ndarray


def frame_of(facts: ImageFacts) -> Frequencies:
    """As fine as the shape and the number of classes allow.

    The moments of all classes are released as one vector; with very many classes fewer
    frequencies keep it within bounds.
    """
    side = min(_SIDES[facts.channels], facts.height, facts.width)
    classes = len(facts.classes)
    while side > 2 and classes * (side * side * facts.channels) ** 2 // 2 > _MOST_NUMBERS:
        side -= 1
    return Frequencies(facts.shape, side)


def bound(frame: Frequencies) -> float:
    """How far from grey codes may be: public, from the number of pixels alone."""
    return _CLIP * float(np.sqrt(np.prod(frame.shape)))


def blocks(frame: Frequencies, classes: int) -> tuple[Block, ...]:
    """What one image adds."""
    return class_blocks(classes, frame.size)


def integer_sums(data: ImageData, frame: Frequencies) -> list[np.ndarray]:
    """The exact sums of `blocks` over the private images. Private; nothing here adds noise.

    Sensitivity: one image more or less changes them by at most `integers.l2_bound` of the blocks.
    """
    height, width, channels = frame.shape
    grey = np.full(height * width * channels, _GREY)
    basis = Basis(1.0, grey, frame.axes(), np.ones(frame.size), bound(frame))
    return class_moment_sums(Canvas(height, width, channels, 1), basis, data)


def moments(noised: list[np.ndarray], sigma: float, frame: Frequencies) -> Moments:
    """What the noisy sums say; post-processing.

    Args:
        noised: the sums with their noise.
        sigma: the event's noise multiplier.
        frame: how images were encoded.
    """
    classes, radius = len(noised[0]), bound(frame)
    scale = sigma * l2_bound(blocks(frame, classes))
    counts = np.maximum(noised[0] / COUNT, max(2 * scale / COUNT, 1.0))
    means = noised[1] / SUM / counts[:, None]
    seconds = symmetric(noised[2]) / UNIT / counts[:, None, None]
    centred = (seconds - means[:, :, None] * means[:, None, :]) * radius**2
    noise = scale / UNIT / counts * radius**2 / np.sqrt(2)
    grey = frame.encode(np.full((1, *frame.shape), _GREY))
    return Moments(counts, means * radius + grey, centred, noise)
