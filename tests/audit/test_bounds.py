"""L7: every estimator on a mechanism that keeps its claim, and on one that does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from mezzotint.audit.bounds import (
    gaussian_bound,
    one_run_bound,
    one_run_p,
    proportion_above,
    proportion_below,
    score_bound,
)
from mezzotint.audit.claims import GaussianClaim, gaussian_delta, gaussian_epsilon, gaussian_mu
from mezzotint.errors import ParameterError
from mezzotint.privacy.composition import pld_epsilon
from mezzotint.privacy.events import Gaussian

from .laws import MOST_ALARMS, REPEATS

DELTA = 1e-5


def normal_worlds(mu, runs, rng):
    return rng.normal(size=runs), rng.normal(size=runs) + mu


def coins(rate, runs, rng):
    return (rng.random(runs) < rate).astype(float)


@pytest.mark.parametrize("trials", [7, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_proportions_are_exact(trials, alpha):
    """At the bound itself, what was seen or more has probability alpha."""
    for seen in range(trials + 1):
        low, high = proportion_below(seen, trials, alpha), proportion_above(seen, trials, alpha)
        assert 0 <= low <= seen / trials <= high <= 1
        if seen:
            assert binom.sf(seen - 1, trials, low) == pytest.approx(alpha)
        if seen < trials:
            assert binom.cdf(seen, trials, high) == pytest.approx(alpha)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-5])
def test_gaussian_dp_agrees_with_privacy_loss_distributions(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_epsilon(mu, delta) == pytest.approx(epsilon)
    assert gaussian_delta(mu, epsilon) == pytest.approx(delta, rel=1e-6)
    assert pld_epsilon([Gaussian(1 / mu)], delta) == pytest.approx(epsilon, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_gaussian_bound_on_a_tight_mechanism_alarms_once_in_twenty(epsilon):
    """A false alarm of this test: below 1e-6 (binomial, 200 repeats)."""
    rng = np.random.default_rng()
    mu = gaussian_mu(epsilon, DELTA)
    claim = GaussianClaim(mu, DELTA)
    bounds = [gaussian_bound(*normal_worlds(mu, 2000, rng), claim) for _ in range(REPEATS)]
    assert sum(bound > epsilon for bound in bounds) <= MOST_ALARMS
    # It is no bound that never says anything: the middle of them comes near the claim.
    assert np.median(bounds) > 0.5 * epsilon


def test_gaussian_bound_finds_noise_that_is_too_small():
    """Noise too small by sqrt(2), as where rho is taken for sigma: found each time."""
    rng = np.random.default_rng()
    mu = gaussian_mu(1.0, DELTA)
    claim = GaussianClaim(mu, DELTA)
    worlds = (normal_worlds(mu * math.sqrt(2), 60_000, rng) for _ in range(20))
    assert all(gaussian_bound(*w, claim, 1 - 1e-6) > 1.0 for w in worlds)


@pytest.mark.parametrize("swapped", [False, True])
def test_score_bound_on_a_tight_mechanism_alarms_once_in_twenty(swapped):
    """Randomised response keeps its epsilon exactly. A false alarm of this test: below 1e-6."""
    rng = np.random.default_rng()
    lie = 1 / (1 + math.e)
    alarms = 0
    for _ in range(REPEATS):
        worlds = coins(lie, 2000, rng), coins(1 - lie, 2000, rng)
        alarms += score_bound(*(worlds[::-1] if swapped else worlds), DELTA) > 1.0
    assert alarms <= MOST_ALARMS


@pytest.mark.parametrize("swapped", [False, True])
def test_score_bound_finds_a_mechanism_that_tells_too_much(swapped):
    """Two and a half times the claimed epsilon, whichever way the scores point."""
    rng = np.random.default_rng()
    lie = 1 / (1 + math.exp(2.5))
    for _ in range(20):
        worlds = coins(lie, 5000, rng), coins(1 - lie, 5000, rng)
        assert score_bound(*(worlds[::-1] if swapped else worlds), DELTA, 1 - 1e-6) > 1.5


def test_score_bound_charges_delta():
    """A mechanism that fails outright with probability delta is epsilon 0 at that delta."""
    rng = np.random.default_rng()
    alarms = sum(
        score_bound(np.zeros(2000), coins(0.02, 2000, rng), 0.02) > 0 for _ in range(REPEATS)
    )
    assert alarms <= MOST_ALARMS
    assert score_bound(np.zeros(20_000), coins(0.1, 20_000, rng), 0.02) > 1


def test_worlds_that_are_alike_prove_nothing():
    rng = np.random.default_rng()
    claim = GaussianClaim(0.2, DELTA)
    for estimator in (
        lambda a, b: score_bound(a, b, DELTA),
        lambda a, b: gaussian_bound(a, b, claim),
    ):
        bounds = [estimator(*normal_worlds(0.0, 1000, rng)) for _ in range(REPEATS)]
        assert sum(bound > 0 for bound in bounds) <= MOST_ALARMS
    assert score_bound(np.ones(50), np.ones(50), DELTA) == 0.0
    assert gaussian_bound(np.ones(50), np.ones(50), claim) == 0.0


def a_training(canaries, mu, rng):
    """One run: every canary in by a coin, and seen through N(0, 1) or N(mu, 1)."""
    inside = rng.random(canaries) < 0.5
    seen = rng.normal(size=canaries) + mu * inside
    order = np.argsort(seen)
    each = canaries // 10
    return 2 * each, int(inside[order[-each:]].sum() + (~inside[order[:each]]).sum())


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_one_run_bound_on_a_correct_mechanism_alarms_at_most_once_in_twenty(epsilon):
    rng = np.random.default_rng()
    mu = gaussian_mu(epsilon, DELTA)
    # The bound exceeds epsilon where epsilon's own p-value is 5 % or less.
    alarms = sum(
        one_run_p(epsilon, 1000, *a_training(1000, mu, rng), DELTA) <= 0.05 for _ in range(REPEATS)
    )
    assert alarms <= MOST_ALARMS
    # Pure epsilon-DP, where the bound is tight: each guess is right with e^eps / (1 + e^eps).
    right = rng.binomial(300, 1 / (1 + math.exp(-epsilon)), REPEATS)
    assert sum(one_run_p(epsilon, 1000, 300, int(r), 0.0) <= 0.05 for r in right) <= MOST_ALARMS
    assert one_run_p(one_run_bound(1000, 300, 250, DELTA), 1000, 300, 250, DELTA) <= 0.05


def test_one_run_bound_finds_a_training_without_noise():
    rng = np.random.default_rng()
    for _ in range(5):
        assert one_run_bound(1000, *a_training(1000, 6.0, rng), DELTA) > 1.5
        # So strict a bound needs a delta well below its own false alarm rate.
        assert one_run_bound(1000, *a_training(1000, 6.0, rng), 1e-12, 1 - 1e-6) > 1.5


def test_one_run_p_is_the_papers():
    """Against the definition, summed by hand."""
    m, r, v, epsilon, delta = 50, 20, 16, 0.7, 1e-3
    q = 1 / (1 + math.exp(-epsilon))
    tail = sum(binom.pmf(k, r, q) for k in range(v, r + 1))
    alpha = max(sum(binom.pmf(k, r, q) for k in range(v - i, v)) / i for i in range(1, v + 1))
    assert one_run_p(epsilon, m, r, v, delta) == pytest.approx(tail + 2 * m * delta * alpha)
    assert one_run_p(0.0, 10, 4, 0, 0.0) == 1.0
    ps = [one_run_p(e, m, r, v, delta) for e in np.linspace(0, 4, 50)]
    assert ps == sorted(ps)


def test_more_confidence_proves_less():
    rng = np.random.default_rng(5)
    worlds = normal_worlds(0.3, 20_000, rng)
    claim = GaussianClaim(0.3, DELTA)
    for bound in (
        lambda c: gaussian_bound(*worlds, claim, c),
        lambda c: one_run_bound(1000, 200, 170, DELTA, c),
    ):
        assert bound(0.95) >= bound(0.999) >= bound(1 - 1e-9) >= 0


def test_nonsense_is_refused():
    with pytest.raises(ParameterError, match="as many"):
        score_bound(np.zeros(20), np.zeros(30), DELTA)
    with pytest.raises(ParameterError, match="at least 10"):
        score_bound(np.zeros(5), np.zeros(5), DELTA)
    with pytest.raises(ParameterError, match="at most"):
        one_run_bound(10, 20, 5, DELTA)


def test_the_threshold_is_chosen_on_other_runs_than_it_is_judged_by():
    """With the pilot's advice useless, the bound falls: no run is used twice."""
    runs = 5000
    pilot = runs // 5
    informative = np.concatenate([np.zeros(pilot), np.zeros(runs - pilot)])
    telling = np.concatenate([np.ones(pilot), np.zeros(runs - pilot)])
    assert score_bound(informative, telling, DELTA) == 0.0
