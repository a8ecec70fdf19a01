"""What is claimed, and which claims an estimator may be used against."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from scipy.optimize import brentq
from scipy.stats import norm

from mezzotint.privacy.checks import check_delta, check_positive


@dataclass(frozen=True)
class Claim:
    """(epsilon, delta)-DP, and nothing more.

    Attributes:
        epsilon: The privacy loss.
        delta: Its failure probability.
    """

    epsilon: float
    delta: float


@dataclass(frozen=True)
class GaussianClaim:
    """mu-Gaussian DP: no test of two neighbours does better than on N(0, 1) and N(mu, 1).

    Only a claim of this kind may be attacked with `bounds.gaussian_bound`: there, what is seen near
    the middle of the two laws says what the far tails hold.

    Attributes:
        mu: The distance of the two normal laws, in standard deviations.
        delta: Where epsilon is stated.

    Source: Dong, Roth, Su. Gaussian Differential Privacy. JRSS B 2022.
    """

    mu: float
    delta: float

    @property
    def epsilon(self) -> float:
        """The epsilon at `delta`."""
        return gaussian_epsilon(self.mu, self.delta)


def gaussian_delta(mu: float, epsilon: float) -> float:
    """The least delta of a mu-Gaussian mechanism at epsilon.

    Source: Balle, Wang. Improving the Gaussian Mechanism. ICML 2018, Theorem 8.
    """
    left = norm.cdf(mu / 2 - epsilon / mu)
    right = math.exp(epsilon + float(norm.logcdf(-mu / 2 - epsilon / mu)))
    return max(0.0, float(left) - right)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The least epsilon of a mu-Gaussian mechanism at delta."""
    delta = check_delta(delta)
    if mu <= 0 or gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(mu, high) > delta:
        high *= 2
    return _root(lambda e: gaussian_delta(mu, e) - delta, 0.0, high)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """The largest mu whose Gaussian mechanism is (epsilon, delta)-DP."""
    check_positive(epsilon, "epsilon", "an epsilon such as 1.0")
    high = 1.0
    while gaussian_epsilon(high, delta) < epsilon:
        high *= 2
    return _root(lambda mu: gaussian_epsilon(mu, delta) - epsilon, 1e-9, high)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return cast("float", brentq(function, low, high, xtol=1e-12))
