"""MST: a spanning tree, the maximum one without noise; three equal shares."""

from itertools import combinations

import numpy as np
import pytest

from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Measurement, estimate
from mezzotint.tables.mst import MST, _common_values

from .private import SIZES, a_curator, releases_of, rows_of

WIDER = {"a": 3, "b": 4, "c": 2, "d": 5, "e": 6, "f": 1}


def release(rows, sizes=SIZES, **settings):
    curator = a_curator(rows, sizes, **settings)
    return MST().release(curator), curator


def pairs_of(curator):
    measured = [r.about.removeprefix("counts of ") for r in releases_of(curator)]
    pairs = [m.split(" x ") for m in measured if " x " in m]
    return [tuple(part.split(" in ")[0] for part in pair) for pair in pairs]


def is_spanning_tree(edges, vertices):
    component = {v: v for v in vertices}
    for a, b in edges:
        if component[a] == component[b]:
            return False
        old = component[a]
        component = {v: component[b] if c == old else c for v, c in component.items()}
    return len(set(component.values())) == 1


def maximum_spanning_tree(rows, sizes):
    """Kruskal's algorithm over the distances from the independent model."""
    domain, names = Domain(sizes), list(sizes)

    def true(clique):
        counts = np.zeros([sizes[a] for a in clique])
        np.add.at(counts, tuple(rows[:, names.index(a)] for a in clique), 1)
        return counts

    sigma = 5.0
    model = estimate(domain, [Measurement((a,), true((a,)), sigma) for a in names])
    weight = {p: np.abs(true(p) - model.marginal(p)).sum() for p in combinations(names, 2)}
    tree = []
    for edge in sorted(weight, key=weight.__getitem__, reverse=True):
        component = {v: {v} for v in names}
        for a, b in [*tree]:
            merged = component[a] | component[b]
            component.update(dict.fromkeys(merged, merged))
        if edge[1] not in component[edge[0]]:
            tree.append(edge)
    return tree


@pytest.mark.parametrize("noise", [None, 1, 2, 3, "off"])
@pytest.mark.parametrize("sizes", [SIZES, WIDER, {"a": 2, "b": 2}])
def test_the_pairs_form_a_spanning_tree(sizes, noise):
    _, curator = release(rows_of(sizes, 300), sizes, noise=noise)
    pairs = pairs_of(curator)
    assert len(pairs) == len(sizes) - 1
    assert is_spanning_tree(pairs, sizes)


@pytest.mark.parametrize("seed", range(4))
def test_without_noise_it_is_the_maximum_spanning_tree(seed):
    sizes = {"a": 3, "b": 4, "c": 3, "d": 5, "e": 6}
    rows = rows_of(sizes, 20_000, seed)
    _, curator = release(rows, sizes, noise="off", epsilon=50.0)
    assert set(pairs_of(curator)) == set(maximum_spanning_tree(rows, sizes))


@pytest.mark.parametrize("epsilon", [0.001, 0.01, 1.0, 100.0])
@pytest.mark.parametrize(
    "unit", [PrivacyUnit(), PrivacyUnit(Adjacency.REPLACE_ONE), PrivacyUnit(rows=3)]
)
@pytest.mark.parametrize("sizes", [{f"a{i}": 2 for i in range(16)}, SIZES, {"a": 3}])
def test_three_shares_make_up_the_budget(epsilon, unit, sizes):
    _, curator = release(rows_of(sizes, 100), sizes, noise=1, epsilon=epsilon, unit=unit)
    costs = [r.rho for r in releases_of(curator)]
    assert sum(costs) <= Budget(epsilon, unit=unit).rho
    assert sum(costs) == pytest.approx(curator.total_rho, rel=1e-3, abs=1e-10)
    if len(sizes) > 1:
        d = len(sizes)
        for part in (costs[:d], costs[d : 2 * d - 1], costs[2 * d - 1 :]):
            assert sum(part) == pytest.approx(curator.total_rho / 3, rel=5e-3)


def test_noise_scales_with_what_one_unit_contributes():
    one, three = (
        release(rows_of(SIZES, 100), noise=1, unit=PrivacyUnit(rows=k))[1] for k in (1, 3)
    )
    for a, b in zip(releases_of(one), releases_of(three), strict=True):
        if a.kind == "gaussian":
            assert b.parameters["sigma"] == pytest.approx(3 * a.parameters["sigma"])
        else:
            assert b.parameters["sensitivity"] == 3 * a.parameters["sensitivity"]


def test_kinds_and_parameters_do_not_depend_on_the_data():
    """L0: number, order, kinds and parameters of all releases are the same on any two tables."""
    rows = rows_of(SIZES, 100)
    asked = []
    for world in (rows, rows[1:], np.zeros((0, 4), int), np.ones((10_000, 4), int)):
        _, curator = release(world, noise=5)
        asked.append([(r.kind, r.parameters) for r in releases_of(curator)])
    assert all(a == asked[0] for a in asked)


def test_values_below_the_noise_are_measured_as_one():
    measurement = Measurement(("a",), np.array([100, 5, -3, 31, 29, 90]), 10.0)
    np.testing.assert_array_equal(_common_values(measurement), [0, 3, 3, 1, 3, 2])
    rare = Measurement(("a",), np.array([1, 2, 3]), 10.0)
    np.testing.assert_array_equal(_common_values(rare), [0, 0, 0])
    common = Measurement(("a",), np.array([100, 200]), 10.0)
    np.testing.assert_array_equal(_common_values(common), [0, 1])


def test_one_attribute_gets_the_whole_budget():
    _, curator = release(rows_of({"a": 4}, 50), {"a": 4}, noise=1)
    (only,) = releases_of(curator)
    assert only.rho == pytest.approx(curator.total_rho, rel=1e-6)


def test_strong_pairs_are_reproduced():
    rows = rows_of(SIZES, 20_000, seed=3)
    model, curator = release(rows, noise=1, epsilon=10.0)
    names = list(SIZES)
    for pair in pairs_of(curator):
        true = np.zeros([SIZES[a] for a in pair])
        np.add.at(true, tuple(rows[:, names.index(a)] for a in pair), 1)
        assert np.abs(model.marginal(pair) - true).sum() / 2 / 20_000 < 0.02
