"""Where rows come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Source:
    """A table that can be scanned."""

    name: str
    table: pa.Table
    columns: tuple[str, ...]

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Scan."""
        yield from self.table.select(columns or self.columns).to_batches(max_chunksize=65536)

    def like(self, table: pa.Table) -> Any:
        """The family that came in."""
        return table


def open_source(table: Any) -> Source:
    """Open a table or a file."""
    if isinstance(table, Source):
        return table
    if isinstance(table, str | Path):
        import pyarrow.csv

        with Path(table).open(encoding="utf-8-sig") as file:
            columns = file.readline().rstrip("\r\n").split(",")
        text = pa.dictionary(pa.int32(), pa.string())
        data = pyarrow.csv.read_csv(
            str(table),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(columns, text)),
        )
        return Source(str(table), data, tuple(data.column_names))
    data = pa.RecordBatchReader.from_stream(table).read_all()
    return Source(type(table).__name__, data, tuple(data.column_names))
