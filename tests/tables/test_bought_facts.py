"""`infer="dp"` from end to end: one budget for the facts and the model, and a plan that says so."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

import mezzotint as mz
from mezzotint.errors import BudgetError, ParameterError, SchemaError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.releases import delta_units_rounded_up, epsilon_of
from mezzotint.schema import Schema
from mezzotint.tables.curator import TrustedCurator
from mezzotint.tables.mezzotint import Mezzotint

from ..schema.conftest import example  # noqa: F401 (a fixture)

MECHANISMS = [mz.AIM, Mezzotint, mz.MST, mz.Independent]
TEXT = """
attributes:
  age: {type: integer}
  pay: {type: continuous, decimals: 2}
  since: {type: date}
  job: {type: categorical}
  note: {type: text}
  left: {type: boolean}
"""


TEXT_SCHEMA = Schema.from_text(TEXT)


def people(n=6000):
    rng = np.random.default_rng(1)
    return pa.table(
        {
            "age": rng.integers(18, 66, n),
            "pay": np.round(rng.lognormal(8, 0.5, n), 2),
            "since": pa.array(rng.integers(12_000, 18_000, n), pa.int32()).cast(pa.date32()),
            "job": rng.choice(["cook", "nurse", "smith"], n, p=[0.5, 0.4, 0.1]),
            "note": [f"id {i}" if i % 3 else "same" for i in range(n)],
            "left": rng.random(n) < 0.3,
        }
    )


def declared(table):
    """A draft in which only types and the unit are declared public."""
    schema = Schema.draft(table)
    return schema.confirm(
        *[f for f in schema.unconfirmed() if f.name == "type" or f.attribute is None]
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_table_of_which_only_types_are_known(mechanism, tmp_path):
    table, schema = people(), TEXT_SCHEMA
    # Fixed noise: one fit in some hundreds has a bound too far out, by design.
    ledger = Ledger.memory(insecure_noise=1)
    synthesizer = mechanism(epsilon=3.0, delta=1e-6)
    plan = synthesizer.plan_for(schema, infer="dp")
    synthesizer.fit(table, schema, infer="dp", ledger=ledger, dataset="people")

    found = synthesizer.fitted_.schema
    assert not found.unconfirmed()
    assert found["age"].bounds == (16, 127)
    low, high = found["pay"].bounds
    assert 512 <= low <= 2048 and 4096 <= high <= 32_768
    assert found["job"].categories[-3:] == ("nurse", "smith", "other")
    assert found["note"].categories == ("same", "other")
    rows = synthesizer.sample(500, random_state=0)
    assert rows.schema.names == table.schema.names
    assert rows.schema.types == table.schema.types
    assert synthesizer.model_.total == pytest.approx(6000, rel=0.05)

    statement = synthesizer.privacy_
    assert (statement.epsilon, statement.delta) == (3.0, 1e-6)
    assert statement.delta_spent == pytest.approx(1e-7, rel=1e-9)
    assert 0.98 * 3.0 < statement.epsilon_spent <= 3.0
    spent = sum(r.units for r in statement.releases), sum(r.delta_units for r in statement.releases)
    assert statement.epsilon_spent == epsilon_of(spent[0], 1e-6, spent[1])

    # The ledger holds everything, at the scales, thresholds and deltas that the plan showed.
    (run,) = ledger.runs("people")
    assert (run.spent, run.delta_spent) == spent
    assert run.delta_spent <= run.delta_units == delta_units_rounded_up(1e-7)
    assert ledger.account("people").epsilon == statement.epsilon_spent
    assert ledger.account("people").delta_units == run.delta_spent
    ledger.verify(statement.head)
    bought = statement.releases[: len(plan.purchases)]
    assert [r.about for r in bought] == [s.what for s in plan.steps[: len(bought)]]
    for release, step in zip(bought, plan.steps, strict=False):
        assert release.parameters["sigma"] == step.sigma
        assert release.parameters.get("threshold", step.threshold) == step.threshold
        assert release.delta == pytest.approx(step.delta)
        assert release.rho == pytest.approx(step.share * plan.rho)

    synthesizer.save(tmp_path / "m.mezzo")
    again = mz.load(tmp_path / "m.mezzo")
    assert again.schema == found
    assert again.privacy == statement


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_plan_shows_purchases_as_steps(mechanism):
    synthesizer = mechanism(epsilon=1.0)
    plan = synthesizer.plan_for(TEXT_SCHEMA, infer="dp", infer_share=0.2)
    assert sum(step.share for step in plan.steps) == pytest.approx(1)
    purchases = plan.steps[:5]
    assert [step.what for step in purchases] == [
        "bounds of age",
        "bounds of pay",
        "bounds of since",
        "categories of job",
        "categories of note",
    ]
    assert sum(step.share for step in purchases) == pytest.approx(0.2)
    assert all(step.threshold > step.sigma for step in purchases)
    assert [step.delta for step in purchases] == pytest.approx([0, 0, 0, 5e-11, 5e-11])
    assert plan.assumed == ("age", "pay", "since", "job", "note")
    # Rho is what 9/10 of delta allow.
    assert plan.rho == pytest.approx(Budget(1.0, 9e-10).rho, rel=1e-4)
    told = plan.to_json()
    assert told["assumed"] == list(plan.assumed)
    assert told["steps"][3]["threshold"] == purchases[3].threshold
    assert [p["attribute"] for p in told["bought"]] == list(plan.assumed)
    # Without anything to buy it is the plain plan.
    sizes = {"a": 3, "b": 4}
    assert synthesizer.plan_for(sizes, infer="dp") == synthesizer.plan_for(sizes)


def test_bounds_alone_set_no_delta_aside():
    schema = Schema.from_text("attributes: {a: {type: integer}, b: {type: boolean}}")
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.integers(0, 50, 2000), "b": rng.random(2000) < 0.5})
    fitted = mz.MST(epsilon=1.0).fit(table, schema, infer="dp")
    assert fitted.privacy_.delta_spent == 0.0
    assert "thresholds" not in fitted.privacy_.sentence()
    assert fitted.plan_for(schema, infer="dp").rho == pytest.approx(Budget(1.0).rho, rel=1e-4)


def test_the_mechanism_spends_what_the_purchases_leave():
    for mechanism in MECHANISMS:
        fitted = mechanism(epsilon=2.0).fit(people(3000), TEXT_SCHEMA, infer="dp", infer_share=0.5)
        releases = fitted.privacy_.releases
        bought = sum(r.rho for r in releases[:5])
        rest = sum(r.rho for r in releases[5:])
        assert bought == pytest.approx(rest, rel=1e-3)


def test_a_curator_plans_with_what_is_left():
    ledger = Ledger.memory()
    with ledger.begin(Budget(1.0), mechanism="m", dataset="d") as run:
        run.gaussian("bought", math.sqrt(1 / (2 * 0.25 * run.total_rho)))

        class NoCounts:
            domain = None

        curator = TrustedCurator(NoCounts(), run)  # pyright: ignore[reportArgumentType]
        assert curator.total_rho == run.remaining_rho == curator.remaining_rho
        assert curator.total_rho == pytest.approx(0.75 * run.total_rho)
        run.gaussian("more", 100.0)
        assert curator.total_rho > curator.remaining_rho


def shapes(releases):
    return [(r.kind, r.about, dict(r.parameters), r.units, r.delta_units) for r in releases]


def test_neighbours_get_the_same_releases_until_the_first_noisy_value_differs():
    """Shape invariance on worst-case neighbours: a new category, a new maximum, a missing row."""
    plain = people(2000)
    odd = pa.table(
        {
            "age": pa.array([10**17], pa.int64()),
            "pay": [math.inf],
            "since": pa.array([None], pa.date32()),
            "job": ["astronaut"],
            "note": ["a secret that nobody else has"],
            "left": pa.array([None], pa.bool_()),
        }
    )
    seen = []
    for table in (plain, pa.concat_tables([plain, odd.cast(plain.schema)])):
        ledger = Ledger.memory(insecure_noise="off")
        fitted = mz.MST(epsilon=2.0).fit(table, TEXT_SCHEMA, infer="dp", ledger=ledger)
        text = fitted.fitted_.schema.to_text()
        assert "astronaut" not in text and "secret" not in text
        seen.append((shapes(fitted.privacy_.releases), text, fitted.model_.domain.sizes))
        assert fitted.privacy_.private is False
    assert seen[0] == seen[1]


def test_a_cap_that_the_set_aside_delta_breaks_is_told_before_anything_is_read():
    ledger = Ledger.memory()
    ledger.set_cap("people", Budget(1.0))
    with pytest.raises(BudgetError, match=r"nothing was released"):
        mz.MST(epsilon=1.01).fit(
            people(10), TEXT_SCHEMA, infer="dp", ledger=ledger, dataset="people"
        )
    mz.MST(epsilon=1.0).fit(people(500), TEXT_SCHEMA, infer="dp", ledger=ledger, dataset="people")
    account = ledger.account("people")
    assert account.epsilon <= 1.0
    assert account.epsilon_left < 0.02


def test_mistakes_are_told_before_anything_is_spent():
    ledger, table = Ledger.memory(), people(100)

    def fit(schema=TEXT_SCHEMA, delta=1e-9, **options):
        mz.MST(delta=delta).fit(table, schema, ledger=ledger, **{"infer": "dp"} | options)

    with pytest.raises(SchemaError, match=r"types and the privacy unit cannot be bought; declare"):
        fit(Schema.draft(table))
    with pytest.raises(ParameterError, match=r"infer = 'yes' is unknown: give \"dp\""):
        fit(infer="yes")
    for share in (0.0, 1.0, math.nan):
        with pytest.raises(ParameterError, match=r"infer_share = .* between 0 and 1"):
            fit(infer_share=share)
        with pytest.raises(ParameterError, match="infer_share"):
            mz.MST().plan_for(TEXT_SCHEMA, infer="dp", infer_share=share)
    with pytest.raises(ParameterError, match="larger delta"):
        fit(delta=1e-19)
    with pytest.raises(SchemaError, match='infer="dp"'):
        fit(infer=None)
    assert ledger.runs() == ()


@pytest.mark.parametrize("name, epsilon", [("titanic", 8.0), ("hmeq", 3.0)])
def test_real_tables(name, epsilon, example):  # noqa: F811
    path = example(f"{name}.csv")
    schema = declared(path)
    ledger = Ledger.memory(insecure_noise=1)
    fitted = mz.MST(epsilon=epsilon).fit(path, schema, infer="dp", ledger=ledger)
    found, rows = fitted.fitted_.schema, fitted.sample(200, random_state=0)
    assert rows.schema.names == list(found.names)
    assert fitted.privacy_.delta == 1e-9
    assert fitted.privacy_.epsilon_spent <= epsilon
    if name == "titanic":
        assert {"male", "female"} <= set(found["sex"].categories)
        assert found["pclass"].bounds == (1, 3)
        low, high = found["age"].bounds
        assert low <= 16 and 32 <= high <= 128
    else:
        assert {"HomeImp", "DebtCon", "other"} == set(found["REASON"].categories)
        low, high = found["LOAN"].bounds
        assert low <= 8192 and 32_767 <= high <= 131_071
        assert found["BAD"].bounds == (0, 1)
