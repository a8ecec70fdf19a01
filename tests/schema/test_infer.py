"""Bounds and categories that are bought: what they cost, and what they never show."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from mezzotint.errors import ParameterError, SchemaError
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.ledger import Ledger
from mezzotint.schema import Schema
from mezzotint.schema.infer import delta_aside, infer, purchases
from mezzotint.sources import open_source

TEXT = """
attributes:
  age: {type: integer, bounds: [3, 4], from_data: [bounds]}
  pay: {type: continuous, special: 7, from_data: [special]}
  born: {type: date}
  seen: {type: datetime, resolution: hour}
  at: {type: time}
  job: {type: categorical, missing: false, from_data: [missing]}
  note: {type: text, from_data: [missing]}
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


def bought(table, schema, *, noise=None, epsilon=1.0, delta=1e-9, **options):
    ledger = Ledger.memory(insecure_noise=noise)
    budget = Budget(epsilon, delta, schema.unit)
    aside = delta_aside(schema, delta)
    with ledger.begin(budget, mechanism="test", dataset="people", delta_aside=aside) as run:
        found = infer(schema, open_source(table), run, **options)
        return found, run.releases, run.spent_rho, run.total_rho


@pytest.mark.parametrize("noise", ["off", 1])
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
    assert sum(r.delta for r in releases) == pytest.approx(1e-10)
    assert [p.threshold for p in found.purchases if p.delta] == [
        r.parameters["threshold"] for r in releases if r.kind == "threshold"
    ]
    assert schema["age"].bought == ("bounds",) and schema["job"].bought == ("categories",)
    assert schema["at"].bought == schema["flag"].bought == ()
    assert Schema.from_text(schema.to_text()) == schema


def test_the_plan_is_known_before_and_follows_from_public_facts_alone():
    schema = Schema.from_text(TEXT)
    table = people(2000)
    odd = table.set_column(5, "job", pa.array(["surprise"] * 2000))
    plan = purchases(schema, 0.001, 1e-8)
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


@pytest.mark.parametrize("adjacency", ["add-remove", "replace-one"])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_value_of_one_unit_is_shown_with_probability_delta(adjacency, rows):
    """Guarantee: a category that one unit alone has shows with probability <= its delta.

    The unit's rows hold one value of its own, or a value each; under replace-one, either
    neighbour is such a table. A false alarm in 200 trials has a probability below 1e-8 each time.
    `tests/privacy/test_thresholds.py` audits the threshold itself in many more trials.
    """
    text = f"unit: {{rows: {rows}, adjacency: {adjacency}}}\nattributes: {{a: {{type: text}}}}"
    schema, delta = Schema.from_text(text), 0.05
    for own in (["king"] * rows, [f"king {i}" for i in range(rows)]):
        source = open_source(pa.table({"a": ["cook"] * 2000 + own}))
        shown = 0
        for _ in range(200):
            found, *_ = bought(source, schema, epsilon=30.0, delta=10 * delta, share=0.9)
            assert found.delta == pytest.approx(delta)
            assert "cook" in found.schema["a"].categories
            shown += any(c.startswith("king") for c in found.schema["a"].categories)
        assert shown <= binom.isf(1e-9, 200, delta)


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


def test_neighbours_with_a_new_category_and_a_new_maximum_get_the_same_releases():
    """Shape invariance: rows of the ledger are the same, whatever one person's row holds."""
    schema = Schema.from_text("attributes: {a: {type: integer}, b: {type: categorical}}")
    plain = pa.table({"a": [1, 2, 3] * 50, "b": ["x", "y", None] * 50})
    odd = pa.table({"a": [10**18, None], "b": ["never seen before \0 \ud7ff", ""]})
    rows = []
    for table in (plain, pa.concat_tables([plain, odd]), plain[:0]):
        found, releases, *_ = bought(table, schema, noise=3)
        rows.append([(r.kind, r.about, r.parameters, r.units, r.delta_units) for r in releases])
        assert [a.bought for a in found.schema] == [("bounds",), ("categories",)]
    assert rows[0] == rows[1] == rows[2]


def test_values_with_codes_of_their_own_do_not_stretch_the_bounds():
    schema = Schema.from_text(
        "attributes: {a: {type: integer, special: -1, missing: [99999]}, b: {type: continuous}}"
    )
    table = pa.table({"a": [5] * 900 + [-1] * 900 + [99999] * 900, "b": [0.0, 1.5, np.inf] * 900})
    found, *_ = bought(table, schema, noise="off", epsilon=10.0)
    assert found.schema["a"].bounds == (4, 7)
    low, high = found.schema["b"].bounds
    assert low == 0 and high == 2.0**63


