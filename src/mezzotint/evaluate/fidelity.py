"""How far synthetic rows stand from real ones, measured in marginals.

The distance over one clique is half the L1 distance between the two normalised marginals (the
total variation distance): 0 when they agree in every cell, 1 when they share none. The workload
error is its mean over all k-way marginals, the figure by which the literature compares mechanisms
(McKenna, Mullins, Sheldon and Miklau, "AIM", VLDB 2022).

Everything here reads private data outside any differentially private mechanism. The results are
exact, noiseless functions of the real rows: they carry ``private=True`` and are not to be
published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from mezzotint.errors import DataError, ParameterError

Codes = Mapping[str, np.ndarray]
"""Attribute -> integer codes, one per row; all arrays have the same length."""

CELL_LOOKUPS = 500_000_000
"""Default effort: rows times cliques. Beyond it a stated random sample of cliques is used."""

_FEWEST_CLIQUES = 100
_LARGEST_KEY = 2**62


@dataclass(frozen=True)
class WorkloadError:
    """The mean distance over all k-way marginals.

    Attributes:
        k: how many attributes each marginal has.
        mean: the workload error, between 0 and 1.
        worst: the largest distance among the marginals measured.
        worst_clique: where it occurs.
        cliques: how many marginals were measured.
        cliques_in_all: how many there are; more than ``cliques`` when a sample was drawn.
        private: computed on private data, hence not to be published.
    """

    k: int
    mean: float
    worst: float
    worst_clique: tuple[str, ...]
    cliques: int
    cliques_in_all: int
    private: bool = True


def rows(codes: Codes) -> int:
    """How many rows a coded table has."""
    return len(next(iter(codes.values()))) if codes else 0


def marginal_distance(
    real: Codes, synthetic: Codes, sizes: Mapping[str, int], clique: Sequence[str]
) -> float:
    """Half the L1 distance between the two normalised marginals over ``clique``.

    The overlap sum(min(m x, n y)) is taken in integers, so identical tables give exactly 0 and
    disjoint ones exactly 1. Large cliques are counted by sorting, so that memory grows with the
    rows and not with the cells.

    Guarantee: none. Private: ``real``. Public: ``synthetic``, ``sizes``.

    Args:
        real: codes of n rows.
        synthetic: codes of m rows.
        sizes: attribute -> number of codes.
        clique: the attributes of the marginal.
    """
    n, m = rows(real), rows(synthetic)
    if n == 0 or m == 0:
        raise DataError(
            f"{'the real' if n == 0 else 'the synthetic'} table has no rows: "
            "there is nothing to compare. Give a table with at least one row."
        )
    left, right, cells = _keys(real, synthetic, sizes, clique)
    if cells <= 4 * (n + m):
        x = np.bincount(left, minlength=cells)
        y = np.bincount(right, minlength=cells)
    else:
        x, y = _shared_counts(left, right)
    return float(n * m - int(np.minimum(x * m, y * n).sum())) / (n * m)


def _keys(
    real: Codes, synthetic: Codes, sizes: Mapping[str, int], clique: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, int]:
    """One int64 key per row, the same for the same cell, and the number of possible keys."""
    n = rows(real)
    key = np.zeros(n + rows(synthetic), np.int64)
    cells = 1
    for name in clique:
        if cells * sizes[name] > _LARGEST_KEY:
            present, key = np.unique(key, return_inverse=True)
            cells = len(present)
        key *= sizes[name]
        key[:n] += real[name]
        key[n:] += synthetic[name]
        cells *= sizes[name]
    return key[:n], key[n:], cells


def _shared_counts(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the keys that occur on both sides, aligned."""
    keys, x = np.unique(left, return_counts=True)
    others, y = np.unique(right, return_counts=True)
    at = np.minimum(np.searchsorted(keys, others), len(keys) - 1)
    shared = keys[at] == others
    return x[at[shared]], y[shared]


def choose_cliques(
    names: Sequence[str], k: int, limit: int, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """All k-way cliques, or ``limit`` distinct ones drawn uniformly when there are more."""
    total = comb(len(names), k)
    if total <= limit:
        return list(combinations(names, k))
    chosen: set[tuple[int, ...]] = set()
    while len(chosen) < limit:
        chosen.add(tuple(sorted(rng.choice(len(names), size=k, replace=False).tolist())))
    return [tuple(names[i] for i in clique) for clique in sorted(chosen)]


def workload_error(
    real: Codes,
    synthetic: Codes,
    sizes: Mapping[str, int],
    k: int,
    *,
    max_cliques: int | None = None,
    random_state: int = 0,
) -> WorkloadError | None:
    """The mean distance over all k-way marginals, or over a stated sample of them.

    Guarantee: none. Private: ``real``. Source: McKenna et al. 2022, section 2.2.

    Args:
        real: codes of the real rows.
        synthetic: codes of the synthetic rows.
        sizes: attribute -> number of codes.
        k: attributes per marginal.
        max_cliques: measure at most this many, drawn uniformly. By default as many as
            ``CELL_LOOKUPS`` allows, at least 100.
        random_state: seeds the draw of cliques.

    Returns:
        None when the table has fewer than ``k`` attributes.
    """
    names = tuple(sizes)
    if k < 1:
        raise ParameterError(f"k={k}: a marginal has at least one attribute. Give k >= 1.")
    if k > len(names):
        return None
    if max_cliques is None:
        max_cliques = max(_FEWEST_CLIQUES, CELL_LOOKUPS // (rows(real) + rows(synthetic) + 1))
    cliques = choose_cliques(names, k, max_cliques, np.random.default_rng(random_state))
    distances = [marginal_distance(real, synthetic, sizes, clique) for clique in cliques]
    worst = int(np.argmax(distances))
    return WorkloadError(
        k=k,
        mean=float(np.mean(distances)),
        worst=distances[worst],
        worst_clique=cliques[worst],
        cliques=len(cliques),
        cliques_in_all=comb(len(names), k),
    )


def pair_distances(
    real: Codes, synthetic: Codes, sizes: Mapping[str, int], names: Sequence[str]
) -> np.ndarray:
    """The distance of every pair, shape (len(names), len(names)); 1-way on the diagonal.

    Guarantee: none. Private: ``real``.
    """
    matrix = np.zeros((len(names), len(names)))
    for i, a in enumerate(names):
        matrix[i, i] = marginal_distance(real, synthetic, sizes, (a,))
        for j in range(i + 1, len(names)):
            matrix[i, j] = matrix[j, i] = marginal_distance(real, synthetic, sizes, (a, names[j]))
    return matrix


def resample(
    real: Codes, n: int, rng: np.random.Generator, *, together: bool
) -> dict[str, np.ndarray]:
    """Rows drawn from the real ones: the yardsticks that an error is read against.

    Whole rows (``together``) show the error that chance alone leaves; every attribute drawn on
    its own shows what is lost by a table with perfect columns and no relations between them.

    Guarantee: none; the rows drawn are real values and never leave the evaluation.
    """
    at = rng.integers(rows(real), size=n)
    return {
        name: column[at if together else rng.integers(rows(real), size=n)]
        for name, column in real.items()
    }
