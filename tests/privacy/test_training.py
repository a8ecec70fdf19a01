"""The noise of a training: its laws, its independence, and that it can be had again."""

from __future__ import annotations

import copy
import math
import os
import pickle

import numpy as np
import pytest
from scipy import stats

from mezzotint.errors import LedgerError, ParameterError
from mezzotint.privacy import fine_gaussian as fine
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.fine_gaussian import SMALLEST_SIGMA, fine_gaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from tests.privacy.laws import FALSE_ALARM, gaussian_p, scale_p

KEY = bytes(range(32))
BUDGET = Budget(5.0, 1e-5)
PROGRAMME = Programme((Gaussian(3.0), SubsampledGaussian(1.3, rate=0.01, steps=50)))


def begin(ledger: Ledger, request: str | None = None):
    return ledger.begin(
        BUDGET,
        mechanism="DP-SGD",
        dataset="digits",
        fingerprint=b"rows",
        request=request,
        programme=PROGRAMME,
    )


def a_training(request: str | None = None, **options):
    return noise.training(begin(Ledger.memory(**options), request).training(1, "steps"))


@pytest.mark.parametrize("sigma", [SMALLEST_SIGMA, 3000.7])
def test_the_fine_sampler_follows_its_exact_mass_function(sigma: float):
    draws = fine_gaussian(KEY, sigma, 1_000_003)
    assert gaussian_p(draws, sigma) > FALSE_ALARM
    assert scale_p(draws, sigma) > FALSE_ALARM


def test_coins_that_are_decided_late_have_the_same_law(monkeypatch):
    """As if no coin were sure from its first 16 bits."""

    def build(*args):
        made = fine._Fine(*args)
        made._sure = np.uint64(0)
        return made

    sampler = build(KEY, SMALLEST_SIGMA, "")
    assert gaussian_p(sampler.take(300_000), SMALLEST_SIGMA) > FALSE_ALARM


def test_most_coins_are_sure_and_rightly_so():
    for sigma in (SMALLEST_SIGMA, 2.0**34, 2.0**40):
        sampler = fine._Fine(KEY, sigma, "")
        m, largest = sampler._m, len(sampler._table.first_words)
        least = math.exp(-(m - 1) * ((m - 1) + 2 * m * largest) / (2 * sigma**2))
        assert 0.9 < int(sampler._sure) / 65536 < least
        assert sampler._shift <= 31
        assert 512 <= sigma / m < 1024


def test_zero_is_drawn_as_often_as_it_should_be():
    """Minus zero, if it were kept, would double it."""
    draws = fine_gaussian(KEY, SMALLEST_SIGMA, 4_000_000)
    expected = len(draws) / (math.sqrt(2 * math.pi) * SMALLEST_SIGMA)
    zeros = int((draws == 0).sum())
    assert stats.poisson.sf(zeros - 1, expected) > FALSE_ALARM
    assert stats.poisson.cdf(zeros, expected) > FALSE_ALARM


@pytest.mark.parametrize("sigma", [2.0**24, 1.37 * 2.0**34, 2.0**40])
def test_large_scales_are_normal_and_fill_their_low_bits(sigma: float):
    draws = fine_gaussian(KEY, sigma, 200_000)
    assert stats.kstest(draws / sigma, "norm").pvalue > FALSE_ALARM
    for bit in (0, 1, 5, 20):
        ones = int(((draws >> bit) & 1).sum())
        assert stats.binomtest(ones, len(draws)).pvalue > FALSE_ALARM
    assert (draws == fine_gaussian(KEY, sigma, 200_000)).all()


def test_noise_has_the_recorded_scale_on_its_grid():
    training = a_training()
    draws = training.gaussian(0, 200_000)
    assert draws.dtype == np.float64
    assert stats.kstest(draws / 1.3, "norm").pvalue > FALSE_ALARM
    z = (np.mean((draws / 1.3) ** 2) - 1) * math.sqrt(len(draws) / 2)
    assert 2 * stats.norm.sf(abs(z)) > FALSE_ALARM
    whole = draws / training.grid
    assert (whole == np.round(whole)).all()
    assert np.log2(training.grid) == int(np.log2(training.grid))
    assert 2.0**34 <= 1.3 / training.grid < 2.0**35
    single = training.gaussian(0, 200_000, dtype=np.float32)
    assert single.dtype == np.float32
    assert np.abs(single - draws).max() < 1e-6


def test_steps_and_blocks_are_independent():
    training, n = a_training(), 50_000
    columns = [training.gaussian(step, n) for step in range(3)]
    columns += [training.gaussian(0, n, label) for label in ("weights", "bias")]
    correlations = np.corrcoef(columns) - np.eye(len(columns))
    # 10 pairs, each |r| sqrt(n) a standard normal: a false alarm with probability below 1e-7.
    assert np.abs(correlations).max() * math.sqrt(n) < stats.norm.isf(FALSE_ALARM / 20)
    joined = np.concatenate(columns[:2])
    assert stats.kstest(joined / 1.3, "norm").pvalue > FALSE_ALARM


