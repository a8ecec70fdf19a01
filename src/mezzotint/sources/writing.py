"""Tables to files: all at once or not at all."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from mezzotint.errors import DataError


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


def _write_csv(table: pa.Table, file: IO[bytes], delimiter: str) -> None:
    import csv
    import io

    import pyarrow.csv

    header = io.StringIO()
    csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(table.column_names)
    file.write(header.getvalue().encode())
    options = pyarrow.csv.WriteOptions(
        include_header=False, delimiter=delimiter, quoting_style="needed"
    )
    pyarrow.csv.write_csv(table, file, options)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
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
