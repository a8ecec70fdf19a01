"""The fitted model: conditioning, structural zeros, queries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Query

from ..brute import (
    all_cliques,
    clique_sets,
    domains,
    log_joint,
    marginal,
    model_of,
    normalised,
    random_factors,
    spread_out,
)


@st.composite
def holed_models(draw, total=40.0):
    """A model, its structural zeros and the full joint."""
    domain = draw(domains(most=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    factors = random_factors(rng, domain, draw(clique_sets(domain, most=4)))
    holed = dict.fromkeys(draw(clique_sets(domain, most=2, widest=2)))
    zeros = [(c, rng.random(domain.shape(c)) < 0.3) for c in holed]
    log_density = log_joint(domain, factors)
    for clique, mask in zeros:
        log_density = np.where(spread_out(domain, clique, mask), -np.inf, log_density)
    if not np.isfinite(log_density.max()):
        zeros, log_density = [], log_joint(domain, factors)
    joint, _ = normalised(log_density, total)
    return model_of(domain, factors, total, zeros), joint, rng


@given(holed_models())
def test_structural_zeros_hold_in_every_marginal(drawn):
    model, joint, _ = drawn
    for clique in all_cliques(model.domain, 2):
        expected = marginal(joint, model.domain, clique)
        found = model.marginal(clique)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert (found[expected == 0] == 0).all()


@given(holed_models(), st.integers(1, 3))
def test_conditioning_is_restricting_the_full_joint(drawn, how_many):
    model, joint, rng = drawn
    domain = model.domain
    names = rng.permutation(domain.attributes)[:how_many]
    allowed = {str(a): rng.random(domain.sizes[str(a)]) < 0.6 for a in names}
    for a, mask in allowed.items():
        joint = joint * spread_out(domain, (a,), mask)
    if joint.sum() == 0:
        with pytest.raises(ParameterError, match=r"holds no rows with this combination"):
            model.given(allowed)
        return
    restricted = model.given(allowed)
    assert restricted.total == pytest.approx(joint.sum())
    for clique in all_cliques(domain):
        found = restricted.marginal(clique)
        np.testing.assert_allclose(found, marginal(joint, domain, clique), atol=1e-9)
    for a, mask in allowed.items():
        assert (restricted.marginal((a,))[~mask] == 0).all()


def test_conditioning_on_everything_changes_nothing():
    domain = Domain({"a": 2, "b": 3})
    model = model_of(domain, random_factors(np.random.default_rng(0), domain, [("a", "b")]))
    same = model.given({"a": np.array([True, True])})
    np.testing.assert_allclose(same.marginal(("a", "b")), model.marginal("ab"))


def test_an_impossible_combination_names_its_attributes_and_the_mend():
    domain = Domain({"a": 2, "b": 2})
    model = model_of(domain, [], zeros=[(("a", "b"), np.array([[True, False], [False, False]]))])
    with pytest.raises(ParameterError, match=r"combination of a, b; ask for a wider one"):
        model.given({"a": np.array([True, False]), "b": np.array([True, False])})


@given(holed_models())
def test_answers_are_projected_marginals(drawn):
    model, joint, rng = drawn
    a = model.domain.attributes[-1]
    group = np.unique(rng.integers(0, 3, model.domain.sizes[a]), return_inverse=True)[1]
    clique = model.domain.clique({model.domain.attributes[0], a})
    query = Query(clique, {a: group})
    expected = query.project(marginal(joint, model.domain, clique))
    np.testing.assert_allclose(model.answer(query), expected, atol=1e-9)


def test_factors_on_groups_are_factors_on_their_codes():
    domain = Domain({"a": 4, "b": 5, "c": 2})
    rng = np.random.default_rng(3)
    groups = {"a": np.array([0, 1, 0, 2]), "b": np.array([1, 1, 0, 0, 1])}
    coarse = rng.standard_normal((3, 2))
    fine = rng.standard_normal((5, 2))
    from mezzotint.tables.graphical import GraphicalModel
    from mezzotint.tables.graphical.model import Potential

    potentials = {
        Query(("a", "b"), groups): Potential(coarse, np.ones((3, 2))),
        Query(("b", "c")): Potential(fine, np.ones((5, 2))),
    }
    model = GraphicalModel(domain, potentials, 30.0, ())
    full = coarse[np.ix_(groups["a"], groups["b"])]
    joint, _ = normalised(log_joint(domain, [(("a", "b"), full), (("b", "c"), fine)]), 30.0)
    for clique in all_cliques(domain):
        np.testing.assert_allclose(model.marginal(clique), marginal(joint, domain, clique))


def test_names_come_back_in_the_domains_order():
    domain = Domain({"b": 2, "a": 3})
    model = model_of(domain, [])
    assert model.marginal(["a", "b"]).shape == (2, 3)
    assert set(model.tree.cliques) == {("a",), ("b",)}
