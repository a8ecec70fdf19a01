"""The samplers' laws, through the one door and under both backends.

False-alarm rate of every statistical assertion: `laws.FALSE_ALARM`. Each detection test is of a
power that misses with a probability below 1e-6; those of the scale miss with 1.3e-8 at most.
"""

from __future__ import annotations

import copy
import math
import os
import pickle

import numpy as np
import pytest

from mezzotint.errors import LedgerError, ParameterError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.gaussian_table import keyed_discrete_gaussian
from mezzotint.privacy.ledger import Ledger
from tests.privacy.laws import FALSE_ALARM, chi_square_p, gaussian_p, scale_p

BACKENDS = ["opendp", "keyed"]
PLENTY = Budget(9e5, 1e-9)
REPLACE = PrivacyUnit(Adjacency.REPLACE_ONE)


def a_run(backend: str = "auto", budget: Budget = PLENTY):
    return Ledger.memory(backend=backend).begin(budget, mechanism="test", dataset="toy")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 2.5, 10.3])
def test_gaussian_follows_its_exact_mass_function(backend: str, sigma: float):
    size = 10_000 if backend == "opendp" else 1_000_000
    draws = noise.discrete_gaussian(a_run(backend).gaussian("cells", sigma), size)
    assert draws.dtype == np.int64
    assert gaussian_p(draws, sigma) > FALSE_ALARM


@pytest.mark.parametrize("sigma", [30.7, 100.0, 777.7, 1024.0])
def test_gaussian_table_follows_its_exact_mass_function(sigma: float):
    draws = keyed_discrete_gaussian(os.urandom(32), sigma, 2_000_000)
    assert gaussian_p(draws, sigma) > FALSE_ALARM
    assert scale_p(draws, sigma) > FALSE_ALARM


@pytest.mark.parametrize("sigma", [1024.5, 2049.0, 50_000.25])
def test_gaussian_of_large_scale_follows_its_exact_mass_function(sigma: float):
    draws = keyed_discrete_gaussian(os.urandom(32), sigma, 1_000_000)
    assert scale_p(draws, sigma) > FALSE_ALARM
    width = max(1, int(sigma / 50))
    from scipy.stats import norm

    edges = np.arange(-6 * 50, 6 * 50 + 1) * width
    observed = np.histogram(draws, np.append(edges, edges[-1] + width))[0]
    # Cells of many integers: the continuous law with a half-integer correction is exact to 1e-12.
    expected = np.diff(norm.cdf(np.append(edges, edges[-1] + width) - 0.5, scale=sigma))
    assert chi_square_p(observed, len(draws) * expected) > FALSE_ALARM
    # Below the blocks: the low bits are uniform at this scale.
    low = np.bincount(draws & 7, minlength=8)
    assert chi_square_p(low, np.full(8, len(draws) / 8)) > FALSE_ALARM


def test_the_largest_scale_neither_overflows_nor_repeats():
    draws = keyed_discrete_gaussian(os.urandom(32), 2.0**40, 100_000)
    assert abs(draws.astype(float).std() / 2.0**40 - 1) < 0.02
    assert len(np.unique(draws)) > 99_990


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("factor", "size"), [(math.sqrt(2), 600), (1 / math.sqrt(2), 600)])
def test_scale_test_finds_a_factor_of_root_two(backend: str, factor: float, size: int):
    """sigma confused with rho, or reported before a division: a few hundred draws suffice."""
    draws = noise.discrete_gaussian(a_run(backend).gaussian("cells", 20.0 * factor), size)
    assert scale_p(draws, 20.0) < FALSE_ALARM
    assert scale_p(draws, 20.0 * factor) > FALSE_ALARM


@pytest.mark.parametrize("factor", [1.05, 1 / 1.05])
def test_scale_test_finds_five_percent(factor: float):
    draws = keyed_discrete_gaussian(os.urandom(32), 20.0 * factor, 25_000)
    assert scale_p(draws, 20.0) < FALSE_ALARM
    assert scale_p(draws, 20.0 * factor) > FALSE_ALARM


