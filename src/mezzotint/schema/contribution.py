"""No unit contributes more rows than the privacy unit allows."""

from __future__ import annotations

from collections.abc import Hashable

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
        self._missing = frozenset(schema.missing)
        self._seen: dict[Hashable, int] = {}

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that pass."""
        column = batch.column(batch.schema.get_field_index(self._column))
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        present = ~np.asarray(column.indices.is_null())
        unit = column.indices.fill_null(0).to_numpy(zero_copy_only=False)[present]
        earlier = self._earlier(column.dictionary, unit)
        keep = np.zeros(batch.num_rows, dtype=bool)
        keep[present] = earlier < self._rows
        return batch.filter(pa.array(keep))

    def _earlier(self, identifiers: pa.Array, unit: np.ndarray) -> np.ndarray:
        """Per row, how many rows of its unit came before it (a missing one: more than allowed)."""
        counts = np.bincount(unit, minlength=len(identifiers))
        before = np.zeros(len(identifiers), dtype=np.int64)
        used = np.flatnonzero(counts)
        for index, identifier in zip(used, identifiers.take(used).to_pylist(), strict=True):
            key = identifier.strip() if isinstance(identifier, str) else identifier
            if key is None or key in self._missing:
                before[index] = self._rows
                continue
            before[index] = self._seen.get(key, 0)
            self._seen[key] = int(before[index] + counts[index])
        order = np.argsort(unit, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[unit[order]]
        rank = np.empty(len(unit), dtype=np.int64)
        rank[order] = np.arange(len(unit)) - starts
        return before[unit] + rank
