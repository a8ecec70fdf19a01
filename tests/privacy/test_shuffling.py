"""Shuffled answers: the bound against exact divergences, and what the noise room hands out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mezzotint.errors import ModelFileError, ParameterError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.composition import pld_delta
from mezzotint.privacy.events import Gaussian, PureDP, Shuffled
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.shuffling import (
    clone_delta,
    local_delta,
    local_epsilon,
    shuffled_epsilon,
)
from mezzotint.privacy.statement import Statement
from tests.privacy.laws import FALSE_ALARM

BUDGET = Budget(4.0, 1e-5, PrivacyUnit("replace-one"))


@pytest.mark.parametrize(("multiplier", "answer"), [(2.0, 1.0), (0.7, 3.0), (4.0, 0.01)])
def test_the_local_bound_is_that_of_dp_accounting(multiplier: float, answer: float):
    for epsilon in (0.5, 2.0, 4.0):
        oracle = pld_delta([Gaussian(multiplier), PureDP(answer)], epsilon)
        assert local_delta(epsilon, multiplier, answer) == pytest.approx(
            oracle, rel=2e-3, abs=1e-15
        )
    for delta in (1e-5, 1e-12):
        epsilon = local_epsilon(delta, multiplier, answer)
        assert local_delta(epsilon, multiplier, answer) <= delta
        assert local_delta(epsilon * 0.999, multiplier, answer) > delta


def exact_shuffled_response(epsilon: float, local: float, rows: int, ones: int) -> float:
    """Binary randomised response, shuffled, the others holding `ones` ones; both directions."""
    q = 1 / (1 + math.exp(-local))
    counts = np.convolve(
        stats.binom.pmf(np.arange(ones + 1), ones, q),
        stats.binom.pmf(np.arange(rows - ones), rows - 1 - ones, 1 - q),
    )
    first, second = np.convolve(counts, [1 - q, q]), np.convolve(counts, [q, 1 - q])
    gaps = (first - math.exp(epsilon) * second, second - math.exp(epsilon) * first)
    return max(float(np.maximum(gap, 0).sum()) for gap in gaps)


@pytest.mark.parametrize("local", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("rows", [2, 7, 60, 900])
def test_the_bound_holds_for_every_neighbourhood_of_randomised_response(local: float, rows: int):
    for epsilon in (0.01, 0.2, 0.5, 1.0, 2.0):
        bound = clone_delta(epsilon, local, 0.0, rows)
        for ones in {0, rows // 3, rows - 1}:
            assert exact_shuffled_response(epsilon, local, rows, ones) <= bound


def test_the_clones_divergence_is_exact():
    """H by brute force over both counts."""
    local, lost, rows = 1.2, 0.01, 9
    p, q = (1 - lost) * math.exp(-local), 1 / (1 + math.exp(-local))
    for epsilon in (0.0, 0.1, 0.4, 1.0, 1.3):
        laws: dict[tuple[int, int], list[float]] = {}
        for c in range(rows):
            for a in range(c + 1):
                weight = stats.binom.pmf(c, rows - 1, p) * stats.binom.pmf(a, c, 0.5)
                for d, share in ((1, q), (0, 1 - q)):
                    laws.setdefault((a + d, c - a + 1 - d), [0.0, 0.0])[0] += weight * share
                    laws.setdefault((a + 1 - d, c - a + d), [0.0, 0.0])[1] += weight * share
        exact = sum(max(0.0, x - math.exp(epsilon) * y) for x, y in laws.values())
        assert clone_delta(epsilon, local, lost, rows) == pytest.approx(exact, rel=1e-5, abs=1e-11)


def test_the_numbers_beat_the_closed_form_of_the_paper():
    """Feldman, McMillan, Talwar 2021, Theorem 3.1, where its condition holds."""
    for local, rows, delta in ((1.0, 10_000, 1e-6), (3.0, 60_000, 1e-5), (2.0, 10**6, 1e-9)):
        assert local <= math.log(rows / (16 * math.log(2 / delta)))
        e = math.exp(local)
        closed = math.log1p(
            (e - 1) / (e + 1) * (8 * math.sqrt(e * math.log(4 / delta) / rows) + 8 * e / rows)
        )
        assert clone_delta(closed, local, 0.0, rows) <= delta


def test_more_rows_hide_better_and_never_worse_than_no_shuffling():
    figures = [shuffled_epsilon(1e-5, 1.5, 1.0, rows) for rows in (2, 100, 10_000, 1_000_000)]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] == local_epsilon(1e-5, 1.5, 1.0)
    assert figures[-1] < figures[0] / 20
    assert shuffled_epsilon(1e-5, 0.01, 1.0, 10) == math.inf


def programme(rows: int) -> Programme:
    return Programme((Gaussian(9.0), Shuffled(2.0, 1.5, rows, 8e-6)))


def begin(rows: int, **options):
    ledger = Ledger.memory(**options)
    return ledger.begin(BUDGET, mechanism="m", dataset="d", programme=programme(rows))


def test_a_shuffled_event_costs_what_the_theorem_says():
    alone = Programme((Shuffled(2.0, 1.5, 5000, 8e-6),)).epsilon(1e-5)
    epsilon = shuffled_epsilon(8e-6, 2.0, 1.5, 5000)
    assert epsilon - 1e-4 <= alone <= epsilon + 2e-4
    assert alone < programme(5000).epsilon(1e-5) < alone + Programme((Gaussian(9.0),)).epsilon(2e-6)
    assert Programme((Shuffled(2.0, 1.5, 5000, 1e-5),)).epsilon(1e-5) == math.inf
    with pytest.raises(ParameterError, match="shuffles one answer a row, whose number"):
        programme(5000).require_unit(PrivacyUnit())


def test_answers_come_noisy_and_in_an_order_that_tells_nothing():
    n, scale = 4000, 2**27
    vectors = np.zeros((n, 3), np.int64)
    vectors[:, 0] = np.arange(n) * 2**36  # so large that the noise does not hide the order
    labels = np.arange(n) % 5
    run = begin(n)
    told, answers = noise.shuffled(run.shuffled(1, "codes", scale, 5), vectors, labels)
    rank = np.rint(told[:, 0] / 2**36).astype(int)
    assert sorted(rank) == list(range(n))
    # Fixed points of a random permutation are Poisson(1), and ranks and places uncorrelated.
    assert (rank == np.arange(n)).sum() < 16
    assert abs(np.corrcoef(rank, np.arange(n))[0, 1]) * math.sqrt(n) < stats.norm.isf(FALSE_ALARM)
    noise_drawn = (told[:, 1:] / (2.0 * scale)).ravel()
    assert stats.kstest(noise_drawn, "norm").pvalue > FALSE_ALARM
    keep = math.exp(1.5) / (math.exp(1.5) + 4)
    kept = int((answers == labels[rank]).sum())
    assert stats.binomtest(kept, n, keep).pvalue > FALSE_ALARM
    statement = Statement.of(run)
    data = statement.to_json()
    assert Statement.from_json(data) == statement
    data["releases"][0]["parameters"]["rows"] = 10**6
    with pytest.raises(ModelFileError, match="not as its programme planned it"):
        Statement.from_json(data)


def test_what_was_not_recorded_is_not_shuffled():
    run = begin(10, insecure_noise="off")
    spend = run.shuffled(1, "codes", 2**28, 3)
    vectors, labels = np.arange(20).reshape(10, 2), np.arange(10) % 3
    for wrong in (
        (vectors[:9], labels[:9]),
        (vectors, labels[:9]),
        (vectors.ravel(), labels),
        (vectors, labels + 1),
        (vectors * 1.0, labels),
    ):
        with pytest.raises(ParameterError):
            noise.shuffled(spend, *wrong)
    told, answers = noise.shuffled(spend, vectors, labels)
    assert (told == vectors).all()
    assert (answers == labels).all()
