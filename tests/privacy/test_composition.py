"""Composition by RDP and PLD: against closed forms, against each other, and pessimistic."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from mezzotint.errors import ParameterError
from mezzotint.privacy.composition import (
    calibrate_noise,
    pld_delta,
    pld_epsilon,
    rdp_delta,
    rdp_epsilon,
)
from mezzotint.privacy.events import (
    ZCDP,
    BoundedRange,
    DiscreteGaussian,
    Gaussian,
    PureDP,
    SubsampledGaussian,
)
from mezzotint.privacy.zcdp import zcdp_epsilon


def gaussian_delta(multiplier: float, epsilon: float) -> float:
    """Balle, Wang 2018, Theorem 8."""
    a, b = 1 / (2 * multiplier), epsilon * multiplier
    return norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b)


@pytest.mark.parametrize(("multiplier", "count"), [(1.0, 1), (4.0, 9), (20.0, 3)])
def test_gaussian_by_pld_is_exact_and_never_below(multiplier, count):
    exact = gaussian_delta(multiplier / math.sqrt(count), 1.0)
    found = pld_delta([Gaussian(multiplier, count)], 1.0)
    assert exact <= found <= exact * 1.01 + 1e-14


def test_rdp_agrees_with_the_tight_zcdp_conversion():
    for rho in (0.001, 0.05, 1.0):
        tight = zcdp_epsilon(rho, 1e-6)
        for event in (ZCDP(rho), Gaussian(1 / math.sqrt(2 * rho))):
            assert tight <= rdp_epsilon([event], 1e-6) <= tight * 1.05
    assert rdp_epsilon([BoundedRange(0.1, 8)], 1e-6) == rdp_epsilon([ZCDP(0.01)], 1e-6)
    assert rdp_epsilon([PureDP(0.1, 2)], 1e-6) == rdp_epsilon([ZCDP(0.01)], 1e-6)


def test_discrete_gaussian_is_no_worse_than_its_zcdp():
    event = DiscreteGaussian(5.0, 1, 10)
    assert pld_epsilon([event], 1e-6) <= zcdp_epsilon(0.2, 1e-6)
    assert rdp_epsilon([event], 1e-6) == rdp_epsilon([Gaussian(5.0, 10)], 1e-6)


def test_pure_dp_composes_to_at_most_the_sum():
    assert pld_epsilon([PureDP(0.5)], 1e-9) == pytest.approx(0.5, abs=1e-3)
    assert pld_epsilon([PureDP(0.1, 10)], 1e-15) <= 1.0 + 1e-2
    assert pld_epsilon([BoundedRange(0.5)], 1e-9) == pld_epsilon([PureDP(0.5)], 1e-9)


def test_mixed_events_cost_more_than_each_alone():
    first, second = Gaussian(5.0), SubsampledGaussian(1.5, 0.01, 50)
    for of in (rdp_epsilon, pld_epsilon):
        assert of([first, second], 1e-6) > max(of([first], 1e-6), of([second], 1e-6))
    assert rdp_delta([first, second], 1.0) > rdp_delta([first], 1.0)


def test_subsampling_amplifies_and_rate_one_does_not():
    whole = pld_epsilon([SubsampledGaussian(2.0, 1.0, 4)], 1e-6)
    assert whole == pytest.approx(pld_epsilon([Gaussian(2.0, 4)], 1e-6), rel=1e-3)
    assert pld_epsilon([SubsampledGaussian(2.0, 0.05, 4)], 1e-6) < whole / 5


@pytest.mark.parametrize(
    ("epsilon", "delta", "options"),
    [(1.0, 1e-6, {}), (4.0, 1e-5, {}), (0.5, 1e-6, {"rate": 0.02, "steps": 20})],
)
def test_calibrated_noise_fits_and_is_not_wasteful(epsilon, delta, options):
    found = calibrate_noise(epsilon, delta, **options)
    event = SubsampledGaussian(found, options.get("rate", 1.0), options.get("steps", 1))
    assert epsilon * 0.995 <= pld_epsilon([event], delta) <= epsilon * (1 + 1e-3)
    if not options:
        assert gaussian_delta(found, epsilon) <= delta
        assert gaussian_delta(found * 0.99, epsilon) > delta


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Gaussian(0.0), r"noise_multiplier = 0\.0 .*give a noise multiplier"),
        (lambda: Gaussian(1.0, 0), r"count = 0 .*at least 1: give how often"),
        (lambda: DiscreteGaussian(math.nan), r"sigma = nan .*give a noise scale"),
        (lambda: SubsampledGaussian(1.0, 1.5, 1), r"rate = 1\.5 is above 1: give the prob"),
        (lambda: SubsampledGaussian(1.0, 0.5, 2.0), r"steps = 2\.0 must be a whole"),
        (lambda: PureDP(-1.0), r"epsilon = -1\.0 .*give an epsilon"),
        (lambda: ZCDP(math.inf), r"rho = inf .*give a rho"),
        (lambda: pld_epsilon([ZCDP(0.1)], 1e-6), r"no privacy loss distribution.*rdp_epsilon"),
        (lambda: rdp_epsilon([], 1e-6), r"events is empty: describe at least one"),
        (lambda: calibrate_noise(math.nan, 1e-6), r"epsilon = nan"),
    ],
)
def test_events_without_meaning_are_refused(make, text):
    with pytest.raises(ParameterError, match=text):
        make()
