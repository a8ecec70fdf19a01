"""Stocks of noise: each entry once, at most half of the variance, a clear end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.encrypted.marks import BLOCK
from mezzotint.encrypted.pool import Book, Level, own_scale
from mezzotint.errors import BudgetError


@given(
    st.lists(st.tuples(st.floats(1, 100), st.integers(1, 8)), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(2, 300), st.integers(1, 3 * BLOCK)), max_size=12),
)
def test_every_entry_is_used_once_and_half_the_variance_stays(levels, requests):
    stocks = [Level(sigma, BLOCK * n) for sigma, n in levels]
    book, used = Book(stocks), [np.zeros(level.entries, int) for level in stocks]
    for sigma, cells in requests:
        try:
            draws = book.take(sigma, cells)
        except BudgetError:
            continue
        for draw in draws:
            assert draw.entries >= cells
            used[draw.level][draw.start : draw.start + draw.entries] += 1
        scales = book.scales(draws)
        assert sum(s * s for s in scales) <= sigma * sigma / 2 * (1 + 1e-12)
        own = own_scale(sigma, scales)
        assert own * own + sum(s * s for s in scales) >= sigma * sigma * (1 - 1e-15)
    assert all(stock.max(initial=0) <= 1 for stock in used)


def test_an_exhausted_pool_says_so():
    book = Book([Level(1.0, BLOCK)])
    book.take(2.0, 1)
    with pytest.raises(BudgetError, match=r"exhausted.*larger pool"):
        book.take(2.0, 1)


def test_both_sides_come_to_the_same_draws():
    levels = [Level(8.0, 640), Level(4.0, 640), Level(2.0, 320)]
    one, two = Book(levels), Book(levels)
    rng = np.random.default_rng(1)
    for _ in range(20):
        sigma, cells = float(rng.uniform(3, 20)), int(rng.integers(1, 60))
        copy = two.copy()
        try:
            assert one.take(sigma, cells) == two.take(sigma, cells)
        except BudgetError:
            break
        assert copy.choose(sigma, cells) is not None
