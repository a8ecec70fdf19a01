"""Codes: total, row-wise, and back again."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import DataError, SchemaError
from mezzotint.schema import Boolean, Categorical, Continuous, Integer, Ordered, Text
from mezzotint.schema.categories import Empty
from mezzotint.schema.moments import Date, Datetime, TimeOfDay

RNG = np.random.default_rng(0)


def day(text: str) -> int:
    return (dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days


ATTRIBUTES = [
    Integer(name="a", bounds=(-3, 9)),
    Integer(name="a", bounds=(0, 10**6), special=(0, -1), spacing="log"),
    Integer(name="a", bounds=(0, 10**6), bins=7, missing=None),
    Integer(name="a", edges=(0, 1, 18, 65, 120)),
    Integer(name="a", bounds=(5, 5)),
    Integer(name="a", bounds=(0, 200), bins="exact", trailing_zero=True),
    Continuous(name="a", bounds=(0.0, 1.0)),
    Continuous(name="a", bounds=(-2.5, 1e6), decimals=2, spacing="log", special=(0.0,)),
    Continuous(name="a", bounds=(0.0, 0.3), decimals=1, bins=9),
    Continuous(name="a", edges=(0.0, 0.05, 10.0), decimals=1),
    Continuous(name="a", bounds=(1.0, 1.0)),
    Date(name="a", bounds=(day("2020-01-01"), day("2024-12-31"))),
    Date(name="a", bounds=(day("2020-01-01"), day("2020-02-29")), format_="%d/%m/%Y"),
    Datetime(name="a", bounds=(0, 10**9), resolution="second"),
    Datetime(name="a", bounds=(0, 10**6), resolution="minute", storage="timestamp[ms, tz=UTC]"),
    TimeOfDay(name="a", bounds=(0, 86399)),
    Categorical(name="a", categories=("x", "y", "z")),
    Categorical(name="a", categories=("x", "rest"), other="rest", storage="dictionary"),
    Ordered(name="a", categories=("low", "high"), missing=None),
    Boolean(name="a"),
    Boolean(name="a", categories=("no", "yes"), storage="string"),
    Empty(name="a", storage="double"),
]


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda a: f"{a.type}-{a.size}")
def test_every_code_decodes_to_a_value_of_its_own(attribute):
    codes = np.repeat(np.arange(attribute.size, dtype=attribute.dtype), 50)
    table = attribute.decode(codes, RNG)
    assert (attribute.encode(table) == codes).all()
    texts = attribute.format(table)
    assert texts.type == pa.string() and texts.null_count == 0
    assert (attribute.encode(texts) == codes).all()
    assert (attribute.encode(texts.dictionary_encode()) == codes).all()


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda a: f"{a.type}-{a.size}")
def test_labels_numbers_and_intervals_have_one_entry_per_code(attribute):
    codes = np.arange(attribute.size)
    labels = attribute.labels()
    assert len(labels) == len(set(labels)) == attribute.size
    low, high = attribute.intervals()
    assert len(low) == len(high) == attribute.values
    assert (low <= high).all()
    numbers = attribute.numeric(codes)
    assert numbers.shape == (attribute.size,)
    if attribute.missing_code is not None:
        assert np.isnan(numbers[attribute.missing_code])
    assert attribute.dtype == np.min_scalar_type(attribute.size - 1)


NASTY = [
    *("", "NA", "?", "nan", "inf", "-inf", "1e400", "-1e400", "0x1", "1_0", "١", " 7 ", "07"),
    *("2020-02-31", "9999-12-31", "0000-00-00", "24:00", "True", "1.0", "9" * 30, "-0.0"),
]
NASTY_TEXTS = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.sampled_from(NASTY),
    st.floats().map(str),
    st.integers().map(str),
    st.dates().map(str),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])).map(str),
    st.times().map(str),
)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda a: f"{a.type}-{a.size}")
@given(words=st.lists(NASTY_TEXTS, max_size=12))
def test_encoding_is_total_and_row_wise_on_texts(attribute, words):
    column = pa.array(words, pa.string())
    codes = attribute.encode(column)
    assert codes.dtype == attribute.dtype
    assert codes.shape == (len(words),)
    assert (codes < attribute.size).all()
    alone = [attribute.encode(column.slice(i, 1))[0] for i in range(len(words))]
    assert codes.tolist() == alone


NUMBERS = st.one_of(
    st.none(), st.floats(width=64), st.sampled_from([1e308, -1e308, 5e-324, 2.0**63, -(2.0**63)])
)


@pytest.mark.parametrize(
    "attribute", [a for a in ATTRIBUTES if a.type in ("integer", "continuous", "categorical")]
)
@given(values=st.lists(NUMBERS, max_size=12))
def test_encoding_is_total_and_row_wise_on_floats(attribute, values):
    column = pa.array(values, pa.float64())
    codes = attribute.encode(column)
    assert (codes < attribute.size).all()
    assert codes.tolist() == [attribute.encode(column.slice(i, 1))[0] for i in range(len(values))]


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_match_a_slow_oracle(values):
    attribute = Integer(name="a", bounds=(-50, 1000), bins=9, special=(-99,), missing=("999", ""))

    def oracle(value):
        if value == 999:
            return attribute.missing_code
        if value == -99:
            return 0
        value = min(max(value, -50), 1000)
        return 1 + max(i for i, start in enumerate(attribute.starts) if start <= value)

    expected = [oracle(v) for v in values]
    assert attribute.encode(pa.array(values, pa.int64())).tolist() == expected
    assert attribute.encode(pa.array(map(str, values), pa.string())).tolist() == expected


ARROW_TYPES = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2)),
    *(pa.string(), pa.large_string(), pa.string_view()),
    pa.dictionary(pa.int8(), pa.int64()),
    pa.dictionary(pa.uint32(), pa.large_string()),
]


@pytest.mark.parametrize("kind", ARROW_TYPES, ids=str)
def test_every_arrow_type_is_read(kind):
    text = pa.types.is_dictionary(kind) and pa.types.is_large_string(kind.value_type)
    text |= "string" in str(kind)
    values = ["3", None, "9", "200"] if text else [3, None, 9, 100]
    if pa.types.is_floating(kind):
        values = [np.dtype(kind.to_pandas_dtype()).type(v) if v else None for v in values]
    array = pa.array(values, kind)
    assert Integer(name="a", bounds=(0, 9)).encode(array).tolist() == [3, 10, 9, 9]
    assert Continuous(name="a", bounds=(0, 9), bins=9).encode(array).tolist() == [3, 9, 8, 8]
    categories = ("3", "9", "x", "100", "200")
    found = Categorical(name="a", categories=categories).encode(array).tolist()
    if not pa.types.is_decimal(kind):
        assert found == [0, 5, 1, 4 if text else 3]


def test_floats_of_whole_numbers_are_the_categories_of_whole_numbers():
    frame = pd.DataFrame({"class": [1, 2, None]})  # pandas turns this into floats
    attribute = Categorical(name="class", categories=("1", "2"))
    assert attribute.encode(pa.array(frame["class"])).tolist() == [0, 1, 2]


def test_out_of_bounds_clamps_or_is_missing():
    column = pa.array(["-5", "0", "10", "11", "inf", "-inf", "nan"])
    clamp = Integer(name="a", bounds=(0, 10))
    assert clamp.encode(column).tolist() == [0, 0, 10, 10, 10, 0, 11]
    missing = replace(clamp, out_of_bounds="missing")
    assert missing.encode(column).tolist() == [11, 0, 10, 11, 11, 11, 11]
    floats = Continuous(name="a", bounds=(0, 10), bins=2, out_of_bounds="missing")
    assert floats.encode(column).tolist() == [2, 0, 1, 2, 2, 2, 2]


def test_a_missing_value_may_be_a_number_beyond_the_bounds():
    for attribute in (
        Integer(name="a", bounds=(0, 10), missing=("999", "")),
        Integer(name="a", bounds=(0, 10**8), missing=("999", "")),
        Continuous(name="a", bounds=(0, 10), missing=("999", "")),
    ):
        missing = attribute.missing_code
        assert attribute.encode(pa.array([999, 998, None])).tolist()[::2] == [missing, missing]
        assert attribute.encode(pa.array([998]))[0] != missing
        assert attribute.encode(pa.array(["999.0", "999"])).tolist() == [missing, missing]


def test_never_missing_counts_a_missing_value_as_the_first_code():
    for attribute in (
        Integer(name="a", bounds=(4, 9), missing=None),
        Categorical(name="a", categories=("x", "y"), missing=None),
        Boolean(name="a", missing=None),
    ):
        assert attribute.encode(pa.array([None, "?"], pa.string())).tolist() == [0, 0]
        assert attribute.encode(pa.nulls(2)).tolist() == [0, 0]


def test_unknown_categories_are_missing_or_other():
    column = pa.array(["x", " x ", "new", "?", None])
    plain = Categorical(name="a", categories=("x", "y"))
    assert plain.encode(column).tolist() == [0, 0, 2, 2, 2]
    other = Categorical(name="a", categories=("x", "y", "rest"), other="rest")
    assert other.encode(column).tolist() == [0, 0, 2, 3, 3]


def test_a_category_may_look_like_a_missing_text():
    attribute = Categorical(name="country", categories=("NA", "DE"))
    assert attribute.encode(pa.array(["NA", "DE", ""])).tolist() == [0, 1, 2]


def test_booleans_are_read_from_texts_and_from_arrow():
    attribute = Boolean(name="a", categories=("no", "yes"))
    assert attribute.encode(pa.array([True, False, None])).tolist() == [1, 0, 2]
    assert attribute.encode(pa.array(["yes", "no", ""])).tolist() == [1, 0, 2]
    assert attribute.decode(np.array([1, 0, 2]), RNG).to_pylist() == [True, False, None]
    assert attribute.format(pa.array([True, False, None])).to_pylist() == ["yes", "no", ""]


def test_decoding_is_uniform_inside_a_bin():
    attribute = Integer(name="a", bounds=(0, 999), bins=10)
    values = attribute.decode(np.full(90_000, 3), np.random.default_rng(5)).to_numpy()
    counts = np.bincount(values - 300, minlength=100)
    chi2 = ((counts - 900) ** 2 / 900).sum()
    assert len(counts) == 100
    assert chi2 < 99 + 6 * np.sqrt(2 * 99)  # fixed seed: no false alarm


def test_decimals_and_trailing_zeros_are_written_as_they_were():
    values = pa.array([22.0, 0.5, None])
    assert Continuous(name="a", bounds=(0, 99), decimals=1).format(values).to_pylist() == [
        "22", "0.5", "",
    ]  # fmt: skip
    zero = Continuous(name="a", bounds=(0, 99), decimals=1, trailing_zero=True, missing=("?",))
    assert zero.format(values).to_pylist() == ["22.0", "0.5", "?"]
    drawn = Continuous(name="a", bounds=(0, 99), decimals=2).decode(np.zeros(1000, int), RNG)
    assert all(len(t.partition(".")[2]) <= 2 for t in map(str, drawn.to_pylist()))


def test_storage_gives_back_the_arrow_type():
    codes = np.array([0, 1, 2])
    for storage in ("int8", "uint16", "float", "double", "decimal128(5, 1)"):
        column = Integer(name="a", bounds=(1, 2), storage=storage).decode(codes, RNG)
        assert str(column.type) == storage and column.null_count == 1
    column = Categorical(name="a", categories=("1", "2"), storage="int64").decode(codes, RNG)
    assert column.to_pylist() == [1, 2, None]
    column = Categorical(name="a", categories=("x", "y"), storage="dictionary").decode(codes, RNG)
    assert pa.types.is_dictionary(column.type)


def test_moments_have_their_own_units():
    date = Date(name="d", bounds=(day("2020-01-01"), day("2020-01-31")))
    column = pa.array([dt.date(2020, 1, 3), None, dt.date(1999, 1, 1)])
    assert date.encode(column).tolist() == [2, 31, 0]
    assert date.encode(column.cast(pa.timestamp("ns"))).tolist() == [2, 31, 0]
    assert date.labels()[2] == "2020-01-03"
    zoned = pa.array([dt.datetime(2020, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))])
    hours = Datetime(name="t", bounds=(0, 10**6), bins=10, resolution="hour")
    utc = (dt.datetime(2019, 12, 31, 23) - dt.datetime(1970, 1, 1)) // dt.timedelta(hours=1)
    assert hours.plain("2020-01-01T01:00+02:00") == utc
    assert hours.read(zoned)[0].tolist() == [utc]
    assert hours.read(pa.array(["2020-01-01T01:00:00+02:00"]))[0].tolist() == [utc]
    clock = TimeOfDay(name="c", bounds=(0, 1439), resolution="minute", bins=24)
    assert clock.encode(pa.array([dt.time(1, 30), None])).tolist() == [1, 24]
    assert clock.format(clock.decode(np.array([1]), RNG))[0].as_py().startswith("01:")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Integer(name="a", bounds=(3, 1)), "must go from low to high"),
        (lambda: Continuous(name="a", bounds=(0, float("nan"))), "must be finite"),
        (lambda: Integer(name="a", bounds=(0, 9), edges=(0, 9)), "give only one"),
        (lambda: Integer(name="a", edges=(0, 0, 9)), "must increase"),
        (lambda: Integer(name="a", bounds=(0, 9), bins=0), "between 1 and"),
        (lambda: Integer(name="a", bounds=(0, 10**9), bins="exact"), "give a number of bins"),
        (lambda: Integer(name="a", bounds=(0, 9), special=(1, 1)), "special value twice"),
        (
            lambda: Integer(name="a", bounds=(0, 9), missing=None, out_of_bounds="missing"),
            "out_of_bounds: clamp",
        ),
        (lambda: Categorical(name="a", categories=("x", " x")), "'x' twice"),
        (lambda: Categorical(name="a", categories=("x",), other="y"), "not among"),
        (lambda: Boolean(name="a", categories=("x",)), "two values"),
        (lambda: Text(name="a", categories=("x",)), "type categorical"),
        (lambda: Empty(name="a", missing=None), "always missing"),
        (lambda: Integer(name="a", missing=()), "at least one text"),
        (lambda: Integer(name="a").size, "bounds are not known"),
        (lambda: Text(name="a").size, "categories are not known"),
        (lambda: Categorical(name="a", categories=("male",)).plain("mael"), "did you mean 'male'"),
    ],
)
def test_wrong_facts_name_the_attribute_and_the_mend(make, message):
    with pytest.raises(SchemaError, match=message) as caught:
        make()
    assert "'a'" in str(caught.value)


@pytest.mark.parametrize("values", [[[1]], [{"x": 1}], [b"\xff"]])
def test_nested_and_binary_columns_are_refused_by_type(values):
    with pytest.raises(DataError, match=r"'a' has the Arrow type .* `drop`"):
        Categorical(name="a", categories=("x",)).encode(pa.array(values))
    with pytest.raises(DataError, match=r"'a' has the Arrow type"):
        Integer(name="a", bounds=(0, 1)).encode(pa.array(values))


def test_dates_are_no_numbers():
    with pytest.raises(DataError, match=r"cannot be read as numbers"):
        Integer(name="a", bounds=(0, 1)).encode(pa.array([dt.date(2020, 1, 1)]))
    with pytest.raises(DataError, match=r"cannot be read as dates"):
        Date(name="a", bounds=(0, 1)).encode(pa.array([1]))
    with pytest.raises(DataError, match=r"cannot be read as times"):
        TimeOfDay(name="a", bounds=(0, 1)).encode(pa.array([1]))
