"""Both tables as evaluation reads them: codes for marginals, plain numbers for models.

A table is read once, in batches, and coded by the schema. Above ``MOST_ROWS`` rows a uniform
sample is kept, so that memory does not grow with the table; the report says so.

The real table is read outside any differentially private mechanism. Whatever is computed from its
:class:`Rows` is private and not to be published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import DataError
from mezzotint.evaluate.formats import number

if TYPE_CHECKING:
    from mezzotint.schema import Schema
    from mezzotint.schema.attribute import Attribute
    from mezzotint.schema.numeric import Numeric

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
        write: writes a number as the schema does, where plain digits would say nothing: dates
            and times.
        unit: what such numbers count: "days", "seconds", ...
        spans: the least and the greatest value of each code but the missing one, in words; only
            where values are ordered.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    numeric: bool = False
    ordered: bool = False
    missing: int | None = None
    write: Callable[[float], str] | None = None
    unit: str = ""
    spans: tuple[tuple[str, str], ...] = ()

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

    def sample(
        self, limit: int, rng: np.random.Generator, *, where: np.ndarray | None = None
    ) -> Rows:
        """At most ``limit`` of the rows that a mask selects, drawn without replacement."""
        if where is None:
            if self.count <= limit:
                return self
            where = np.ones(self.count, bool)
        at = np.flatnonzero(where)
        if len(at) > limit:
            at = np.sort(rng.choice(at, size=limit, replace=False))
        return self.take(at)

    def _pick(self, pick: Callable[[np.ndarray], np.ndarray], count: int) -> Rows:
        return replace(
            self,
            codes={name: pick(array) for name, array in self.codes.items()},
            values={name: pick(array) for name, array in self.values.items()},
            count=count,
        )


def columns_of(schema: Schema) -> dict[str, Column]:
    """The public facts that evaluation needs, attribute by attribute."""
    return {attribute.name: _column(attribute) for attribute in schema.attributes}


def _column(attribute: Attribute) -> Column:
    from mezzotint.schema.moments import Date, Datetime, TimeOfDay
    from mezzotint.schema.numeric import Numeric

    numeric = isinstance(attribute, Numeric)
    moment = isinstance(attribute, Date | Datetime | TimeOfDay)
    return Column(
        name=attribute.name,
        type=attribute.type,
        labels=tuple(attribute.labels()),
        numeric=numeric,
        ordered=numeric or attribute.type == "ordered",
        missing=attribute.missing_code,
        write=attribute.write if moment else None,
        unit=f"{getattr(attribute, 'resolution', 'day')}s" if moment else "",
        spans=_spans(attribute),
    )


def _spans(attribute: Attribute) -> tuple[tuple[str, str], ...]:
    from mezzotint.schema.moments import Date, Datetime, TimeOfDay
    from mezzotint.schema.numeric import Numeric

    if not isinstance(attribute, Numeric):
        return tuple((label, label) for label in attribute.labels()[: attribute.values])
    write = attribute.write if isinstance(attribute, Date | Datetime | TimeOfDay) else number
    low, high = (points.tolist() for points in attribute.intervals())
    return tuple((write(a), write(b)) for a, b in zip(low, high, strict=True))


def read(table: Any, schema: Schema, rng: np.random.Generator, *, role: str) -> Rows:
    """Read a table once, in batches, as the schema codes it.

    Guarantee: none. Private if ``table`` is.

    Args:
        table: a path, a source, or anything with the Arrow stream interface.
        schema: the public facts.
        rng: draws the rows that are kept above ``MOST_ROWS``.
        role: "real", "synthetic" or "holdout", for messages.

    Raises:
        DataError: the table has no rows, or lacks a column of the schema.
    """
    from mezzotint.schema.numeric import Numeric
    from mezzotint.sources import open_source

    source = open_source(table)
    lacking = [name for name in schema.names if name not in source.columns]
    if lacking:
        raise DataError(
            f"the {role} table ({source.name}) has no column {lacking[0]!r}"
            + (f" (nor {len(lacking) - 1} more of the schema's columns)" if lacking[1:] else "")
            + f"; its columns are {_listed(source.columns)}. Give the table that the schema "
            "describes, or drop the attribute from the schema."
        )
    columns = columns_of(schema)
    kept = _Reservoir(rng)
    for batch in source.batches(schema.names):
        codes = schema.encode(batch)
        values = {
            attribute.name: _numbers(batch.column(attribute.name), attribute, codes[attribute.name])
            for attribute in schema.attributes
            if isinstance(attribute, Numeric)
        }
        kept.add(codes, values)
    if kept.total == 0:
        raise DataError(
            f"the {role} table ({source.name}) has no rows: there is nothing to compare. "
            "Give a table with at least one row."
        )
    return kept.rows(columns)


class _Reservoir:
    """Rows as they arrive; above ``MOST_ROWS`` those with the smallest random keys remain."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.total = 0
        self._rng = rng
        self._held = 0
        self._parts: list[tuple[np.ndarray, dict, dict]] = []

    def add(self, codes: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> None:
        count = len(next(iter(codes.values())))
        self.total += count
        self._held += count
        self._parts.append((self._rng.random(count), codes, values))
        if self._held > 2 * MOST_ROWS:
            self._parts = [self._merged()]
            self._held = len(self._parts[0][0])

    def _merged(self) -> tuple[np.ndarray, dict, dict]:
        keys = np.concatenate([part[0] for part in self._parts])
        at = np.arange(len(keys))
        if len(keys) > MOST_ROWS:
            at = np.sort(np.argpartition(keys, MOST_ROWS)[:MOST_ROWS])
        codes, values = (
            {
                name: np.concatenate([part[side][name] for part in self._parts])[at]
                for name in self._parts[0][side]
            }
            for side in (1, 2)
        )
        return keys[at], codes, values

    def rows(self, columns: Mapping[str, Column]) -> Rows:
        keys, codes, values = self._merged()
        return Rows(columns, codes, values, count=len(keys), total=self.total)


def _numbers(array: Any, attribute: Numeric, codes: np.ndarray) -> np.ndarray:
    """A column's own numbers, as the schema reads them; NaN where missing or unreadable."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        lookup = np.append(_plain(array.dictionary, attribute), np.nan)
        numbers = lookup[array.indices.fill_null(len(lookup) - 1).to_numpy(zero_copy_only=False)]
    else:
        numbers = _plain(array, attribute)
    return np.where(codes == attribute.missing_code, np.nan, numbers)


def _plain(array: Any, attribute: Numeric) -> np.ndarray:
    numbers, valid = attribute.read(array)
    return np.where(valid & np.isfinite(numbers), numbers, np.nan)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
