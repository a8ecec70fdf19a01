"""Classes in parts: a mixture of Gaussians a class, where one Gaussian is too plain.

Real classes are no Gaussians. Every class is cut into parts along its own widest axes, which are
public by then, at places that would cut a Gaussian into equal parts; one release holds the number
of images, the sum and the second moments of every part. An image lies in one part only, so many
parts cost no more than one. What a part's noise drowns is taken from its class: an empirical Bayes
estimate, number by number, in the frame where the class's own covariance is diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mezzotint.images.data import ImageData
from mezzotint.images.integers import (
    BALL,
    UNIT,
    class_sums,
    into_ball,
    l2_bound,
    outer_sums,
    product,
    rounded,
    symmetric,
)
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.gaussians import (
    COUNT,
    SUM,
    Basis,
    ClassMoments,
    class_blocks,
    coordinates,
)

# Pieces along the first, second and third axis, the finest first.
_CUTS = (4, 2, 2), (2, 2, 2), (2, 2), (2,), ()
# A part has so many images for every standard deviation of the noise in a sum.
_CLEAR = 100.0
_MOST_PARTS = 320
# Coordinates from the class's centre are shortened at so many times their root mean square.
_RADIUS = 1.5
# How much parts differ from their class, as a share of its own spread: the prior.
_DIFFERENT = 0.7
_FLOOR = 1e-4


@dataclass(frozen=True)
class Cut:
    """How one class is cut. Public: it rests on releases.

    Attributes:
        pieces: along each of the first axes.
        axes: float64 of shape (k, number of such axes), of length one over the class's spread.
        radius: to which coordinates from the class's centre will be shortened.
    """

    pieces: tuple[int, ...]
    axes: np.ndarray
    radius: float

    @property
    def parts(self) -> int:
        """How many there are."""
        return math.prod(self.pieces)

    def places(self, rows: np.ndarray) -> np.ndarray:
        """The part of every row: integer coordinates from the centre, within `BALL`."""
        places = np.zeros(len(rows), np.int64)
        for axis, pieces in zip(self.axes.T, self.pieces, strict=True):
            # An exact product: an image's part must not depend on the company it is in.
            along = product(rows, *rounded(axis[:, None] * (self.radius / BALL), BALL))
            inner = [NormalDist().inv_cdf(i / pieces) for i in range(1, pieces)]
            places = places * pieces + np.searchsorted(inner, along[:, 0])
        return places


@dataclass(frozen=True)
class Mixture:
    """Gaussians, and how much of each class each of them is. Public: it rests on releases.

    Attributes:
        shares: float64 of shape (K, parts), rows sum to 1.
        centres: float64 of shape (parts, k).
        factors: float64 of shape (parts, k, k), roots of the covariances.
    """

    shares: np.ndarray
    centres: np.ndarray
    factors: np.ndarray


def classes_from(basis: Basis, noised: list[np.ndarray], sigma: float) -> ClassMoments:
    """A Gaussian a class, as if classes were the parts of one population: post-processing.

    Args:
        basis: the axes; the variances along them are the population's.
        noised: the release of class moments.
        sigma: its noise multiplier.
    """
    noise = sigma * l2_bound(class_blocks(1, 1)) / UNIT
    counts = noised[0] / COUNT
    held = np.maximum(counts, 4 * noise + 1.0)
    seconds = symmetric(noised[2]) / UNIT / held[:, None, None] * basis.radius**2
    centres, factors = _parts(
        np.diag(basis.variances),
        held / held.sum(),
        noised[1] / SUM / held[:, None] * basis.radius,
        seconds,
        mean_noise=noise * (UNIT / SUM) / held * basis.radius,
        moment_noise=noise / held * basis.radius**2,
    )
    return ClassMoments(counts, centres, factors)


def cuts_from(moments: ClassMoments, sigma: float) -> list[Cut]:
    """As many parts as the noise to come leaves clear.

    Args:
        moments: the classes' Gaussians.
        sigma: the noise multiplier of the release of parts.
    """
    classes = len(moments.counts)
    noise = sigma * l2_bound(class_blocks(1, 1)) / UNIT
    cuts = []
    for count, factor in zip(moments.counts, moments.factors, strict=True):
        values, vectors = np.linalg.eigh(factor @ factor.T)
        fine = (
            pieces
            for pieces in _CUTS
            if len(pieces) <= len(values)
            and math.prod(pieces) * classes <= _MOST_PARTS
            and count >= _CLEAR * noise * math.prod(pieces)
        )
        pieces = next(fine, ())
        first = slice(None, -len(pieces) - 1, -1)
        spreads = np.sqrt(np.maximum(values[first], 1e-12))
        radius = _RADIUS * math.sqrt(max(float(values.sum()), 1e-12))
        cuts.append(Cut(pieces, vectors[:, first] / spreads, radius))
    return cuts


def part_sums(
    canvas: Canvas, basis: Basis, moments: ClassMoments, cuts: list[Cut], data: ImageData
) -> list[np.ndarray]:
    """The exact sums over private images: `class_blocks`, with parts for classes. Private."""
    first = np.concatenate([[0], np.cumsum([cut.parts for cut in cuts])])
    blocks = class_blocks(int(first[-1]), basis.axes.shape[1])
    totals = [np.zeros(block.shape, np.int64) for block in blocks]
    for found, labels in coordinates(canvas, basis, data):
        for label, cut in enumerate(cuts):
            rows = into_ball(found[labels == label] - moments.centres[label], cut.radius)
            places = cut.places(rows)
            own = slice(first[label], first[label + 1])
            totals[0][own] += np.bincount(places, minlength=cut.parts) * COUNT
            totals[1][own] += class_sums(rows, places, cut.parts) * (SUM // BALL)
            for place in np.unique(places):
                totals[2][first[label] + place] += outer_sums(rows[places == place])
    return totals


def mixture_from(
    moments: ClassMoments, cuts: list[Cut], noised: list[np.ndarray], sigma: float
) -> Mixture:
    """The Gaussians: post-processing of the release of parts."""
    noise = sigma * l2_bound(class_blocks(1, 1)) / UNIT
    first = np.cumsum([0] + [cut.parts for cut in cuts])
    shares = np.zeros((len(cuts), first[-1]))
    centres, factors = [], []
    for label, cut in enumerate(cuts):
        own = slice(first[label], first[label + 1])
        counts = noised[0][own] / COUNT
        counts = np.maximum(counts, 4 * noise + 1.0)
        shares[label, own] = counts / counts.sum()
        means = noised[1][own] / SUM / counts[:, None] * cut.radius
        seconds = symmetric(noised[2][own]) / UNIT / counts[:, None, None] * cut.radius**2
        factor = moments.factors[label]
        found = _parts(
            factor @ factor.T,
            shares[label, own],
            means,
            seconds,
            mean_noise=noise * (UNIT / SUM) / counts * cut.radius,
            moment_noise=noise / counts * cut.radius**2,
        )
        centres.append(moments.centres[label] + found[0])
        factors.append(found[1])
    return Mixture(shares, np.concatenate(centres), np.concatenate(factors))


def _parts(
    whole: np.ndarray,
    shares: np.ndarray,
    means: np.ndarray,
    seconds: np.ndarray,
    *,
    mean_noise: np.ndarray,
    moment_noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Centres, from the class's, and factors of one class's parts.

    Args:
        whole: the class's covariance (k, k).
        shares: of the parts (p,), summing to 1.
        means: noisy, (p, k), from the class's centre.
        seconds: second moments about it, (p, k, k), likewise.
        mean_noise: standard deviations of the noise in the means' numbers, (p,).
        moment_noise: in the second moments' numbers, before both halves are averaged, (p,).
    """
    k = len(whole)
    common = shares @ means
    apart = means - common
    between = np.einsum("p,pi,pj->ij", shares, apart, apart)
    between -= np.eye(k) * float(shares @ mean_noise**2)
    values, vectors = np.linalg.eigh(between)
    values = np.maximum(values, 0.0)
    kept = values / np.maximum(values + mean_noise[:, None] ** 2, 1e-300)
    centres = common + (kept * (apart @ vectors)) @ vectors.T
    within, frame = np.linalg.eigh(whole - (vectors * values) @ vectors.T)
    within = np.maximum(within, _FLOOR * float(np.trace(whole)) / k + 1e-12)
    prior = _DIFFERENT**2 * np.outer(within, within) * (1 + np.eye(k))
    factors = np.empty_like(seconds)
    for part, (mean, second) in enumerate(zip(means, seconds, strict=True)):
        covariance = second - np.outer(mean, mean) + np.eye(k) * mean_noise[part] ** 2
        own = frame.T @ covariance @ frame - np.diag(within)
        # Off the diagonal, noise is the mean of two numbers.
        level = moment_noise[part] ** 2 * (1 + np.eye(k)) / 2
        own *= prior / (prior + level)
        spread, directions = np.linalg.eigh(np.diag(within) + own)
        floor = _FLOOR * float(within.mean())
        factors[part] = frame @ directions * np.sqrt(np.maximum(spread, floor))
    return centres, factors
