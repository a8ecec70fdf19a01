"""Principal axes of our own method: second moments of *centred* pixels, in their low frequencies.

Two releases. The first, which is cheap, says where the images' centre is and how far from it they
are; the second holds the second moments of what is left, whose length is a fraction of the images'
own, and so is the noise, and their sum once more, for a better centre. Leading eigenvectors are
sought among those frequencies of the discrete cosine transform that stand out of the noise: what is
finer than that is all noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mezzotint.images.cosines import cosines
from mezzotint.images.data import ImageData
from mezzotint.images.integers import BALL, UNIT, Block, chunks, into_ball, outer_sums, symmetric
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.gaussians import COUNT, SUM, Basis, leading

# Centred images are shortened at so many times their root mean square length.
_RADIUS = 1.25
_MOST_STRETCH = 2.0
_LENGTH_WEIGHT = 2
_SUM_WEIGHT = BALL // 4
# A frequency stands out if its variance is so many times the noise's largest eigenvalue.
_CLEAR = 0.25


@dataclass(frozen=True)
class Level:
    """Where images are, and how far from there. Public: it rests on a release.

    Attributes:
        total: about how many images there are; at least 1.
        mean: float64 of shape (size,), in units of white.
        spread: root mean square distance from there, likewise.
        radius: the length to which centred images will be shortened, likewise.
    """

    total: float
    mean: np.ndarray
    spread: float
    radius: float


def level_blocks(size: int) -> tuple[Block, ...]:
    """What one record adds to the first release."""
    return (
        Block("number of images", (1,), COUNT),
        Block("sum of pixels", (size,), SUM),
        Block("sum of squared lengths", (1,), UNIT // _LENGTH_WEIGHT),
    )


def level_sums(canvas: Canvas, data: ImageData) -> list[np.ndarray]:
    """The exact sums of `level_blocks` over the private images. Private."""
    totals = [np.zeros(block.shape, np.int64) for block in level_blocks(canvas.size)]
    for part in chunks(len(data)):
        rows = into_ball(canvas.sums(data.x[part]), canvas.radius * canvas.white)
        totals[0] += len(rows) * COUNT
        totals[1] += rows.sum(axis=0).astype(np.int64) * (SUM // BALL)
        lengths = np.square(rows).sum(axis=1).astype(np.int64)
        totals[2] += (lengths // _LENGTH_WEIGHT).sum()
    return totals


def level_from(canvas: Canvas, noised: list[np.ndarray]) -> Level:
    """Centre and spread: post-processing of the first release."""
    count, total, lengths = noised
    n = max(1.0, float(count[0]) / COUNT)
    mean = total / (n * SUM)
    square = float(lengths[0]) * _LENGTH_WEIGHT / (n * UNIT) - float(np.square(mean).sum())
    # Neither noise nor images that are all alike make it vanish; no image is farther than white.
    length = math.sqrt(min(max(square, 1e-3), 1.0))
    unit = canvas.radius
    return Level(n, mean * unit, length * unit, min(1.0, _RADIUS * length) * unit)


def moment_blocks(size: int) -> tuple[Block, ...]:
    """What one record adds to the second release."""
    return (
        Block("sum of centred pixels", (size,), BALL * _SUM_WEIGHT),
        Block("second moments of centred pixels", (size, size), UNIT),
    )


def moment_sums(canvas: Canvas, level: Level, data: ImageData) -> list[np.ndarray]:
    """The exact sums of `moment_blocks` over the private images. Private."""
    totals = [np.zeros(block.shape, np.int64) for block in moment_blocks(canvas.size)]
    origin = level.mean * canvas.white
    for part in chunks(len(data)):
        rows = into_ball(canvas.sums(data.x[part]) - origin, level.radius * canvas.white)
        totals[0] += rows.sum(axis=0).astype(np.int64) * _SUM_WEIGHT
        totals[1] += outer_sums(rows)
    return totals


def axes_from(
    canvas: Canvas,
    level: Level,
    noised: list[np.ndarray],
    sigmas: tuple[float, float],
    *,
    classes: int,
    components: int | None,
    clear: float,
) -> tuple[Basis, np.ndarray]:
    """The axes, and what they leave out: post-processing of the second release.

    Args:
        canvas: how images are averaged.
        level: centre and spread.
        noised: the release.
        sigmas: the noise multipliers of this release, and of the one of class moments.
        classes: how many classes there are.
        components: how many axes; None for as many as stand out of the noise to come:
        clear: see `gaussians.leading`.

    Returns:
        The axes; and how much every pixel differs from what they show: standard deviations, float64
        of shape (size,), in units of white.
    """
    unit = level.radius**2
    shift = noised[0] / (level.total * BALL * _SUM_WEIGHT)
    covariance = (symmetric(noised[1]) / (level.total * UNIT) - np.outer(shift, shift)) * unit
    # What shortening took off is given back to all directions alike.
    stretch = level.spread**2 / max(float(np.trace(covariance)), 1e-300)
    unit *= min(max(stretch, 1.0), _MOST_STRETCH)
    covariance *= unit / level.radius**2
    noise = sigmas[0] / level.total * unit
    frame = _clear_frequencies(canvas, covariance, noise)
    values, vectors = np.linalg.eigh(frame.T @ covariance @ frame)
    values, vectors = np.maximum(values[::-1], 0.0), frame @ vectors[:, ::-1]
    basis = leading(
        level.total,
        level.mean + shift * level.radius,
        values,
        vectors,
        sigma=sigmas[1],
        classes=classes,
        components=components,
        clear=clear,
        least=1e-3 * canvas.radius,
    )
    shown = np.square(basis.axes) @ basis.variances
    return basis, _spread_left(np.diag(covariance) - shown, noise)


def _clear_frequencies(canvas: Canvas, covariance: np.ndarray, noise: float) -> np.ndarray:
    """Orthonormal columns: the frequencies, of all channels, that stand out of the noise.

    Args:
        canvas: the canvas.
        covariance: noisy, shape (size, size).
        noise: the standard deviation of the noise on its diagonal, in any orthonormal frame.
    """
    height, width, channels = canvas.shape
    rows, columns = cosines(height, height).T, cosines(width, width).T
    waves = np.kron(np.kron(rows, columns), np.eye(channels))
    variances = np.einsum("if,ij,jf->f", waves, covariance, waves, optimize=True)
    order = np.argsort(-variances)
    # The largest eigenvalue of symmetric noise in m dimensions: its off-diagonal numbers have half
    # the variance, which makes it root 2 m times the noise's.
    largest = noise * np.sqrt(2.0 * np.arange(1, len(order) + 1))
    apart = np.flatnonzero(variances[order] > _CLEAR * largest)
    least = min(4 * channels, len(order))
    return waves[:, order[: max(least, int(apart[-1]) + 1 if len(apart) else 0)]]


def _spread_left(variances: np.ndarray, noise: float) -> np.ndarray:
    """Roots of noisy variances, drawn towards their mean as far as they are noise."""
    mean = max(float(variances.mean()), 0.0)
    signal = max(float(variances.var()) - noise**2, 0.0)
    share = signal / max(signal + noise**2, 1e-300)
    return np.sqrt(np.maximum(mean + share * (variances - mean), 0.0))
