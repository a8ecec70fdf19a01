"""A draft proposes what a careful person would, and says what the data gave away."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import DataError, SchemaError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.schema import Schema
from mezzotint.sources import open_source, write_table


def drafted(**columns):
    return Schema.draft(pa.table(columns))


def round_trip(path, tmp_path):
    """Draft, confirm, encode, decode, write, read again: the codes must survive it all."""
    schema = Schema.draft(path)
    assert Schema.from_text(schema.to_text()) == schema
    schema = schema.confirm(all_public=True)
    schema.require_confirmed()
    parts = [schema.encode(batch) for batch in open_source(path).batches()]
    codes = {a: np.concatenate([p[a] for p in parts]) for a in schema.names}
    table = schema.decode(codes, np.random.default_rng(0))
    out = tmp_path / "again.csv"
    write_table(schema.format(table), out)
    again = [schema.encode(batch) for batch in open_source(out).batches()]
    for name in schema.names:
        assert (np.concatenate([p[name] for p in again]) == codes[name]).all(), name
    assert open_source(out).columns == open_source(path).columns
    return schema, table, out


@pytest.mark.parametrize(
    "name",
    [
        "titanic",
        "hmeq",
        "bank",
        "compas",
        "adult_train",
        "diabetes",
        "breast_cancer",
        "adult_coded",
        "nltcs",
    ],
)
def test_real_tables_survive_the_whole_way(example, tmp_path, name):
    path = example(f"{name}.csv")
    schema, _, out = round_trip(path, tmp_path)
    assert not schema.unconfirmed()
    real, synthetic = pd.read_csv(path), pd.read_csv(out)
    assert len(real) == len(synthetic)
    for column in real:
        assert (real[column].isna() == synthetic[column].isna()).all(), column
        if real[column].dtype.kind in "biu":
            assert synthetic[column].dtype.kind == real[column].dtype.kind, column


def test_adult_is_drafted_well(example):
    schema = Schema.draft(example("adult_train.csv"))
    assert schema["age"].bounds == (16, 90) and schema["age"].exact
    assert schema["workclass"].missing[0] == "?"
    assert schema["capital-gain"].special == (0,)
    assert schema["capital-gain"].spacing == "log"
    assert schema["income"].categories == ("<=50K", ">50K")
    assert schema["fnlwgt"].bounds == (0, 1_500_000)
    assert schema["education"].categories[:2] == ("1st-4th", "5th-6th")
    assert schema["sex"].missing is None


def test_titanic_is_drafted_well(example, tmp_path):
    schema, table, out = round_trip(example("titanic.csv"), tmp_path)
    assert schema["adult_male"].type == "boolean" and table["adult_male"].type == pa.bool_()
    assert schema["age"].decimals == 2
    lines = out.read_text().splitlines()
    assert lines[0].startswith("survived,pclass,sex,age")
    assert ",True," in lines[1] and ",," in lines[1]
    assert lines[1].split(",")[3].count(".") == 1


def test_every_fact_from_the_data_is_marked():
    schema = drafted(
        n=[1, 500, 1000, None], x=[0.5, 1.5, 2.5, 3.5], c=["a", "b", "a", "b"], b=[True, False] * 2
    )
    marked = {(f.attribute, f.name) for f in schema.unconfirmed()}
    assert marked >= {
        *((n, "type") for n in "nxcb"),
        *((n, "missing") for n in "nxcb"),
        *(("n", "bounds"), ("x", "bounds"), ("c", "categories"), (None, "rows"), (None, "name")),
    }


def test_a_given_unit_is_not_an_assumption():
    unit = PrivacyUnit(rows=3, name="household")
    schema = Schema.draft(pa.table({"a": [1, 2]}), unit=unit)
    assert schema.unit == unit and not schema.assumed


def test_types_are_told_apart():
    day = dt.date(2024, 5, 17)
    moments = [dt.datetime(2024, 5, 17, 10, m) for m in range(4)]
    schema = drafted(
        whole=["1", "2", "3", "NA"],
        float_whole=["1.0", "2.0", "3.0", ""],
        real=["1.5", "2", "3.25", "?"],
        exponent=["1e3", "2.5e-3", "3", "4"],
        zip=["01234", "00501", "99999", "12345"],
        truth=["TRUE", "FALSE", "TRUE", "NA"],
        only_true=["true", "true", "true", "true"],
        iso=["2024-05-17", "2023-01-01", "2022-12-31", ""],
        german=["17.05.2024", "01.01.2023", "31.12.2022", ""],
        american=["05/17/2024", "12/31/2022", "01/02/2023", "02/03/2023"],
        moment=["2024-05-17 10:30:00", "2024-05-17T11:00", "2023-01-01 00:00:01", ""],
        clock=["10:30", "11:45", "00:00", "23:59"],
        ranges=["0-9", "10-19", "20-29", "0-9"],
        mixed=["1", "2", "x", "3"],
        empty=["", "NA", None, "?"],
        null=pa.nulls(4),
        constant=[7, 7, 7, 7],
        date=[day, None, day, day],
        datetime=moments,
        time=[m.time() for m in moments],
        half=pa.array([0.5, np.nan, 2.0, None], pa.float32()),
        float_ids=[1.0, 2.0, None, 3.0],
        infinite=[np.inf, -np.inf, 1.0, 2.5],
        only_infinite=[np.inf] * 4,
    )
    kinds = {a.name: a.type for a in schema}
    assert kinds == {
        "whole": "integer", "float_whole": "integer", "real": "continuous",
        "exponent": "continuous", "zip": "categorical", "truth": "boolean",
        "only_true": "boolean", "iso": "date", "german": "date", "american": "date",
        "moment": "datetime", "clock": "time", "ranges": "ordered", "mixed": "categorical",
        "empty": "empty", "null": "empty", "constant": "integer", "date": "date",
        "datetime": "datetime", "time": "time", "half": "continuous", "float_ids": "integer",
        "infinite": "continuous", "only_infinite": "integer",
    }  # fmt: skip
    assert schema["float_whole"].trailing_zero
    assert schema["truth"].categories == ("FALSE", "TRUE")
    assert schema["only_true"].categories == ("false", "true")
    assert schema["german"].format_ == "%d.%m.%Y" and schema["american"].format_ == "%m/%d/%Y"
    assert schema["clock"].resolution == "minute" and schema["datetime"].resolution == "minute"
    assert schema["constant"].size == 1
    assert schema["float_ids"].storage == "double"
    codes = {a.name: np.arange(50) % a.size for a in schema}
    confirmed = schema.confirm(all_public=True)
    decoded = confirmed.decode(codes, np.random.default_rng(1))
    for name, array in confirmed.encode(decoded).items():
        assert (array == codes[name]).all(), name
    assert confirmed.format(decoded)["german"][0].as_py().count(".") == 2


@pytest.mark.parametrize("family", ["pandas", "polars", "arrow"])
def test_arrow_types_come_back(family):
    table = pa.table(
        {
            "small": pa.array([1, 127, None], pa.int8()),
            "big": pa.array([0, 2**40, 1], pa.uint64()),
            "float": pa.array([0.5, 1.5, None], pa.float32()),
            "text": pa.array(["a", None, "b"]),
            "coded": pa.array(["x", None, "y"]).dictionary_encode(),
            "truth": [True, None, False],
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 5)],
            "at": pa.array([0, 10**9, None], pa.timestamp("ms", "UTC")),
        }
    )
    frames = {"pandas": table.to_pandas, "polars": lambda: pl.from_arrow(table)}
    frame = frames.get(family, lambda: table)()
    schema = Schema.draft(frame).confirm(all_public=True)
    source = open_source(frame)
    parts = [schema.encode(b) for b in source.batches()]
    codes = {a: np.concatenate([p[a] for p in parts]) for a in schema.names}
    decoded = source.like(schema.decode(codes, np.random.default_rng(0)))
    if family == "pandas":
        kinds = [k for k in zip(frame.dtypes, decoded.dtypes, strict=True) if k[0].kind in "iufM"]
        assert [a for a, _ in kinds] == [b for _, b in kinds]
        assert isinstance(decoded["coded"].dtype, pd.CategoricalDtype)
    elif family == "polars":
        numeric = [c for c in frame.columns if frame[c].dtype.is_numeric()]
        assert decoded.select(numeric).schema == frame.select(numeric).schema
    else:
        assert decoded.schema.field("coded").type.value_type == pa.string()
        others = [c for c in table.column_names if c != "coded"]
        assert decoded.select(others).schema == table.select(others).schema
    assert list(schema.names) == table.column_names


def test_many_texts_are_refused_with_three_ways_out():
    names = [f"person {i}" for i in range(500)]
    schema = Schema.draft(pa.table({"name": names, "n": range(500)}))
    assert schema["name"].type == "text"
    with pytest.raises(
        SchemaError, match=r"'name'.*Three ways out.*`drop`.*`other`.*infer"
    ) as error:
        schema.confirm(all_public=True).require_confirmed()
    assert "person 1" not in str(error.value)
    few = Schema.draft(pa.table({"name": names[:30], "n": range(30)}))
    assert few["name"].type == "text"


def test_spikes_get_codes_of_their_own():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(5000) < 0.8, 0, rng.integers(50, 5000, 5000))
    values[:700] = 999
    schema = drafted(gain=values)
    assert schema["gain"].special == (0, 999)
    assert schema["gain"].bounds == (0, 5000)
    contacted = np.where(rng.random(5000) < 0.5, -1, rng.integers(1, 900, 5000))
    assert drafted(days=contacted)["days"].special == (-1,)
    assert drafted(days=contacted)["days"].bounds[0] >= 0


def test_bounds_stay_inside_the_arrow_type():
    schema = drafted(a=pa.array(range(-120, 128), pa.int8()))
    assert schema["a"].bounds == (-120, 127)


def test_no_rows_and_no_columns_are_refused():
    with pytest.raises(DataError, match="no rows; give one with at least one"):
        Schema.draft(pa.table({"a": pa.array([], pa.int64())}))
    with pytest.raises(DataError, match="no columns"):
        Schema.draft(pa.table({}))


def test_an_unreadable_column_is_named():
    with pytest.raises(DataError, match="column 'tags' has the Arrow type list"):
        Schema.draft(pa.table({"tags": [[1], [2]]}))


CELLS = st.one_of(
    st.none(),
    st.sampled_from(["", "NA", "x", "1", "2.5", "-7", "1e9", "inf", "2020-01-01", "10:30", "True"]),
    st.text(max_size=3),
    st.integers().map(str),
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=15))
def test_any_table_of_texts_can_be_drafted_and_decoded(rows):
    table = pa.table(
        {n: pa.array([r[i] for r in rows], pa.string()) for i, n in enumerate(("a", "b"))}
    )
    schema = Schema.draft(table).confirm(all_public=True)
    texts = [a.name for a in schema if a.type == "text"]
    if len(texts) == 2:
        return
    schema = schema.select(n for n in schema.names if n not in texts)
    codes = schema.encode(table)
    decoded = schema.decode(codes, np.random.default_rng(0))
    assert Schema.from_text(schema.to_text()) == schema
    for name in schema.names:
        assert (schema[name].encode(decoded[name]) == codes[name]).all()
        assert (schema[name].encode(schema.format(decoded)[name]) == codes[name]).all()
