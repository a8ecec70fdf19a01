"""Programmes: one figure for everything, never below the truth, and one release an event."""

from __future__ import annotations

import itertools
import math
import resource

import mpmath
import pytest

from mezzotint.errors import BudgetError, ParameterError
from mezzotint.privacy import renyi
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.composition import rdp_epsilon
from mezzotint.privacy.events import Gaussian, PureDP, SubsampledGaussian
from mezzotint.privacy.programme import (
    LEAST_SIGMA,
    MOST_VALUES,
    Programme,
    usable_delta,
    with_samplers,
)

TRAINING = SubsampledGaussian(1.1, rate=0.01, steps=100)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The exact epsilon of a Gaussian of sensitivity mu sigma (Balle, Wang 2018, Theorem 8)."""
    with mpmath.workdps(40):

        def excess(epsilon):
            ahead = mpmath.ncdf(mu / mpmath.mpf(2) - epsilon / mu)
            return ahead - mpmath.exp(epsilon) * mpmath.ncdf(-mu / mpmath.mpf(2) - epsilon / mu)

        low, high = mpmath.mpf(0), mpmath.mpf(200)
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) > delta else (low, middle)
        return float(low)


@pytest.mark.parametrize("delta", [1e-9, 1e-6, 1e-5])
@pytest.mark.parametrize(
    "multipliers", [(0.4,), (0.5,), (1.0,), (3.73,), (16.3,), (50.0,), (2.0, 1.0, 4.0)]
)
def test_gaussians_cost_what_they_must(multipliers, delta):
    mu = math.sqrt(sum(1 / m**2 for m in multipliers))
    exact = gaussian_epsilon(mu, delta)
    epsilon = Programme(tuple(Gaussian(m) for m in multipliers)).epsilon(delta)
    assert exact <= epsilon <= exact * 1.01


@pytest.mark.parametrize(
    "events",
    [
        (TRAINING,),
        (Gaussian(8.0), TRAINING),
        (TRAINING, Gaussian(2.0), SubsampledGaussian(1.4, 0.002, 300), Gaussian(9.0)),
        (SubsampledGaussian(0.6, 0.02, 50), Gaussian(1.0)),
        (SubsampledGaussian(2.0, 1.0, 4), Gaussian(5.0)),
        (PureDP(1.0), Gaussian(4.0)),
        (PureDP(0.3, 2), PureDP(0.5)),
    ],
)
def test_mixtures_cost_what_dp_accounting_says(events):
    """The oracle composes event by event, in another order and on a fixed grid."""
    losses = events[-1].pld(1e-4)
    for event in events[-2::-1]:
        losses = losses.compose(event.pld(1e-4))
    for delta in (1e-8, 1e-5):
        oracle = losses.get_epsilon_for_delta(delta)
        assert oracle * 0.9999 <= Programme(events).epsilon(delta) <= oracle * 1.01


def test_the_order_of_events_costs_nothing():
    events = (Gaussian(3.0), TRAINING, Gaussian(9.0))
    figures = {Programme(p).epsilon(1e-6) for p in itertools.permutations(events)}
    assert max(figures) - min(figures) < 1e-9


@pytest.mark.parametrize("sigma", [3.0, 20.0])
def test_the_bound_on_discrete_against_rounded_gaussians(sigma: float):
    """The bound of the module's docstring, term by term, where it can be computed outright."""
    with mpmath.workdps(60):
        s = mpmath.mpf(sigma)
        reach = 6
        normaliser = mpmath.sqrt(2 * mpmath.pi) * s
        # Beyond 20 sigma there is less than 1e-80 of it.
        terms = (mpmath.exp(-(mpmath.mpf(k) ** 2) / (2 * s**2)) for k in range(1, int(20 * s)))
        total = 1 + 2 * mpmath.fsum(terms)
        r = total / normaliser - 1
        assert r + mpmath.mpf(10) ** -45 >= 0
        assert r <= 3 * mpmath.exp(-2 * mpmath.pi**2 * s**2) + mpmath.mpf(10) ** -45
        bound = reach**2 / (24 * s**2) + 1 / (24 * s**2 - 1) + abs(r)
        worst = mpmath.mpf(0)
        inside = [mpmath.mpf(0), mpmath.mpf(0)]
        for k in range(int(reach * sigma) + 1):
            discrete = mpmath.exp(-(mpmath.mpf(k) ** 2) / (2 * s**2)) / total
            half = mpmath.mpf(1) / 2
            rounded = mpmath.ncdf((k + half) / s) - mpmath.ncdf((k - half) / s)
            worst = max(worst, abs(mpmath.log(discrete / rounded)))
            times = 2 if k else 1
            inside = [inside[0] + times * discrete, inside[1] + times * rounded]
        assert worst <= bound
        assert worst > bound / 3  # and it is no empty promise
        for mass in inside:
            assert 1 - mass < 3 * mpmath.exp(-(mpmath.mpf(reach) ** 2) / 2)


