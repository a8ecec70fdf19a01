"""Where rows come from, and where they go.

source.py      the protocol: columns, batches, like
arrow.py       anything with the Arrow stream interface: pandas, polars, DuckDB, pyarrow
delimited.py   CSV files
parquet.py     Parquet files, and directories of them
opening.py     open_source: which of these a thing is
fingerprint.py a digest of a table's files, for the ledger
writing.py     write_table: CSV or Parquet, all at once or not at all
"""

from mezzotint.sources.opening import open_source
from mezzotint.sources.source import Source
from mezzotint.sources.writing import write_table

__all__ = ["Source", "open_source", "write_table"]
