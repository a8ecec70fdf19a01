"""Independent: shares of least error, and the error that was planned."""

from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.tables.domain import Domain
from mezzotint.tables.independent import Independent, one_way_sigmas

from .brute import domains
from .private import SIZES, a_curator, releases_of, rows_of


@given(domains(largest=500), st.floats(1e-6, 100), st.integers(0, 2**32))
def test_sigmas_cost_rho_together_and_no_other_division_errs_less(domain, rho, seed):
    def error(sigmas):
        return sum(size * s for size, s in zip(domain.sizes.values(), sigmas, strict=True))

    best = np.array(list(one_way_sigmas(domain, rho, 2.0).values()))
    assert (4 / (2 * best**2)).sum() == pytest.approx(rho)
    other = best * np.exp(0.2 * np.random.default_rng(seed).standard_normal(len(best)))
    other *= sqrt((4 / (2 * other**2)).sum() / rho)
    assert error(best) <= error(other) * (1 + 1e-12)


@pytest.mark.parametrize("epsilon", [0.001, 0.01, 1.0, 100.0])
@pytest.mark.parametrize(
    "unit", [PrivacyUnit(), PrivacyUnit(Adjacency.REPLACE_ONE), PrivacyUnit(rows=3)]
)
def test_the_whole_budget_is_spent_on_the_attributes(epsilon, unit):
    curator = a_curator(rows_of(SIZES, 100), noise=1, epsilon=epsilon, unit=unit)
    Independent().release(curator)
    releases = releases_of(curator)
    assert [r.about for r in releases] == [f"counts of {a}" for a in SIZES]
    spent = sum(r.rho for r in releases)
    assert curator.total_rho * 0.999 <= spent <= Budget(epsilon, unit=unit).rho
    for release, sigma in zip(
        releases,
        one_way_sigmas(Domain(SIZES), curator.total_rho, sqrt(unit.l2_squared)).values(),
        strict=True,
    ):
        assert release.parameters == {"sigma": sigma, "l2_squared": unit.l2_squared}


def test_configuration_does_not_depend_on_the_data():
    asked = []
    for rows in (rows_of(SIZES, 100), rows_of(SIZES, 100)[1:], np.zeros((0, 4), int)):
        curator = a_curator(rows, noise=5)
        Independent().release(curator)
        asked.append([(r.kind, r.about, r.parameters) for r in releases_of(curator)])
    assert asked[0] == asked[1] == asked[2]


def test_attributes_are_independent_in_the_model():
    curator = a_curator(rows_of(SIZES, 3000), noise=1)
    model = Independent().release(curator)
    a, b = model.marginal("a") / model.total, model.marginal("b") / model.total
    np.testing.assert_allclose(model.marginal("ab") / model.total, np.outer(a, b))


def test_the_measured_error_is_the_planned_one():
    """Mean L1 error of 40 runs within 20 % of what the plan says (its spread is 3 %)."""
    sizes = {"a": 60, "b": 5}
    rows = rows_of(sizes, 5000)
    truth = np.bincount(rows[:, 0], minlength=60)
    errors = []
    for seed in range(40):
        curator = a_curator(rows, sizes, noise=seed)
        model = Independent().release(curator)
        errors.append(np.abs(model.measurements[0].values - truth).sum())
    plan = Independent().plan(Domain(sizes), Budget(1.0), curator.total_rho)
    assert np.mean(errors) == pytest.approx(plan.steps[0].error, rel=0.2)
    assert plan.steps[0].error == pytest.approx(sqrt(2 / pi) * plan.steps[0].sigma * 60)
