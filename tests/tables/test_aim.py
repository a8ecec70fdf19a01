"""AIM against the paper's loop, written out slowly; its spending; its size."""

from itertools import combinations
from math import pi, sqrt

import numpy as np
import pytest

from mezzotint.errors import ParameterError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.tables.aim import AIM
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import JunctionTree, Measurement, estimate
from mezzotint.tables.mezzotint import Mezzotint, groups_of_equal_mass

from .private import SIZES, a_curator, a_run, releases_of, rows_of


def run_of(mechanism, rows, sizes=SIZES, **settings):
    curator = a_curator(rows, sizes, **settings)
    return mechanism.release(curator), curator


def papers_loop(rows, sizes, rho, rows_per_unit=1, width=2):
    """Algorithm 4 of McKenna et al. 2022 without noise: measured cliques, sigmas and epsilons."""
    domain = Domain(sizes)
    names = list(sizes)

    def true(clique):
        counts = np.zeros([sizes[a] for a in clique])
        np.add.at(counts, tuple(rows[:, names.index(a)] for a in clique), 1)
        return counts

    workload = list(combinations(names, width))
    weights = {}
    for k in range(1, width + 1):
        for r in combinations(names, k):
            weights[r] = sum(len(set(r) & set(s)) for s in workload)
    rounds = 16 * len(names)
    sigma = rows_per_unit * sqrt(rounds / (2 * 0.9 * rho))
    epsilon = sqrt(8 * 0.1 * rho / rounds)
    steps, used = [], 0.0
    measurements = []
    for a in names:
        measurements.append(Measurement((a,), true((a,)), sigma))
        steps.append((a, sigma))
        used += rows_per_unit**2 / (2 * sigma**2)
    model = estimate(domain, measurements)
    last = False
    while not last:
        if rho - used < 2 * (rows_per_unit**2 / (2 * sigma**2) + epsilon**2 / 8):
            left = rho - used
            sigma, epsilon = rows_per_unit * sqrt(1 / (2 * 0.9 * left)), sqrt(8 * 0.1 * left)
            last = True
        used += rows_per_unit**2 / (2 * sigma**2) + epsilon**2 / 8
        scores = {}
        for r, weight in weights.items():
            bias = sqrt(2 / pi) * sigma * domain.cells(r)
            scores[r] = weight * (np.abs(true(r) - model.marginal(r)).sum() - bias)
        chosen = max(scores, key=scores.__getitem__)
        before = model.marginal(chosen)
        measurements.append(Measurement(chosen, true(chosen), sigma))
        model = estimate(domain, measurements, start=model)
        steps += [("choice", epsilon), (" x ".join(chosen), sigma)]
        change = np.abs(model.marginal(chosen) - before).sum()
        if change <= sqrt(2 / pi) * sigma * domain.cells(chosen):
            sigma, epsilon = sigma / 2, epsilon * 2
    return steps


def steps_of(curator):
    return [
        ("choice", r.parameters["epsilon"])
        if r.kind == "exponential"
        else (r.about.removeprefix("counts of "), r.parameters["sigma"])
        for r in releases_of(curator)
    ]


@pytest.mark.parametrize("epsilon, n, seed", [(1.0, 3000, 0), (10.0, 2000, 1), (0.3, 500, 2)])
@pytest.mark.parametrize("rows_per_unit", [1, 3])
def test_the_releases_are_those_of_the_papers_loop(epsilon, n, seed, rows_per_unit):
    rows = rows_of(SIZES, n, seed)
    unit = PrivacyUnit(rows=rows_per_unit)
    _, curator = run_of(AIM(), rows, noise="off", epsilon=epsilon, unit=unit)
    expected = papers_loop(rows, SIZES, curator.total_rho, rows_per_unit)
    found = steps_of(curator)
    assert [what for what, _ in found] == [what for what, _ in expected]
    assert [by for _, by in found] == pytest.approx([by for _, by in expected], rel=1e-6)


@pytest.mark.parametrize("mechanism", [AIM(), AIM(workload=3), Mezzotint()])
@pytest.mark.parametrize("epsilon", [0.001, 0.01, 1.0, 100.0])
@pytest.mark.parametrize(
    "unit", [PrivacyUnit(), PrivacyUnit(Adjacency.REPLACE_ONE), PrivacyUnit(rows=3)]
)
def test_the_budget_is_spent_to_the_end_and_not_beyond(mechanism, epsilon, unit):
    _, curator = run_of(mechanism, rows_of(SIZES, 300), noise=7, epsilon=epsilon, unit=unit)
    spent = sum(r.rho for r in releases_of(curator))
    granted = Budget(epsilon, unit=unit).rho
    assert spent <= granted
    assert spent >= 0.999 * curator.total_rho
    assert epsilon < 0.01 or spent >= 0.998 * granted


@pytest.mark.parametrize("mechanism", [AIM(), Mezzotint()])
def test_sigma_is_scaled_by_what_one_unit_contributes(mechanism):
    rows = rows_of(SIZES, 300)
    _, one = run_of(mechanism, rows, noise=7)
    for unit, factor in [(PrivacyUnit(rows=3), 3), (PrivacyUnit("replace-one", rows=2), sqrt(8))]:
        _, more = run_of(mechanism, rows, noise=7, unit=unit)
        first, others = (releases_of(c)[0].parameters for c in (one, more))
        assert others["sigma"] == pytest.approx(factor * first["sigma"])
        assert others["l2_squared"] == unit.l2_squared


