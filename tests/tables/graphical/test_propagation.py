"""Belief propagation against the full joint."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import JunctionTree
from mezzotint.tables.graphical.propagation import Propagator

from ..brute import clique_sets, domains, log_joint, marginal, normalised


@st.composite
def problems(draw, scale=5.0):
    domain = draw(domains())
    tree = JunctionTree.of(domain, draw(clique_sets(domain)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return tree, [scale * rng.standard_normal(domain.shape(c)) for c in tree.cliques], rng


def compare(tree, potentials, total=50.0):
    domain = tree.domain
    before = [p.copy() for p in potentials]
    beliefs, log_partition = Propagator(tree).beliefs(potentials, total)
    log_density = log_joint(domain, zip(tree.cliques, potentials, strict=True))
    joint, expected = normalised(log_density, total)
    assert log_partition == pytest.approx(expected, abs=1e-9, rel=1e-12)
    for clique, belief in zip(tree.cliques, beliefs, strict=True):
        assert belief.shape == domain.shape(clique)
        np.testing.assert_allclose(belief, marginal(joint, domain, clique), atol=1e-9 * total)
    for old, new in zip(before, potentials, strict=True):
        np.testing.assert_array_equal(old, new)
    return beliefs, joint


@given(problems())
def test_beliefs_and_log_partition_equal_the_full_joint(problem):
    tree, potentials, _ = problem
    compare(tree, potentials)


@given(problems(scale=60.0) | problems(scale=2000.0))
def test_strong_potentials_neither_overflow_nor_vanish(problem):
    tree, potentials, _ = problem
    compare(tree, potentials)


@given(problems(), st.floats(-1e6, 1e6))
def test_a_constant_moves_the_log_partition_only(problem, shift):
    tree, potentials, _ = problem
    beliefs, log_partition = Propagator(tree).beliefs(potentials, 1.0)
    moved, partition = Propagator(tree).beliefs([potentials[0] + shift, *potentials[1:]], 1.0)
    assert partition == pytest.approx(log_partition + shift, abs=1e-8)
    for a, b in zip(beliefs, moved, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


@given(problems(), st.floats(0.05, 0.6))
def test_structural_zeros_get_exactly_nothing(problem, share):
    tree, potentials, rng = problem
    holed = [np.where(rng.random(p.shape) < share, -np.inf, p) for p in potentials]
    log_density = log_joint(tree.domain, zip(tree.cliques, holed, strict=True))
    if not np.isfinite(log_density.max()):
        return
    beliefs, joint = compare(tree, holed)
    for clique, belief, potential in zip(tree.cliques, beliefs, holed, strict=True):
        assert (belief[potential == -np.inf] == 0).all()
        # Cells that only other cliques rule out are empty as well, exactly.
        assert (belief[marginal(joint, tree.domain, clique) == 0] == 0).all()


def test_an_impossible_model_has_log_partition_minus_infinity():
    domain = Domain({"a": 2, "b": 2})
    tree = JunctionTree.of(domain, [("a", "b")])
    beliefs, log_partition = Propagator(tree).beliefs([np.full((2, 2), -np.inf)], 10.0)
    assert log_partition == -np.inf
    assert beliefs[0].sum() == 0


def test_a_contradiction_between_cliques_has_log_partition_minus_infinity():
    domain = Domain({"a": 2, "b": 2, "c": 2})
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c")])
    potentials = {
        ("a", "b"): np.array([[0.0, -np.inf], [0.0, -np.inf]]),
        ("b", "c"): np.array([[-np.inf, -np.inf], [0.0, 0.0]]),
    }
    _, log_partition = Propagator(tree).beliefs([potentials[c] for c in tree.cliques], 10.0)
    assert log_partition == -np.inf


def test_attributes_with_one_value():
    domain = Domain({"a": 1, "b": 1, "c": 3})
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c")])
    compare(tree, [np.zeros(domain.shape(c)) for c in tree.cliques], total=3.0)


@given(problems())
def test_neighbours_agree_on_separators_and_every_clique_has_the_total(problem):
    tree, potentials, _ = problem
    beliefs, _ = Propagator(tree).beliefs(potentials, 7.0)
    for i, clique in enumerate(tree.cliques):
        assert beliefs[i].sum() == pytest.approx(7.0)
        if tree.parents[i] >= 0:
            parent = tree.cliques[tree.parents[i]]
            mine, theirs = (
                b.sum(axis=tuple(k for k, a in enumerate(c) if a not in tree.separators[i]))
                for c, b in ((clique, beliefs[i]), (parent, beliefs[tree.parents[i]]))
            )
            np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_what_is_faint_in_one_clique_may_be_all_that_another_leaves():
    domain = Domain({"a": 2, "b": 2, "c": 2})
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c")])
    for far in (100.0, 500.0, 740.0, 1000.0, 1e6):
        potentials = {
            ("a", "b"): np.array([[0.0, -far], [1.0, -far]]),
            ("b", "c"): np.array([[-far, -far - 2], [0.0, 0.5]]),
        }
        compare(tree, [potentials[c] for c in tree.cliques])
