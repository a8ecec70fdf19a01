"""Precision, recall, density, coverage: do two sets of points lie where the other lies?

Around every real point stands a ball that reaches to its k-th nearest real neighbour; around every
synthetic point likewise.

    precision   synthetic points in some real ball: are they plausible?
    recall      real points in some synthetic ball: is everything there?
    density     real balls around a synthetic point, over k: precision that outliers cannot buy
    coverage    real balls that hold a synthetic point: recall that outliers cannot buy

Sources: Kynkaanniemi et al., Improved precision and recall metric, NeurIPS 2019; Naeem et al.,
Reliable fidelity and diversity metrics, ICML 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 5
_CHUNK = 500


@dataclass(frozen=True)
class Manifold:
    """How two sets of points overlap; all private, for one of them is.

    Attributes:
        precision: in 0 to 1.
        recall: in 0 to 1.
        density: at least 0, about 1 for two draws of the same.
        coverage: in 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    private: bool = True


def manifold(real: np.ndarray, synthetic: np.ndarray, k: int = NEIGHBOURS) -> Manifold:
    """Compare two sets of points.

    Args:
        real: shape (n, d), n > k.
        synthetic: shape (m, d), m > k.
        k: the neighbour to which a ball reaches.
    """
    real, synthetic = _standard(real, real), _standard(synthetic, real)
    reach_real, reach_synthetic = _reach(real, k), _reach(synthetic, k)
    inside_real = np.zeros(len(synthetic), np.int64)  # real balls around each synthetic point
    nearest = np.full(len(real), np.inf)  # synthetic point nearest to each real one
    recalled = np.zeros(len(real), bool)
    for start in range(0, len(synthetic), _CHUNK):
        part = slice(start, start + _CHUNK)
        distances = squared_distances(synthetic[part], real)
        inside_real[part] = (distances <= reach_real).sum(1)
        recalled |= (distances <= reach_synthetic[part, None]).any(0)
        np.minimum(nearest, distances.min(0), out=nearest)
    return Manifold(
        precision=float((inside_real > 0).mean()),
        recall=float(recalled.mean()),
        density=float(inside_real.mean() / k),
        coverage=float((nearest <= reach_real).mean()),
    )


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, shape (len(a), len(b)), in the precision of the input."""
    square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * (a @ b.T)
    return np.maximum(square, 0, out=square)


def _reach(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest other point."""
    reach = np.empty(len(points), points.dtype)
    for start in range(0, len(points), _CHUNK):
        distances = squared_distances(points[start : start + _CHUNK], points)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = -1.0  # the point itself comes first, also among copies
        reach[start : start + _CHUNK] = np.partition(distances, k, axis=1)[:, k]
    return reach


def _standard(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Moved to the reference's centre, in double precision, so that little cancels."""
    return points.astype(np.float64) - reference.mean(0, dtype=np.float64)
