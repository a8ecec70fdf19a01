import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import association as scipy_association

from mezzotint.evaluate.association import GROUPS, associate, cramers_v, group, matrix

RNG = np.random.default_rng(5)


def test_v_is_one_where_one_attribute_determines_the_other():
    assert cramers_v(np.diag([30, 50, 20])) == pytest.approx(1.0)


def test_v_is_zero_for_independent_attributes():
    assert cramers_v(np.outer([10, 20, 30], [5, 5, 10])) == 0.0


def test_v_without_the_correction_is_scipys():
    """On many rows the correction vanishes."""
    table = RNG.integers(1_000_000, 9_000_000, (3, 4))
    assert cramers_v(table) == pytest.approx(scipy_association(table), rel=1e-4)


def test_the_correction_removes_the_bias_of_many_small_cells():
    n, size = 400, 20
    a, b = RNG.integers(size, size=(2, n))
    table = np.bincount(a * size + b, minlength=size * size).reshape(size, size)
    assert scipy_association(table) > 0.2
    assert cramers_v(table) < 0.1


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=5))
def test_v_stays_between_zero_and_one_or_is_undefined(counts):
    value = cramers_v(np.array(counts))
    assert np.isnan(value) or 0 <= value <= 1


def test_v_ignores_empty_rows_and_is_undefined_for_constants():
    table = np.array([[30, 0, 0], [0, 0, 50]])
    assert cramers_v(table) == pytest.approx(1.0)
    assert np.isnan(cramers_v(np.array([[5, 7]])))
    assert np.isnan(cramers_v(np.zeros((3, 3))))


def test_few_codes_keep_their_own_groups():
    assert group(np.ones(GROUPS), ordered=True).tolist() == list(range(GROUPS))


@given(st.lists(st.integers(0, 50), min_size=GROUPS + 1, max_size=60), st.booleans())
def test_groups_are_few_and_ordered_ones_are_runs(counts, ordered):
    missing = len(counts) - 1
    groups = group(np.array(counts), ordered=ordered, missing=missing)
    assert groups.max() < GROUPS
    assert (groups[:-1] != groups[missing]).all()
    if ordered:
        assert (np.diff(groups[:-1]) >= 0).all()


def test_ordered_groups_have_about_equal_counts():
    groups = group(np.ones(120), ordered=True)
    assert np.bincount(groups).tolist() == [10] * 12


def test_common_categories_stand_alone():
    counts = np.arange(30)
    groups = group(counts, ordered=False)
    assert groups[29] == 0
    assert (groups[: 30 - GROUPS + 1] == GROUPS - 1).all()


def columns(n=2000):
    a = RNG.integers(0, 3, n)
    return {"a": a, "copy": a, "alone": RNG.integers(0, 4, n), "fixed": np.zeros(n, int)}


SIZES = {"a": 3, "copy": 3, "alone": 4, "fixed": 2}


def test_the_matrix():
    groups = {name: np.arange(size) for name, size in SIZES.items()}
    v = matrix(columns(), groups, list(SIZES))
    assert v[0, 1] == v[1, 0] == pytest.approx(1.0)
    assert v[0, 2] < 0.1
    assert np.isnan(v[3]).all()
    assert (np.diag(v)[:3] == 1).all()


def test_a_public_report_holds_the_synthetic_matrix_only():
    facts = {"ordered": dict.fromkeys(SIZES, False), "missing": dict.fromkeys(SIZES)}
    synthetic = columns()
    public = associate(None, synthetic, SIZES, list(SIZES), **facts)
    assert not public.private
    assert public.difference is None
    assert np.isnan(public.mean_difference)
    full = associate(columns(), synthetic, SIZES, list(SIZES), **facts)
    assert full.private
    assert np.array_equal(full.synthetic, public.synthetic, equal_nan=True)
    assert full.mean_difference < 0.05