@pytest.mark.parametrize("backend", ["auto", "opendp", "keyed"])
@pytest.mark.parametrize("size", [200, 3_000])
def test_noise_drawn_is_noise_recorded(backend: str, size: int):
    """L4: the law is read from the ledger's row, not from what the caller meant."""
    run = a_run(backend, Budget(5.0))
    drawn = [
        (noise.discrete_gaussian(run.gaussian(f"m{i}", sigma), size), i)
        for i, sigma in enumerate([3.0, 15.5, 40.0])
    ]
    for (draws, i), release in zip(drawn, run.releases, strict=True):
        assert release.about == f"m{i}"
        sigma = release.parameters["sigma"]
        assert scale_p(draws, float(sigma)) > FALSE_ALARM
        assert release.units >= 1e12 * release.parameters["l2_squared"] / (2 * sigma**2)


SCORES = np.array([0, 3, 5, -2, 5, 4])


@pytest.mark.parametrize(("backend", "draws"), [("opendp", 3_000), ("keyed", 10_000)])
@pytest.mark.parametrize(("epsilon", "sensitivity"), [(1.0, 1), (0.37, 3)])
def test_exponential_mechanism_is_the_exact_softmax(backend, draws, epsilon, sensitivity):
    """Also under OpenDP, whose map counts epsilon^2 / 8: Gumbel noise, not permute-and-flip."""
    run = a_run(backend)
    chosen = [
        noise.exponential_mechanism(run.exponential("pick", epsilon, sensitivity), SCORES)
        for _ in range(draws)
    ]
    law = np.exp(epsilon * SCORES / (2 * sensitivity))
    observed = np.bincount(chosen, minlength=len(SCORES))
    assert chi_square_p(observed, draws * law / law.sum()) > FALSE_ALARM


def test_softmax_test_finds_a_monotone_score_by_mistake():
    """exp(epsilon score / sensitivity) would be the law for monotone scores, at four times rho."""
    run = a_run("keyed")
    chosen = [
        noise.exponential_mechanism(run.exponential("pick", 2.0, 1), SCORES) for _ in range(5_000)
    ]
    law = np.exp(SCORES / 2)
    observed = np.bincount(chosen, minlength=len(SCORES))
    assert chi_square_p(observed, 5_000 * law / law.sum()) < FALSE_ALARM


@pytest.mark.parametrize("backend", BACKENDS)
def test_exponential_mechanism_takes_scores_as_far_apart_as_int64_goes(backend: str):
    extremes = np.array([-(2**63), 2**63 - 1, 0], np.int64)
    run = a_run(backend)
    for _ in range(20):
        assert noise.exponential_mechanism(run.exponential("pick", 1.0, 1), extremes) == 1
    flat = np.full(3, -(2**63), np.int64)
    picked = {
        noise.exponential_mechanism(run.exponential("pick", 1.0, 1), flat) for _ in range(200)
    }
    assert picked == {0, 1, 2}


def test_randomised_response_keeps_and_lies_as_recorded():
    run = a_run("auto", Budget(9e5, 1e-9, REPLACE))
    values = np.arange(200_000) % 5
    answers = noise.randomised_response(run.randomised_response("votes", 1.0, 5), values)
    law = np.array([math.e, 1, 1, 1, 1]) / (math.e + 4)
    observed = np.bincount((answers - values) % 5, minlength=5)
    assert chi_square_p(observed, len(values) * law) > FALSE_ALARM
    assert not np.shares_memory(answers, values)
    binary = noise.randomised_response(run.randomised_response("votes", 2.0, 2), values % 2)
    kept = np.bincount(binary ^ (values % 2), minlength=2)
    law = np.array([math.exp(2), 1]) / (math.exp(2) + 1)
    assert chi_square_p(kept, len(values) * law) > FALSE_ALARM


