"""The tight conversion between zCDP and (epsilon, delta)-DP.

A rho-zCDP mechanism is (epsilon, delta)-DP for every epsilon and

    delta = min over alpha > 1 of
            exp((alpha - 1)(alpha rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha

(Canonne, Kamath, Steinke 2020, Proposition 12, with the Renyi divergence alpha * rho of zCDP).
*Every* alpha gives a valid bound, so a poor minimiser can only cost utility, never privacy.

The three functions here are directed and exactly monotone. The minimiser is found in double
precision; the bound itself is then evaluated once in 60 decimal digits and rounded to a double
towards the safe side. Errors of the minimiser enter squared (it is a minimum), far below one
unit in the last place, so that neighbouring doubles never change order.

References:
    Canonne, Kamath, Steinke. The Discrete Gaussian for Differential Privacy. NeurIPS 2020.
    Bun, Steinke. Concentrated Differential Privacy. TCC 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from mezzotint.privacy.checks import check_delta, check_epsilon, check_rho

# Decimal's exponents must reach exp(-1e9) and 1e-308 alike.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN, Emin=-(10**12), Emax=10**12, traps=[])


@lru_cache(maxsize=4096)
def zcdp_epsilon(rho: float, delta: float) -> float:
    """Smallest epsilon for which rho-zCDP implies (epsilon, delta)-DP; never below the truth.

    Source: Canonne, Kamath, Steinke 2020, Proposition 12, solved for epsilon.
    """
    rho, delta = check_rho(rho), check_delta(delta)
    log_inv_delta = -math.log(delta)
    # d epsilon / d alpha = 0  <=>  rho (alpha - 1)^2 = log(1 / (delta alpha))
    excess = _root(
        lambda t: log_inv_delta - math.log1p(t) - rho * t * t,
        log_inv_delta,
    )
    c = _EXACT
    t, r = Decimal(excess), Decimal(rho)
    alpha = c.add(t, 1)
    log_term = c.ln(c.multiply(Decimal(delta), alpha))
    epsilon = c.multiply(alpha, r)
    epsilon = c.subtract(epsilon, c.divide(log_term, t))
    epsilon = c.add(epsilon, c.ln(c.divide(t, alpha)))
    return _round_up(epsilon) if epsilon > 0 else 0.0


@lru_cache(maxsize=4096)
def zcdp_delta(rho: float, epsilon: float) -> float:
    """Smallest delta for which rho-zCDP implies (epsilon, delta)-DP; never below the truth.

    Source: Canonne, Kamath, Steinke 2020, Proposition 12.
    """
    rho, epsilon = check_rho(rho), check_epsilon(epsilon)
    # d log(delta) / d alpha = 0  <=>  (2 alpha - 1) rho - epsilon + log(1 - 1/alpha) = 0
    excess = _root(lambda t: epsilon - (2 * t + 1) * rho - _log_one_minus_inverse(t), math.inf)
    c = _EXACT
    t, r = Decimal(excess), Decimal(rho)
    alpha = c.add(t, 1)
    exponent = c.multiply(t, c.subtract(c.multiply(alpha, r), Decimal(epsilon)))
    log_delta = c.subtract(
        c.add(exponent, c.multiply(alpha, c.ln(c.divide(t, alpha)))),
        c.ln(t),
    )
    return min(_round_up(c.exp(log_delta)), 1.0)


@lru_cache(maxsize=4096)
def zcdp_rho(epsilon: float, delta: float) -> float:
    """Largest rho such that `zcdp_epsilon(rho, delta) <= epsilon`, to the last double.

    Source: Canonne, Kamath, Steinke 2020, Proposition 12, solved for rho.
    """
    epsilon, delta = check_epsilon(epsilon), check_delta(delta)
    c = _EXACT
    t = Decimal(_excess_of_optimum(epsilon, delta))
    alpha = c.add(t, 1)
    numerator = c.add(Decimal(epsilon), c.divide(c.ln(c.multiply(Decimal(delta), alpha)), t))
    numerator = c.subtract(numerator, c.ln(c.divide(t, alpha)))
    rho = float(c.divide(numerator, alpha))
    while zcdp_epsilon(rho, delta) > epsilon:
        rho = math.nextafter(rho, 0.0)
    while zcdp_epsilon(above := math.nextafter(rho, math.inf), delta) <= epsilon:
        rho = above
    return rho


def zcdp_order(epsilon: float, delta: float) -> float:
    """The order alpha at which zCDP of `zcdp_rho` is converted."""
    return 1.0 + _excess_of_optimum(check_epsilon(epsilon), check_delta(delta))


def _excess_of_optimum(epsilon: float, delta: float) -> float:
    """The optimal alpha - 1 of `zcdp_epsilon`, with rho eliminated."""
    log_inv_delta = -math.log(delta)

    def excess(t: float) -> float:
        left = log_inv_delta - math.log1p(t)
        return left * (2 * t + 1) / (t * t) + _log_one_minus_inverse(t) - epsilon

    return _root(excess, log_inv_delta)


def _log_one_minus_inverse(t: float) -> float:
    """log(1 - 1/alpha) at alpha = 1 + t, without cancellation."""
    return -math.log1p(1 / t)


def _root(decreasing: Callable[[float], float], log_upper: float) -> float:
    """Root over t = alpha - 1 > 0 of a decreasing function, by bisection on log t."""
    low, high = -350.0, min(log_upper, 350.0)
    for _ in range(120):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if decreasing(math.exp(middle)) > 0:
            low = middle
        else:
            high = middle
    return math.exp(low)


def _round_up(value: Decimal) -> float:
    """The smallest double that is not below `value`."""
    nearest = float(value)
    return nearest if Decimal(nearest) >= value else math.nextafter(nearest, math.inf)
