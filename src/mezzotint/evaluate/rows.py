"""Both tables as evaluation reads them: codes for marginals, plain numbers for models.

A table is read once, in batches, and coded by the schema. Above ``MOST_ROWS`` rows a uniform
sample is kept, so that memory does not grow with the table; the report says so.

The real table is read outside any differentially private mechanism. Whatever is computed from its
:class:`Rows` is private and not to be published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Column:
    """What evaluation needs to know of an attribute: public facts, from the schema.

    Attributes:
        name: the attribute's name.
        type: its type, in the schema's word.
        labels: one label per code.
        numeric: whether it has numbers behind its codes (integer, continuous, date and time).
        ordered: whether neighbouring codes are neighbouring values.
        missing: the code of a missing value, if there is one.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    numeric: bool = False
    ordered: bool = False
    missing: int | None = None

    @property
    def size(self) -> int:
        """The number of codes."""
        return len(self.labels)

    @property
    def present(self) -> tuple[int, ...]:
        """The codes of values that are not missing."""
        return tuple(code for code in range(self.size) if code != self.missing)


@dataclass(frozen=True)
class Rows:
    """Rows of one table.

    Attributes:
        columns: attribute -> public facts.
        codes: attribute -> codes, shape (count,).
        values: numeric attribute -> numbers, shape (count,), NaN where missing.
        count: rows held.
        total: rows read; more than ``count`` when a sample was kept.
    """

    columns: Mapping[str, Column]
    codes: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
    count: int
    total: int

    @property
    def sizes(self) -> dict[str, int]:
        """Attribute -> number of codes."""
        return {name: column.size for name, column in self.columns.items()}

    def take(self, at: np.ndarray) -> Rows:
        """The rows at these positions."""
        return self._pick(lambda array: array[at], len(at))

    def where(self, mask: np.ndarray) -> Rows:
        """The rows that a mask selects."""
        return self.take(np.flatnonzero(mask))

    def known(self, name: str) -> np.ndarray:
        """A mask of the rows in which an attribute is not missing."""
        column = self.columns[name]
        if column.numeric:
            return ~np.isnan(self.values[name])
        if column.missing is None:
            return np.ones(self.count, bool)
        return self.codes[name] != column.missing

    def sample(self, limit: int, rng: np.random.Generator) -> Rows:
        """At most ``limit`` rows, drawn without replacement."""
        if self.count <= limit:
            return self
        return self.take(np.sort(rng.choice(self.count, size=limit, replace=False)))

    def _pick(self, pick: Callable[[np.ndarray], np.ndarray], count: int) -> Rows:
        return replace(
            self,
            codes={name: pick(array) for name, array in self.codes.items()},
            values={name: pick(array) for name, array in self.values.items()},
            count=count,
        )