@pytest.mark.parametrize("mechanism", [AIM(), Mezzotint()])
def test_the_configuration_does_not_depend_on_the_data(mechanism):
    """L0: up to the first choice, every release on neighbours is the same, bit for bit."""
    rows = rows_of(SIZES, 200)
    worlds = [rows, rows[:-1], np.zeros((0, 4), int), np.full((5000, 4), 1)]
    asked = []
    for world in worlds:
        _, curator = run_of(mechanism, world, noise=3)
        first = len(SIZES) + 1
        asked.append([(r.kind, r.about, r.parameters) for r in releases_of(curator)[:first]])
        assert curator.domain == Domain(SIZES)
    assert all(a == asked[0] for a in asked)


@pytest.mark.parametrize("mechanism", [AIM(), Mezzotint()])
def test_equal_answers_lead_to_equal_releases(mechanism):
    """Nothing but released values steers: the same noise on the same data repeats everything."""
    rows = rows_of(SIZES, 200)
    one, two = (run_of(mechanism, rows, noise=3) for _ in range(2))
    assert steps_of(one[1]) == steps_of(two[1])
    np.testing.assert_array_equal(one[0].marginal("ab"), two[0].marginal("ab"))


@pytest.mark.parametrize("limit", [0.0005, 0.002, 0.01])
def test_the_size_limit_holds_in_every_round(limit, monkeypatch):
    sizes = {f"a{i}": s for i, s in enumerate([9, 2, 7, 3, 8, 5, 4])}
    grown = []

    def watched(domain, measurements, **settings):
        model = estimate(domain, measurements, **settings)
        grown.append(model.tree.megabytes)
        return model

    monkeypatch.setattr(AIM, "_estimate", staticmethod(watched))
    for seed in range(3):
        model, curator = run_of(
            AIM(max_model_mb=limit), rows_of(sizes, 5000, seed), sizes, noise=seed, epsilon=5.0
        )
        spent = np.cumsum([r.rho for r in releases_of(curator)]) / curator.total_rho
        shares = spent[len(sizes) + 1 :: 2]
        smallest = JunctionTree.of(Domain(sizes), []).megabytes
        assert len(shares) == len(grown) - 1
        for share, megabytes in zip(shares, grown[1:], strict=True):
            assert megabytes <= max(share * limit, smallest) * (1 + 1e-9)
        assert model.tree.megabytes <= limit
        grown.clear()


def test_a_limit_below_the_attributes_themselves_is_refused_unspent():
    curator = a_curator(rows_of(SIZES, 10))
    for limit, match in [
        (1e-6, r"max_model_mb = 1e-06: the attributes and constraints alone take .* Allow more"),
        (0, r"max_model_mb = 0: give a positive number"),
        (float("nan"), r"max_model_mb = nan: give a positive number"),
    ]:
        with pytest.raises(ParameterError, match=match):
            AIM(max_model_mb=limit).release(curator)
    assert releases_of(curator) == ()


@pytest.mark.parametrize("mechanism", [AIM, Mezzotint])
def test_attributes_outside_of_the_workload_are_modelled_on_their_own(mechanism):
    chosen = mechanism(workload=[["a", "b"]])
    assert set(chosen.queries(Domain(SIZES))) == {("a", "b"), ("a",), ("b",), ("c",), ("d",)}
    model, _ = run_of(chosen, rows_of(SIZES, 500), noise="off")
    assert model.marginal("d").shape == (5,)


def test_marginals_that_no_model_could_hold_are_not_counted():
    sizes = {"a": 2000, "b": 2000, "c": 2}
    asked = AIM(max_model_mb=1).queries(Domain(sizes))
    assert set(asked) == {("a",), ("b",), ("c",), ("a", "c"), ("b", "c")}


@pytest.mark.parametrize("mechanism", [AIM(), Mezzotint()])
@pytest.mark.parametrize("sizes", [{"a": 1}, {"a": 4}, {"a": 1, "b": 1}, {"a": 1, "b": 40, "c": 2}])
def test_tiny_domains(mechanism, sizes):
    model, _ = run_of(mechanism, rows_of(sizes, 50), sizes, noise=1)
    assert model.marginal(sizes).shape == tuple(sizes.values())


@pytest.mark.parametrize("mechanism", [AIM(), Mezzotint()])
@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_rows(mechanism, n):
    model, _ = run_of(mechanism, rows_of(SIZES, n), noise=1, epsilon=0.1)
    assert model.total >= 1
    assert np.isfinite(model.marginal("abcd")).all()


def test_progress_goes_from_the_first_look_to_the_end():
    seen = []
    AIM().release(a_curator(rows_of(SIZES, 50), noise=1), progress=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.1
    assert seen[-1] == 1.0


def test_groups_are_neighbours_of_about_equal_mass():
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = rng.dirichlet(np.full(60, 0.5)) * 1000 - 2
        group = groups_of_equal_mass(counts, 16)
        assert (np.diff(group) >= 0).all()
        assert (np.diff(group) <= 1).all()
        assert group[0] == 0
        assert group.max() < 16
        mass = np.bincount(group, np.maximum(counts, 0))
        assert mass.max() <= 1000 / 16 + counts.max() + 60
    np.testing.assert_array_equal(groups_of_equal_mass(np.zeros(4), 2), [0, 0, 1, 1])
    np.testing.assert_array_equal(groups_of_equal_mass(np.full(3, -9.0), 16), [0, 1, 2])


def test_mezzotint_measures_groups_where_attributes_are_large():
    sizes = {"wide": 60, "broad": 50, "c": 2}
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 60, 20_000)
    rows = np.stack([wide, (wide + rng.integers(0, 9, 20_000)) % 50, wide % 2], axis=1)
    model, curator = run_of(Mezzotint(), rows, sizes, noise=2)
    assert any("groups" in r.about for r in releases_of(curator))
    assert model.tree.megabytes <= 0.5


def test_the_run_is_of_the_mechanism_that_asked():
    assert a_run(mechanism=AIM.name).mechanism == "aim"
