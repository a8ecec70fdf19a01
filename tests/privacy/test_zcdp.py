"""The tight zCDP conversion against dp-accounting, and its exact order properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import ParameterError
from mezzotint.privacy.zcdp import zcdp_delta, zcdp_epsilon, zcdp_rho

EPSILONS = st.floats(1e-6, 1e3)
DELTAS = st.floats(1e-15, 0.5)


def bound(alpha: float, rho: float, delta: float) -> float:
    return alpha * rho + math.log1p(-1 / alpha) - (math.log(delta) + math.log(alpha)) / (alpha - 1)


def accountant_epsilon(rho: float, delta: float) -> float:
    """dp-accounting's conversion on orders dense around the optimum."""
    from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

    optimum = 1 + math.sqrt(math.log(1 / delta) / rho)
    orders = 1 + (optimum - 1) * np.geomspace(1e-2, 10, 2000)
    return float(compute_epsilon(orders, rho * orders, delta)[0])


def test_epsilon_agrees_with_dp_accounting_on_1200_points_and_is_never_below():
    for rho in np.geomspace(1e-8, 300, 40):
        for delta in np.geomspace(1e-15, 0.3, 30):
            ours, theirs = zcdp_epsilon(float(rho), float(delta)), accountant_epsilon(rho, delta)
            # Their grid misses the optimum by a little, so ours may be a hair below theirs; the
            # exact minimum is a lower bound for both.
            assert ours <= theirs * (1 + 1e-9) + 1e-15
            assert ours >= theirs * 0.999 - 1e-9


def test_rho_lands_within_one_percent_on_1200_points_and_never_above_budget():
    """dp-accounting, given our rho, finds the epsilon that was asked for: at most, and nearly."""
    for epsilon in np.geomspace(1e-3, 300, 40):
        for delta in np.geomspace(1e-15, 1e-2, 30):
            rho = zcdp_rho(float(epsilon), float(delta))
            found = accountant_epsilon(rho, float(delta))
            assert epsilon * 0.99 <= found <= epsilon * 1.001


@given(rho=st.floats(1e-10, 500), delta=DELTAS)
def test_epsilon_is_the_minimum_of_the_bound_and_never_below_it(rho: float, delta: float):
    ours = zcdp_epsilon(rho, delta)
    alphas = 1 + np.geomspace(1e-8, 1 / delta, 3000)
    least = min(bound(float(alpha), rho, delta) for alpha in alphas)
    assert ours <= max(least, 0) * (1 + 1e-9) + 1e-9
    # The grid comes within 1 % of the true minimum.
    assert ours >= least * 0.99 - 1e-6


@given(rho=st.floats(1e-8, 100), delta=DELTAS)
def test_epsilon_dominates_the_exact_gaussian_mechanism(rho: float, delta: float):
    """rho-zCDP contains the Gaussian of noise multiplier 1/sqrt(2 rho), whose delta is known."""
    from scipy.stats import norm

    epsilon = zcdp_epsilon(rho, delta)
    mu = math.sqrt(2 * rho)
    exact = norm.cdf(mu / 2 - epsilon / mu) - math.exp(
        min(epsilon + norm.logcdf(-mu / 2 - epsilon / mu), 0.0)
    )
    assert exact <= delta * (1 + 1e-9)


@given(epsilon=EPSILONS, delta=DELTAS)
def test_rho_never_gives_more_than_epsilon_and_the_next_double_does(epsilon: float, delta: float):
    rho = zcdp_rho(epsilon, delta)
    assert zcdp_epsilon(rho, delta) <= epsilon
    assert zcdp_epsilon(math.nextafter(rho, math.inf), delta) > epsilon
    assert zcdp_delta(rho, epsilon) <= delta * (1 + 1e-9)


@given(epsilon=EPSILONS, delta=DELTAS, steps=st.integers(1, 4))
def test_conversions_are_monotone_down_to_the_last_digit(epsilon: float, delta: float, steps: int):
    more, larger = epsilon, delta
    for _ in range(steps):
        more, larger = math.nextafter(more, math.inf), math.nextafter(larger, 1)
    assert zcdp_rho(more, delta) >= zcdp_rho(epsilon, delta)
    assert zcdp_rho(epsilon, larger) >= zcdp_rho(epsilon, delta)
    rho = zcdp_rho(epsilon, delta)
    above = math.nextafter(rho, math.inf)
    assert zcdp_epsilon(above, delta) >= zcdp_epsilon(rho, delta)
    assert zcdp_epsilon(rho, larger) <= zcdp_epsilon(rho, delta)
    assert zcdp_delta(above, epsilon) >= zcdp_delta(rho, epsilon)
    assert zcdp_delta(rho, more) <= zcdp_delta(rho, epsilon)


@given(rho=st.floats(1e-8, 100), epsilon=st.floats(1e-4, 300))
def test_delta_is_the_minimum_of_the_bound(rho: float, epsilon: float):
    delta = zcdp_delta(rho, epsilon)
    alphas = 1 + np.geomspace(1e-9, 1e9, 4000)
    logs = (alphas - 1) * (alphas * rho - epsilon) + alphas * np.log1p(-1 / alphas)
    least = min(0.0, float((logs - np.log(alphas - 1)).min()))
    if delta > 1e-300:
        assert math.log(delta) <= least + 1e-6
        assert math.log(delta) >= least - max(1.0, abs(least)) * 0.01


def test_known_value():
    # Canonne, Kamath, Steinke 2020: rho-zCDP with (epsilon, delta) = (1, 1e-9).
    assert zcdp_rho(1.0, 1e-9) == pytest.approx(0.014973057673588525, rel=1e-15)


def test_a_rho_too_small_to_matter_is_epsilon_zero():
    assert zcdp_epsilon(1e-12, 0.4) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -1.0, 5e-324, 1e-310])
def test_numbers_without_meaning_are_refused(bad: float):
    for call in (
        lambda: zcdp_rho(bad, 1e-9),
        lambda: zcdp_epsilon(bad, 1e-9),
        lambda: zcdp_epsilon(0.1, bad),
        lambda: zcdp_delta(bad, 1.0),
        lambda: zcdp_delta(0.1, bad),
    ):
        with pytest.raises(ParameterError, match=r"= .*(positive, finite|not below 1).*give"):
            call()


def test_huge_budgets_stay_finite():
    assert zcdp_rho(1e12, 1e-9) == pytest.approx(1e12, rel=1e-4)
    assert zcdp_delta(1e-300, 700.0) < 1e-300
