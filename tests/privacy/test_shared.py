"""Noise in shares: the cost of the exact sum is never above what is charged."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import ParameterError
from mezzotint.privacy import shared
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger


def gaussian_law(sigma: float, reach: int) -> np.ndarray:
    """The discrete Gaussian's probabilities on -reach .. reach."""
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


@pytest.mark.parametrize(
    "scales", [(1.2, 1.2), (1.2, 3.0), (1.5, 1.2, 1.2), (0.5, 0.5), (4.0, 2.0)]
)
def test_renyi_divergence_of_the_exact_sum_is_within_the_charge(scales):
    """Theorem 1 of Kairouz, Liu, Steinke 2021, against the convolution itself, one cell."""
    law = np.ones(1)
    for scale in scales:
        law = np.convolve(law, gaussian_law(scale, 60))
    # Where doubles still hold the tails to many digits.
    middle = len(law) // 2
    reach = int(6 * math.sqrt(sum(s * s for s in scales)))
    p = law[middle - reach : middle + reach + 1]
    q = law[middle - reach - 1 : middle + reach]
    charge = float(shared.cost(scales, 1, 1))
    for alpha in (1.5, 2.0, 4.0, 8.0):
        divergence = math.log((p**alpha * q ** (1 - alpha)).sum()) / (alpha - 1)
        assert divergence <= alpha * charge * (1 + 1e-9)


@given(st.lists(st.floats(0.5, 100), min_size=1, max_size=5), st.integers(1, 10**6))
def test_cost_is_that_of_one_gaussian_and_a_little(scales, cells):
    exact = Fraction(1) / (2 * sum(Fraction(s) ** 2 for s in scales))
    assert shared.cost(scales, 1, cells) >= exact
    if min(scales) >= 4:
        assert shared.cost(scales, 1, cells) - exact < Fraction(1, 10**50)


def test_small_shares_are_refused():
    with pytest.raises(ParameterError, match="smaller epsilon"):
        shared.cost((0.4, 5.0), 1, 1)


def test_the_ledger_records_all_shares_and_draws_its_own():
    with Ledger.memory() as ledger:
        budget = Budget(2.0)
        with ledger.begin(budget, mechanism="m", dataset="d") as run:
            spend = shared.record(run, "cells", own=30.0, others=(20.0, 10.0), cells=4000)
            noise = shared.own_share(spend, 4000)
            (release,) = run.releases
    assert release.kind == shared.KIND
    assert release.parameters["sigma"] == pytest.approx(math.sqrt(1400))
    assert release.rho == pytest.approx(1 / 2800, rel=1e-6)
    # Standard deviation of 4,000 draws: within 7 of its own standard errors.
    assert noise.std() == pytest.approx(30.0, rel=7 / math.sqrt(8000))
