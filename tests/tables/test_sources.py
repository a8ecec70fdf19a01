"""Every family of tables reads the same, and comes back as it came."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from mezzotint.errors import DataError
from mezzotint.schema import Schema
from mezzotint.sources import Source, open_source, write_table

duckdb = pytest.importorskip("duckdb")

ROWS = {"n": [1, 2, None], "x": [0.5, None, 2.0], "s": ["a", None, "b"], "b": [True, False, None]}


def arrow():
    return pa.table(ROWS)


def families(tmp_path):
    table = arrow()
    pq.write_table(table, tmp_path / "rows.parquet")
    folder = tmp_path / "many"
    folder.mkdir()
    pq.write_table(table[:1], folder / "1.parquet")
    pq.write_table(table[1:], folder / "2.parquet")
    write_table(table, tmp_path / "rows.csv")
    write_table(table, tmp_path / "rows.csv.gz")
    frame = pl.from_arrow(table)
    return {
        "pyarrow": table,
        "batch": table.to_batches()[0],
        "reader": table.to_reader(),
        "dataset": pyarrow.dataset.dataset(table),
        "pandas": table.to_pandas(),
        "pandas, nullable": table.to_pandas().convert_dtypes(),
        "pandas, categorical": table.to_pandas().astype({"s": "category"}),
        "polars": frame,
        "polars, categorical": frame.with_columns(pl.col("s").cast(pl.Categorical)),
        "polars, lazy": frame.lazy(),
        "duckdb": duckdb.from_arrow(table),
        "dictionary": ROWS,
        "parquet": tmp_path / "rows.parquet",
        "directory": folder,
        "csv": tmp_path / "rows.csv",
        "gz": str(tmp_path / "rows.csv.gz"),
    }


def test_every_family_gives_the_same_codes(tmp_path):
    schema = Schema.from_text("""
        attributes:
          s: {type: categorical, categories: [a, b]}
          n: {type: integer, bounds: [0, 3]}
          x: {type: continuous, bounds: [0, 4], bins: 8}
          b: {type: boolean, false: "false", true: "true"}
    """)
    for family, table in families(tmp_path).items():
        source = open_source(table)
        assert isinstance(source, Source)
        assert source.columns == ("n", "x", "s", "b"), family
        parts = [schema.encode(batch) for batch in source.batches(schema.names)]
        codes = {a: np.concatenate([p[a] for p in parts]).tolist() for a in schema.names}
        assert codes == {"s": [0, 2, 1], "n": [1, 2, 4], "x": [1, 8, 4], "b": [1, 0, 2]}, family


def test_sources_can_be_scanned_again_except_streams(tmp_path):
    for family, table in families(tmp_path).items():
        source = open_source(table)
        first = sum(b.num_rows for b in source.batches(["s"]))
        assert first == 3
        if family == "reader":
            with pytest.raises(DataError, match=r"read already .*reader.read_all"):
                list(source.batches())
        else:
            assert sum(b.num_rows for b in source.batches()) == 3, family


def test_the_family_comes_back():
    def like(table):
        return open_source(table).like(arrow())

    frame = pl.from_arrow(arrow())
    assert isinstance(like(arrow().to_pandas()), pd.DataFrame)
    assert isinstance(like(frame), pl.DataFrame)
    assert isinstance(like(frame.lazy()), pl.LazyFrame)
    assert isinstance(like(duckdb.from_arrow(arrow())), duckdb.DuckDBPyRelation)
    assert isinstance(like(arrow().to_reader()), pa.RecordBatchReader)
    assert like(ROWS) == ROWS
    assert like(arrow()) == arrow()


def test_a_source_is_its_own_source():
    source = open_source(arrow(), name="people")
    assert open_source(source) is source
    assert source.name == "people"


def test_what_is_no_table_is_refused():
    for thing in (7, [1, 2], None):
        with pytest.raises(DataError, match=r"is no table that can be read; give a path"):
            open_source(thing)


def test_duplicate_columns_are_named():
    with pytest.raises(DataError, match=r"'a' stands twice \(columns 1, 3\); rename one"):
        open_source(pa.table([[1], [2], [3]], names=["a", "b", "a"]))
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match=r"'a' stands twice"):
        open_source(frame)


def test_a_column_of_mixed_objects_is_named():
    with pytest.raises(DataError, match=r"for column odd .*astype"):
        open_source(pd.DataFrame({"odd": [1, "a"]}))


def test_large_tables_come_in_pieces():
    table = pa.table({"a": np.zeros(3_000_000, np.int8)})
    sizes = [b.num_rows for b in open_source(table).batches()]
    assert sum(sizes) == 3_000_000 and max(sizes) < 1 << 21


def test_parquet_errors_name_the_file(tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 this is not Parquet PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet: cannot be read as Parquet"):
        open_source(bad)
    with pytest.raises(DataError, match=r"holds no .parquet file"):
        (tmp_path / "empty").mkdir()
        open_source(tmp_path / "empty")
    folder = tmp_path / "mixed"
    folder.mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / "1.parquet")
    pq.write_table(pa.table({"b": [1]}), folder / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: its columns differ .*'a'"):
        open_source(folder)
    with pytest.raises(DataError, match=r"there is no such file"):
        open_source(tmp_path / "nowhere.csv")


def test_a_truncated_parquet_page_is_an_error_with_a_name(tmp_path):
    path = tmp_path / "page.parquet"
    pq.write_table(pa.table({"a": np.arange(100_000)}), path, compression="snappy")
    content = bytearray(path.read_bytes())
    content[1000:3000] = b"\xff" * 2000
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"page\.parquet: damaged"):
        list(open_source(path).batches())
