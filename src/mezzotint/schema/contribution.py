"""No unit contributes more rows than the privacy unit allows."""

from __future__ import annotations

from collections.abc import Hashable
from math import isnan
from typing import Any

import numpy as np
import pyarrow as pa

from mezzotint.schema.schema import Schema


class ContributionBound:
    """Keeps each unit's first rows, in the order of the scan, and drops the rest.

    Guarantee: whatever the table, at most `unit.rows` rows per value of the unit's column pass.
        Which rows of one unit pass depends on that unit's rows alone, so that adding a unit to a
        table, or taking one out, moves no other unit's row.
    Private and public: identifiers and rows are private; the bound is public.

    A row whose identifier is missing might be anybody's, and is dropped. Memory grows with the
    number of units (about 100 bytes each), not of rows.
    """

    def __init__(self, schema: Schema) -> None:
        assert schema.unit_column is not None
        self._column = schema.unit_column
        self._rows = schema.unit.rows
        self._missing = frozenset((None, *schema.missing))
        self._seen: dict[Hashable, int] = {}

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that pass."""
        column = batch.column(batch.schema.get_field_index(self._column))
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        indices = column.indices.fill_null(len(column.dictionary))
        units = [*map(self._unit, column.dictionary.to_pylist()), None]
        # Spellings of one identifier share a number; the missing one has -1.
        known_units = dict.fromkeys(u for u in units if u is not None)
        number = {unit: i for i, unit in enumerate(known_units)}
        unit = np.array([number.get(u, -1) for u in units])[indices.to_numpy(zero_copy_only=False)]
        known = np.flatnonzero(unit >= 0)
        keep = np.zeros(batch.num_rows, dtype=bool)
        keep[known] = self._earlier(list(number), unit[known]) < self._rows
        return batch.filter(pa.array(keep))

    def _unit(self, identifier: Any) -> Hashable:
        """The identifier as a key; None if it is missing."""
        if isinstance(identifier, str):
            identifier = identifier.strip()
        nan = isinstance(identifier, float) and isnan(identifier)
        return None if nan or identifier in self._missing else identifier

    def _earlier(self, units: list[Hashable], unit: np.ndarray) -> np.ndarray:
        """Per row, how many rows of its unit came before it."""
        counts = np.bincount(unit, minlength=len(units))
        before = np.zeros(len(counts), dtype=np.int64)
        for index in np.flatnonzero(counts):
            before[index] = self._seen.get(units[index], 0)
            self._seen[units[index]] = int(before[index] + counts[index])
        order = np.argsort(unit, kind="stable")
        starts = np.cumsum(counts) - counts
        rank = np.empty(len(unit), dtype=np.int64)
        rank[order] = np.arange(len(unit)) - starts[unit[order]]
        return before[unit] + rank
