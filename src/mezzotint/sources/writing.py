"""Tables to files: all at once or not at all."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute

from mezzotint.errors import DataError
from mezzotint.sources.source import ROWS

pc: Any = pyarrow.compute


def write_table(table: pa.Table, path: str | Path, *, delimiter: str = ",") -> None:
    """Write a table as CSV (.gz too) or Parquet, by the path's ending.

    Args:
        table: What to write; for CSV pass `Schema.format(table)`, which spells every value as the
            original file did.
        path: Where to; replaced only once the whole table stands.
        delimiter: What separates a CSV file's columns.
    """
    path = Path(path)
    with replacing(path) as file:
        if path.suffix.lower() in (".parquet", ".parq", ".pq"):
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, file)
        elif path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
                _write_csv(table, packed, delimiter)
        else:
            _write_csv(table, file, delimiter)


def _write_csv(table: pa.Table, file: BinaryIO | gzip.GzipFile, delimiter: str) -> None:
    # A string array's bytes lie end to end in memory: rows joined by Arrow are the file itself.
    header = [pa.array([name]) for name in table.column_names]
    file.write(_lines(header, delimiter))
    for batch in table.to_batches(max_chunksize=ROWS):
        file.write(_lines([column.cast(pa.string()) for column in batch.columns], delimiter))


def _lines(columns: list[pa.Array], delimiter: str) -> bytes:
    fields = [_quoted(column.fill_null(""), delimiter) for column in columns]
    rows = pc.binary_join_element_wise(*fields, delimiter)
    whole = pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)
    return pc.binary_join(whole, "\n")[0].as_buffer().to_pybytes() + b"\n"


def _quoted(column: pa.Array, delimiter: str) -> pa.Array:
    special = pc.match_substring_regex(column, f'["\r\n{re.escape(delimiter)}]')
    if not pc.any(special, min_count=0).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), column)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place when the block ends well, and vanishes if not."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was left there. Give "
            "a place with room and with permission to write"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
