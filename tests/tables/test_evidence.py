"""Conditional sampling: every type of attribute, in the user's own words."""

from datetime import date, datetime, time

import numpy as np
import pytest

import mezzotint as mz
from mezzotint.errors import ParameterError
from mezzotint.schema import Schema
from mezzotint.tables.domain import Domain
from mezzotint.tables.evidence import Wish
from mezzotint.tables.fitted import FittedTable

from .brute import model_of, random_factors

SCHEMA = Schema.from_text(
    """
attributes:
  age: {type: integer, bounds: [0, 99], bins: 10}
  income: {type: continuous, bounds: [0, 100], bins: 4, missing: false}
  hours: {type: integer, bounds: [1, 60], bins: 6, special: [0]}
  sex: {type: categorical, categories: [Male, Female], missing: false}
  grade: {type: ordered, categories: [low, middle, high]}
  alive: {type: boolean, missing: false}
  born: {type: date, bounds: [2000-01-01, 2009-12-31], bins: 10}
  seen: {type: datetime, bounds: ["2020-01-01T00:00:00", "2020-12-31T00:00:00"], bins: 5}
  at: {type: time, bounds: ["00:00:00", "23:59:59"], bins: 4}
"""
)


@pytest.fixture(scope="module")
def fitted():
    """A table in which neighbouring attributes hang together."""
    domain = Domain(SCHEMA.sizes)
    chain = list(zip(domain.attributes, domain.attributes[1:], strict=False))
    factors = random_factors(np.random.default_rng(0), domain, chain, scale=0.5)
    ledger = mz.Ledger.memory(insecure_noise=1)
    run = ledger.begin(mz.Budget(1.0), mechanism="test", dataset="test")
    statement = mz.Statement.of(run)
    return FittedTable(SCHEMA, model_of(domain, factors, 5000.0), statement)


def column(fitted, name, where, n=400):
    return fitted.sample(n, where=where, random_state=1).column(name).to_pylist()


WISHES = {
    "one value": ("sex", "Male", lambda v: v == "Male"),
    "a list": ("grade", ["low", "high"], lambda v: v in ("low", "high")),
    "a set": ("grade", {"low"}, lambda v: v == "low"),
    "missing": ("age", None, lambda v: v is None),
    "missing or": ("grade", ["low", None], lambda v: v in ("low", None)),
    "not a number": ("age", float("nan"), lambda v: v is None),
    "whole bins": ("age", (30, 39), lambda v: 30 <= v <= 39),
    "cut bins": ("age", (25, 33), lambda v: 25 <= v <= 33),
    "inside one bin": ("age", (42, 44), lambda v: 42 <= v <= 44),
    "open below": ("age", (None, 13), lambda v: v <= 13),
    "open above": ("age", (88, None), lambda v: v >= 88),
    "open": ("age", (None, None), lambda v: v is not None),
    "one number": ("age", 17, lambda v: v == 17),
    "a whole float": ("age", 17.0, lambda v: v == 17),
    "a numpy number": ("age", np.int64(17), lambda v: v == 17),
    "numbers": ("age", [3, 5, 77], lambda v: v in (3, 5, 77)),
    "real range": ("income", (10.5, 30.25), lambda v: 10.5 <= v <= 30.25),
    "real point": ("income", 42.5, lambda v: v == 42.5),
    "real points": ("income", [1.5, 99.0], lambda v: v in (1.5, 99.0)),
    "a range of one point": ("income", (7.0, 7.0), lambda v: v == 7.0),
    "special": ("hours", 0, lambda v: v == 0),
    "special in a range": ("hours", (0, 15), lambda v: 0 <= v <= 15),
    "an ordered range": ("grade", ("middle", None), lambda v: v in ("middle", "high")),
    "true": ("alive", True, lambda v: v is True),
    "false": ("alive", False, lambda v: v is False),
    "dates": (
        "born",
        (date(2003, 6, 1), date(2004, 2, 1)),
        lambda v: date(2003, 6, 1) <= v <= date(2004, 2, 1),
    ),
    "a date as text": ("born", "2005-05-05", lambda v: v == date(2005, 5, 5)),
    "moments": (
        "seen",
        (datetime(2020, 3, 1), None),
        lambda v: v.replace(tzinfo=None) >= datetime(2020, 3, 1),
    ),
    "times": ("at", (time(9), time(17, 30)), lambda v: time(9) <= v <= time(17, 30)),
}


