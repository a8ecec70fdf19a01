"""Structural zeros against all pairs of values."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import SchemaError
from mezzotint.schema import Condition, Inequality, Integer, Never, Schema

RNG = np.random.default_rng(3)


def line(name, least, span, bins, missing=True):
    more = {} if missing else {"missing": None}
    return Integer(name=name, bounds=(least, least + span), bins=bins, **more)


LINES = st.tuples(st.integers(-5, 5), st.integers(0, 12), st.integers(1, 13), st.booleans())


@given(LINES, LINES, st.sampled_from(["<=", "<"]))
def test_inequality_a_cell_is_impossible_if_every_pair_in_it_is(left, right, operator):
    schema = Schema(
        (line("a", *left), line("b", *right)), constraints=(Inequality("a", operator, "b"),)
    )
    a, b = schema.attributes
    possible = np.zeros((a.size, b.size), dtype=bool)
    for x, y in product(range(a.least, a.greatest + 1), range(b.least, b.greatest + 1)):
        if x < y or (x == y and operator == "<="):
            possible[a.encode(pa.array([x]))[0], b.encode(pa.array([y]))[0]] = True
    for attribute, axis in ((a, 0), (b, 1)):
        if attribute.missing is not None:
            np.moveaxis(possible, axis, 0)[attribute.missing_code] = True
    masks = dict(schema.zeros())
    if possible.all():
        assert masks == {}
    else:
        assert (masks["a", "b"] == ~possible).all()


CONDITIONS = st.one_of(
    st.builds(lambda v: Condition(tuple(map(str, v))), st.lists(st.integers(-6, 18), min_size=1)),
    st.builds(lambda v: Condition((), str(v), None), st.integers(-6, 18)),
    st.builds(lambda v: Condition((), None, str(v)), st.integers(-6, 18)),
    st.builds(lambda a, b: Condition((), str(a), str(b)), st.integers(-6, 18), st.integers(-6, 18)),
    st.builds(lambda v: Condition((str(v),), missing=True), st.integers(-6, 18)),
    st.just(Condition(missing=True)),
)


@given(LINES, LINES, CONDITIONS, CONDITIONS)
def test_never_a_cell_is_impossible_if_every_pair_in_it_is_forbidden(left, right, first, second):
    rule = Never((("b", first), ("a", second)))
    schema = Schema((line("a", *left), line("b", *right)), constraints=(rule,))

    def holds(condition, value):
        if value is None:
            return condition.missing
        if condition.is_range:
            least = int(condition.least) if condition.least else -99
            return least <= value <= (int(condition.greatest) if condition.greatest else 99)
        return str(value) in condition.values

    possible = np.zeros(tuple(schema.sizes.values()), dtype=bool)
    a, b = schema.attributes

    def values(attribute):
        return [
            *range(attribute.least, attribute.greatest + 1),
            *[None] * (attribute.missing is not None),
        ]

    for x, y in product(values(a), values(b)):
        if not (holds(second, x) and holds(first, y)):
            cell = [at.encode(pa.array([v], pa.int64()))[0] for at, v in ((a, x), (b, y))]
            possible[tuple(cell)] = True
    masks = dict(schema.zeros())
    assert (masks.get(("a", "b"), np.zeros_like(possible)) == ~possible).all()


CENSUS = """
attributes:
  sex: {type: categorical, categories: [Female, Male]}
  pregnant: {type: boolean, false: no, true: yes}
  age: {type: integer, bounds: [0, 120], bins: 12}
  start: {type: date, bounds: [2020-01-01, 2023-12-31], bins: 10}
  end: {type: date, bounds: [2020-01-01, 2024-12-31], bins: 7}
never:
  - {sex: Male, pregnant: yes}
  - {age: {max: 9}, pregnant: [yes]}
  - {pregnant: {missing: true}, sex: Female}
always: start <= end
"""


def test_rules_of_a_document_become_masks_in_schema_order():
    schema = Schema.from_text(CENSUS)
    masks = dict(schema.zeros())
    assert set(masks) == {("sex", "pregnant"), ("pregnant", "age"), ("start", "end")}
    assert np.argwhere(masks["sex", "pregnant"]).tolist() == [[0, 2], [1, 1]]
    assert np.argwhere(masks["pregnant", "age"]).tolist() == [[1, 0]]
    assert masks["start", "end"][-1].sum() == masks["start", "end"][:, -1].sum() == 0
    assert Schema.from_text(schema.to_text()) == schema


def test_decoding_honours_what_a_bin_cannot_say():
    schema = Schema.from_text(CENSUS)
    n = 4000
    codes = {a.name: RNG.integers(0, a.size, n) for a in schema}
    for clique, mask in schema.zeros():
        bad = mask[tuple(codes[a] for a in clique)]
        for name in clique:
            codes[name] = np.where(bad, schema[name].missing_code, codes[name])
    for clique, mask in schema.zeros():
        codes["sex"] = np.where(mask[tuple(codes[a] for a in clique)], 2, codes["sex"])
    table = schema.decode(codes, RNG)
    for name in schema.names:
        assert (schema[name].encode(table.column(name)) == codes[name]).all()
    rows = table.to_pylist()
    assert not any(r["start"] and r["end"] and r["start"] > r["end"] for r in rows)
    assert not any(r["age"] is not None and r["age"] <= 9 and r["pregnant"] for r in rows)
    assert sum(r["start"] is not None and r["end"] is not None for r in rows) > 1000


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("always: start <= finish", r"'start <= finish' must compare two attributes"),
        ("always: start == end", r"must compare two attributes"),
        ("always: age <= end", r"a integer and a date column cannot be compared; give both"),
        ("always: sex <= pregnant", r"cannot be compared"),
        ("never: [{sex: Male}]", r"must name at least two columns"),
        ("never: [{sex: male, pregnant: yes}]", r"'male' is not among .*did you mean 'Male'"),
        ("never: [{sex: Male, pragnant: yes}]", r"'pragnant'; did you mean 'pregnant'"),
        ("never: [{sex: {min: Female}, pregnant: yes}]", r"has no order, so it knows no ranges"),
        ("never: [{age: young, pregnant: yes}]", r"'young' is no integer value of 'age'"),
        ("never: [{age: {from: 1}, pregnant: yes}]", r"is no set of values; give a value, a list"),
        ("never: [{age: [[1]], pregnant: yes}]", r"must be a list of values"),
    ],
)  # fmt: skip
def test_wrong_rules_name_themselves_and_the_mend(rule, message):
    text = CENSUS[: CENSUS.index("never")] + rule + "\n"
    with pytest.raises(SchemaError, match=message):
        Schema.from_text(text)


def test_huge_masks_are_refused():
    wide = tuple(Integer(name=n, bounds=(0, 99_999), bins="exact") for n in "ab")
    schema = Schema(wide, constraints=(Inequality("a", "<=", "b"),))
    with pytest.raises(SchemaError, match=r"spans 10,000,200,001 cells.*give fewer columns"):
        schema.zeros()
