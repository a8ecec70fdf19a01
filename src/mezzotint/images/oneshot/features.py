"""Scattering features of private images as integer vectors: centred, and whitened.

The features' mean and second moments are released; both steps then depend on public numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.data import ImageData
from mezzotint.images.integers import (
    BALL,
    UNIT,
    Block,
    chunks,
    into_ball,
    outer_sums,
    product,
    rounded,
    symmetric,
)
from mezzotint.images.oneshot.scattering import Scattering

_WEIGHT = BALL // 2
_TINY = 1e-9
_FLOOR = 1e-3
_DROWNED = 0.3


@dataclass(frozen=True)
class Whitening:
    """How features become coordinates of about equal spread. Public.

    Attributes:
        mean: float64 of shape (size,): taken off the features, which are brought to norm 1 again.
        matrix: float64 of shape (size, size): multiplies them; the result has norm 1 once more.
    """

    mean: np.ndarray
    matrix: np.ndarray


def mean_block(size: int) -> Block:
    """A record's part of the features' sum."""
    return Block("sum of scattering features", (size,), BALL * _WEIGHT)


def moment_blocks(size: int) -> tuple[Block, ...]:
    """A record's part of the centred features' second moments."""
    return (Block("second moments of scattering features", (size, size), UNIT),)


def raw_features(scattering: Scattering, data: ImageData) -> np.ndarray:
    """Integer features of all private images: int16 of shape (n, size). Private."""
    held = np.zeros((len(data), scattering.size), np.int16)
    for part in chunks(len(data)):
        held[part] = into_ball(scattering.exact(data.x[part]), _TINY)
    return held


def feature_sum(features: np.ndarray) -> np.ndarray:
    """The exact sum of `mean_block`. Private."""
    return features.sum(axis=0, dtype=np.int64) * _WEIGHT


def mean_from(noised: np.ndarray, total: float) -> np.ndarray:
    """The features' mean: post-processing."""
    return noised / (total * BALL * _WEIGHT)


def centre(features: np.ndarray, mean: np.ndarray) -> None:
    """Take the public mean off all private features, in place; norms become 1 again."""
    for part in chunks(len(features)):
        features[part] = into_ball(features[part].astype(np.float64) / BALL - mean, _TINY)


def moment_sums(features: np.ndarray) -> list[np.ndarray]:
    """The exact sums of `moment_blocks`. Private."""
    total = np.zeros((features.shape[1],) * 2, np.int64)
    for part in chunks(len(features)):
        total += outer_sums(features[part].astype(np.float64))
    return [total]


def whitening_from(mean: np.ndarray, noised: np.ndarray, total: float, sigma: float) -> Whitening:
    """Directions as wide as the others, save those that drown in noise: post-processing.

    Args:
        mean: of the features.
        noised: their second moments as released.
        total: about how many images there are.
        sigma: noise multiplier of that release.
    """
    values, vectors = np.linalg.eigh(symmetric(noised) / (total * UNIT))
    # The largest eigenvalue that noise alone has.
    noise = sigma * np.sqrt(2 * len(mean)) / total
    return Whitening(mean, vectors / np.sqrt(np.maximum(values, max(_FLOOR, _DROWNED * noise))))


def whiten(features: np.ndarray, whitening: Whitening) -> None:
    """Multiply all private features by the public matrix, in place; norms become 1 again."""
    whole, step = rounded(whitening.matrix, BALL)
    for part in chunks(len(features)):
        rows = product(features[part].astype(np.float64), whole, step)
        features[part] = into_ball(rows, _TINY)
