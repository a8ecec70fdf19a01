"""Any marginal of a calibrated tree against the full joint."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import elimination

from ..brute import (
    all_cliques,
    clique_sets,
    domains,
    log_joint,
    marginal,
    model_of,
    normalised,
    random_factors,
)


@st.composite
def models(draw, most=6, total=40.0):
    domain = draw(domains(most=most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    factors = random_factors(rng, domain, draw(clique_sets(domain)))
    joint, _ = normalised(log_joint(domain, factors), total)
    return model_of(domain, factors, total), joint, rng


@given(models())
def test_every_marginal_equals_the_full_joint(drawn):
    """Inside cliques, across cliques, across components, up to all attributes at once."""
    model, joint, _ = drawn
    for clique in [*all_cliques(model.domain), model.domain.attributes]:
        np.testing.assert_allclose(
            model.marginal(clique), marginal(joint, model.domain, clique), atol=1e-9
        )


@given(models(), st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_the_order_of_asking(drawn, random):
    model, joint, _ = drawn
    asked = all_cliques(model.domain)
    random.shuffle(asked)
    for clique in asked:
        np.testing.assert_allclose(
            model.marginal(reversed(clique)), marginal(joint, model.domain, clique), atol=1e-9
        )


def test_a_full_cache_changes_nothing(monkeypatch):
    domain = Domain({f"a{i}": 3 for i in range(7)})
    chain = [(f"a{i}", f"a{i + 1}") for i in range(6)]
    factors = random_factors(np.random.default_rng(0), domain, chain)
    joint, _ = normalised(log_joint(domain, factors), 10.0)
    monkeypatch.setattr(elimination, "CACHE_BYTES", 150)
    model = model_of(domain, factors, 10.0)
    for pair in combinations(domain.attributes, 2):
        np.testing.assert_allclose(model.marginal(pair), marginal(joint, domain, pair), atol=1e-12)


def test_across_structural_zeros():
    """Conditional tables of separators that cannot occur are nothing, not NaN."""
    domain = Domain({"a": 3, "b": 3, "c": 3})
    rng = np.random.default_rng(1)
    factors = random_factors(rng, domain, [("a", "b"), ("b", "c")])
    zeros = [(("b",), np.array([False, True, False]))]
    model = model_of(domain, factors, 10.0, zeros)
    hole = [(("b",), np.array([0.0, -np.inf, 0.0]))]
    joint, _ = normalised(log_joint(domain, factors + hole), 10.0)
    np.testing.assert_allclose(model.marginal("ac"), marginal(joint, domain, "ac"), atol=1e-12)
    assert (model.marginal("b")[1] == 0).all()


def test_the_empty_marginal_is_the_total():
    model = model_of(Domain({"a": 2, "b": 2}), [], 12.0)
    assert model.marginal(()) == pytest.approx(12.0)
