"""Exact laws and the tests that compare draws with them.

Every test here raises a false alarm with probability at most `FALSE_ALARM`; some forty uses in
the suite keep the family-wise rate below 1e-5 a run.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-7


def gaussian_law(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and probabilities of the discrete Gaussian, tails below 1e-30 left out."""
    reach = max(1, math.ceil(12 * sigma))
    values = np.arange(-reach, reach + 1)
    weights = np.exp(-(values.astype(float) ** 2) / (2 * sigma**2))
    return values, weights / weights.sum()


def chi_square_p(observed: np.ndarray, expected: np.ndarray) -> float:
    """p-value of a chi-square test; neighbouring cells are pooled to expectations above 20."""
    pools: list[list[float]] = [[0.0, 0.0]]
    for o, e in zip(observed, expected, strict=True):
        pools[-1][0] += o
        pools[-1][1] += e
        if pools[-1][1] >= 20:
            pools.append([0.0, 0.0])
    if len(pools) > 1:
        rest = pools.pop()
        pools[-1][0] += rest[0]
        pools[-1][1] += rest[1]
    if len(pools) < 2:
        return 1.0
    o, e = np.array(pools).T
    return float(stats.chi2.sf(((o - e) ** 2 / e).sum(), len(pools) - 1))


def gaussian_p(draws: np.ndarray, sigma: float) -> float:
    """p-value of draws against the discrete Gaussian's mass function."""
    values, law = gaussian_law(sigma)
    assert np.abs(draws).max(initial=0) <= values[-1]
    observed = np.bincount(draws - values[0], minlength=len(values))
    return chi_square_p(observed, len(draws) * law)


def scale_p(draws: np.ndarray, sigma: float) -> float:
    """Two-sided p-value of the draws' second moment against the exact variance.

    The law is a scaled chi-square with the mean and the variance of the true one. At `FALSE_ALARM`
    the true rate is 1.005e-7 for 200 draws of sigma 3, computed, and nearer for more and larger.
    """
    values, law = gaussian_law(sigma)
    second, fourth = (law * values**2.0).sum(), (law * values**4.0).sum()
    df = 2 * len(draws) * second**2 / (fourth - second**2)
    x = df * (draws.astype(float) ** 2).mean() / second
    return float(min(1.0, 2 * min(stats.chi2.sf(x, df), stats.chi2.cdf(x, df))))