@pytest.mark.parametrize("name, wanted, holds", WISHES.values(), ids=WISHES)
def test_every_row_is_as_asked(fitted, name, wanted, holds):
    values = column(fitted, name, {name: wanted})
    assert len(values) == 400
    assert all(holds(v) for v in values)


def test_several_wishes_hold_together(fitted):
    where = {"sex": "Female", "age": (20, 29), "grade": ["low", "middle"]}
    rows = fitted.sample(200, where=where, random_state=2).to_pylist()
    assert {r["sex"] for r in rows} == {"Female"}
    assert all(20 <= r["age"] <= 29 for r in rows)
    assert {r["grade"] for r in rows} == {"low", "middle"}


def test_what_is_not_asked_follows_from_what_is(fitted):
    """P(grade | sex) in the rows is the model's."""
    counts = fitted.model.marginal(["sex", "grade"])
    rows = column(fitted, "grade", {"sex": "Male"}, n=5000)
    for code, label in enumerate(["low", "middle", "high", None]):
        expected = counts[0, code] / counts[0].sum()
        assert rows.count(label) / 5000 == pytest.approx(expected, abs=0.01)


def test_a_cut_bin_counts_by_its_share(fitted):
    """Ages 29 to 39: a tenth of the bin 20-29, and all of the bin 30-39."""
    counts = fitted.model.marginal(["age"])
    values = column(fitted, "age", {"age": (29, 39)}, n=20_000)
    expected = (counts[2] / 10) / (counts[2] / 10 + counts[3])
    assert values.count(29) / 20_000 == pytest.approx(expected, abs=0.005)


def test_the_number_of_rows_is_the_models_estimate(fitted):
    counts = fitted.model.marginal(["age"])
    assert fitted.sample(random_state=0).num_rows == 5000
    rows = fitted.sample(where={"age": (29, 39)}, random_state=0).num_rows
    assert rows == round(counts[2] / 10 + counts[3])
    assert fitted.sample(where={"income": (0, 50)}).num_rows == round(
        fitted.model.marginal(["income"])[:2].sum()
    )


def test_a_special_value_has_only_its_own_code():
    wish = Wish.of(SCHEMA["hours"], 0)
    assert wish.share[0] == 1
    assert wish.share[1:].sum() == 0


REFUSED = {
    "unknown name": ({"agee": 3}, r"where: .*no attribute 'agee'.*age"),
    "unknown category": ({"sex": "male"}, r"where: .*'sex'.*'male' is not among its categories"),
    "text for a number": ({"age": "old"}, r"where: 'old' is no integer value of 'age'; it takes"),
    "half a year": ({"age": 30.5}, r"where: 30.5 is no integer value of 'age'"),
    "far away": ({"age": 10**30}, r"where: 10+ is no integer value of 'age'"),
    "a far end": ({"age": (0, 10**30)}, r"where: 10+ is no integer value of 'age'"),
    "out of bounds": ({"age": 100}, r"'age' = 100 lies outside of what its schema allows"),
    "range out of bounds": ({"age": (200, 300)}, r"lies outside of what its schema allows"),
    "range upside down": ({"age": (39, 30)}, r"lies outside of what its schema allows"),
    "nothing": ({"age": []}, r"'age' = \[\] lies outside"),
    "three ends": ({"age": (1, 2, 3)}, r"'age' = \(1, 2, 3\): a range is a tuple of two ends"),
    "range of categories": ({"sex": ("Male", "Female")}, r"Give a list for single values"),
    "never missing": ({"sex": None}, r"'sex' is never missing by its schema; ask for a value"),
    "no date": ({"born": "05/05/2005"}, r"'05/05/2005' is no date value of 'born'"),
}


@pytest.mark.parametrize("where, match", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_met_is_refused(fitted, where, match):
    with pytest.raises(ParameterError, match=match):
        fitted.sample(5, where=where)


@pytest.mark.parametrize("n", [-1, 2.5, "3", True, np.float64(3)])
def test_the_number_of_rows_is_whole(fitted, n):
    with pytest.raises(ParameterError, match=r"n = .*: give a whole number of rows >= 0"):
        fitted.sample(n)
