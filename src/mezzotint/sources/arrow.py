"""Anything that speaks the Arrow stream interface, and what comes back for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from mezzotint.errors import DataError
from mezzotint.sources.source import ROWS, checked_columns

_CHUNK = 16 * ROWS


class ArrowSource:
    """A data frame, a relation, a reader or a dictionary of columns.

    Frames in memory are converted once; relations and datasets are scanned anew each time, so that
    tables larger than memory pass through; a reader can be scanned once.
    """

    def __init__(self, table: Any, name: str | None = None) -> None:
        self._table = table
        self._family = type(table).__module__.partition(".")[0].lstrip("_")
        self.name = name or f"{self._family} {type(table).__name__}"
        self._lazy = hasattr(table, "collect_schema") and hasattr(table, "collect")
        self._held = self._hold()
        self._reader: Any = None if self._held is not None else self._open()
        self.columns = checked_columns(self._names(), self.name)

    def _hold(self) -> pa.Table | None:
        """The whole table, where it lies in memory anyway."""
        try:
            if isinstance(self._table, pa.Table):
                return self._table
            if isinstance(self._table, pa.RecordBatch):
                return pa.Table.from_batches([self._table])
            if isinstance(self._table, Mapping):
                return pa.table(dict(self._table))
            if self._family == "pandas":
                if not self._table.columns.is_unique:
                    checked_columns([str(c) for c in self._table.columns], self.name)
                table = pa.Table.from_pandas(self._table, preserve_index=False)
                return table.replace_schema_metadata(None)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"{self.name}: a column cannot be read ({error.args[-1]}); give "
                "every column one type, as with frame[column].astype(str), or drop it"
            ) from None
        return None

    def _open(self) -> Any:
        """What knows the columns: a reader, to be scanned once, or the table itself."""
        if self._lazy or not hasattr(self._table, "__arrow_c_stream__"):
            return self._table
        return pa.RecordBatchReader.from_stream(self._table)

    def _names(self) -> list[str]:
        if self._held is not None:
            return self._held.schema.names
        return self._reader.collect_schema().names() if self._lazy else self._reader.schema.names

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, in the table's order."""
        chosen = list(columns or self.columns)
        if self._held is not None:
            yield from self._held.select(chosen).to_batches(max_chunksize=_CHUNK)
            return
        for batch in self._scan(chosen):
            for start in range(0, batch.num_rows, _CHUNK):
                yield batch.slice(start, _CHUNK)

    def _scan(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        table = self._table
        if self._lazy:
            lazy = table.select(columns)
            if hasattr(lazy, "collect_batches"):
                frames = lazy.collect_batches(chunk_size=_CHUNK, maintain_order=True)
            else:
                frames = [lazy.collect()]
            for frame in frames:
                yield from frame.to_arrow().to_batches()
            return
        if not hasattr(table, "__arrow_c_stream__"):
            yield from table.to_batches(columns=columns)
            return
        reader, self._reader = self._reader, None
        if reader is None:
            if isinstance(table, pa.RecordBatchReader):
                raise DataError(
                    f"{self.name}: this stream has been read already and cannot be read again; "
                    "read it into a table first (reader.read_all())"
                )
            reader = pa.RecordBatchReader.from_stream(table)
        for batch in reader:
            yield batch.select(columns)

    def like(self, table: pa.Table) -> Any:
        """The table in the family that came in."""
        if self._family == "pandas":
            return table.to_pandas()
        if self._family == "polars":
            import polars

            frame = polars.DataFrame(table)
            return frame.lazy() if isinstance(self._table, polars.LazyFrame) else frame
        if self._family == "duckdb":
            import duckdb

            return duckdb.from_arrow(table)
        if isinstance(self._table, pa.RecordBatchReader):
            return table.to_reader()
        if isinstance(self._table, Mapping):
            return table.to_pydict()
        return table
