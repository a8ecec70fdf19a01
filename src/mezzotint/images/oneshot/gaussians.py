"""The first stage: DP-PCA of the pixels, and one Gaussian a class in its coordinates.

Two releases. The first holds the pixels' sum and second moments over all classes, whose leading
eigenvectors become coordinates; the second holds, for every class, how many images there are, the
sum of their coordinates and their second moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mezzotint.images.data import ImageData
from mezzotint.images.integers import (
    BALL,
    UNIT,
    Block,
    chunks,
    class_sums,
    into_ball,
    l2_bound,
    outer_sums,
    product,
    rounded,
    symmetric,
)
from mezzotint.images.oneshot.canvas import Canvas

MOST_COMPONENTS = 64
# Fewer axes would make all draws alike, even where all is noise.
_LEAST = 4
# Coordinates are shortened at so many times their root mean square norm.
_RADIUS = 1.5
# Weights of the blocks of one record: how many (1/2), where (1/2), how spread (1).
COUNT = UNIT // 2
_SUM_WEIGHT = BALL // 2
SUM = BALL * _SUM_WEIGHT


@dataclass(frozen=True)
class Basis:
    """DP-PCA of the canvases. Public: it rests on a release.

    Attributes:
        total: about how many images there are; at least 1.
        mean: float64 of shape (size,), in units of white.
        axes: float64 of shape (size, k), orthonormal columns.
        variances: float64 of shape (k,), along the axes.
        radius: to which coordinates will be shortened.
    """

    total: float
    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    radius: float


@dataclass(frozen=True)
class ClassMoments:
    """A Gaussian a class. Public: it rests on releases.

    Attributes:
        counts: float64 of shape (K,), noisy; may be negative.
        centres: float64 of shape (K, k), coordinates of the classes' means.
        factors: float64 of shape (K, k, k), a root of each class's covariance.
    """

    counts: np.ndarray
    centres: np.ndarray
    factors: np.ndarray


def pixel_blocks(size: int) -> tuple[Block, ...]:
    """What one record adds to the first release."""
    return (
        Block("number of images", (1,), COUNT),
        Block("sum of pixels", (size,), SUM),
        Block("second moments of pixels", (size, size), UNIT),
    )


def pixel_sums(canvas: Canvas, data: ImageData) -> list[np.ndarray]:
    """The exact sums of `pixel_blocks` over the private images. Private."""
    totals = [np.zeros(block.shape, np.int64) for block in pixel_blocks(canvas.size)]
    for part in chunks(len(data)):
        rows = into_ball(canvas.sums(data.x[part]), canvas.radius * canvas.white)
        totals[0] += len(rows) * COUNT
        totals[1] += rows.sum(axis=0).astype(np.int64) * _SUM_WEIGHT
        totals[2] += outer_sums(rows)
    return totals


def basis_from(
    canvas: Canvas,
    noised: list[np.ndarray],
    classes: int,
    sigma: float,
    *,
    components: int | None,
    clear: float,
) -> Basis:
    """DP-PCA: post-processing of the first release.

    Args:
        canvas: how images are averaged.
        noised: the release.
        classes: how many classes there are.
        sigma: the noise multiplier of the release to come.
        components: how many axes; None for as many as stand out of that noise.
        clear: see `leading`.
    """
    count, total, second = noised
    n = max(1.0, float(count[0]) / COUNT)
    mean = total / (n * SUM)
    values, vectors = np.linalg.eigh(symmetric(second) / (n * UNIT) - np.outer(mean, mean))
    unit = canvas.radius
    return leading(
        n,
        mean * unit,
        np.maximum(values[::-1], 0.0) * unit**2,
        vectors[:, ::-1],
        sigma=sigma,
        classes=classes,
        components=components,
        clear=clear,
        least=1e-3 * unit,
    )


def leading(
    total: float,
    mean: np.ndarray,
    values: np.ndarray,
    vectors: np.ndarray,
    *,
    sigma: float,
    classes: int,
    components: int | None,
    clear: float,
    least: float,
) -> Basis:
    """As many principal axes as are worth it. Everything here is public.

    Args:
        total: about how many images there are.
        mean: theirs, in units of white.
        values: variances along the axes, falling, likewise.
        vectors: the axes, a column each.
        sigma: the noise multiplier of the class moments to come.
        classes: how many classes there are.
        components: how many axes; None for as many as stand out of the noise to come:
        clear: an axis does if its variance is so many times what that noise will add to a class's
            covariance.
        least: the shortest radius.
    """
    most = min(MOST_COMPONENTS, len(values))
    if components is None:
        # Noise in a class's covariance, as its largest eigenvalue goes with the root of k.
        width = np.arange(1, most + 1)
        spread = _RADIUS**2 * np.cumsum(values[:most])
        noise = l2_bound(class_blocks(1, 1)) / UNIT * sigma * spread * np.sqrt(2 * width)
        apart = np.flatnonzero(values[:most] > clear * noise * classes / total)
        components = max(_LEAST, int(apart[-1]) + 1 if len(apart) else 1)
    k = max(1, min(components, most))
    radius = _RADIUS * float(np.sqrt(values[:k].sum()))
    return Basis(total, mean, vectors[:, :k].copy(), values[:k], max(radius, least))


def class_blocks(classes: int, k: int) -> tuple[Block, ...]:
    """What one record adds to the second release."""
    return (
        Block("number of images by class", (classes,), COUNT),
        Block("sum of coordinates by class", (classes, k), SUM),
        Block("second moments of coordinates by class", (classes, k, k), UNIT),
    )


def class_moment_sums(canvas: Canvas, basis: Basis, data: ImageData) -> list[np.ndarray]:
    """The exact sums of `class_blocks` over the private images. Private."""
    classes, k = len(data.classes), basis.axes.shape[1]
    totals = [np.zeros(block.shape, np.int64) for block in class_blocks(classes, k)]
    for found, labels in coordinates(canvas, basis, data):
        rows = into_ball(found, basis.radius)
        totals[0] += np.bincount(labels, minlength=classes) * COUNT
        totals[1] += class_sums(rows, labels, classes) * _SUM_WEIGHT
        for label in range(classes):
            totals[2][label] += outer_sums(rows[labels == label])
    return totals


def moments_from(basis: Basis, noised: list[np.ndarray], sigma: float) -> ClassMoments:
    """The classes' Gaussians: post-processing of the second release.

    A class whose noise is larger than its spread leans on the covariance of all classes, and one
    with hardly any images on their mean.
    """
    counts = noised[0] / COUNT
    classes, k = noised[1].shape
    bound = l2_bound(class_blocks(classes, k))
    held = np.maximum(counts, 2 * sigma * bound / COUNT)
    centres = noised[1] / SUM / held[:, None]
    second = symmetric(noised[2]) / UNIT / held[:, None, None]
    covariances = second - centres[:, :, None] * centres[:, None, :]
    shares = held / held.sum()
    pooled = _positive((shares[:, None, None] * covariances).sum(axis=0), 0.0)
    noise = sigma * bound / UNIT * np.sqrt(2 * k) / held
    spread = max(float(np.trace(pooled)) / k, 1e-12)
    factors = np.empty((classes, k, k))
    for label in range(classes):
        lean = noise[label] ** 2 / (noise[label] ** 2 + spread**2)
        mixed = (1 - lean) * covariances[label] + lean * pooled
        values, vectors = np.linalg.eigh(mixed)
        # What noise alone makes is taken off; no direction is left without any spread.
        least = 0.1 * float(np.linalg.eigvalsh(pooled)[0]) + 1e-9
        factors[label] = vectors * np.sqrt(np.maximum(values, least))
    return ClassMoments(counts, centres * basis.radius, factors * basis.radius)


def coordinates(
    canvas: Canvas, basis: Basis, data: ImageData
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Coordinates of private images along the axes, in units of white, and labels. Private.

    An image's coordinates are the same to the last bit in every company.
    """
    longest = canvas.white * canvas.size**0.5
    whole, step = rounded(basis.axes / canvas.white, int(longest) + 1)
    # The mean's coordinates are public: taken off after the exact product.
    origin = basis.mean @ basis.axes
    for part in chunks(len(data)):
        yield product(canvas.sums(data.x[part]), whole, step) - origin, data.y[part]


def _positive(matrix: np.ndarray, least: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, least)) @ vectors.T
