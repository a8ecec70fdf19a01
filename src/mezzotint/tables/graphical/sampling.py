"""Rows from a calibrated tree, by randomised rounding.

Clique by clique down the tree, rows that agree on the separator form a group, and the group's
expected counts over the clique's new attributes are rounded to whole numbers: each becomes its
floor or its ceiling, their sum is the group's size, and every expectation is exact (systematic
sampling). Within a group the values are dealt out in random order: attributes that the model
holds conditionally independent stay so in the rows.

Source: systematic sampling, Madow and Madow (1944); use for graphical models, McKenna, Miklau and
Sheldon, "Winning the NIST contest" (2021), whose published sampler lacked the random order.
"""

from __future__ import annotations

from math import prod

import numpy as np

from mezzotint.tables.graphical.elimination import CalibratedTree
from mezzotint.tables.graphical.propagation import Array

_BLOCK_CELLS = 2**21


def sample_codes(model: CalibratedTree, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw ``n`` rows.

    Args:
        model: calibrated marginals.
        n: number of rows, >= 0.
        rng: randomness for the rounding and the order; post-processing, so any seed is fine.

    Returns:
        For each attribute, in the domain's order, an int64 array of ``n`` codes.
    """
    tree, domain = model.tree, model.tree.domain
    columns: dict[str, np.ndarray] = {}
    for clique, separator, belief in zip(
        tree.cliques, tree.separators, model.beliefs, strict=True
    ):
        new = tuple(a for a in clique if a not in separator)
        order = [clique.index(a) for a in separator + new]
        table = belief.transpose(order).reshape(prod(domain.shape(separator)), -1)
        group = np.zeros(n, dtype=np.int64)
        for a in separator:
            group = group * domain.sizes[a] + columns[a]
        drawn = _deal(table, group, rng)
        columns.update(zip(new, np.unravel_index(drawn, domain.shape(new)), strict=True))
    return {a: columns[a] for a in domain}


def _deal(table: Array, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row a column of ``table``, drawn from the table row that the row's group names."""
    shuffled = rng.permutation(len(group))
    rows = shuffled[np.argsort(group[shuffled], kind="stable")]
    sizes = np.bincount(group, minlength=len(table))
    present = np.flatnonzero(sizes)
    drawn = np.empty(len(group), dtype=np.int64)
    cells = np.arange(table.shape[1])
    done = 0
    step = max(1, _BLOCK_CELLS // table.shape[1])
    for start in range(0, len(present), step):
        block = present[start : start + step]
        counts = _round(table[block], sizes[block], rng)
        dealt = np.repeat(np.broadcast_to(cells, counts.shape).ravel(), counts.ravel())
        drawn[rows[done : done + len(dealt)]] = dealt
        done += len(dealt)
    return drawn


def _round(weights: Array, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole counts per row, proportional to the weights in expectation, summing to ``sizes``."""
    heights = np.cumsum(weights, axis=1)
    # From the last cell with weight on, the height is the group's size exactly: rounding errors
    # of the division must not give a row to a cell that has none.
    full = heights >= heights[:, -1:]
    heights *= (sizes / heights[:, -1])[:, None]
    heights += rng.random(len(sizes))[:, None]
    steps = np.floor(heights, out=heights).astype(np.int64)
    np.minimum(steps, sizes[:, None], out=steps)
    np.copyto(steps, sizes[:, None], where=full)
    return np.diff(steps, axis=1, prepend=0)