def test_where_no_bin_stands_out_the_fullest_gives_the_bounds():
    schema = Schema.from_text("attributes: {a: {type: continuous}}")
    found, *_ = bought(pa.table({"a": [50.0, 40.0, -3.0]}), schema, noise="off")
    assert found.purchases[0].threshold > 3
    assert found.schema["a"].bounds == (32, 64)


def test_categories_stand_in_natural_order_and_the_most_frequent_are_kept(monkeypatch):
    monkeypatch.setattr("mezzotint.schema.completion.MOST_CATEGORIES", 3)
    schema = Schema.from_text("attributes: {a: {type: ordered}}")
    words = ["10 km"] * 700 + ["9 km"] * 800 + ["100 km"] * 900 + ["other"] * 600
    found, *_ = bought(pa.table({"a": words}), schema, noise="off", epsilon=10.0)
    assert found.schema["a"].type == "ordered"
    assert found.schema["a"].categories == ("9 km", "10 km", "100 km", "other")
    monkeypatch.setattr("mezzotint.schema.completion.MOST_CATEGORIES", 4)
    found, *_ = bought(pa.table({"a": words}), schema, noise="off", epsilon=10.0)
    assert found.schema["a"].categories == ("9 km", "10 km", "100 km", "other", "(other)")
    assert found.schema["a"].other == "(other)"


def test_odd_names_are_written_and_read_again():
    names = ["a: b", "\ud7ff", "\x00", "line\nbreak", "#x", "{", "true", "'", '"', "ünï", "-", "~"]
    schema = Schema.from_text("attributes: {a: {type: text}}")
    table = pa.table({"a": [n for n in names for _ in range(200)]})
    found, *_ = bought(table, schema, noise="off", epsilon=20.0)
    assert set(found.schema["a"].categories) == {n.strip() for n in names} | {"other"}
    assert Schema.from_text(found.schema.to_text()) == found.schema


RULES = """
attributes:
  job: {type: categorical}
  size: {type: ordered}
  a: {type: integer}
  b: {type: integer}
  c: {type: integer}
never:
  - {job: [cook, king], size: small}
  - {job: king, a: 3}
  - {size: {min: small, max: tiny}, a: 3}
  - {size: {max: small}, a: 1000}
always: [a <= b, b <= c]
"""


def test_constraints_go_on_as_far_as_the_bought_facts_can_express_them():
    table = pa.table(
        {
            "job": ["cook", "nurse"] * 500,
            "size": ["small", "large"] * 500,
            "a": [3, 5] * 500,
            "b": [100, 120] * 500,
            "c": [2, 3] * 500,
        }
    )
    found, *_ = bought(table, Schema.from_text(RULES), noise="off", epsilon=30.0)
    text = found.schema.to_text()
    assert "{job: cook, size: small}" in text
    assert "king" not in text and "tiny" not in text and "max: small" in text
    assert [str(c) for c in found.schema.constraints[2:]] == ["a <= b"]
    assert all(not mask.all() for _, mask in found.schema.zeros())
    assert Schema.from_text(text) == found.schema


def test_rules_that_no_purchase_can_save_are_refused_before():
    for attribute in ("{type: categorical}", "{type: text}"):
        with pytest.raises(SchemaError, match="has no order, so it knows no ranges"):
            Schema.from_text(
                f"attributes: {{a: {attribute}, b: {{type: integer}}}}\n"
                "never: [{a: {min: x}, b: 3}]"
            )
    with pytest.raises(SchemaError, match="'x' is no integer value of 'b'"):
        Schema.from_text(
            "attributes: {a: {type: categorical}, b: {type: integer}}\nnever: [{a: y, b: x}]"
        )


def test_a_delta_too_small_to_divide_is_refused():
    schema = Schema.from_text("attributes: {a: {type: text}, b: {type: text}}")
    with pytest.raises(
        ParameterError, match=r"delta: 1e-20 of it is set aside .*2 attributes.* larger delta"
    ):
        delta_aside(schema, 1e-19)
    assert delta_aside(Schema.from_text("attributes: {a: {type: integer}}"), 1e-19) == 0.0


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
        purchases(schema, 0.1, 1e-10)
    with pytest.raises(SchemaError, match=r"note: type"):
        purchases(Schema.from_text("attributes: {note: {type: text, from_data: [type]}}"), 0.1, 0.1)
    schema = Schema.from_text(TEXT)
    for share in (0, 1, float("nan")):
        with pytest.raises(ParameterError, match=r"infer_share = .* must lie between 0 and 1"):
            bought(people(10), schema, share=share)
    with (
        Ledger.memory().begin(
            Budget(1, unit=PrivacyUnit(rows=2)), mechanism="m", dataset="d"
        ) as run,
        pytest.raises(ParameterError, match=r"begin the run with the schema's unit"),
    ):
        infer(schema, open_source(people(10)), run)