def test_what_the_grids_cost_is_charged():
    programme = Programme((Gaussian(1.0), TRAINING))
    assert programme.slack >= 2 * 13 * MOST_VALUES / LEAST_SIGMA**2 * 1e12
    assert programme.slack < 2e-5 * 1e12
    bare = Programme((Gaussian(1.0),))
    assert bare.epsilon(1e-5) > gaussian_epsilon(1.0, 1e-5) + 1e-6
    assert usable_delta(1e-5, programme.slack) < 1e-5
    # Where delta cannot pay for the samplers' tails, nothing is promised.
    assert with_samplers(1.0, 1e-9, 0, 1) > 1.0
    assert with_samplers(60.0, 1e-9, 0, 1) == math.inf
    assert with_samplers(1.0, 1e-60, 0, 1) == math.inf
    assert Programme((Gaussian(0.05),)).epsilon(1e-9) == math.inf


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_hopelessly_little_noise_takes_no_memory(rate):
    """A privacy loss distribution so wide would take gigabytes; no such epsilon is ever stated."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Programme((SubsampledGaussian(1e-3, rate, 100),)).epsilon(1e-5) == math.inf
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024
    with pytest.raises(BudgetError, match="cost epsilon inf together"):
        Programme((Gaussian(1e-3),)).require_within(Budget(1000.0))


@pytest.mark.parametrize(
    "event",
    [
        Gaussian(0.5),
        Gaussian(3.7),
        TRAINING,
        SubsampledGaussian(0.58, 0.004, 2000),
        SubsampledGaussian(5.0, 0.02, 3000),
    ],
)
def test_renyi_curves_are_those_of_dp_accounting(event):
    ours = renyi.epsilon_of_curve(renyi.curve_of(event), 1e-5)
    oracle = rdp_epsilon([event], 1e-5)
    assert oracle * 0.99 <= ours <= oracle * 1.01
    assert ours >= Programme((event,)).epsilon(1e-5) * 0.999


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 3.0])
def test_the_curve_of_randomised_response_is_exact(epsilon: float):
    high = math.exp(epsilon) / (1 + math.exp(epsilon))
    for order, units in zip(renyi.ORDERS, renyi.curve_of(PureDP(epsilon)), strict=True):
        with mpmath.workdps(60):
            a, p = mpmath.mpf(order.numerator) / order.denominator, mpmath.mpf(high)
            exact = mpmath.log(p**a * (1 - p) ** (1 - a) + (1 - p) ** a * p ** (1 - a)) / (a - 1)
        assert float(exact) * (1 - 1e-9) <= units / 1e12 <= float(exact) * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize(("epsilon", "delta"), [(0.2, 1e-9), (8.0, 1e-5)])
def test_calibration_uses_the_budget_and_never_more(epsilon: float, delta: float):
    budget = Budget(epsilon, delta)
    scales = []

    def build(scale: float) -> Programme:
        scales.append(scale)
        return Programme((Gaussian(8 * scale), SubsampledGaussian(scale, 0.01, 300)))

    programme = Programme.calibrated(budget, build, low=0.1, high=50.0)
    assert programme.epsilon(delta) <= epsilon
    scale = programme.events[0].noise_multiplier / 8
    assert build(scale / 1.0011).epsilon(delta) > epsilon
    assert len(scales) < 120


def test_calibration_says_when_it_cannot():
    budget = Budget(0.1, 1e-9)
    with pytest.raises(BudgetError, match=r"less than the programme costs even at scale 2: plan"):
        Programme.calibrated(budget, lambda s: Programme((Gaussian(s),)), low=1.0, high=2.0)
    with pytest.raises(ParameterError, match=r"low = 3\.0 is not below high = 2\.0"):
        Programme.calibrated(budget, lambda s: Programme((Gaussian(s),)), low=3.0, high=2.0)
    # The whole range fits: the least scale comes, without a search below it.
    least = Programme.calibrated(Budget(5.0), lambda s: Programme((Gaussian(s),)), 20.0, 40.0)
    assert least.events[0].noise_multiplier == pytest.approx(20.0, rel=2e-3)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((), "a programme of 0 events"),
        ((Gaussian(1.0, count=2),), "every Gaussian is one release"),
        ((1.0,), r"event 0 of the programme is 1\.0: give Gaussian"),
    ],
)
def test_what_is_no_programme_is_refused(events, text):
    with pytest.raises(ParameterError, match=text):
        Programme(events)


def test_units_that_an_event_does_not_protect_are_refused():
    training, answer = Programme((Gaussian(1.0), TRAINING)), Programme((PureDP(1.0, 2),))
    for unit in (PrivacyUnit("replace-one"), PrivacyUnit(rows=2)):
        with pytest.raises(ParameterError, match="event 1 of the programme samples rows"):
            training.require_unit(unit)
    with pytest.raises(ParameterError, match="publishes the number of rows"):
        answer.require_unit(PrivacyUnit(rows=2))
    with pytest.raises(ParameterError, match="give count = 3, one answer a row"):
        answer.require_unit(PrivacyUnit("replace-one", 3))
    answer.require_unit(PrivacyUnit("replace-one", 2))
    Programme((Gaussian(1.0),)).require_unit(PrivacyUnit("replace-one", 7))


def test_programmes_survive_json():
    programme = Programme((Gaussian(1.5), TRAINING, PureDP(0.3, 2)))
    assert Programme.from_json(programme.to_json()) == programme
    with pytest.raises(ParameterError, match="'laplace' is unknown to this version"):
        Programme.from_json([{"kind": "laplace"}])


def test_shares_add_up():
    programme = Programme((Gaussian(4.0), Gaussian(8.0), TRAINING))
    shares = programme.shares(1e-5)
    assert sum(shares) == pytest.approx(1.0, abs=1e-6)
    assert shares[0] == pytest.approx(4 * shares[1])
