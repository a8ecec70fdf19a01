import numpy as np
import pyarrow as pa
import pytest

from mezzotint.errors import DataError
from mezzotint.evaluate import rows as module
from mezzotint.evaluate.rows import columns_of, read
from mezzotint.schema import Integer, Schema
from tests.evaluate.tables import MIXED, mixed, read_mixed


def read_real(table, schema=MIXED, seed=0):
    return read(table, schema, np.random.default_rng(seed), role="real")


def test_codes_and_numbers():
    table = mixed(500)
    rows = read_real(table)
    assert rows.count == rows.total == 500
    assert rows.sizes == MIXED.sizes
    for name, codes in MIXED.encode(table).items():
        assert (rows.codes[name] == codes).all()
    assert rows.values["age"].tolist() == table["age"].to_pylist()
    income = table["income"].to_numpy(zero_copy_only=False)
    assert np.array_equal(rows.values["income"], income, equal_nan=True)
    assert set(rows.values) == {"age", "income", "joined"}


def test_texts_of_a_csv_file_read_as_numbers(tmp_path):
    from mezzotint.sources import write_table

    table = mixed(50)
    path = tmp_path / "t.csv"
    write_table(MIXED.format(table), path)
    ours, theirs = read_real(path), read_real(table)
    for name, values in theirs.values.items():
        assert np.array_equal(ours.values[name], values, equal_nan=True)


def test_what_the_schema_calls_missing_has_no_number():
    schema = Schema((Integer(name="n", bounds=(0, 9), missing=("999",)),))
    rows = read_real({"n": ["3", "999", "oops", None]}, schema)
    assert np.array_equal(rows.values["n"], [3, np.nan, np.nan, np.nan], equal_nan=True)


def test_columns_say_how_values_are_written():
    columns = columns_of(MIXED)
    assert columns["joined"].unit == "days"
    assert columns["joined"].write(18_262) == "2020-01-01"
    assert columns["age"].spans[0] == ("0", "9")
    assert columns["city"].present == (0, 1, 2)
    assert columns["city"].missing == 3
    assert columns["member"].missing is None
    assert [c.name for c in columns.values() if c.numeric] == ["age", "income", "joined"]


def test_a_large_table_is_sampled_uniformly_and_in_order(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 1000)
    schema = Schema.from_sizes({"i": 10_000})
    table = pa.table({"i": np.arange(10_000)})
    source = pa.Table.from_batches(table.to_batches(max_chunksize=300))
    rows = read_real(source, schema)
    assert (rows.count, rows.total) == (1000, 10_000)
    kept = rows.values["i"]
    assert (np.diff(kept) > 0).all()
    # Mean of 1,000 of 0..9,999 without replacement: sd 87; five of them, one in 1.7 million.
    assert abs(kept.mean() - 4999.5) < 5 * 87


def test_taking_and_masking_rows():
    rows = read_mixed(100)
    old = rows.where(rows.values["age"] >= 50)
    assert (old.values["age"] >= 50).all()
    assert old.count == len(old.codes["city"]) == int((rows.values["age"] >= 50).sum())
    assert rows.known("income").sum() == 100 - np.isnan(rows.values["income"]).sum()
    assert rows.known("member").all()
    assert (rows.known("city") == (rows.codes["city"] != 3)).all()
    assert rows.sample(10, np.random.default_rng(0)).count == 10
    assert rows.sample(100, np.random.default_rng(0)) is rows


def test_a_missing_column_is_named():
    table = mixed(5).drop_columns(["city", "member"])
    with pytest.raises(
        DataError,
        match=r"the real table .* has no column 'city' \(nor 1 more.*its columns are 'age', "
        r"'income', 'joined'.*drop the attribute",
    ):
        read_real(table)


def test_an_empty_table_is_refused():
    with pytest.raises(DataError, match=r"the real table .* has no rows.*at least one row"):
        read_real(mixed(0))
