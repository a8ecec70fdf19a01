"""Rows from a calibrated tree, by randomised rounding.

Clique by clique down the tree, rows that agree on the separator form a group, and the group's
expected counts over the clique's new attributes are rounded to whole numbers: each becomes its
floor or its ceiling, their sum is the group's size, and every expectation is exact (systematic
sampling). The values are then dealt out so that attributes which the model holds conditionally
independent stay so: each value is spread evenly over the group, from a random start, while the
rows lie sorted by the attributes that were drawn before, their values in an order that is drawn
anew for each clique. So pairs across neighbouring cliques, too, come out nearer to their
expectation than independent draws would bring them. (In an order that two cliques share, the
values of both would alternate in step: independent attributes could come out equal.)

Sources: systematic sampling, Madow and Madow (1944); its use for graphical models, McKenna, Miklau
and Sheldon, "Winning the NIST contest" (2021), whose published sampler dealt without random order.
"""

from __future__ import annotations

from itertools import takewhile
from math import prod

import numpy as np

from mezzotint.tables.domain import Clique
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

    def packed(attributes: Clique) -> np.ndarray:
        code = np.zeros(n, dtype=np.int64)
        for a in attributes:
            code = code * domain.sizes[a] + columns[a]
        return code

    def scattered(attributes: Clique) -> np.ndarray:
        """The cells in an order for rounding: by the first attribute, else at random.

        In a regular order a sparse table would be rounded to every second cell, say, and so to
        one value only of a binary attribute.
        """
        blocks = domain.sizes[attributes[0]]
        cells = np.arange(domain.cells(attributes)).reshape(blocks, -1)
        return rng.permuted(cells, axis=1).ravel()

    def strata(separator: Clique) -> list[np.ndarray]:
        """Sorting keys, one attribute after the other, values in a random order at each level.

        Large attributes come first, where independent draws would err most; keys stop where
        strata would hold less than a row.
        """
        earlier = sorted(set(columns).difference(separator), key=lambda a: (-domain.sizes[a], a))
        prefixes = (tuple(earlier[: k + 1]) for k in range(len(earlier)))
        telling = takewhile(lambda p: domain.cells(p) <= n, prefixes)
        return [rng.permutation(domain.cells(p))[packed(p)] for p in telling]

    for i, (clique, separator) in enumerate(zip(tree.cliques, tree.separators, strict=True)):
        new = tuple(a for a in clique if a not in separator)
        order = [clique.index(a) for a in separator + new]
        cells = scattered(new)
        table = model.beliefs[i].transpose(order).reshape(prod(domain.shape(separator)), -1)
        table = table[:, cells]
        drawn = cells[_deal(table, packed(separator), strata(separator), rng)]
        columns.update(zip(new, np.unravel_index(drawn, domain.shape(new)), strict=True))
    return {a: columns[a] for a in domain}


def _deal(
    table: Array, group: np.ndarray, strata: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """For each row a column of ``table``, from the table row that the row's group names."""
    shuffled = rng.permutation(len(group))
    rows = shuffled[np.lexsort([key[shuffled] for key in (*reversed(strata), group)])]
    sizes = np.bincount(group, minlength=len(table))
    present = np.flatnonzero(sizes)
    drawn = np.empty(len(group), dtype=np.int64)
    done = 0
    step = max(1, _BLOCK_CELLS // table.shape[1])
    for start in range(0, len(present), step):
        block = present[start : start + step]
        dealt = _spread(_round(table[block], sizes[block], rng), rng)
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


def _spread(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The columns that ``counts`` calls for, group after group, each spread evenly over its group.

    Every place of a group is equally likely to get each of the group's columns: the order is
    turned by a random number of places.
    """
    groups, columns = np.nonzero(counts)
    times = counts[groups, columns]
    which = np.repeat(np.arange(len(times)), times)
    ends = np.cumsum(times)
    nth = np.arange(len(which)) - (ends - times)[which]
    place = (nth + rng.random(len(times))[which]) / times[which]
    group = groups[which]
    ordered = columns[which[np.lexsort((place, group))]]
    sizes = counts.sum(axis=1)
    starts = np.cumsum(sizes) - sizes
    turn = rng.integers(sizes)
    position = np.arange(len(which)) - starts[group]
    return ordered[starts[group] + (position + turn[group]) % sizes[group]]
