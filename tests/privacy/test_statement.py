"""The privacy statement says what holds, and nothing where nothing holds."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from mezzotint.errors import ModelFileError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.statement import Statement


def a_statement(budget: Budget | None = None, **options) -> Statement:
    ledger = Ledger.memory(**options)
    with ledger.begin(budget or Budget(1.0), mechanism="AIM", dataset="adult") as run:
        run.gaussian("age", 100.0)
        run.exponential("pick", 0.05, 1)
        statement = Statement.of(run)
    assert ledger.verify(statement.head) == 7
    return statement


def test_it_holds_the_budget_and_every_release():
    statement = a_statement(Budget(1.0, 1e-6, PrivacyUnit("replace-one", 2, "household")))
    assert (statement.epsilon, statement.delta) == (1.0, 1e-6)
    assert statement.adjacency is Adjacency.REPLACE_ONE
    assert statement.unit.name == "household"
    assert [release.about for release in statement.releases] == ["age", "pick"]
    assert statement.rho == pytest.approx(8 / 20_000 + 0.05**2 / 8, rel=1e-9)
    assert 0 < statement.epsilon_spent < 1
    assert {"mezzotint", "numpy", "opendp", "cryptography", "python"} == set(statement.versions)


def test_the_sentence_names_unit_adjacency_and_price():
    statement = a_statement()
    assert statement.sentence() == (
        "For every person (one row of 'adult'): whatever anybody knows already, the result would "
        "have been nearly as likely if that person had not been in the table at all. Nothing that "
        "it shows becomes more than 2.72 times as likely by that person's data, up to a "
        "probability of 1e-09 that it does. In the field's terms: (1, 1e-09)-differential privacy "
        "under add-remove adjacency; AIM made 2 releases of private data, at epsilon "
        f"{statement.epsilon_spent:.4g} (rho 0.0003625 of zero-concentrated differential privacy)."
    )
    other = a_statement(Budget(0.5, 1e-5, PrivacyUnit("replace-one", 3, "patient"))).sentence()
    assert "For every patient (at most 3 rows of 'adult')" in other
    assert "if that patient's data had been anything else" in other
    assert "under replace-one adjacency" in other
    assert "more than 1.65 times" in other


@pytest.mark.parametrize("insecure", ["off", 5])
def test_without_private_noise_it_guarantees_nothing(insecure):
    statement = a_statement(insecure_noise=insecure)
    assert statement.private is False
    assert statement.sentence() == (
        "No privacy guarantee: the noise was switched off or fixed for a test. "
        "Do not publish this model, or anything drawn from it."
    )
    assert statement.to_json()["private"] is False
    assert Statement.from_json(statement.to_json()).private is False


def test_it_survives_json_pickle_and_copies():
    statement = a_statement()
    data = json.loads(json.dumps(statement.to_json()))
    assert Statement.from_json(data) == statement
    assert data["guarantee"] == statement.sentence()
    assert pickle.loads(pickle.dumps(statement)) == copy.deepcopy(statement) == statement


def damaged(**changes):
    data = a_statement().to_json()
    for name, value in changes.items():
        if value is None:
            del data[name]
        else:
            data[name] = value
    return data


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon": None},
        {"epsilon": float("nan")},
        {"delta": 2.0},
        {"adjacency": "swap"},
        {"unit": "person"},
        {"releases": [{"seq": 0}]},
        {"versions": [1]},
        {"run": "x"},
        {"format": "1"},
    ],
)
def test_a_damaged_statement_is_refused(changes):
    with pytest.raises(ModelFileError, match=r"privacy statement: damaged or incomplete .*intact"):
        Statement.from_json(damaged(**changes))


def test_a_newer_statement_is_refused():
    with pytest.raises(ModelFileError, match=r"format 3 is newer .*update Mezzotint"):
        Statement.from_json(damaged(format=3))


def test_a_statement_that_claims_less_than_it_spent_is_refused():
    with pytest.raises(
        ModelFileError, match=r"releases cost epsilon 0\.1.*than the 0\.01 it claims"
    ):
        Statement.from_json(damaged(epsilon=0.01))


def test_private_must_be_said_outright():
    assert Statement.from_json(damaged(private="yes")).private is False
