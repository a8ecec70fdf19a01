"""Plans: what they promise is what is spent."""

import json
from math import sqrt

import pytest

import mezzotint as mz
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.tables.domain import Domain
from mezzotint.tables.mezzotint import Mezzotint

from .private import SIZES, a_curator, releases_of, rows_of

MECHANISMS = [mz.AIM, Mezzotint, mz.MST, mz.Independent]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("sizes", [SIZES, {"a": 7}])
def test_shares_add_up_and_json_is_plain(mechanism, sizes):
    plan = mechanism(epsilon=2.0, delta=1e-8).plan_for(sizes)
    assert sum(step.share for step in plan.steps) == pytest.approx(1)
    assert 0.999 * Budget(2.0, 1e-8).rho <= plan.rho <= Budget(2.0, 1e-8).rho
    as_json = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    assert as_json["mechanism"] == mechanism.name
    assert (as_json["epsilon"], as_json["delta"]) == (2.0, 1e-8)
    assert as_json["adjacency"] == "add-remove"
    assert as_json["seconds"] > 0


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("unit", [PrivacyUnit(), PrivacyUnit("replace-one", rows=3)])
def test_the_first_step_is_what_is_spent_first(mechanism, unit):
    curator = a_curator(rows_of(SIZES, 200), noise=1, unit=unit)
    plan = mechanism().plan(Domain(SIZES), Budget(1.0, unit=unit), curator.total_rho)
    mechanism().release(curator)
    first, *_ = plan.steps
    spent = releases_of(curator)[: first.releases]
    assert [r.about for r in spent] == [f"counts of {a}" for a in SIZES]
    assert sum(r.rho for r in spent) == pytest.approx(first.share * curator.total_rho, rel=1e-6)
    assert first.sigma in [pytest.approx(r.parameters["sigma"]) for r in spent]


def test_every_step_of_mst_is_as_planned():
    curator = a_curator(rows_of(SIZES, 200), noise=1)
    plan = mz.MST().plan(Domain(SIZES), Budget(1.0), curator.total_rho)
    mz.MST().release(curator)
    releases = list(releases_of(curator))
    for step in plan.steps:
        mine, releases = releases[: step.releases], releases[step.releases :]
        assert sum(r.rho for r in mine) == pytest.approx(step.share * curator.total_rho, rel=1e-6)
        for r in mine if step.sigma else []:
            assert r.parameters["sigma"] == pytest.approx(step.sigma)
    assert releases == []


def test_rounds_and_memory_of_aim():
    plan = mz.AIM(max_model_mb=3.0).plan_for(SIZES)
    curator = a_curator(rows_of(SIZES, 200), noise=1)
    mz.AIM(max_model_mb=3.0).release(curator)
    chosen = sum(r.kind == "exponential" for r in releases_of(curator))
    assert chosen <= plan.steps[1].releases
    assert plan.max_model_mb == 3.0
    cells = sum(SIZES.values()) + sum(SIZES[a] * SIZES[b] for a in SIZES for b in SIZES if a < b)
    assert plan.counted_mb == 8 * cells / 2**20
    assert plan.steps[1].sigma is None


def test_sigma_follows_the_unit():
    unit = PrivacyUnit("replace-one", rows=3)
    one = mz.MST().plan_for(mz.Schema.from_sizes(SIZES))
    more = mz.MST().plan_for(mz.Schema.from_sizes(SIZES, unit=unit))
    assert more.steps[0].sigma == pytest.approx(sqrt(18) * one.steps[0].sigma)
