"""Certified Lipschitz constants of layers, from their weights alone.

A gradient penalty, or a few rounds of power iteration, bounds nothing. Here a dense layer's
constant is its largest singular value, by a full decomposition, and a convolution's is

    circular    the largest singular value over all frequencies of the kernel's Fourier transform,
                a small matrix each: exact (Sedghi, Gupta, Long 2019)
    zero-padded at most that of the circular one on a torus larger by the kernel's reach: it is an
                embedding into that torus, the circular convolution, and a restriction
    strides     keep a part of the outputs, so they cost nothing

Biases do not count; `max_min` (Anil, Lucas, Grosse 2019) sorts pairs, which is 1-Lipschitz and
keeps norms. The constant of a network is at most the product. Decompositions are in double
precision; what they may be off by is covered by `_MARGIN`.
"""

from __future__ import annotations

import math

import numpy as np

_MARGIN = 1 + 1e-9


def dense_norm(weights: np.ndarray) -> float:
    """The Lipschitz constant of x -> weights @ x, rounded up."""
    return float(np.linalg.svd(weights.astype(np.float64), compute_uv=False)[0]) * _MARGIN


def circular_norm(kernel: np.ndarray, height: int, width: int) -> float:
    """The Lipschitz constant of a convolution on a torus, rounded up.

    Args:
        kernel: shape (outputs, inputs, rows, columns), no larger than the torus.
        height: of the torus.
        width: of the torus.
    """
    transform = np.fft.fft2(kernel.astype(np.float64), (height, width))
    matrices = transform.transpose(2, 3, 0, 1).reshape(-1, *kernel.shape[:2])
    return float(np.linalg.svd(matrices, compute_uv=False)[:, 0].max()) * _MARGIN


def padded_bound(kernel: np.ndarray, height: int, width: int) -> float:
    """A bound for the zero-padded convolution on images of this size, whatever its stride."""
    rows, columns = kernel.shape[2:]
    return circular_norm(kernel, height + rows - 1, width + columns - 1)


def network_constant(norms: list[float]) -> float:
    """The constant of layers in a row with 1-Lipschitz functions between them, rounded up."""
    return math.prod(norms) * _MARGIN


def max_min(values: np.ndarray) -> np.ndarray:
    """Each pair of neighbours, the larger first: shape (n, even)."""
    pairs = values.reshape(len(values), -1, 2)
    return np.stack([pairs.max(axis=2), pairs.min(axis=2)], axis=2).reshape(values.shape)
