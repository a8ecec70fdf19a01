"""What a run may spend, to the last unit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import BudgetError, LedgerError, ParameterError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit, zcdp_epsilon
from mezzotint.privacy.ledger import Ledger, Run
from mezzotint.privacy.releases import Release, epsilon_of, rho_of, units_within


def a_run(budget: Budget | None = None) -> Run:
    return Ledger.memory().begin(budget or Budget(1.0), mechanism="AIM", dataset="adult")


def test_costs_are_those_of_the_papers():
    run = a_run(Budget(50.0))
    run.gaussian("a", 2.0)
    run.gaussian("b", 2.0, l2_squared=9)
    run.exponential("c", 0.5, sensitivity=7)
    costs = [Fraction(1, 8), Fraction(9, 8), Fraction(1, 32)]
    assert [release.units for release in run.releases] == [c * 10**12 for c in costs]
    assert run.spent_rho == float(sum(costs))


@pytest.mark.parametrize(("adjacency", "rows", "factor"), [
    ("add-remove", 1, 1), ("add-remove", 3, 9), ("replace-one", 1, 2), ("replace-one", 3, 18),
])  # fmt: skip
def test_a_marginal_costs_what_its_unit_demands(adjacency, rows, factor):
    run = a_run(Budget(1.0, unit=PrivacyUnit(adjacency, rows)))
    run.gaussian("marginal", 100.0)
    assert run.releases[0].units == factor * 10**12 // 20_000


def test_randomised_response_costs_every_row_of_a_unit():
    run = a_run(Budget(50.0, unit=PrivacyUnit("replace-one", 3)))
    run.randomised_response("votes", 0.5, 4)
    assert run.spent_rho == 3 * 0.125


@given(sigmas=st.lists(st.floats(20, 1e6), max_size=30), epsilons=st.lists(st.floats(1e-4, 0.2)))
def test_the_ledgers_sum_is_never_below_the_true_sum(sigmas, epsilons):
    run = a_run(Budget(1000.0))
    true = Fraction(0)
    for sigma in sigmas:
        run.gaussian("g", sigma)
        true += 1 / (2 * Fraction(sigma) ** 2)
    for epsilon in epsilons:
        run.exponential("e", epsilon, 1)
        true += Fraction(epsilon) ** 2 / 8
    units = sum(release.units for release in run.releases)
    assert true * 10**12 <= units < true * 10**12 + len(sigmas) + len(epsilons) + 1
    assert Fraction(run.spent_rho) * 10**12 >= units


@given(
    epsilon=st.floats(0.01, 20),
    delta=st.floats(1e-15, 1e-3),
    rounds=st.integers(1, 200),
    share=st.floats(0.05, 0.95),
)
def test_a_plan_that_fits_exactly_is_never_refused_its_last_round(epsilon, delta, rounds, share):
    """Rounds of a Gaussian and a selection that use up all of `total_rho`, as AIM plans them."""
    run = a_run(Budget(epsilon, delta))
    sigma = math.sqrt(rounds / (2 * share * run.total_rho))
    selection = math.sqrt(8 * (1 - share) * run.total_rho / rounds)
    for _ in range(rounds):
        run.exponential("pick", selection, 1)
        run.gaussian("measure", sigma)
    assert sum(r.units for r in run.releases) <= units_within(run.budget)
    assert zcdp_epsilon(run.spent_rho, delta) <= epsilon


@given(epsilon=st.floats(0.01, 20), share=st.floats(0.1, 0.9))
def test_spending_all_that_remains_fits(epsilon, share):
    run = a_run(Budget(epsilon))
    run.gaussian("first", math.sqrt(1 / (2 * 0.3 * run.total_rho)))
    left = run.remaining_rho
    run.exponential("last pick", math.sqrt(8 * (1 - share) * left), 1)
    run.gaussian("last", math.sqrt(1 / (2 * share * left)))
    assert run.remaining_rho <= 1e-11
    with pytest.raises(BudgetError):
        run.gaussian("one more", math.sqrt(1 / (2 * 0.01 * run.total_rho)))


@given(epsilon=st.floats(1e-2, 1e3), delta=st.floats(1e-15, 0.1))
def test_what_a_run_may_spend_is_within_its_budget_and_hardly_less(epsilon, delta):
    run = a_run(Budget(epsilon, delta))
    assert epsilon_of(units_within(run.budget), delta) <= epsilon
    assert run.budget.rho * (1 - 1.01 / 1024) - 1e-11 <= run.total_rho <= run.budget.rho
    assert run.remaining_rho == run.total_rho


def test_overspending_is_refused_and_records_nothing():
    run = a_run()
    with pytest.raises(
        BudgetError,
        match=r"run 1 \(AIM on 'adult'\): age, sex would cost rho 0\.5, and of the 0\.0149731 in "
        r"epsilon 1, delta 1e-09 only 0\.0149731 is left; nothing was released\. Add more noise",
    ):
        run.gaussian("age, sex", 1.0)
    assert run.releases == ()
    assert run.spent_rho == 0


def test_a_closed_run_spends_no_more():
    run = a_run()
    run.close()
    run.close()
    with pytest.raises(LedgerError, match=r"run 1 \(AIM on 'adult'\) is closed .*begin another"):
        run.gaussian("age", 100.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, 5e-324, "3"])
def test_scales_without_meaning_are_refused(bad):
    run = a_run()
    with pytest.raises(ParameterError, match=r"age: sigma = .*give a noise scale"):
        run.gaussian("age", bad)
    with pytest.raises(ParameterError, match=r"age: epsilon = .*give an epsilon"):
        run.exponential("age", bad, 1)
    assert run.releases == ()


def test_sensitivities_without_meaning_are_refused():
    run = a_run()
    for bad in (0, -1, 1.5, True, None):
        with pytest.raises(ParameterError, match=r"age: sensitivity = .*bound that holds"):
            run.exponential("age", 1.0, bad)
    with pytest.raises(ParameterError, match="age: l2_squared = 0 must be a whole number"):
        run.gaussian("age", 1.0, 0)
    with pytest.raises(ParameterError, match=r"sigma = 1e\+300 is above 2\^40"):
        run.gaussian("age", 1e300)
    with pytest.raises(ParameterError, match="categories = 1 must be a whole number"):
        a_run(Budget(1.0, unit=PrivacyUnit("replace-one"))).randomised_response("q", 1.0, 1)
    with pytest.raises(ParameterError, match=r"publishes the number of rows.*use replace-one"):
        run.randomised_response("q", 1.0, 2)


def test_numpy_numbers_serve_as_well():
    run = a_run()
    run.gaussian("age", np.float64(100.0), np.int64(1))
    assert run.releases[0].parameters == {"sigma": 100.0, "l2_squared": 1}


def test_selection_scale_rounds_towards_more_noise():
    run = a_run(Budget(10.0))
    for epsilon in (0.1, 0.3, 0.7):
        run.exponential("pick", epsilon, 3)
    for release in run.releases:
        scale, epsilon = release.parameters["scale"], release.parameters["epsilon"]
        assert Fraction(scale) >= 6 / Fraction(epsilon) > Fraction(math.nextafter(scale, 0))


def test_a_release_survives_json_and_hashing():
    run = a_run()
    run.gaussian("age", 100.0)
    (release,) = run.releases
    assert Release.from_json(release.to_json()) == release
    assert len({release, Release.from_json(release.to_json())}) == 1
    assert release.rho == 5e-5


def test_units_round_up_when_shown_as_rho():
    for units in (1, 7, 10**6 + 1, 10**15 + 3, 2**59 + 1):
        assert Fraction(rho_of(units)) * 10**12 >= units


def test_a_run_is_named_by_what_began_it():
    run = a_run(Budget(1.0, unit=PrivacyUnit(Adjacency.ADD_REMOVE, 2)))
    assert (run.id, run.mechanism, run.dataset, run.private) == (1, "AIM", "adult", True)
    assert run.budget.unit.rows == 2
