"""Workloads: which marginals, and AIM's weights by their definition."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Domain
from mezzotint.tables.workload import Workload

DOMAIN = Domain({"a": 2, "b": 3, "c": 4, "d": 5})


@pytest.mark.parametrize("k", [1, 2, 3, 4, np.int64(2)])
def test_all_marginals_of_a_width(k):
    assert list(Workload.of(DOMAIN, k).weights) == list(combinations("abcd", k))


def test_more_attributes_than_there_are_means_all_of_them():
    assert list(Workload.of(DOMAIN, 9).weights) == [("a", "b", "c", "d")]


def test_named_cliques_are_put_in_order_and_weighed_by_how_often_they_stand():
    workload = Workload.of(DOMAIN, [["b", "a"], ("a", "b"), ["d"]])
    assert workload.weights == {("a", "b"): 2, ("d",): 1}


cliques = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3)


@given(st.lists(cliques, min_size=1, max_size=6))
def test_weights_are_the_papers(wanted):
    """w_r = sum over s in W of c_s |r & s|, on the downward closure."""
    workload = Workload.of(DOMAIN, wanted)
    found = workload.importance()
    closure = {
        r for s in workload.weights for k in range(1, len(s) + 1) for r in combinations(s, k)
    }
    assert set(found) == closure
    for r, weight in found.items():
        assert weight == sum(len(set(r) & set(s)) for s in wanted)
    assert [len(r) for r in found] == sorted(len(r) for r in found)


@pytest.mark.parametrize("wanted", [0, -1, True, 2.0, "a", ["a", "b"], [1, 2], None])
def test_what_is_no_workload_is_refused_with_an_example(wanted):
    with pytest.raises(ParameterError, match=r"workload = .*whole number .*list of lists"):
        Workload.of(DOMAIN, wanted)


@pytest.mark.parametrize("wanted", [[], [[]], [["a"], []]])
def test_empty_marginals_are_refused(wanted):
    with pytest.raises(ParameterError, match=r"must name at least one attribute"):
        Workload.of(DOMAIN, wanted)


def test_unknown_attributes_are_named():
    with pytest.raises(ParameterError, match=r"workload: 'x' is not an attribute.*'a', 'b'"):
        Workload.of(DOMAIN, [["a", "x"]])


def test_too_many_marginals_are_refused_before_they_are_listed():
    wide = Domain({f"a{i}": 2 for i in range(1000)})
    with pytest.raises(ParameterError, match=r"166,167,000 marginals of 3.*smaller workload"):
        Workload.of(wide, 3)
