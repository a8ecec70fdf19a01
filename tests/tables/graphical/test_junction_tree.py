"""Junction trees: running intersection, chordality, prices."""

from itertools import combinations, pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import JunctionTree, SizeOracle

from ..brute import clique_sets, domains


@st.composite
def graphs(draw, most=8):
    domain = draw(domains(most=most, largest=30))
    return domain, draw(clique_sets(domain, most=12))


@given(graphs())
def test_every_given_clique_is_held_and_every_attribute_stands_somewhere(drawn):
    domain, cliques = drawn
    tree = JunctionTree.of(domain, cliques)
    for clique in cliques:
        held = tree.host(clique)
        assert held is not None
        assert set(clique) <= set(tree.cliques[held])
    assert {a for c in tree.cliques for a in c} == set(domain)
    assert all(c == domain.clique(c) for c in tree.cliques)


@given(graphs())
def test_cliques_are_maximal(drawn):
    tree = JunctionTree.of(*drawn)
    assert not any(set(a) <= set(b) for a in tree.cliques for b in tree.cliques if a is not b)


@given(graphs())
def test_parents_come_first_and_separators_are_what_is_shared(drawn):
    tree = JunctionTree.of(*drawn)
    for i, (clique, parent) in enumerate(zip(tree.cliques, tree.parents, strict=True)):
        assert parent < i
        shared = () if parent < 0 else set(clique) & set(tree.cliques[parent])
        assert set(tree.separators[i]) == set(shared)
        assert parent < 0 or shared
        assert tree.components[i] == (i if parent < 0 else tree.components[parent])


@given(graphs())
def test_running_intersection(drawn):
    """The cliques with an attribute form one connected subtree, whose top stands first."""
    domain, _ = drawn
    tree = JunctionTree.of(*drawn)
    for a in domain:
        holders = [i for i, c in enumerate(tree.cliques) if a in c]
        tops = [i for i in holders if tree.parents[i] not in holders]
        assert list(tree.members[a]) == holders
        assert tops == holders[:1]


@given(graphs())
def test_no_fill_in_without_need(drawn):
    """A chordal graph keeps its own maximal cliques: triangulating twice changes nothing."""
    domain, cliques = drawn
    once = JunctionTree.of(domain, cliques)
    twice = JunctionTree.of(domain, once.cliques)
    assert sorted(twice.cliques) == sorted(once.cliques)


def test_a_square_gets_one_chord():
    domain = Domain({"a": 2, "b": 3, "c": 5, "d": 7})
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    # Chord b-d costs 2*3*7 + 3*5*7 = 147 cells, chord a-c 2*3*5 + 2*5*7 = 100.
    assert sorted(tree.cliques) == [("a", "b", "c"), ("a", "c", "d")]
    assert tree.cells == 100
    assert tree.megabytes == 800 / 2**20


def test_attributes_without_a_clique_stand_alone():
    domain = Domain({"a": 2, "b": 3, "c": 5})
    tree = JunctionTree.of(domain, [])
    assert sorted(tree.cliques) == [("a",), ("b",), ("c",)]
    assert tree.parents == (-1, -1, -1)
    assert tree.cells == 10


def test_sizes_do_not_overflow():
    domain = Domain({f"a{i}": 1000 for i in range(12)})
    tree = JunctionTree.of(domain, [domain.attributes])
    assert tree.cells == 1000**12
    assert SizeOracle(domain, []).affordable({domain.attributes: 1000**12 - 1}) == []
    assert SizeOracle(domain, []).affordable({domain.attributes: 1000**12}) == [domain.attributes]


@given(graphs())
def test_the_host_is_the_smallest_clique_that_holds(drawn):
    domain, _ = drawn
    tree = JunctionTree.of(*drawn)
    for pair in combinations(domain.attributes, min(2, len(domain))):
        sizes = [domain.cells(c) for c in tree.cliques if set(pair) <= set(c)]
        host = tree.host(pair)
        assert (host is None) == (not sizes)
        assert host is None or domain.cells(tree.cliques[host]) == min(sizes)


@given(graphs())
def test_held_candidates_are_free(drawn):
    domain, cliques = drawn
    tree = JunctionTree.of(domain, cliques)
    held = [c for k in (1, 2, 3) for c in combinations(domain.attributes, k)]
    held = [c for c in held if tree.host(c) is not None]
    assert SizeOracle(domain, cliques).affordable(dict.fromkeys(held, 0.0)) == held


@given(graphs(), st.integers(1, 3))
def test_candidates_are_refused_only_if_the_enlarged_model_is_too_large(drawn, width):
    domain, cliques = drawn
    oracle = SizeOracle(domain, cliques)
    for candidate in combinations(domain.attributes, min(width, len(domain))):
        cells = JunctionTree.of(domain, [*cliques, candidate]).cells
        assert oracle.affordable({candidate: cells}) == [candidate]


@given(graphs())
def test_order_and_limits_are_kept_apart(drawn):
    domain, cliques = drawn
    oracle = SizeOracle(domain, cliques)
    pairs = list(combinations(domain.attributes, min(2, len(domain))))
    limits = {p: (oracle.cells + domain.cells(p)) * (i % 3) for i, p in enumerate(pairs)}
    one_by_one = [p for p in pairs if oracle.affordable({p: limits[p]})]
    assert oracle.affordable(limits) == one_by_one


@pytest.mark.parametrize("megabytes", [0.5, 5, 80])
def test_a_model_that_grows_by_what_is_affordable_keeps_to_its_limit(megabytes):
    """As in AIM: any of the affordable pairs, round after round, under a growing limit."""
    sizes = [85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2]
    domain = Domain({f"a{i}": size for i, size in enumerate(sizes)})
    pairs = list(combinations(domain.attributes, 2))
    most = megabytes * 2**17
    for seed in range(2):
        random, cliques = Random(seed), []
        for share in np.linspace(0.04, 1, 25):
            limit = max(most * share, sum(sizes))
            affordable = SizeOracle(domain, cliques).affordable(dict.fromkeys(pairs, limit))
            new = [c for c in affordable if c not in cliques]
            cliques += random.sample(new, min(1, len(new)))
            assert JunctionTree.of(domain, cliques).cells <= limit


def test_no_affordable_triple_is_left_out_for_its_place_in_the_list():
    """All triples of Adult-like breadth fit a generous limit, and so all are offered."""
    domain = Domain({f"a{i}": 3 for i in range(14)})
    chain = list(pairwise(domain.attributes))
    triples = list(combinations(domain.attributes, 3))
    assert SizeOracle(domain, chain).affordable(dict.fromkeys(triples, 1e9)) == triples
