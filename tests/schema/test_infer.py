"""Bounds and categories that are bought: what they cost, and what they never show."""

from math import exp

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import ParameterError, SchemaError
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.ledger import Ledger
from mezzotint.schema import Schema
from mezzotint.schema.infer import infer, purchases, threshold
from mezzotint.sources import open_source

TEXT = """
attributes:
  age: {type: integer, bounds: [3, 4], from_data: [bounds]}
  pay: {type: continuous, special: 7, from_data: [special]}
  born: {type: date}
  seen: {type: datetime, resolution: hour}
  at: {type: time}
  job: {type: categorical, missing: false, from_data: [missing]}
  note: {type: text}
  flag: {type: boolean}
"""


def people(n=20_000):
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "age": rng.integers(18, 91, n),
            "pay": np.round(rng.lognormal(8, 1, n), 2),
            "born": pa.array(rng.integers(0, 20_000, n), pa.int32()).cast(pa.date32()),
            "seen": pa.array(rng.integers(1.5e15, 1.6e15, n)).cast(pa.timestamp("us")),
            "at": pa.array(["10:00"] * n),
            "job": rng.choice(["nurse", "cook", "?"], n, p=[0.7, 0.2, 0.1]),
            "note": [f"id{i}" if i % 2 else "same" for i in range(n)],
            "flag": rng.random(n) < 0.5,
        }
    )


def bought(table, schema, *, noise=None, epsilon=1.0, **options):
    ledger = Ledger.memory(insecure_noise=noise)
    budget = Budget(epsilon, 1e-9, schema.unit)
    with ledger.begin(budget, mechanism="test", dataset="people") as run:
        found = infer(schema, open_source(table), run, **options)
        return found, run.releases, run.spent_rho, run.total_rho


@pytest.mark.parametrize("noise", ["off", None])
def test_a_schema_of_types_alone_is_completed(noise):
    found, releases, spent, total = bought(people(), Schema.from_text(TEXT), noise=noise)
    schema = found.schema
    assert not schema.unconfirmed()
    assert schema["age"].bounds == (16, 127)
    low, high = schema["pay"].bounds
    assert low <= 1000 and 20_000 <= high <= 2**21 and schema["pay"].special == ()
    assert "bounds: [1970-01-01, 2024-12-31]" in schema.to_text()
    assert schema["seen"].write(schema["seen"].least) == "2017-01-01T00:00:00"
    assert schema["seen"].write(schema["seen"].greatest) == "2020-12-31T23:00:00"
    assert schema["at"].bounds == (0, 86_399)
    assert schema["job"].categories == ("cook", "nurse", "other")
    assert schema["job"].other == "other" and schema["job"].missing is not None
    assert schema["note"].type == "categorical" and schema["note"].categories == ("same", "other")
    assert [p.attribute for p in found.purchases] == ["age", "pay", "born", "seen", "job", "note"]
    assert len(releases) == 6
    assert spent == pytest.approx(found.rho) == pytest.approx(0.1 * total)
    assert found.delta == pytest.approx(1e-10)
    assert Schema.from_text(schema.to_text()) == schema


def test_the_plan_is_known_before_and_follows_from_public_facts_alone():
    schema = Schema.from_text(TEXT)
    table = people(2000)
    odd = table.set_column(5, "job", pa.array(["surprise"] * 2000))
    plan = purchases(schema, 0.001, delta=1e-8)
    assert sum(p.rho for p in plan) == pytest.approx(0.001)
    assert sum(p.delta for p in plan) == pytest.approx(1e-8)
    rows = []
    for part in (table, odd, table[:0]):
        found, releases, _, _ = bought(part, schema, noise="off")
        rows.append([(r.kind, r.about, r.parameters, r.rho) for r in releases])
        assert [p.attribute for p in found.purchases] == [p.attribute for p in plan]
    assert rows[0] == rows[1] == rows[2]


def test_an_empty_table_still_gives_a_schema():
    found, *_ = bought(people(10)[:0], Schema.from_text(TEXT), noise="off")
    assert not found.schema.unconfirmed()
    assert found.schema["job"].categories == ("other",)
    assert min(found.schema.sizes.values()) >= 1


def tail(sigma: float, least: int) -> float:
    """P(noise >= least), summed term by term."""
    reach = range(-int(40 * sigma) - 40, int(40 * sigma) + 41)
    weights = {x: exp(-x * x / (2 * sigma**2)) for x in reach}
    return sum(w for x, w in weights.items() if x >= least) / sum(weights.values())


@given(
    st.floats(0.3, 40),
    st.floats(1e-12, 0.1),
    st.integers(1, 5),
    st.sampled_from(["add-remove", "replace-one"]),
)
def test_delta_of_one_units_own_categories(sigma, delta, rows, adjacency):
    level = threshold(sigma, delta, PrivacyUnit(adjacency, rows))
    # At most `rows` values are one unit's alone, and none occurs more than `rows` times.
    assert rows * tail(sigma, level - rows) <= delta
    assert level <= rows + 3 + sigma * 9


def test_a_value_of_one_unit_is_shown_with_probability_delta():
    """A false alarm needs 40 successes in 1,000 trials of probability <= 0.01: below 1e-11."""
    schema = Schema.from_text("attributes: {job: {type: categorical}}")
    table = pa.table({"job": ["cook"] * 300 + ["king"]})
    shown = sum(
        "king" in bought(table, schema, delta=0.01, share=0.9)[0].schema["job"].categories
        for _ in range(1000)
    )
    assert shown < 40


def test_contributions_are_bounded_before_counting():
    text = "unit: {column: id, rows: 2}\nattributes: {job: {type: categorical}}"
    table = pa.table(
        {
            "id": ["x"] * 5000 + [str(i) for i in range(5000)],
            "job": ["king"] * 5000 + ["cook"] * 5000,
        }
    )
    found, *_ = bought(table, Schema.from_text(text), noise="off")
    assert found.schema["job"].categories == ("cook", "other")


def test_nothing_to_buy_costs_nothing():
    schema = Schema.from_text(
        "attributes: {a: {type: integer, bounds: [0, 9], special: 3, missing: false,"
        " from_data: [special, missing]}}"
    )
    found, releases, spent, _ = bought(pa.table({"a": [1]}), schema)
    assert (found.rho, found.delta, releases, spent) == (0, 0, (), 0)
    assert found.schema["a"].special == () and found.schema["a"].missing is not None
    assert not found.schema.unconfirmed()


def test_types_and_units_cannot_be_bought():
    schema = Schema.draft(people(100))
    with pytest.raises(SchemaError, match=r"cannot be bought; declare them .*unit: name"):
        purchases(schema, 0.1)
    schema = Schema.from_text(TEXT)
    for share in (0, 1, float("nan")):
        with pytest.raises(ParameterError, match=r"must lie between 0 and 1"):
            bought(people(10), schema, share=share)
    with (
        Ledger.memory().begin(
            Budget(1, unit=PrivacyUnit(rows=2)), mechanism="m", dataset="d"
        ) as run,
        pytest.raises(ParameterError, match=r"begin the run with the schema's unit"),
    ):
        infer(schema, open_source(people(10)), run)
