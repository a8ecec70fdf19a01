"""Queries: sums into groups, and the hidden attributes that stand for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Measurement, Query
from mezzotint.tables.graphical.resolution import Resolution

from ..brute import domains


def groupings(size):
    """Every group used, in any order of the codes."""
    return st.lists(st.integers(0, size - 1), min_size=size, max_size=size).map(
        lambda labels: np.unique(labels, return_inverse=True)[1]
    )


@st.composite
def grouped_queries(draw):
    domain = draw(domains(most=3, largest=6))
    grouped = [a for a in domain if draw(st.booleans())]
    groups = {a: draw(groupings(domain.sizes[a])) for a in grouped}
    return domain, Query(domain.attributes, groups)


def indicator(domain, query):
    """The query as a matrix: answer cells x marginal cells."""
    matrix = np.ones((1, 1))
    for a in query.clique:
        size = domain.sizes[a]
        group = query.groups.get(a, np.arange(size))
        one = (np.arange(group.max() + 1)[:, None] == group).astype(float)
        matrix = np.kron(matrix, one)
    return matrix


@given(grouped_queries(), st.integers(0, 2**32))
def test_projection_is_the_indicator_matrix(drawn, seed):
    domain, query = drawn
    marginal = np.random.default_rng(seed).integers(-5, 50, domain.shape(query.clique))
    answer = query.project(marginal)
    assert answer.shape == query.shape(domain)
    assert answer.dtype == marginal.dtype
    np.testing.assert_array_equal(answer.ravel(), indicator(domain, query) @ marginal.ravel())
    assert answer.sum() == marginal.sum()


@given(grouped_queries())
def test_every_row_is_counted_in_one_cell_only(drawn):
    """Guarantee: groups do not raise the sensitivity of a marginal (L1 and squared L2 are 1)."""
    domain, query = drawn
    assert (indicator(domain, query).sum(axis=0) == 1).all()


@given(grouped_queries(), st.integers(0, 2**32))
def test_hidden_attributes_carry_the_transpose(drawn, seed):
    """A factor on hidden attributes gives each cell the factor of its own group."""
    domain, query = drawn
    resolution = Resolution(domain, [query])
    clique = resolution.clique(query)
    assert resolution.domain.shape(clique) == query.shape(domain)
    assert list(resolution.domain.clique(clique)) == list(clique)
    weights = np.random.default_rng(seed).standard_normal(query.shape(domain))
    spread = indicator(domain, query).T @ weights.ravel()
    hidden = [a for a in clique if a not in domain]
    density = np.broadcast_to(
        weights.reshape(
            [1 if a not in clique else resolution.domain.sizes[a] for a in resolution.domain]
        ),
        resolution.domain.shape(resolution.domain),
    )
    for name in hidden:
        tie, impossible = resolution.ties[name]
        mask = impossible.reshape(
            [resolution.domain.sizes[a] if a in tie else 1 for a in resolution.domain]
        )
        density = np.where(mask, 0.0, density)
    axes = tuple(i for i, a in enumerate(resolution.domain) if a in hidden)
    np.testing.assert_allclose(density.sum(axis=axes).ravel(), spread)


def test_the_same_grouping_is_one_hidden_attribute():
    domain = Domain({"a": 4, "b": 3, "c": 2})
    halves, thirds = np.array([0, 0, 1, 1]), np.array([0, 1, 2])
    queries = [
        Query(("a", "b"), {"a": halves}),
        Query(("a", "c"), {"a": halves.copy()}),
        Query(("a", "b"), {"a": 1 - halves, "b": thirds}),
    ]
    resolution = Resolution(domain, queries)
    assert len(resolution.ties) == 3
    assert resolution.clique(queries[0])[0] == resolution.clique(queries[1])[0]
    assert resolution.clique(queries[2])[0] != resolution.clique(queries[0])[0]


def test_queries_are_equal_if_they_ask_for_the_same_cells():
    halves = np.array([0, 0, 1, 1])
    assert Query(("a",), {"a": halves}) == Query(("a",), {"a": halves.copy()})
    assert hash(Query(("a",), {"a": halves})) == hash(Query(("a",), {"a": halves.copy()}))
    assert Query(("a",), {"a": halves}) != Query(("a",))
    assert Query(("a",), {"b": halves}) == Query(("a",))
    assert Query(("a",)) != ("a",)


def test_a_query_says_what_it_asks():
    assert str(Query(("age", "sex"))) == "age x sex"
    assert str(Query(("age", "sex"), {"age": np.array([0, 0, 1])})) == "age in 2 groups x sex"
    assert str(Query(())) == "all rows"
    assert repr(Query(("age",))) == "Query(age)"


def test_a_measurement_knows_its_query():
    groups = {"a": np.array([0, 1, 0])}
    measurement = Measurement(("a", "b"), np.zeros((2, 2)), 3.0, groups)
    assert measurement.query == Query(("a", "b"), groups)
    assert measurement.query.shape(Domain({"a": 3, "b": 2})) == (2, 2)


def test_all_rows_are_a_query_too():
    answer = Query(()).project(np.array(7))
    assert answer == 7
    assert Query(()).shape(Domain({"a": 2})) == ()


@pytest.mark.parametrize("group", [[2, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_groups_need_not_be_neighbours(group):
    group = np.array(group)
    answer = Query(("a",), {"a": group}).project(np.array([1, 10, 100, 1000]))
    expected = [np.array([1, 10, 100, 1000])[group == g].sum() for g in range(group.max() + 1)]
    np.testing.assert_array_equal(answer, expected)
