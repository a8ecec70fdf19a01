"""Tables that the benchmark makes itself: a small one, and a wide one.

Every attribute after the first leans on two earlier ones: a public random function of their codes
is kept with probability 0.8, and else the code is drawn from a skewed distribution of its own. So
there is a tree's worth of strong pairs, many weaker ones, and rare codes. The generator is seeded:
everyone gets the same table.
"""

import numpy as np

from _fidelity import CodedTable

KEEP = 0.8


def small_table() -> CodedTable:
    """5,000 rows, 8 attributes of 2 to 12 codes."""
    return dependent_table(5_000, [2, 3, 4, 6, 8, 12, 5, 2], seed=1)


def wide_table() -> CodedTable:
    """200,000 rows, 100 attributes of 2 to 50 codes."""
    rng = np.random.default_rng(2)
    sizes = rng.permutation(np.linspace(2, 50, 100).round().astype(int))
    return dependent_table(200_000, sizes.tolist(), seed=3)


def dependent_table(rows: int, sizes: list[int], seed: int) -> CodedTable:
    """Draws the table that the module describes."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    for index, size in enumerate(sizes):
        skew = rng.permutation(1 / np.arange(1, size + 1))
        own = rng.choice(size, rows, p=skew / skew.sum())
        if index > 0:
            # Recent attributes are likelier parents, so that dependence forms chains.
            nearness = 0.8 ** np.arange(index)[::-1]
            count = min(2, index)
            parents = rng.choice(index, count, replace=False, p=nearness / nearness.sum())
            names = list(columns)
            shape = [sizes[parent] for parent in parents]
            function = rng.choice(size, shape, p=skew / skew.sum())
            follows = function[tuple(columns[names[parent]] for parent in parents)]
            own = np.where(rng.random(rows) < KEEP, follows, own)
        columns[f"a{index:02d}"] = own.astype(np.int32)
    return CodedTable(dict(zip(columns, sizes, strict=True)), columns)
