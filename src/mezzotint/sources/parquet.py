"""Parquet: a file, or a directory of files with the same columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mezzotint.errors import DataError
from mezzotint.sources.source import ROWS, checked_columns

_BROKEN = (pa.ArrowException, OSError, UnicodeError)


class ParquetSource:
    """Parquet files, streamed: memory does not grow with their length.

    Attributes:
        packed: the columns of texts that are read as dictionaries, though they are not in the file.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name = name or str(path)
        self.files = [path]
        if path.is_dir():
            self.files = sorted(
                f for f in path.rglob("*.parquet") if not f.name.startswith((".", "_"))
            )
        if not self.files:
            raise DataError(f"{path}: the directory holds no .parquet file; give one that does")
        self.columns: tuple[str, ...] = ()
        self.packed: list[str] = []
        for file in self.files:
            with self._open(file) as parquet:
                try:
                    schema = parquet.schema_arrow
                    names = schema.names
                except _BROKEN as error:
                    raise DataError(
                        f"{file}: its header is damaged ({error}); write the file again"
                    ) from None
            columns = checked_columns(names, str(file))
            if self.columns and set(columns) != set(self.columns):
                odd = sorted(set(columns) ^ set(self.columns))[0]
                raise DataError(
                    f"{file}: its columns differ from those of {self.files[0].name} ({odd!r} is "
                    "in one of them only); a directory must hold one table"
                )
            self.columns = self.columns or columns
            self.packed = [f.name for f in schema if pa.types.is_string(f.type)]

    def _open(self, file: Path) -> pq.ParquetFile:
        try:
            # Pre-buffering would hold whole row groups; dictionaries keep repeated texts short.
            return pq.ParquetFile(file, pre_buffer=False, read_dictionary=self.packed)
        except _BROKEN as error:
            raise DataError(
                f"{file}: cannot be read as Parquet ({error}); give a whole file"
            ) from (None)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, file by file in the order of their names."""
        chosen = list(columns or self.columns)
        for file in self.files:
            with self._open(file) as parquet:
                try:
                    for batch in parquet.iter_batches(ROWS, columns=chosen, use_threads=False):
                        yield batch.select(chosen)
                except _BROKEN as error:
                    raise DataError(
                        f"{file}: damaged ({error}); write the file again from its origin"
                    ) from None

    def like(self, table: pa.Table) -> pa.Table:
        """A pyarrow table: for files there is no family in memory."""
        return table
