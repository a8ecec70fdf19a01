"""The tables of FHAIM's figures, coded to the number of cells that it publishes.

FHAIM (arXiv 2602.05838) gives rows, attributes, one-hot columns and two-way cells of its tables,
not their coding. Columns and cells together pin the attributes' sizes almost down: their sum is
the number of columns, and the sum of their squares is columns^2 - 2 * cells.

    table      rows   attributes  columns  2-way cells  sum of squares
    cancer      228           10       45          872             281
    compas    4,120            9       24          255              66
    diabetes    614            9       39          671             179

- **cancer**: the ten attributes as they are, missing values as a category of their own: 6, 3, 11,
  7, 3, 3, 2, 6, 2 and 2 codes. 228 rows are four fifths of 286.
- **compas**: the four counts as 0, 1, more; race as African-American, Caucasian, other. The paper's
  choice of rows is not published; ours is 4,120 by lot, and 1,030 others for testing.
- **diabetes**: one numeric attribute in six bins, three in five, four in four, with round edges
  below. 614 rows are four fifths of 768.
- **adult**: 48,842 x 14 as the AIM literature codes it: no part of FHAIM's figures.

The lot is seeded, so everybody gets the same rows.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from _fidelity import CodedTable, read_coded

DEFAULT_DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "tabular"
_OTHER = "other"


@dataclass(frozen=True)
class Problem:
    """One table of the benchmark.

    Attributes:
        name: As the command line calls it.
        train: The private table.
        test: Real rows that took no part; those of `train` again where there are no others.
        target: The attribute that models predict, its last code being the positive one.
        held_out: Whether `test` took no part.
    """

    name: str
    train: CodedTable
    test: CodedTable
    target: str
    held_out: bool = True

    @property
    def columns(self) -> int:
        """One-hot columns."""
        return sum(self.train.sizes.values())

    @property
    def cells(self) -> int:
        """Cells of all two-way marginals."""
        return (self.columns**2 - sum(d * d for d in self.train.sizes.values())) // 2


_COUNT = (1, 2)
_COMPAS = {
    "race": ("African-American", "Caucasian", _OTHER),
    "juv_fel_count": _COUNT,
    "juv_misd_count": _COUNT,
    "juv_other_count": _COUNT,
    "priors_count": _COUNT,
}
_DIABETES = {
    "pregnancies": (1, 2, 4, 7),
    "glucose": (90, 110, 130, 155),
    "blood_pressure": (62, 72, 82),
    "skin_thickness": (1, 20, 33),
    "insulin": (1, 90, 160),
    "bmi": (25, 30, 35, 40),
    "pedigree": (0.25, 0.5, 0.75),
    "age": (23, 26, 30, 38, 48),
}
"""Lower edges of all bins but the first. No skin thickness or insulin is a bin of its own."""


def problem(name: str, data: Path = DEFAULT_DATA) -> Problem:
    """A table by its name: cancer, compas, diabetes or adult."""
    if name == "adult":
        return _adult(data)
    stem, rules, target, rows, tests = {
        "cancer": ("breast_cancer", {}, "class", 228, 58),
        "compas": ("compas", _COMPAS, "two_year_recid", 4120, 1030),
        "diabetes": ("diabetes", _DIABETES, "outcome", 614, 154),
    }[name]
    with _opened(data / f"{stem}.csv").open(newline="") as file:
        raw = list(csv.DictReader(file))
    sizes, columns = {}, {}
    for attribute in raw[0]:
        words = [row[attribute] for row in raw]
        sizes[attribute], columns[attribute] = _coded(words, rules.get(attribute))
    table = CodedTable(sizes, columns)
    lot = np.random.default_rng(0).permutation(table.rows)
    return Problem(name, table.take(lot[:rows]), table.take(lot[rows : rows + tests]), target)


def _coded(words: list[str], rule: tuple | None) -> tuple[int, np.ndarray]:
    """Number of codes, and codes."""
    if rule and isinstance(rule[0], str):
        return len(rule), np.array(
            [rule.index(word if word in rule else _OTHER) for word in words], np.int32
        )
    if rule:
        return len(rule) + 1, np.digitize([float(word) for word in words], rule).astype(np.int32)
    found = sorted(set(words))
    return len(found), np.array([found.index(word) for word in words], np.int32)


def _adult(data: Path) -> Problem:
    import json

    sizes = json.loads(_opened(data / "adult_coded-domain.json").read_text())
    table = read_coded(_opened(data / "adult_coded.csv"), sizes)
    return Problem("adult", table, table, "income>50K", held_out=False)


def _opened(path: Path) -> Path:
    if not path.exists():
        raise SystemExit(f"{path} is missing. Give the directory that holds it with --data-dir.")
    return path
