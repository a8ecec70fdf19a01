"""fit, sample, save: what users see, and what they are told."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mezzotint as mz
from mezzotint.errors import BudgetError, DataError, ParameterError, SchemaError
from mezzotint.privacy.ledger import Ledger
from mezzotint.schema import Schema
from mezzotint.tables.mezzotint import Mezzotint

from .private import SIZES, rows_of, table_of

MECHANISMS = [mz.AIM, Mezzotint, mz.MST, mz.Independent]


@pytest.fixture(scope="module")
def table():
    return table_of(SIZES, rows_of(SIZES, 500))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_fit_then_sample(mechanism, table):
    synthesizer = mechanism(epsilon=2.0)
    assert synthesizer.fit(table, SIZES) is synthesizer
    rows = synthesizer.sample(77)
    assert rows.schema.names == table.schema.names
    assert rows.num_rows == 77
    for a, size in SIZES.items():
        values = rows.column(a).to_numpy()
        assert ((values >= 0) & (values < size)).all()
    assert synthesizer.sample(0).num_rows == 0
    statement = synthesizer.privacy_
    assert statement.private
    assert (statement.epsilon, statement.delta) == (2.0, 1e-9)
    assert statement.mechanism == mechanism.name
    assert statement.rho <= mz.Budget(2.0).rho
    assert synthesizer.model_.total == pytest.approx(500, abs=200)


def test_without_a_number_the_models_own_estimate_is_drawn(table):
    synthesizer = mz.MST().fit(table, SIZES)
    assert synthesizer.sample().num_rows == round(synthesizer.model_.total)


FAMILIES = [
    (pa.Table.to_pandas, pd.DataFrame),
    (pl.from_arrow, pl.DataFrame),
    (lambda t: pl.from_arrow(t).lazy(), pl.LazyFrame),
    (lambda t: t, pa.Table),
    (pa.Table.to_pydict, dict),
]


@pytest.mark.parametrize("make, family", FAMILIES)
def test_results_come_in_the_family_that_came_in(make, family, table):
    rows = mz.Independent().fit(make(table), SIZES).sample(5)
    assert isinstance(rows, family)


def test_a_file_gives_arrow(table, tmp_path):
    table.to_pandas().to_csv(tmp_path / "t.csv", index=False)
    assert isinstance(mz.MST().fit(tmp_path / "t.csv", SIZES).sample(3), pa.Table)


def test_random_state_repeats_sampling_and_never_the_noise(table):
    fits = [mz.MST().fit(table, SIZES) for _ in range(2)]
    one, two, other = (fits[0].sample(100, random_state=s) for s in (1, 1, 2))
    assert one.equals(two)
    assert not one.equals(other)
    noisy = [np.concatenate([m.values.ravel() for m in f.model_.measurements[:4]]) for f in fits]
    # Fourteen cells of sigma near 14: equal by chance in one of some 10^22 runs.
    assert not np.array_equal(*noisy)
    with pytest.raises(TypeError, match="random_state"):
        mz.MST(random_state=0)


def test_fitting_leaves_numpys_own_randomness_alone(table):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    mz.Independent().fit(table, SIZES).sample(5, random_state=3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_fitting_twice_spends_twice(table):
    ledger = Ledger.memory()
    synthesizer = mz.MST()
    for fits in (1, 2):
        synthesizer.fit(table, SIZES, ledger=ledger, dataset="t")
        assert len(ledger.runs("t")) == fits
        spent = sum(r.rho for run in ledger.runs("t") for r in ledger.releases(run.id))
        assert spent == pytest.approx(fits * synthesizer.privacy_.rho)


def test_a_cap_refuses_and_nothing_is_spent(table, tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.set_cap("t", mz.Budget(1.2))
    synthesizer = mz.MST(epsilon=1.0).fit(table, SIZES, ledger=tmp_path / "ledger.db", dataset="t")
    first = synthesizer.fitted_
    with pytest.raises(BudgetError, match=r"'t'"):
        synthesizer.fit(table, SIZES, ledger=tmp_path / "ledger.db", dataset="t")
    assert synthesizer.fitted_ is first
    with Ledger.open(tmp_path / "ledger.db", read_only=True) as ledger:
        assert len(ledger.runs("t")) == 1


def test_the_insecure_door_marks_everything(table, tmp_path):
    for noise in ("off", 3):
        fitted = mz.MST().fit(table, SIZES, ledger=Ledger.memory(insecure_noise=noise))
        assert not fitted.privacy_.private
        assert "No privacy guarantee" in fitted.privacy_.sentence()
        fitted.save(tmp_path / "model.mezzo")
        assert not mz.load(tmp_path / "model.mezzo").privacy.private


def test_a_unit_of_three_rows_has_three_times_the_noise(table):
    sigmas = []
    for rows in (1, 3):
        schema = Schema.from_sizes(SIZES, unit=mz.PrivacyUnit(rows=rows))
        fitted = mz.Independent().fit(table, schema)
        assert fitted.privacy_.unit.rows == rows
        sigmas.append(fitted.privacy_.releases[0].parameters["sigma"])
    assert sigmas[1] == pytest.approx(3 * sigmas[0])


def test_bought_facts_come_out_of_the_same_budget():
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(40, 9, 2000), "z": rng.choice(["u", "v"], 2000)})
    text = "attributes:\n  x: {type: continuous}\n  z: {type: categorical}\n"
    schema = Schema.from_text(text)
    for mechanism in MECHANISMS:
        fitted = mechanism(epsilon=3.0).fit(table, schema, infer="dp")
        assert fitted.privacy_.epsilon_spent <= 3.0
        assert fitted.privacy_.rho == pytest.approx(mz.Budget(3.0).rho, rel=2e-2)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows_are_fitted_like_any_other_table(mechanism, n):
    for seed in (1, 2, 113):  # At the last one, AIM's fit runs to parameters of several hundred.
        ledger = Ledger.memory(insecure_noise=seed)
        fitted = mechanism(epsilon=0.5).fit(
            table_of(SIZES, rows_of(SIZES, n)), SIZES, ledger=ledger
        )
        assert fitted.sample(10).num_rows == 10


def test_mistakes_are_told_before_anything_is_spent(table):
    ledger = Ledger.memory()

    def fit(schema=SIZES, data=table, mechanism=mz.MST, **settings):
        return mechanism(**settings).fit(data, schema, ledger=ledger, dataset="t")

    for match, kind, attempt in [
        (r"epsilon = -1", ParameterError, lambda: fit(epsilon=-1)),
        (r"epsilon = nan", ParameterError, lambda: fit(epsilon=float("nan"))),
        (r"delta = 2", ParameterError, lambda: fit(delta=2)),
        (r"names the column 'e'", DataError, lambda: fit(SIZES | {"e": 2})),
        (r"attribute 'a'.*at least 1", SchemaError, lambda: fit({"a": 0})),
        (r"no attributes", SchemaError, lambda: fit({})),
        (r"float is no table", DataError, lambda: fit(data=3.0)),
        (r"workload = 0", ParameterError, lambda: fit(mechanism=mz.AIM, workload=0)),
        (r"'x' is not an", ParameterError, lambda: fit(mechanism=mz.AIM, workload=[["x"]])),
        (r"max_model_mb = 0", ParameterError, lambda: fit(mechanism=mz.AIM, max_model_mb=0)),
        (r"from the data", SchemaError, lambda: fit(Schema.draft(table))),
    ]:
        with pytest.raises(kind, match=match):
            attempt()
    assert [r for run in ledger.runs() for r in ledger.releases(run.id)] == []