def test_few_draws_come_from_opendp_and_many_from_the_table(monkeypatch):
    used = []
    monkeypatch.setattr(
        noise, "_opendp_gaussian", lambda sigma, size: used.append(size) or np.zeros(size, int)
    )
    run = a_run()
    noise.discrete_gaussian(run.gaussian("few", 5.0), noise.FEW_DRAWS)
    noise.discrete_gaussian(run.gaussian("many", 5.0), noise.FEW_DRAWS + 1)
    assert used == [noise.FEW_DRAWS]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_spend_is_drawn_once(backend: str):
    spend = a_run(backend).gaussian("cells", 5.0)
    noise.discrete_gaussian(spend, 3)
    with pytest.raises(LedgerError, match=r"\(cells\) has been drawn already: record another"):
        noise.discrete_gaussian(spend, 3)


def test_a_spend_serves_only_the_sampler_it_was_recorded_for():
    run = a_run()
    with pytest.raises(LedgerError, match="recorded as 'exponential' and was given to a 'gauss"):
        noise.discrete_gaussian(run.exponential("pick", 1.0, 1), 3)
    with pytest.raises(LedgerError, match="recorded as 'gaussian' and was given to a 'expon"):
        noise.exponential_mechanism(run.gaussian("cells", 5.0), SCORES)


def test_a_spend_cannot_be_copied_and_shows_no_secret():
    ledger = Ledger.memory()
    run = ledger.begin(PLENTY, mechanism="m", dataset="d", fingerprint=b"f", request="r")
    spend = run.gaussian("cells", 5.0)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(LedgerError, match="cannot be pickled or copied"):
            copied(spend)
    source = spend.open("gaussian")
    assert source.key is not None
    assert source.key.hex() not in repr(spend) + repr(source)
    assert repr(source.key) not in repr(source)


def test_a_bare_number_draws_nothing():
    with pytest.raises(AttributeError):
        noise.discrete_gaussian(5.0, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scores",
    [np.array([0.5, 1.0]), np.array([[1, 2]]), np.array([1, 2], np.uint64), np.array([True])],
)
def test_scores_that_do_not_fit_are_refused_before_the_spend_is_used(scores):
    spend = a_run().exponential("pick", 1.0, 1)
    with pytest.raises(ParameterError, match=r"scores is .*give integers of one dimension"):
        noise.exponential_mechanism(spend, scores)
    assert noise.exponential_mechanism(spend, np.array([1])) == 0


def test_nonsense_sizes_and_values_are_refused():
    run = a_run("auto", Budget(9e5, 1e-9, REPLACE))
    with pytest.raises(ParameterError, match="size = -1 is negative"):
        noise.discrete_gaussian(run.gaussian("cells", 5.0), -1)
    with pytest.raises(ParameterError, match="at least one candidate"):
        noise.exponential_mechanism(run.exponential("pick", 1.0, 1), np.array([], np.int64))
    with pytest.raises(ParameterError, match=r"must lie in \[0, 3\).*encode them"):
        noise.randomised_response(run.randomised_response("votes", 1.0, 3), np.array([3]))
    assert len(noise.discrete_gaussian(run.gaussian("cells", 5.0), 0)) == 0


def test_the_test_door_is_loud_and_fixes_or_silences_the_noise():
    def drawn(insecure):
        run = Ledger.memory(insecure_noise=insecure).begin(
            Budget(9e5, 1e-9, REPLACE), mechanism="m", dataset="d"
        )
        assert run.private is False
        return (
            noise.discrete_gaussian(run.gaussian("a", 9.0), 50).tolist(),
            noise.exponential_mechanism(run.exponential("b", 0.1, 1), SCORES),
            noise.randomised_response(run.randomised_response("c", 0.1, 6), SCORES % 6).tolist(),
        )

    assert drawn("off") == ([0] * 50, 2, (SCORES % 6).tolist())
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert a_run().private
    with pytest.raises(ParameterError, match="give 'off' or an integer seed in tests"):
        Ledger.memory(insecure_noise="seed")  # type: ignore[arg-type]
