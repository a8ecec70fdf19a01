from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.errors import DataError, ParameterError
from mezzotint.evaluate import fidelity
from mezzotint.evaluate.fidelity import (
    choose_cliques,
    marginal_distance,
    pair_distances,
    resample,
    workload_error,
)
from tests.evaluate.tables import coded

SIZES = {"a": 2, "b": 3, "c": 4, "d": 5}


def brute_force(real, synthetic, clique):
    n, m = (len(next(iter(t.values()))) for t in (real, synthetic))
    x = Counter(zip(*(real[a].tolist() for a in clique), strict=True))
    y = Counter(zip(*(synthetic[a].tolist() for a in clique), strict=True))
    return sum(abs(x[cell] / n - y[cell] / m) for cell in x | y) / 2


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6), st.integers(1, 4))
def test_distances_match_brute_force(n, m, seed, k):
    real, synthetic = coded(n, SIZES, seed), coded(m, SIZES, seed + 1)
    for clique in combinations(SIZES, k):
        expected = brute_force(real, synthetic, clique)
        assert marginal_distance(real, synthetic, SIZES, clique) == pytest.approx(expected)


@given(st.integers(1, 50), st.integers(0, 10**6))
def test_identical_tables_are_at_distance_exactly_zero(n, seed):
    real = coded(n, SIZES, seed)
    for k in (1, 2, 3):
        error = workload_error(real, real, SIZES, k)
        assert error.mean == 0.0
        assert error.worst == 0.0


def test_a_table_repeated_is_at_distance_zero():
    real = coded(7, SIZES)
    thrice = {name: np.tile(column, 3) for name, column in real.items()}
    assert workload_error(real, thrice, SIZES, 3).mean == 0.0


def test_disjoint_tables_are_at_distance_exactly_one():
    real = {name: np.zeros(3, np.uint8) for name in SIZES}
    synthetic = {name: np.ones(11, np.uint8) for name in SIZES}
    for k in (1, 2, 3):
        assert workload_error(real, synthetic, SIZES, k).mean == 1.0


@given(st.integers(0, 10**6))
def test_a_larger_clique_never_differs_less(seed):
    real, synthetic = coded(30, SIZES, seed), coded(20, SIZES, seed + 1)
    for a, b in combinations(SIZES, 2):
        pair = marginal_distance(real, synthetic, SIZES, (a, b))
        assert pair >= marginal_distance(real, synthetic, SIZES, (a,)) - 1e-12


def test_counting_by_sorting_agrees_with_counting_by_cell():
    sizes = {"a": 200, "b": 250, "c": 90}  # 4.5 million cells, 500 rows: sorted
    rng = np.random.default_rng(1)
    real, synthetic = (
        {name: rng.integers(min(size, 6), size=250) for name, size in sizes.items()}
        for _ in range(2)
    )
    small = dict.fromkeys(sizes, 6)
    clique = tuple(sizes)
    assert marginal_distance(real, synthetic, sizes, clique) == marginal_distance(
        real, synthetic, small, clique
    )


def test_clique_sizes_beyond_64_bits():
    sizes = {f"x{i}": 2**15 for i in range(9)}
    real = {name: np.array([0, 2**15 - 1, 5]) for name in sizes}
    synthetic = {name: np.array([2**15 - 1, 7, 5]) for name in sizes}
    assert marginal_distance(real, synthetic, sizes, tuple(sizes)) == pytest.approx(1 / 3)


def test_the_mean_and_the_worst():
    real, synthetic = coded(60, SIZES, 1), coded(60, SIZES, 2)
    error = workload_error(real, synthetic, SIZES, 2)
    every = {c: brute_force(real, synthetic, c) for c in combinations(SIZES, 2)}
    assert error.mean == pytest.approx(np.mean(list(every.values())))
    assert error.worst == pytest.approx(max(every.values()))
    assert every[error.worst_clique] == pytest.approx(error.worst)
    assert (error.cliques, error.cliques_in_all) == (6, 6)
    assert error.private


def test_a_sample_of_cliques_is_stated_distinct_and_repeatable():
    names = [f"x{i}" for i in range(30)]
    chosen = choose_cliques(names, 3, 50, np.random.default_rng(0))
    assert len(set(chosen)) == 50
    assert all(list(c) == sorted(c, key=names.index) and len(set(c)) == 3 for c in chosen)
    sizes = dict.fromkeys(names, 2)
    real, synthetic = coded(20, sizes, 1), coded(20, sizes, 2)
    first, second = (workload_error(real, synthetic, sizes, 3, max_cliques=50) for _ in range(2))
    assert first == second
    assert (first.cliques, first.cliques_in_all) == (50, comb(30, 3))


def test_the_default_effort_samples_wide_tables(monkeypatch):
    monkeypatch.setattr(fidelity, "CELL_LOOKUPS", 1000)
    sizes = {f"x{i}": 2 for i in range(20)}
    real = coded(50, sizes)
    assert workload_error(real, real, sizes, 2).cliques == 100


def test_pair_distances():
    real, synthetic = coded(40, SIZES, 1), coded(30, SIZES, 2)
    names = ["d", "a", "b"]
    matrix = pair_distances(real, synthetic, SIZES, names)
    for i, a in enumerate(names):
        assert matrix[i, i] == marginal_distance(real, synthetic, SIZES, (a,))
        for j in range(i):
            expected = marginal_distance(real, synthetic, SIZES, (a, names[j]))
            assert matrix[i, j] == matrix[j, i] == expected


def test_yardsticks():
    """A fresh draw keeps what two copies of one column share; shuffling loses it."""
    column = np.arange(20_000) % 2
    real = {"a": column, "b": column}
    sizes = {"a": 2, "b": 2}
    rng = np.random.default_rng(0)
    copy = resample(real, 20_000, rng, together=True)
    shuffled = resample(real, 20_000, rng, together=False)
    assert (copy["a"] == copy["b"]).all()
    assert workload_error(real, copy, sizes, 2).mean < 0.03
    assert workload_error(real, shuffled, sizes, 2).mean == pytest.approx(0.5, abs=0.03)


@settings(max_examples=20)
@given(st.sampled_from(["real", "synthetic"]))
def test_an_empty_table_is_refused(which):
    real, synthetic = coded(3, SIZES), coded(3, SIZES)
    empty = {name: np.empty(0, int) for name in SIZES}
    tables = (empty, synthetic) if which == "real" else (real, empty)
    with pytest.raises(DataError, match=f"the {which} table has no rows.*at least one row"):
        marginal_distance(*tables, SIZES, ("a",))


def test_k_out_of_range():
    real = coded(3, SIZES)
    assert workload_error(real, real, SIZES, 5) is None
    with pytest.raises(ParameterError, match=r"k=0.*Give k >= 1"):
        workload_error(real, real, SIZES, 0)
