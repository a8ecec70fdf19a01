"""Distances between two sets of features: Frechet's, and the kernel distance.

Sources: Heusel et al., GANs trained by a two time-scale update rule, NeurIPS 2017 (Frechet distance
of Gaussians fitted to features; Dowson, Landau 1982); Binkowski et al., Demystifying MMD GANs,
ICLR 2018 (unbiased squared MMD of the cubic kernel, over subsets).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUBSETS = 50
SUBSET_SIZE = 1000


@dataclass(frozen=True)
class KernelDistance:
    """The kernel distance over subsets.

    Attributes:
        mean: over the subsets; about 0 for two draws of the same, at times a little below.
        spread: standard deviation over the subsets.
    """

    mean: float
    spread: float


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) for the covariances A, B.

    The trace of the root is that of (A^(1/2) B A^(1/2))^(1/2), a symmetric matrix, so that no
    complex root and no correction term is needed.

    Args:
        a: features, shape (n, d), n >= 2.
        b: features, shape (m, d), m >= 2.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    difference = a.mean(0) - b.mean(0)
    first, second = (np.atleast_2d(np.cov(c, rowvar=False)) for c in (a, b))
    root = _root(first)
    cross = np.linalg.eigvalsh(root @ second @ root)
    trace = np.trace(first) + np.trace(second) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(difference @ difference + max(trace, 0.0))


def kernel_distance(
    a: np.ndarray,
    b: np.ndarray,
    *,
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
    random_state: int = 0,
) -> KernelDistance:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3.

    Args:
        a: features, shape (n, d).
        b: features, shape (m, d).
        subsets: over how many random subsets.
        size: the most points in one, without replacement.
        random_state: chooses the subsets.
    """
    rng = np.random.default_rng(random_state)
    a, b = a.astype(np.float64), b.astype(np.float64)
    size = min(size, len(a), len(b))
    values = []
    for _ in range(subsets):
        x = a[rng.choice(len(a), size, replace=False)]
        y = b[rng.choice(len(b), size, replace=False)]
        values.append(_squared_discrepancy(x, y))
    return KernelDistance(float(np.mean(values)), float(np.std(values)))


def _squared_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    xx, yy, xy = (_cubic(u, v) for u, v in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
    return float(within - 2 * xy.mean())


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    inner = x @ y.T / x.shape[1] + 1
    return inner * inner * inner


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
