"""One evaluator for everyone: the mean error of a synthetic table's k-way marginals.

The error of one marginal is half the L1 distance between the two normalised tables of counts
(total variation distance), as in the AIM papers. A value that is no code of its attribute (a
null, say) counts in a cell of its own, which the real table leaves empty.
"""

import csv
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class CodedTable:
    """A table of integer codes with its domain.

    Attributes:
        sizes: Attribute to number of codes.
        columns: Attribute to codes, one array of equal length for each.
    """

    sizes: dict[str, int]
    columns: dict[str, np.ndarray]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values())))

    def take(self, rows: np.ndarray) -> "CodedTable":
        """The table of the rows at these positions."""
        return CodedTable(self.sizes, {name: col[rows] for name, col in self.columns.items()})

    def shuffled(self, rng: np.random.Generator) -> "CodedTable":
        """The same one-way marginals with every dependence gone."""
        return CodedTable(
            self.sizes, {name: rng.permutation(col) for name, col in self.columns.items()}
        )

    def write(self, data: Path, domain: Path) -> None:
        """Writes the codes as CSV and the sizes as JSON."""
        domain.write_text(json.dumps(self.sizes))
        with data.open("w", newline="") as stream:
            csv.writer(stream).writerow(self.sizes)
            np.savetxt(stream, np.column_stack([*self.columns.values()]), fmt="%d", delimiter=",")


def read_coded(data: Path, sizes: Mapping[str, int]) -> CodedTable:
    """Reads coded CSV; columns come in the order of `sizes` whatever their order in the file."""
    from pyarrow import csv as arrow_csv

    table = arrow_csv.read_csv(data)
    columns = {}
    for name, size in sizes.items():
        values = table[name].to_numpy().astype(float)
        codes = np.where(np.isfinite(values), values, -1).astype(np.int64)
        columns[name] = np.where((codes < 0) | (codes >= size), size, codes).astype(np.int32)
    return CodedTable(dict(sizes), columns)


def mean_error(
    real: CodedTable,
    synthetic: CodedTable,
    ways: int,
    *,
    at_most: int = 100_000,
) -> float:
    """Mean over all `ways`-way marginals of half the L1 distance between normalised counts.

    Args:
        real: The private table.
        synthetic: The stand-in, over the same domain.
        ways: How many attributes a marginal has.
        at_most: With more marginals than this, a fixed random choice of this many.

    Returns:
        The mean, between 0 and 1.
    """
    cliques = _cliques(tuple(real.sizes), ways, at_most)
    return float(np.mean([_distance(real, synthetic, clique) for clique in cliques]))


def _cliques(names: tuple[str, ...], ways: int, at_most: int) -> Iterable[tuple[str, ...]]:
    if comb(len(names), ways) <= at_most:
        return itertools.combinations(names, ways)
    rng = np.random.default_rng(0)
    return [tuple(rng.choice(names, ways, replace=False)) for _ in range(at_most)]


def _distance(real: CodedTable, synthetic: CodedTable, clique: tuple[str, ...]) -> float:
    shape = [real.sizes[name] + 1 for name in clique]
    cells = int(np.prod(shape))
    counts = []
    for table in (real, synthetic):
        packed = np.zeros(table.rows, dtype=np.int64)
        for name, size in zip(clique, shape, strict=True):
            packed = packed * size + table.columns[name]
        counts.append(np.bincount(packed, minlength=cells) / table.rows)
    return 0.5 * float(np.abs(counts[0] - counts[1]).sum())
