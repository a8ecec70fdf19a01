"""Mean embeddings by class in random Fourier features of pixels and of scattering features.

References:
    Harder, Adamczewski, Park. DP-MERF: Differentially Private Mean Embeddings with Random
    Features for Practical Privacy-Preserving Data Generation. AISTATS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.data import ImageData
from mezzotint.images.integers import (
    BALL,
    Block,
    chunks,
    class_sums,
    into_ball,
    product,
    rounded,
)
from mezzotint.images.oneshot.canvas import Canvas

_WEIGHT = BALL


@dataclass(frozen=True)
class Frequencies:
    """Random Fourier features. Public, and drawn without looking at data.

    Attributes:
        pixels: float64 of shape (canvas size, m): for canvases in units of white.
        features: float64 of shape (features, m): for centred scattering features of norm 1.
    """

    pixels: np.ndarray
    features: np.ndarray

    @classmethod
    def draw(cls, canvas: int, features: int, m: int, variance: float, seed: int) -> Frequencies:
        """Frequencies of Gaussian kernels.

        Args:
            canvas: size of a canvas.
            features: number of scattering features.
            m: how many frequencies for each.
            variance: squared length scale for pixels: the spread inside a class; public.
            seed: for the frequencies.
        """
        rng = np.random.default_rng((seed, 0))
        pixels = rng.normal(size=(canvas, m)) / np.sqrt(max(variance, 1e-6))
        return cls(pixels, rng.normal(size=(features, m)) / _FEATURE_SCALE)


_FEATURE_SCALE = 0.8


def embedding_blocks(classes: int, m: int, features: int) -> tuple[Block, ...]:
    """What one record adds: two embeddings, and the scattering features themselves."""
    return (
        Block("mean embedding of pixels by class", (classes, 2 * m), BALL * _WEIGHT),
        Block("mean embedding of scattering by class", (classes, 2 * m), BALL * _WEIGHT),
        Block("scattering features by class", (classes, features), BALL * _WEIGHT),
    )


def waves(rows: np.ndarray, whole: np.ndarray, step: float) -> np.ndarray:
    """Cosines and sines of integer rows' phases, as integer rows within `BALL`."""
    phases = product(rows, whole, step)
    m = phases.shape[1]
    return into_ball(np.concatenate([np.cos(phases), np.sin(phases)], axis=1), m**0.5)


def embedding_sums(
    canvas: Canvas, frequencies: Frequencies, data: ImageData, features: np.ndarray
) -> list[np.ndarray]:
    """The exact sums of `embedding_blocks` over the private images. Private.

    Args:
        canvas: how images are averaged.
        frequencies: of both embeddings.
        data: the images.
        features: their centred features: int16 of shape (n, features), rows within `BALL`.
    """
    classes, m = len(data.classes), frequencies.pixels.shape[1]
    blocks = embedding_blocks(classes, m, features.shape[1])
    totals = [np.zeros(block.shape, np.int64) for block in blocks]
    longest = int(canvas.white * canvas.size**0.5) + 1
    pixels = rounded(frequencies.pixels / canvas.white, longest)
    scattered = rounded(frequencies.features / BALL, BALL)
    for part in chunks(len(data)):
        rows, labels = features[part].astype(np.float64), data.y[part]
        parts = waves(canvas.sums(data.x[part]), *pixels), waves(rows, *scattered), rows
        for place, values in enumerate(parts):
            totals[place] += class_sums(values, labels, classes) * _WEIGHT
    return totals


def means_from(noised: list[np.ndarray], counts: np.ndarray, least: float) -> list[np.ndarray]:
    """The embeddings' means by class: post-processing.

    Args:
        noised: the release.
        counts: noisy counts by class, shape (K,).
        least: counts below this are noise.
    """
    held = np.maximum(counts, least)[:, None]
    return [part / (BALL * _WEIGHT) / held for part in noised]
