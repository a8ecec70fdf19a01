"""Counts, means and second moments of every class, as one Gaussian release.

An image's code z, clipped to norm 1 in units of a public bound, enters its class's block as

    (a, b z, c vech(z z^T)),      a^2 + b^2 + c^2 = 1,

where vech takes each off-diagonal product once, times the square root of 2, so that it is as long
as |z|^2. The whole is at most of norm 1, and is rounded towards zero on a public grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mezzotint.images.latent_diffusion.frequencies import Frequencies

GRID = 1 << 26
"""Grid steps in a vector of norm 1."""

_WEIGHTS = (0.2, 0.56, 0.804)
_CLIP = 0.45
_CHUNK = 2000


@dataclass(frozen=True)
class Moments:
    """Noisy moments of every class, in the frame of the frequencies. Public.

    Attributes:
        counts: images of each class, shape (classes,).
        means: of their codes, shape (classes, size).
        covariances: of their codes, shape (classes, size, size), positive semidefinite.
        noise: the standard deviation of the noise in one entry of a covariance, per class.
    """

    counts: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    noise: np.ndarray


def bound(frame: Frequencies) -> float:
    """The norm to which codes are clipped: public, from the number of pixels alone."""
    return _CLIP * float(np.sqrt(np.prod(frame.shape)))


def length(frame: Frequencies, classes: int) -> int:
    """How many numbers the release holds."""
    return classes * _block(frame.size)


def integer_sum(x: np.ndarray, y: np.ndarray, frame: Frequencies, classes: int) -> np.ndarray:
    """The exact sum of all images' vectors, in grid steps.

    Sensitivity: one image more or less changes it by at most `GRID` in L2 norm: every entry is
        rounded towards zero, so an image's integer vector is no longer than its real one.
    Private and public: images, labels and the sum are private; nothing here adds noise.

    Args:
        x: uint8 images (n, h, w, c).
        y: their classes.
        frame: how images are encoded.
        classes: how many there are.

    Returns:
        int64, shape (`length`,).
    """
    total = np.zeros((classes, _block(frame.size)), np.int64)
    for label, vectors in _vectors(x, y, frame, classes):
        total[label] += vectors
    return total.ravel()


def _vectors(
    x: np.ndarray, y: np.ndarray, frame: Frequencies, classes: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Sums of integer vectors, chunk by chunk and class by class."""
    upper = np.triu_indices(frame.size)
    twice = np.where(upper[0] == upper[1], 1.0, np.sqrt(2.0))
    # A relative slack above float64's rounding keeps the norm below GRID.
    a, b, c = (weight * GRID * (1 - 1e-9) / np.linalg.norm(_WEIGHTS) for weight in _WEIGHTS)
    for label in range(classes):
        members = np.flatnonzero(y == label)
        for start in range(0, len(members), _CHUNK):
            z = frame.encode(x[members[start : start + _CHUNK]]) / bound(frame)
            z /= np.maximum(1.0, np.linalg.norm(z, axis=1, keepdims=True))
            total = np.zeros(_block(frame.size), np.int64)
            total[0] = len(z) * int(a)
            total[1 : frame.size + 1] = np.trunc(b * z).astype(np.int64).sum(0)
            for row in range(0, len(z), 200):
                part = z[row : row + 200]
                products = part[:, upper[0]] * part[:, upper[1]] * (c * twice)
                total[frame.size + 1 :] += np.trunc(products).astype(np.int64).sum(0)
            yield label, total


def moments(noisy: np.ndarray, sigma: float, frame: Frequencies, classes: int) -> Moments:
    """What the noisy sum says; post-processing.

    Args:
        noisy: the sum with its noise, shape (`length`,).
        sigma: the noise's scale in units of the vector's norm bound.
        frame: how images were encoded.
        classes: how many there are.
    """
    d = frame.size
    a, b, c = (weight / np.linalg.norm(_WEIGHTS) for weight in _WEIGHTS)
    blocks = noisy.reshape(classes, -1) / GRID
    counts = np.maximum(blocks[:, 0] / a, 1.0)
    scale = bound(frame)
    means = blocks[:, 1 : d + 1] / b / counts[:, None] * scale
    upper = np.triu_indices(d)
    twice = np.where(upper[0] == upper[1], 1.0, np.sqrt(2.0))
    seconds = np.zeros((classes, d, d))
    seconds[:, upper[0], upper[1]] = blocks[:, d + 1 :] / c / twice / counts[:, None] * scale**2
    seconds += np.triu(seconds, 1).transpose(0, 2, 1)
    noise = sigma / c / counts * scale**2 / np.sqrt(2)
    centred = seconds - means[:, :, None] * means[:, None, :]
    return Moments(counts, means, shrunk(centred, counts, noise), noise)


def shrunk(covariances: np.ndarray, counts: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Every class's covariance, drawn towards the pooled one as far as it is noise."""
    d = covariances.shape[1]
    shares = counts / counts.sum()
    pooled = np.einsum("k,kij->ij", shares, covariances)
    found = []
    for covariance, level in zip(covariances, noise, strict=True):
        spread = float(((covariance - pooled) ** 2).sum())
        share = min(1.0, d * d * level**2 / max(spread, 1e-300))
        mixed = (1 - share) * covariance + share * pooled
        values, vectors = np.linalg.eigh(mixed)
        found.append((vectors * np.maximum(values, 0.0)) @ vectors.T)
    return np.stack(found)


def _block(size: int) -> int:
    return 1 + size + size * (size + 1) // 2
