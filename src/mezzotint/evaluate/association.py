"""How strongly attributes hang together, in one measure for every pair of types.

The measure is Cramér's V with Bergsma's correction (W. Bergsma, "A bias-correction for Cramér's V
and Tschuprow's T", Journal of the Korean Statistical Society 42, 2013): 0 for independent
attributes, 1 when one determines the other. Numbers and dates take part in groups of about equal
size, missing values in a group of their own, and rare categories in a common one; so all pairs
are on one scale, a non-monotone relation counts too, and nothing depends on a unit. The sign of a
relation is not shown.

The groups are chosen from the synthetic rows, which are public: so the synthetic matrix may be
published. The real matrix and the difference are computed on private data, outside any
differentially private mechanism, and are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.fidelity import Codes

GROUPS = 12
"""An attribute takes part with at most this many groups."""


@dataclass(frozen=True)
class Associations:
    """Matrices of the bias-corrected Cramér's V over ``names``; NaN beside a constant attribute.

    Attributes:
        names: the attributes, in order.
        synthetic: the synthetic table's matrix.
        real: the real table's matrix, or None in a public report.
        private: whether ``real`` is there.
    """

    names: tuple[str, ...]
    synthetic: np.ndarray
    real: np.ndarray | None

    @property
    def private(self) -> bool:
        """Computed on private data, hence not to be published."""
        return self.real is not None

    @property
    def difference(self) -> np.ndarray | None:
        """Synthetic minus real."""
        return None if self.real is None else self.synthetic - self.real

    @property
    def mean_difference(self) -> float:
        """The mean absolute difference over all pairs that both tables define."""
        if self.real is None:
            return float("nan")
        upper = np.abs(self.synthetic - self.real)[np.triu_indices(len(self.names), 1)]
        defined = upper[~np.isnan(upper)]
        return float(defined.mean()) if len(defined) else float("nan")


def group(counts: np.ndarray, *, ordered: bool, missing: int | None = None) -> np.ndarray:
    """Assign every code to one of at most ``GROUPS`` groups, by the codes' counts.

    Ordered codes are cut into runs of about equal count; otherwise the commonest codes stand
    alone and the rest share the last group.

    Args:
        counts: rows per code.
        ordered: whether neighbouring codes are neighbouring values.
        missing: the code of a missing value, which keeps a group of its own.

    Returns:
        The group of each code, shape (len(counts),).
    """
    size = len(counts)
    if size <= GROUPS:
        return np.arange(size)
    present = np.array([code for code in range(size) if code != missing])
    room = GROUPS - (missing is not None)
    groups = np.full(size, room)
    weights = counts[present].astype(float)
    if ordered:
        middle = (np.cumsum(weights) - weights / 2) / max(weights.sum(), 1.0)
        groups[present] = np.minimum((middle * room).astype(int), room - 1)
    else:
        by_count = present[np.argsort(-weights, kind="stable")]
        groups[by_count[: room - 1]] = np.arange(room - 1)
        groups[by_count[room - 1 :]] = room - 1
    return groups


def cramers_v(table: np.ndarray) -> float:
    """Bergsma's bias-corrected Cramér's V of a table of counts; NaN if a side is constant."""
    table = table[table.any(axis=1)][:, table.any(axis=0)].astype(float)
    r, k = table.shape
    n = table.sum()
    if min(r, k) < 2 or n < 3:
        return float("nan")
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    phi2 = float(((table - expected) ** 2 / expected).sum()) / n
    phi2 = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(phi2 / smaller))) if smaller > 0 else float("nan")


def matrix(codes: Codes, groups: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Cramér's V of every pair of ``names``, shape (len(names), len(names)).

    Guarantee: none. Private if ``codes`` is.
    """
    coarse = [groups[a][codes[a]] for a in names]
    sizes = [int(groups[a].max()) + 1 for a in names]
    result = np.eye(len(names))
    for i, left in enumerate(coarse):
        for j in range(i, len(names)):
            cells = sizes[i] * sizes[j]
            counts = np.bincount(left * sizes[j] + coarse[j], minlength=cells)
            value = cramers_v(counts.reshape(sizes[i], sizes[j]))
            result[i, j] = result[j, i] = value if i != j or np.isnan(value) else 1.0
    return result


def associate(
    real: Codes | None,
    synthetic: Codes,
    sizes: Mapping[str, int],
    names: Sequence[str],
    *,
    ordered: Mapping[str, bool],
    missing: Mapping[str, int | None],
) -> Associations:
    """Both tables' association matrices, in groups chosen from the synthetic rows.

    Guarantee: none. Private: ``real``, which may be None.
    """
    groups = {}
    for a in names:
        counts = np.bincount(synthetic[a], minlength=sizes[a])
        groups[a] = group(counts, ordered=ordered[a], missing=missing[a])
    return Associations(
        names=tuple(names),
        synthetic=matrix(synthetic, groups, names),
        real=None if real is None else matrix(real, groups, names),
    )
