"""Randomised rounding: exact sizes, no bias, nothing where nothing can be, no false dependence.

Every test draws from fixed seeds, so none is flaky; `FALSE_ALARM` bounds the probability, over
the choice of the seeds, that a right sampler would fail.
"""

from itertools import combinations
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical.sampling import sample_codes

from ..brute import FALSE_ALARM, all_cliques, clique_sets, domains, model_of, random_factors


def counts_of(codes, domain, clique):
    if not clique:
        return np.array(len(codes[domain.attributes[0]]))
    shape = domain.shape(clique)
    flat = np.ravel_multi_index([codes[a] for a in clique], shape)
    return np.bincount(flat, minlength=prod(shape)).reshape(shape)


@st.composite
def models(draw):
    domain = draw(domains(most=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return model_of(domain, random_factors(rng, domain, draw(clique_sets(domain)))).calibrated, rng


@given(models(), st.integers(0, 200))
def test_the_right_number_of_rows_of_valid_codes(drawn, n):
    model, rng = drawn
    codes = sample_codes(model, n, rng)
    assert list(codes) == list(model.tree.domain)
    for a, column in codes.items():
        assert column.shape == (n,)
        assert column.dtype == np.int64
        assert ((column >= 0) & (column < model.tree.domain.sizes[a])).all()


@given(models(), st.integers(1, 300))
def test_counts_are_floor_or_ceiling_of_what_the_group_expects(drawn, n):
    """Given the rows of its separator, each cell of a clique is rounded to a neighbour."""
    model, rng = drawn
    tree, domain = model.tree, model.tree.domain
    codes = sample_codes(model, n, rng)
    for clique, separator, belief in zip(tree.cliques, tree.separators, model.beliefs, strict=True):
        axes = tuple(i for i, a in enumerate(clique) if a not in separator)
        share = belief / belief.sum(axis=axes, keepdims=True)
        shape = [domain.sizes[a] if a in separator else 1 for a in clique]
        expected = counts_of(codes, domain, separator).reshape(shape) * share
        found = counts_of(codes, domain, clique)
        assert (np.abs(found - expected) < 1 + 1e-6).all()


@given(models(), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_rows(drawn, seed):
    model, _ = drawn
    one, two = (sample_codes(model, 50, np.random.default_rng(seed)) for _ in range(2))
    for a in one:
        np.testing.assert_array_equal(one[a], two[a])


@given(st.integers(0, 2**32), st.integers(0, 400))
def test_structural_zeros_are_never_drawn(seed, n):
    domain = Domain({"a": 4, "b": 3, "c": 4})
    rng = np.random.default_rng(seed)
    masks = [(c, rng.random(domain.shape(c)) < 0.4) for c in (("a", "b"), ("b", "c"))]
    for _, mask in masks:
        mask[:, 0] = mask[0] = False
    factors = random_factors(rng, domain, [("a", "b"), ("b", "c")], scale=8.0)
    codes = sample_codes(model_of(domain, factors, zeros=masks).calibrated, n, rng)
    for clique, mask in masks:
        assert (counts_of(codes, domain, clique)[mask] == 0).all()


def unbiased(model, n, draws, seed=0):
    """p-value, over all cells of all attributes, of the mean counts against their expectation."""
    domain = model.tree.domain
    rng = np.random.default_rng(seed)
    expected = model.marginal(domain.attributes).ravel() * n / model.total
    found = np.array(
        [counts_of(sample_codes(model, n, rng), domain, domain).ravel() for _ in range(draws)]
    )
    # The mean's own standard error, or that of independent rows if it is larger.
    error = np.maximum(found.std(axis=0), np.sqrt(expected * (1 - expected / n)))
    z = (found.mean(axis=0) - expected) / (error / np.sqrt(draws))
    return min(1.0, 2 * stats.norm.sf(np.abs(z)).min() * len(z))


CHAIN = [("a", "b"), ("b", "c"), ("c", "d")]


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("cliques", [[], CHAIN, [("a", "b"), ("c", "d")], [("a", "b"), ("a", "c")]])
def test_every_cell_of_the_full_joint_is_unbiased(cliques, n):
    """Also combinations of attributes that share no clique: z-test over all 24 cells."""
    domain = Domain({"a": 2, "b": 3, "c": 2, "d": 2})
    factors = random_factors(np.random.default_rng(5), domain, cliques, scale=0.4)
    draws = 3000 if n == 1 else 700
    assert unbiased(model_of(domain, factors).calibrated, n, draws) > FALSE_ALARM


def noisiness(model, n, clique, draws, seed=0):
    """Variance of the pair's counts in units of that of independent rows, mean over cells."""
    domain, rng = model.tree.domain, np.random.default_rng(seed)
    expected = model.marginal(clique) * n / model.total
    squares = [
        (counts_of(sample_codes(model, n, rng), domain, clique) - expected) ** 2
        for _ in range(draws)
    ]
    return (np.mean(squares, axis=0) / (expected * (1 - expected / n))).mean()


@pytest.mark.parametrize("cliques", [[], CHAIN, [("a", "b"), ("a", "c"), ("a", "d")]])
@pytest.mark.parametrize("n", [30, 300, 3000])
def test_pairs_outside_of_cliques_are_as_near_as_independent_rows_bring_them(cliques, n):
    """The pitfall of other samplers: conditionally independent columns must not move together.

    Rows drawn one by one would have noisiness 1. Sorting into even strata may double it where
    strata are as small as two rows, never more. The mean of 50 draws over at least four cells
    stays below 3 by a wide margin.
    """
    domain = Domain({"a": 3, "b": 4, "c": 2, "d": 3})
    factors = random_factors(np.random.default_rng(8), domain, cliques, scale=0.5)
    model = model_of(domain, factors).calibrated
    for pair in combinations(domain.attributes, 2):
        assert noisiness(model, n, pair, draws=50) < 3.0


@pytest.mark.parametrize("rows_each", [0.5, 1, 1.5, 2, 10])
@pytest.mark.parametrize("tied", [False, True])
def test_a_column_of_many_values_does_not_tie_others_together(rows_each, tied):
    """Two coins beside a column with a value or so for each row.

    Dealt out in step with that column, both coins would alternate, and so be equal.
    """
    domain = Domain({"many": 200, "half": 2, "x": 2, "y": 2})
    cliques = [(("many", "half"), np.zeros((200, 2)))] if tied else []
    model = model_of(domain, cliques).calibrated
    n = int(200 * rows_each)
    for pair in combinations(("half", "x", "y"), 2):
        assert noisiness(model, n, pair, draws=150) < 3.0


def test_pairs_that_neighbouring_cliques_share_are_no_noisier_than_independent_rows():
    domain = Domain({"a": 3, "b": 3, "c": 3})
    factors = random_factors(np.random.default_rng(2), domain, [("a", "b"), ("b", "c")], scale=0.5)
    model = model_of(domain, factors).calibrated
    assert noisiness(model, 1000, ("a", "c"), draws=300) < 1.0
    for clique in [("a",), ("b",), ("c",), ("a", "b"), ("b", "c")]:
        assert noisiness(model, 1000, clique, draws=50) < 0.2


def test_no_rows():
    model = model_of(Domain({"a": 2, "b": 3}), [(("a", "b"), np.zeros((2, 3)))]).calibrated
    codes = sample_codes(model, 0, np.random.default_rng(0))
    assert all(len(c) == 0 for c in codes.values())


def test_attributes_with_one_value():
    model = model_of(Domain({"a": 1, "b": 1}), []).calibrated
    codes = sample_codes(model, 5, np.random.default_rng(0))
    assert all((c == 0).all() for c in codes.values())


def test_masses_far_apart_are_rounded_to_the_full_size():
    domain = Domain({"a": 6})
    model = model_of(domain, [(("a",), np.array([0.0, -700.0, 30.0, -700.0, 29.0, -745.0]))])
    for seed in range(50):
        codes = sample_codes(model.calibrated, 1000, np.random.default_rng(seed))
        assert len(codes["a"]) == 1000
        assert np.isin(codes["a"], [2, 4]).all()


def test_large_groups_are_dealt_in_blocks(monkeypatch):
    from mezzotint.tables.graphical import sampling

    domain = Domain({"a": 50, "b": 7})
    factors = random_factors(np.random.default_rng(2), domain, [("a", "b")], scale=0.5)
    model = model_of(domain, [*factors]).calibrated
    monkeypatch.setattr(sampling, "_BLOCK_CELLS", 10)
    for clique in all_cliques(domain):
        found = counts_of(sample_codes(model, 5000, np.random.default_rng(0)), domain, clique)
        np.testing.assert_allclose(found, model.marginal(clique) * 50, atol=8)