def test_coins_fall_at_their_rate_and_independently():
    training, n = a_training(), 100_000
    coins = np.array([training.coins(step, n) for step in range(50)])
    for row in coins[:5]:
        assert stats.binomtest(int(row.sum()), n, 0.01).pvalue > FALSE_ALARM
    assert stats.binomtest(int(coins.sum()), coins.size, 0.01).pvalue > FALSE_ALARM
    both = int((coins[:-1] & coins[1:]).sum())
    assert stats.binomtest(both, 49 * n, 1e-4).pvalue > FALSE_ALARM
    neighbours = int((coins[:, :-1] & coins[:, 1:]).sum())
    assert stats.binomtest(neighbours, 50 * (n - 1), 1e-4).pvalue > FALSE_ALARM


def test_coins_are_a_threshold_on_64_bits():
    """The rate rounded down to 2^-64, and everybody at rate 1."""
    training = a_training()
    assert training._below == math.floor(0.01 * 2**64)
    everybody = Programme((SubsampledGaussian(3.0, 1.0, 2),))
    run = Ledger.memory().begin(BUDGET, mechanism="m", dataset="d", programme=everybody)
    assert noise.training(run.training(0, "all")).coins(1, 1000).all()


def test_a_resumed_training_is_the_same_to_the_last_bit(tmp_path):
    path = tmp_path / "l.db"
    with Ledger.open(path) as ledger:
        first = noise.training(begin(ledger, "r").training(1, "steps"))
        coins, blocks = first.coins(7, 5000), first.gaussian(7, 5000, "a")
    with Ledger.open(path) as ledger:
        again = noise.training(begin(ledger, "r").training(1, "steps"))
        assert (again.gaussian(7, 5000, "a") == blocks).all()
        assert (again.coins(7, 5000) == coins).all()
        assert len(ledger.runs()) == len(ledger.releases(1)) == 1
        other = noise.training(begin(ledger, "another").training(1, "steps"))
        assert (other.gaussian(7, 5000, "a") != blocks).any()


def test_without_a_request_nobody_gets_the_same_noise():
    assert (a_training().gaussian(0, 100) != a_training().gaussian(0, 100)).any()


def test_tests_may_switch_noise_off_or_fix_it():
    silent = a_training(insecure_noise="off")
    assert not silent.gaussian(3, 10).any()
    assert silent.coins(3, 10_000).any()
    assert (silent.coins(3, 100) == a_training(insecure_noise="off").coins(3, 100)).all()
    fixed, same, other = (a_training(insecure_noise=seed) for seed in (1, 1, 2))
    assert (fixed.gaussian(3, 50) == same.gaussian(3, 50)).all()
    assert (fixed.gaussian(3, 50) != other.gaussian(3, 50)).any()
    run = begin(Ledger.memory(insecure_noise="off"))
    assert not noise.integer_gaussian(run.vector(0, "sums", 2**30), 10).any()


def test_it_stays_in_its_process_and_within_its_plan():
    training = a_training()
    for step in (-1, 50):
        with pytest.raises(LedgerError, match=f"step {step} is not among the 50"):
            training.coins(step, 10)
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(LedgerError, match="secret and cannot be pickled or copied"):
            copied(training)
    with pytest.raises(ParameterError, match="n = -1 is negative"):
        training.coins(0, -1)
    with pytest.raises(ParameterError, match=r"draws at most \d+ numbers a block"):
        training.gaussian(0, 2**42)
    for i in range(15):
        training.gaussian(0, 1, f"block {i}")
    with pytest.raises(ParameterError, match="under 17 labels"):
        training.gaussian(0, 1, "one more")
    child = os.fork()
    if not child:
        status = 1
        try:
            with pytest.raises(LedgerError, match="belongs to the process that recorded it"):
                training.gaussian(0, 3)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_a_spend_opens_one_training_only():
    spend = begin(Ledger.memory()).training(1, "steps")
    noise.training(spend)
    with pytest.raises(LedgerError, match="has been drawn already"):
        noise.training(spend)


@pytest.mark.parametrize(("backend", "size"), [("auto", 400), ("auto", 20_000), ("keyed", 400)])
def test_a_vectors_noise_has_the_planned_scale(backend: str, size: int):
    run = begin(Ledger.memory(backend=backend))
    draws = noise.integer_gaussian(run.vector(0, "sums", 2**28), size)
    assert draws.dtype == np.int64
    assert stats.kstest(draws / (3 * 2.0**28), "norm").pvalue > FALSE_ALARM
    with pytest.raises(ParameterError, match=r"size = 16777217 is outside of 0 to 2\^24"):
        noise.integer_gaussian(run.training(1, "x"), 2**24 + 1)
