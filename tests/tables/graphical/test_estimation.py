"""The estimator: truth in, truth out; noise in, less noise out; odd input, sane output."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Measurement, Query, estimate
from mezzotint.tables.graphical.estimation import estimate_total

from ..brute import (
    FALSE_ALARM,
    clique_sets,
    domains,
    log_joint,
    marginal,
    normalised,
    random_factors,
)


def random_joint(rng, domain, cliques, total, scale=1.0):
    joint, _ = normalised(log_joint(domain, random_factors(rng, domain, cliques, scale)), total)
    return joint


def measured(rng, joint, domain, cliques, sigma):
    return [
        Measurement(
            c, (m := marginal(joint, domain, c)) + sigma * rng.standard_normal(m.shape), sigma
        )
        for c in cliques
    ]


@settings(max_examples=30)
@given(domains(most=4), st.integers(0, 2**32), st.data())
def test_consistent_measurements_without_noise_are_reproduced(domain, seed, data):
    """To within the noise that they claim to have."""
    rng = np.random.default_rng(seed)
    cliques = [(a,) for a in domain] + data.draw(clique_sets(domain, most=3, widest=2))
    joint = random_joint(rng, domain, cliques, 10_000.0)
    measurements = [Measurement(c, marginal(joint, domain, c), 5.0) for c in cliques]
    model = estimate(domain, measurements)
    assert model.total == pytest.approx(10_000)
    for m in measurements:
        error = (model.marginal(m.clique) - m.values) / m.sigma
        assert np.sqrt((error**2).mean()) < 1.0


def test_the_model_beyond_the_measurements_is_of_maximum_entropy():
    domain = Domain({"a": 2, "b": 3, "c": 2})
    rng = np.random.default_rng(0)
    joint = random_joint(rng, domain, [("a", "b"), ("b", "c")], 1e6)
    cliques = [("a", "b"), ("b", "c")]
    model = estimate(domain, [Measurement(c, marginal(joint, domain, c), 1.0) for c in cliques])
    np.testing.assert_allclose(model.marginal("abc"), joint, atol=20)


def on_the_simplex(values, total):
    """The nearest point with non-negative cells and this sum: what convergence would give."""
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(values) + 1)
    level = excess[np.nonzero(ordered > excess)[0][-1]]
    return np.maximum(values - level, 0)


def errors(truth, sigma, seed):
    """Squared errors of the estimate and of the converged fit, for a pair beside one-ways."""
    domain = Domain({"a": 20, "b": 20})
    rng = np.random.default_rng(seed)
    one_way = measured(rng, truth, domain, [("a",), ("b",)], sigma)
    pair = measured(rng, truth, domain, [("a", "b")], sigma)
    model = estimate(domain, one_way + pair, start=estimate(domain, one_way))
    converged = on_the_simplex(pair[0].values.ravel(), model.total).reshape(20, 20)
    return [((fit - truth) ** 2).sum() for fit in (model.marginal("ab"), converged)]


@pytest.mark.parametrize("sigma", [3.0, 10.0, 30.0])
def test_stopping_early_errs_less_than_running_to_convergence(sigma):
    """A pair that hangs together weakly, mean over 10 fixed seeds."""
    found = []
    for seed in range(10):
        rng = np.random.default_rng(100 + seed)
        sides = [rng.dirichlet(np.ones(20)) for _ in range(2)]
        truth = np.outer(*sides) * np.exp(0.5 * rng.standard_normal((20, 20)))
        found.append(errors(5000 * truth / truth.sum(), sigma, seed))
    early, converged = np.mean(found, axis=0)
    assert early < 0.7 * converged


@pytest.mark.parametrize("sigma", [3.0, 10.0, 30.0])
def test_stopping_early_costs_nothing_where_most_cells_are_empty(sigma):
    """Here convergence is at its best: it cuts off what lies below its level."""
    found = []
    for seed in range(10):
        truth = np.random.default_rng(100 + seed).dirichlet(np.full(400, 0.1)).reshape(20, 20)
        found.append(errors(5000 * truth, sigma, seed))
    early, converged = np.mean(found, axis=0)
    assert early < 1.05 * converged


def test_the_estimate_errs_less_than_the_measurements():
    domain = Domain({"a": 8, "b": 8, "c": 8})
    pairs = [("a", "b"), ("b", "c"), ("a", "c")]
    ratios = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        joint = random_joint(rng, domain, pairs, 3000.0)
        measurements = measured(rng, joint, domain, pairs, 15.0)
        model = estimate(domain, measurements)
        truth = [marginal(joint, domain, c) for c in pairs]
        fitted = sum(np.abs(model.marginal(c) - t).sum() for c, t in zip(pairs, truth, strict=True))
        raw = sum(np.abs(m.values - t).sum() for m, t in zip(measurements, truth, strict=True))
        ratios.append(fitted / raw)
    assert np.mean(ratios) < 0.8


def test_the_total_is_unbiased_and_as_exact_as_its_weights_promise():
    """z-test of the mean and chi-square test of the variance over 4,000 draws."""
    rng = np.random.default_rng(1)
    shapes = [((2,), 5.0), ((3, 4), 2.0), ((7,), 11.0)]
    truth = 500.0
    found = np.array(
        [
            estimate_total(
                Measurement(
                    tuple("abc"[: len(shape)]),
                    np.full(shape, truth / np.prod(shape)) + sigma * rng.standard_normal(shape),
                    sigma,
                )
                for shape, sigma in shapes
            )
            for _ in range(4000)
        ]
    )
    variance = 1 / sum(1 / (np.prod(shape) * sigma**2) for shape, sigma in shapes)
    z = (found.mean() - truth) / np.sqrt(variance / len(found))
    assert 2 * stats.norm.sf(abs(z)) > FALSE_ALARM
    square = ((found - truth) ** 2).sum() / variance
    assert 2 * min(stats.chi2.sf(square, 4000), stats.chi2.cdf(square, 4000)) > FALSE_ALARM


def test_repeated_measurements_are_merged_by_inverse_variance():
    domain = Domain({"a": 5})
    rng = np.random.default_rng(0)
    one, two = rng.normal(100, 9, 5), rng.normal(100, 3, 5)
    merged = (one / 81 + two / 9) / (1 / 81 + 1 / 9)
    pooled = estimate(domain, [Measurement(("a",), merged, (1 / 81 + 1 / 9) ** -0.5)])
    twice = estimate(domain, [Measurement(("a",), one, 9.0), Measurement(("a",), two, 3.0)])
    assert len(twice.potentials) == 1
    assert len(twice.measurements) == 2
    np.testing.assert_allclose(twice.marginal("a"), pooled.marginal("a"), rtol=1e-6)


def test_a_warm_start_goes_on_where_the_model_was():
    domain = Domain({"a": 6, "b": 6, "c": 6})
    rng = np.random.default_rng(4)
    joint = random_joint(rng, domain, [("a", "b"), ("b", "c")], 20_000.0)
    first = measured(rng, joint, domain, [("a",), ("b",), ("c",), ("a", "b")], 20.0)
    more = measured(rng, joint, domain, [("b", "c")], 20.0)
    start = estimate(domain, first)
    warm, cold = estimate(domain, first + more, start=start), estimate(domain, first + more)
    for pair in [("a", "b"), ("b", "c"), ("a", "c")]:
        truth = marginal(joint, domain, pair)
        errors = [np.abs(m.marginal(pair) - truth).sum() for m in (warm, cold)]
        assert errors[0] < 1.15 * errors[1] + 20
    assert set(warm.potentials) == {m.query for m in first + more}


def test_nothing_new_changes_little():
    domain = Domain({"a": 6, "b": 6})
    rng = np.random.default_rng(4)
    joint = random_joint(rng, domain, [("a", "b")], 5_000.0)
    measurements = measured(rng, joint, domain, [("a",), ("b",), ("a", "b")], 10.0)
    model = estimate(domain, measurements)
    again = estimate(domain, measurements, start=model)
    assert np.abs(again.marginal("ab") - model.marginal("ab")).sum() < 36 * 5.0


def test_structural_zeros_get_exactly_nothing_though_the_noise_says_otherwise():
    domain = Domain({"a": 4, "b": 4, "c": 3})
    rng = np.random.default_rng(0)
    mask = np.triu(np.ones((4, 4), bool), 1)
    values = np.where(mask, 50.0, 100.0) + rng.normal(0, 5, (4, 4))
    measurements = [
        Measurement(("a", "b"), values, 5.0),
        Measurement(("c",), np.full(3, 400.0), 5.0),
    ]
    model = estimate(domain, measurements, zeros=[(("a", "b"), mask)])
    assert (model.marginal("ab")[mask] == 0).all()
    assert (model.marginal("abc")[mask] == 0).all()
    assert (model.marginal("ab")[~mask] > 0).all()


def test_zeros_on_attributes_that_were_not_measured_together():
    domain = Domain({"a": 3, "b": 3})
    mask = np.eye(3, dtype=bool)
    ones = [Measurement((a,), np.full(3, 30.0), 1.0) for a in domain]
    model = estimate(domain, ones, zeros=[(("a", "b"), mask)])
    np.testing.assert_allclose(model.marginal("ab"), np.where(mask, 0, 15), atol=0.5)


def test_groups_are_fitted_as_groups():
    """A coarse measurement moves groups, and leaves what is inside them to the finer ones."""
    domain = Domain({"a": 6, "b": 4})
    group = np.array([0, 1, 0, 1, 0, 1])
    rng = np.random.default_rng(2)
    joint = random_joint(rng, domain, [("a", "b")], 50_000.0)
    fine = [Measurement((x,), marginal(joint, domain, (x,)), 2.0) for x in domain]
    query = Query(("a", "b"), {"a": group})
    coarse = Measurement(("a", "b"), query.project(joint), 2.0, {"a": group})
    model = estimate(domain, [*fine, coarse])
    np.testing.assert_allclose(model.answer(query), coarse.values, atol=10)
    for m in fine:
        np.testing.assert_allclose(model.marginal(m.clique), m.values, atol=10)


ODD = {
    "all zero": (np.zeros((4, 3)), 1.0),
    "all negative": (np.full((4, 3), -7.0), 1.0),
    "sum below zero": (np.array([[5.0] * 3, [-20.0] * 3, [1.0] * 3, [2.0] * 3]), 3.0),
    "one row": (np.eye(4, 3) * np.array([[1.0], [0], [0], [0]]), 0.1),
    "huge sigma": (np.random.default_rng(0).normal(0, 1e9, (4, 3)), 1e9),
    "tiny sigma": (np.arange(12.0).reshape(4, 3), 1e-3),
    "a billion rows": (np.random.default_rng(1).dirichlet(np.ones(12)).reshape(4, 3) * 1e9, 10.0),
    "one full cell": (np.where(np.arange(12).reshape(4, 3) == 5, 1e6, 0.0), 2.0),
    "exactly uniform": (np.full((4, 3), 100.0), 1.0),
    "integers": (np.arange(12).reshape(4, 3), 2.0),
}


@pytest.mark.parametrize("values, sigma", ODD.values(), ids=ODD)
@pytest.mark.parametrize("with_one_way", [False, True])
def test_odd_measurements_give_a_proper_model(values, sigma, with_one_way):
    domain = Domain({"a": 4, "b": 3, "one": 1})
    measurements = [Measurement(("a", "b"), values, sigma)]
    if with_one_way:
        measurements += [Measurement(("a",), values.sum(1), sigma)]
        measurements += [Measurement(("one",), np.array([values.sum()]), sigma)]
    model = estimate(domain, measurements)
    counts = model.marginal(domain.attributes)
    assert np.isfinite(counts).all()
    assert (counts >= 0).all()
    assert model.total >= 1
    assert counts.sum() == pytest.approx(model.total)
    again = estimate(domain, [*measurements, measurements[0]], start=model)
    assert np.isfinite(again.marginal("ab")).all()


def test_a_billion_rows_are_fitted_to_within_the_noise():
    domain = Domain({"a": 4, "b": 3})
    values, sigma = ODD["a billion rows"]
    model = estimate(domain, [Measurement(("a", "b"), values, sigma)])
    assert np.sqrt(((model.marginal("ab") - values) ** 2).mean()) < 3 * sigma


@settings(max_examples=40)
@given(domains(most=4), st.integers(0, 2**32), st.sampled_from([1.0, 100.0, 1e5]), st.data())
def test_any_noisy_measurements_give_a_proper_model(domain, seed, sigma, data):
    rng = np.random.default_rng(seed)
    cliques = [(a,) for a in domain] + data.draw(clique_sets(domain, most=3))
    joint = random_joint(rng, domain, cliques, float(rng.integers(1, 2000)), scale=3.0)
    model = estimate(domain, measured(rng, joint, domain, cliques, sigma))
    for c in cliques:
        counts = model.marginal(c)
        assert np.isfinite(counts).all()
        assert (counts >= 0).all()
        assert counts.sum() == pytest.approx(model.total)


def test_noise_far_above_the_counts_takes_few_passes(monkeypatch):
    """Where no step can gain anything, the descent ends; it does not halve its step for ever."""
    from mezzotint.tables.graphical import estimation

    monkeypatch.setattr(estimation, "MAX_PASSES", 400)
    problems = []
    descend = estimation._descend
    monkeypatch.setattr(estimation, "_descend", lambda p, i: problems.append(p) or descend(p, i))
    domain = Domain({f"a{i}": 2 for i in range(16)})
    for seed in range(20):
        rng = np.random.default_rng(seed)
        estimate(domain, [Measurement((a,), rng.normal(6, 43_000, 2), 43_000.0) for a in domain])
    assert max(p.passes for p in problems) < 400
