"""Caps hold for runs that are chosen in knowledge of earlier results: the rule is fixed before."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.errors import BudgetError
from mezzotint.privacy import renyi
from mezzotint.privacy.account import total_epsilon
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.caps import Booked, Order, Sums, rule_of
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Charge, Programme

CAP = Budget(2.0, 1e-5)
TRAINING = Programme((SubsampledGaussian(0.8, 0.002, 300),))


def gaussian(budget: Budget) -> Programme:
    return Programme.calibrated(budget, lambda scale: Programme((Gaussian(scale),)))


def begin(ledger, budget, programme=None):
    return ledger.begin(budget, mechanism="m", dataset="d", programme=programme)


def release(ledger, budget, programme):
    with begin(ledger, budget, programme) as run:
        if isinstance(programme.events[0], Gaussian):
            run.vector(0, "v", l2=2**30)
        else:
            run.training(0, "t")


@given(
    st.floats(0.1, 20.0),
    st.sampled_from([1e-9, 1e-5]),
    st.lists(st.tuples(st.floats(0.05, 0.9), st.booleans()), min_size=1, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_accepted_is_within_one_order_fixed_by_the_first_run(epsilon, delta, asks):
    """Divergence computed anew: alpha rho for zCDP, alpha / (2 sigma^2) for Gaussians."""
    cap, ledger = Budget(epsilon, delta), Ledger.memory()
    ledger.set_cap("d", cap)
    rho, runs = 0.0, 0
    for share, planned in asks:
        budget = Budget(share * epsilon, delta)
        multiplier = 1.2 / (budget.rho * 2) ** 0.5
        programme = Programme((Gaussian(multiplier),)) if planned else None
        try:
            begin(ledger, Budget(900.0, delta) if planned else budget, programme)
        except BudgetError:
            continue
        runs += 1
        rho += 1 / (2 * multiplier**2) if planned else budget.rho
    rule = ledger.account("d").rule
    assert isinstance(rule, Order)
    order = float(rule.order)
    converted = order * rho + math.log1p(-1 / order)
    converted -= (math.log(delta) + math.log(order)) / (order - 1)
    assert runs <= 1 or converted <= epsilon * (1 + 1e-6)


def test_the_best_order_afterwards_is_not_taken():
    """After a run in zCDP, its order stands, though another would let one more training in."""
    charge = Charge.of(TRAINING, Budget(9.0, 1e-5))
    for first, allowed in ((None, False), (charge, True)):
        rule, booked = rule_of(CAP, first), Booked(charges=(charge,) * 4)
        assert total_epsilon(0, CAP.delta, 0, booked.charges) <= CAP.epsilon
        assert rule.holds(booked) == allowed
    ledger = Ledger.memory()
    ledger.set_cap("d", CAP)
    with begin(ledger, Budget(0.01, 1e-5)) as run:
        run.gaussian("counts", 1e4)
    with pytest.raises(BudgetError, match=r"makes epsilon inf in all at Renyi order 1\d"):
        release(ledger, Budget(9.0, 1e-5), TRAINING)


def test_the_order_is_that_of_the_first_run_whatever_follows():
    ledger = Ledger.memory()
    ledger.set_cap("d", CAP)
    orders = []
    for programme in (TRAINING, Programme((Gaussian(20.0),)), TRAINING):
        release(ledger, Budget(9.0, 1e-5), programme)
        orders.append(ledger.account("d").rule.order)
    assert orders[0] == orders[1] == orders[2] != Order(CAP).order


def test_a_lone_programme_fills_the_cap_and_nothing_comes_beside_it():
    ledger = Ledger.memory()
    ledger.set_cap("d", CAP)
    release(ledger, CAP, gaussian(CAP))
    assert ledger.account("d").epsilon_left == 0
    for budget in (Budget(0.02, 1e-5), Budget(0.05, 1e-9)):
        with pytest.raises(BudgetError, match=r"nothing was released\. Raise the cap"):
            begin(ledger, budget)
        with pytest.raises(BudgetError, match="a programme of"):
            begin(ledger, budget, gaussian(budget))


def test_a_plan_that_splits_epsilon_and_delta_may_fill_the_cap():
    """As methods do that buy the number of images first; no second such plan fits beside it."""
    small, large = Budget(0.04, 1e-6), Budget(1.96, 9e-6)
    ledger = Ledger.memory()
    ledger.set_cap("d", CAP)
    release(ledger, small, gaussian(small))
    account = ledger.account("d")
    assert account.epsilon_left == pytest.approx(1.96, rel=1e-3)
    assert account.delta_left == pytest.approx(9e-6)
    assert "at delta 9e-06 is left" in account.sentence()
    with pytest.raises(BudgetError, match=r"epsilon 1\.9\d+ at delta 9e-06 is left"):
        begin(ledger, Budget(1.0, 1e-5))
    release(ledger, large, gaussian(large))
    with pytest.raises(BudgetError):
        begin(ledger, small, gaussian(small))
    assert ledger.account("d").epsilon <= CAP.epsilon


def test_runs_in_zcdp_count_as_granted_where_sums_are_the_rule():
    small = Budget(0.5, 1e-6)
    ledger = Ledger.memory()
    ledger.set_cap("d", CAP)
    release(ledger, small, gaussian(small))
    with begin(ledger, Budget(1.0, 4e-6)) as run:
        run.gaussian("counts", 1000.0)
    assert ledger.account("d").epsilon_left == pytest.approx(0.5, rel=1e-3)
    begin(ledger, Budget(0.49, 5e-6))
    with pytest.raises(BudgetError):
        begin(ledger, Budget(0.1, 1e-9))


def test_the_rule_is_decided_by_the_first_run():
    def first(epsilon: float, delta: float) -> Charge:
        budget = Budget(epsilon, delta)
        return Charge.of(gaussian(budget), budget)

    assert isinstance(rule_of(CAP, None), Order)
    assert isinstance(rule_of(CAP, first(1.0, 1e-5)), Order)
    assert isinstance(rule_of(CAP, first(1.0, 1e-6)), Sums)
    # A small part of a large cap: many such runs are to come, and sums would waste it.
    assert isinstance(rule_of(Budget(20.0, 1e-5), first(0.1, 1e-6)), Order)


@pytest.mark.parametrize("order", [Fraction(21, 20), Fraction(37, 10), Fraction(1234, 100), 700])
def test_a_curve_between_its_orders_is_never_below_the_truth(order):
    order = Fraction(order)
    held = renyi.at(renyi.curve_of(Gaussian(2.0)), order) / renyi.UNITS
    exact = max(float(order), 17 / 16) / 8
    assert exact <= held <= exact * 1.002
    accountant = RdpAccountant(orders=[max(float(order), 1.0625)])
    accountant.compose(SubsampledGaussian(0.8, 0.002, 300).rdp())
    exact = float(accountant.rdp[0])
    assert exact <= renyi.at(TRAINING.curve, order) / renyi.UNITS <= exact * 1.05


def test_beyond_the_last_order_nothing_is_known():
    assert renyi.at(renyi.curve_of(Gaussian(2.0)), Fraction(5000)) >= 2**62
    assert renyi.at(renyi.ZERO, Fraction(5000)) == 0
