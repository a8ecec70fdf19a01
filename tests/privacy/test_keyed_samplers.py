"""The keyed samplers' proofs, checked: thresholds, laziness, determinism."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_right
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.privacy import gaussian_table, selection
from mezzotint.privacy.fixed_point import exp_minus
from mezzotint.privacy.gaussian_table import keyed_discrete_gaussian
from mezzotint.privacy.keyed_bits import KeyedBits

KEY = bytes(range(32))
GOLDEN_TABLE = [-12, -4, -8, -6, 15, 1, -6, -4]
GOLDEN_LARGE = [1023313, 153480, -273938, 431147]
GOLDEN_CHOICES = [3, 3, 1, 3, 2, 1, 3, 3]


def exact_law(sigma: float, reach: int) -> tuple[list[Decimal], Decimal]:
    """P(X = k) for k = -reach..reach and P(|X| > reach), in the context's digits."""
    variance = Decimal(sigma) ** 2
    weights = [(-Decimal(k * k) / (2 * variance)).exp() for k in range(reach + 1)]
    beyond, k = Decimal(0), reach + 1
    while (tail := (-Decimal(k * k) / (2 * variance)).exp()) > Decimal(2) ** -300:
        beyond, k = beyond + 2 * tail, k + 1
    total = 2 * sum(weights) - 1 + beyond
    law = [w / total for w in weights]
    return law[:0:-1] + law, beyond / total


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 3.7, 12.25, 60.0])
def test_the_table_is_within_its_stated_distance_of_the_true_law(sigma: float):
    thresholds = gaussian_table._thresholds(1 / (2 * Fraction(sigma) ** 2), two_sided=True)
    edges = [0, *thresholds, 2**256]
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 130, -(10**9), 10**9
        law, beyond = exact_law(sigma, len(thresholds) // 2)
        table = [Decimal(b - a) / 2**256 for a, b in itertools.pairwise(edges)]
        differences = [abs(t - p) for t, p in zip(table, law, strict=True)]
        distance = (sum(differences) + beyond) / 2
        assert distance < Decimal(gaussian_table.STATISTICAL_DISTANCE)


@given(x=st.fractions(0, 60, max_denominator=10**6), bits=st.sampled_from([64, 256, 384]))
def test_fixed_point_exponential_is_off_by_less_than_one(x: Fraction, bits: int):
    with localcontext() as context:
        context.prec = 200
        exact = (-Decimal(x.numerator) / Decimal(x.denominator)).exp() * 2**bits
        assert abs(exp_minus(x, bits) - exact) < 1


@pytest.mark.parametrize("sigma", [0.5, 8.0, 300.0])
def test_lazy_draws_equal_draws_by_the_full_table(sigma: float):
    """The oracle inverts all 256 bits; where laziness stopped early, any further bits will do."""
    thresholds = gaussian_table._thresholds(1 / (2 * Fraction(sigma) ** 2), two_sided=True)
    draws = keyed_discrete_gaussian(KEY, sigma, 5000)
    first = KeyedBits(KEY, "gaussian table first").words(5000, "<u2")
    more = KeyedBits(KEY, "gaussian table more")
    undecided = 0
    for draw, bucket in zip(draws, first, strict=True):
        low, high = int(bucket) << 240, ((int(bucket) + 1) << 240) - 1
        if bisect_right(thresholds, low) != bisect_right(thresholds, high):
            undecided += 1
            low = (int(bucket) << 240) | (int(more.words(1)[0]) >> 16 << 192)
        assert draw == bisect_right(thresholds, low) - len(thresholds) // 2
    assert undecided > 0 or sigma < 1


class Scripted:
    """Bits that a test dictates."""

    def __init__(self, words: list[int], integers: list[int]) -> None:
        self._words, self._integers = words, integers

    def words(self, count: int, dtype: str = "<u8") -> np.ndarray:
        taken, self._words = self._words[:count], self._words[count:]
        return np.array(taken, dtype)

    def integer(self, bits: int) -> int:
        assert bits == 192
        return self._integers.pop(0)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_tie_of_64_bits_is_broken_by_the_other_192(beyond: int):
    sigma = 3.0
    table = gaussian_table.table_of(Fraction(sigma) ** 2, two_sided=True)
    threshold = table.thresholds()[60]
    rest = threshold & ((1 << 192) - 1)
    draws = gaussian_table.Draws(table, KEY, "table")
    word = threshold >> 192
    draws._bits = Scripted([word >> 48], [])
    draws._more = Scripted([(word & ((1 << 48) - 1)) << 16], [rest + beyond])
    value = draws.take(1)[0]
    assert value == (60 if beyond < 0 else 61) - table.offset


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_tied_coin_of_the_large_sampler_is_tossed_to_its_last_bit(beyond: int):
    variance = Fraction(5000.0) ** 2
    u, k, m = 3, 700, 8
    probability = exp_minus(Fraction(u * (u + 2 * m * k)) / (2 * variance), 256)
    uniform = probability + beyond
    bits = Scripted([uniform >> 192], [uniform & ((1 << 192) - 1)])
    accepted = gaussian_table.accept(bits, bits.words(1), np.array([u]), np.array([k]), m, variance)
    assert accepted[0] == (uniform < probability)


@given(
    scores=st.lists(st.integers(-300, 300), min_size=1, max_size=40),
    rate=st.fractions(Fraction(1, 1000), 5),
    salt=st.integers(0, 2**32),
)
def test_selection_by_doubles_equals_selection_by_integers(scores, rate, salt):
    key = salt.to_bytes(32, "big")
    array = np.array(scores, np.int64)
    bits = KeyedBits(key, "exponential")
    uniform = (bits.integer(64) << 192) | bits.integer(192)
    gaps = (array.max() - array).astype(np.uint64)
    edges = selection._exact_edges(rate, gaps, gaps * float(rate))
    assert selection.keyed_exponential(key, rate, array) == bisect_right(edges, uniform)


def test_selection_near_an_edge_uses_all_bits(monkeypatch):
    rate, array = Fraction(1, 3), np.array([4, 1, 3, 4], np.int64)
    gaps = (array.max() - array).astype(np.uint64)
    edges = selection._exact_edges(rate, gaps, gaps * float(rate))
    for index, edge in enumerate(edges):
        for beyond in (-1, 0):
            uniform = edge + beyond

            class Fixed:
                def __init__(self, key: bytes, label: str) -> None:
                    self._parts = [uniform >> 192, uniform & ((1 << 192) - 1)]  # noqa: B023

                def integer(self, bits: int) -> int:
                    return self._parts.pop(0)

            monkeypatch.setattr(selection, "KeyedBits", Fixed)
            assert selection.keyed_exponential(KEY, rate, array) == index + 1 + beyond


@given(st.integers(0, 300_000), st.sampled_from([0.7, 40.0, 3000.0]))
def test_draws_are_a_function_of_key_and_size(size: int, sigma: float):
    once = keyed_discrete_gaussian(KEY, sigma, size)
    assert once.shape == (size,)
    assert np.array_equal(once, keyed_discrete_gaussian(KEY, sigma, size))


def test_draws_never_change_between_versions():
    """A repeated request must give the bytes of the first attempt, even after an update."""
    assert keyed_discrete_gaussian(KEY, 10.0, 8).tolist() == GOLDEN_TABLE
    assert keyed_discrete_gaussian(KEY, 1e6, 4).tolist() == GOLDEN_LARGE
    chosen = [
        selection.keyed_exponential(bytes([i]) * 32, Fraction(1, 2), np.arange(5)) for i in range(8)
    ]
    assert chosen == GOLDEN_CHOICES


def test_other_keys_give_independent_noise():
    one, other = (keyed_discrete_gaussian(os.urandom(32), 10.0, 100_000) for _ in range(2))
    # 5.3 standard deviations of a sample correlation: false alarm 1e-7.
    assert abs(np.corrcoef(one, other)[0, 1]) < 5.3 / np.sqrt(100_000)
    # Neighbouring draws of one stream are independent as well.
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 5.3 / np.sqrt(99_999)
