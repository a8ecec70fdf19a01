"""Public edges and tidy bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.schema.edges import even_edges, tidy_bounds, tidy_step

FINITE = st.floats(-1e12, 1e12)


@given(FINITE, FINITE, st.integers(1, 200), st.sampled_from(["equal", "log"]))
def test_edges_increase_and_end_at_the_bounds(a, b, bins, spacing):
    low, high = sorted((a, b))
    for grid in (None, 0.01):
        edges = even_edges(low, high, bins, spacing, grid)
        assert edges[0] == low and edges[-1] == high
        assert 2 <= len(edges) <= bins + 1 or low == high
        assert (np.diff(edges) > 0).all() or low == high


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(1, 200))
def test_edges_of_whole_numbers_are_whole(low, span, bins):
    for spacing in ("equal", "log"):
        edges = even_edges(low, low + span, bins, spacing, 1)
        assert edges.dtype == np.int64
        assert edges[0] == low and edges[-1] == low + span
        assert (np.diff(edges) > 0).all() or span == 0


def test_log_edges_are_fine_near_zero_and_know_both_signs():
    edges = even_edges(-10_000, 100_000, 32, "log", None)
    widths = np.diff(edges)
    around_zero = np.searchsorted(edges, 0) - 1
    assert widths[around_zero] < 100 < 20_000 < widths[-1]
    assert widths[0] > widths[around_zero]


@given(st.floats(1e-9, 1e12))
def test_a_tidy_step_is_one_two_or_five_and_close(span):
    step = tidy_step(span)
    digits = f"{step:.6e}"
    assert digits[0] in "125" and float(digits[:8]) in (1, 2, 5)
    assert step <= span * (1 + 1e-9) < 2.6 * step


@given(FINITE, FINITE)
def test_tidy_bounds_hold_the_extremes_and_are_not_far(a, b):
    low, high = sorted((a, b))
    tidy_low, tidy_high = tidy_bounds(low, high, whole=False)
    slack = 1e-9 * max(abs(low), abs(high), 1)
    if high - low > 1e-6:
        assert tidy_low <= low + slack and high - slack <= tidy_high
        assert tidy_high - tidy_low <= 1.11 * (high - low) + slack


def test_examples():
    assert tidy_bounds(17, 90, whole=True) == (16, 90)
    assert tidy_bounds(-8019, 102127, whole=True) == (-10000, 105000)
    assert tidy_bounds(0.078, 2.42, whole=False) == (0, 2.5)
    assert tidy_bounds(3, 3, whole=True) == (3, 3)
