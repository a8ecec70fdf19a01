"""Which source a path or an object is."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mezzotint.errors import DataError
from mezzotint.sources.source import Source

_PARQUET = (".parquet", ".parq", ".pq")


def open_source(
    table: Any,
    *,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    name: str | None = None,
) -> Source:
    """Open a table for scanning.

    Args:
        table: A path to a CSV file (.gz too), a Parquet file or a directory of Parquet files; or a
            data frame: pandas, polars (lazy too), DuckDB, pyarrow, a dictionary of columns,
            anything with `__arrow_c_stream__`; or a Source, which is returned as it is.
        delimiter: What separates a CSV file's columns; found from the header if not given.
        encoding: A CSV file's encoding.
        name: What to call the table in messages and in the ledger.
    """
    if isinstance(table, str | PathLike):
        return _open_path(Path(table), delimiter, encoding, name)
    from mezzotint.sources.arrow import ArrowSource

    if isinstance(table, Mapping) or _is_frame(table):
        return ArrowSource(table, name)
    if isinstance(table, Source):
        return table
    raise DataError(
        f"a {type(table).__name__} is no table that can be read; give a path to a CSV or Parquet "
        "file, or a pandas, polars, DuckDB or pyarrow table"
    )


def _is_frame(table: Any) -> bool:
    lazy = hasattr(table, "collect") and hasattr(table, "collect_schema")
    dataset = hasattr(table, "to_batches") and hasattr(table, "schema")
    return hasattr(table, "__arrow_c_stream__") or lazy or dataset


def _open_path(path: Path, delimiter: str | None, encoding: str, name: str | None) -> Source:
    if not path.exists():
        raise DataError(f"{path}: there is no such file; give the path of a CSV or Parquet table")
    if path.is_dir() or path.suffix.lower() in _PARQUET:
        from mezzotint.sources.parquet import ParquetSource

        return ParquetSource(path, name)
    from mezzotint.sources.delimited import CsvSource

    return CsvSource(path, delimiter, encoding, name)
