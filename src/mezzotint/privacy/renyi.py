"""Renyi curves in integers: how runs of different kinds add up on one data set.

A curve holds, for every order of `ORDERS`, an upper bound of the Renyi divergence between
neighbours in units of 10^-12, rounded up. Curves add under composition (Mironov 2017, Proposition
1), and rho of zCDP is the curve alpha rho; every order gives a valid epsilon, and the least of them
is taken.

The orders are fixed for good, because curves are kept in ledgers: alpha - 1 runs geometrically
from 1/16 to 1024 in steps of an eighth octave, and is a whole number from 16 on. A Gaussian's and
randomised response's curves are their exact ones, a subsampled Gaussian's comes from dp-accounting.
Where that fails to converge (some broken orders), the bound by the convexity of
(alpha - 1) D_alpha in alpha stands between the neighbouring whole orders.

References:
    Mironov. Renyi Differential Privacy. CSF 2017.
    Mironov, Talwar, Zhang. Renyi Differential Privacy of the Sampled Gaussian Mechanism. 2019.
    Canonne, Kamath, Steinke. The Discrete Gaussian for Differential Privacy. NeurIPS 2020.
"""

from __future__ import annotations

import bisect
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache

from mezzotint.privacy.events import Gaussian, PureDP, Shuffled, SubsampledGaussian

UNITS = 10**12
# Doubles are right to far more digits than this; what they may be off by is paid for here.
_MARGIN = 1 + 1e-9
_LEAST = 1e-9


def _orders() -> tuple[Fraction, ...]:
    excesses = []
    for i in range(-32, 81):
        value = 2.0 ** (i / 8)
        whole = value >= 16
        excesses.append(Fraction(round(value)) if whole else Fraction(round(value * 1024), 1024))
    return tuple(1 + excess for excess in sorted(set(excesses)))


ORDERS = _orders()
Curve = tuple[int, ...]
ZERO: Curve = (0,) * len(ORDERS)
_FEW = tuple(n for n in (2, 3, 5, 9, 17, 33, 65, 129) if n in ORDERS)


def add(curves: Iterable[Curve]) -> Curve:
    """The curve of a composition."""
    total = ZERO
    for curve in curves:
        total = tuple(a + b for a, b in zip(total, curve, strict=True))
    return total


def zcdp_curve(units: int) -> Curve:
    """The curve of so many pico-rho of zCDP."""
    return tuple(math.ceil(order * units) for order in ORDERS)


def curve_of(event: Gaussian | SubsampledGaussian | PureDP | Shuffled) -> Curve:
    """The curve of an event; of a shuffled one, what it is without the shuffling."""
    if isinstance(event, Shuffled):
        return add(curve_of(part) for part in event.local)
    if isinstance(event, Gaussian):
        rho = Fraction(event.count) / (2 * Fraction(event.noise_multiplier) ** 2)
        return tuple(math.ceil(order * rho * UNITS) for order in ORDERS)
    if isinstance(event, PureDP):
        return tuple(_up(event.count * _response(event.epsilon, float(a))) for a in ORDERS)
    if event.rate >= 1.0:
        return curve_of(Gaussian(event.noise_multiplier, event.steps))
    return _subsampled(event)


def rough_epsilon(
    events: Iterable[Gaussian | SubsampledGaussian | PureDP | Shuffled], delta: float
) -> float:
    """About what events cost together, quickly: from a few whole orders only.

    A first guess for a search, and no figure to rely on.
    """
    total = dict.fromkeys(_FEW, 0.0)
    for event in events:
        if isinstance(event, SubsampledGaussian) and event.rate < 1.0:
            found = _divergences(event, list(map(float, _FEW)))
        else:
            curve = dict(zip(ORDERS, curve_of(event), strict=True))
            found = {float(a): curve[Fraction(a)] / UNITS for a in _FEW}
        for order in _FEW:
            total[order] += found[float(order)]
    return min(total[a] + math.log(1 / delta) / (a - 1) for a in _FEW)


def _response(epsilon: float, order: float) -> float:
    """The Renyi divergence of binary randomised response, which dominates epsilon-DP."""
    high, low = order * epsilon, (1 - order) * epsilon
    ahead = high + math.log1p(math.exp(low - high)) - epsilon - math.log1p(math.exp(-epsilon))
    return min(ahead / (order - 1) + 1e-13, epsilon)


@lru_cache(maxsize=256)
def _subsampled(event: SubsampledGaussian) -> Curve:
    whole = {n for a in ORDERS for n in (math.floor(a), math.ceil(a)) if n >= 2}
    exact = _divergences(event, sorted({*whole, *map(float, ORDERS)}))
    curve = []
    for order in ORDERS:
        below, above = math.floor(order), math.ceil(order)
        low = (below - 1) * exact.get(below, 0.0)
        high = (above - 1) * exact[above]
        share = float(order - below)
        between = ((1 - share) * low + share * high) / float(order - 1)
        curve.append(_up(min(exact[float(order)], between)))
    return tuple(curve)


def _divergences(event: SubsampledGaussian, orders: list[float]) -> dict[float, float]:
    from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant

    accountant = RdpAccountant(orders=orders)
    with _quiet():
        accountant.compose(event.rdp())
    return dict(zip(orders, (float(d) for d in accountant.rdp), strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings about orders that did not converge."""
    logger = logging.getLogger("absl")
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def _up(value: float) -> int:
    return math.ceil(Fraction(value * _MARGIN) * UNITS)


def epsilon_of_curve(curve: Sequence[int], delta: float) -> float:
    """Epsilon at `delta`; never below the truth. Infinite where `delta` is not positive.

    Source: Canonne, Kamath, Steinke 2020, Proposition 12.
    """
    if not any(curve):
        return 0.0
    if delta <= 0:
        return math.inf
    return min(_epsilons(curve, delta))


def at(curve: Sequence[int], order: Fraction) -> int:
    """An upper bound of a curve at any order up to the largest, in units.

    Between two orders (alpha - 1) D_alpha is below its chord, for it is convex; below the first one
    D_alpha is no larger than there. Beyond the last one nothing is known, and 2^62 is said.
    """
    if order <= ORDERS[0]:
        return curve[0]
    if order > ORDERS[-1]:
        return 2**62 if any(curve) else 0
    place = bisect.bisect_left(ORDERS, order)
    below, above = ORDERS[place - 1], ORDERS[place]
    share = (order - below) / (above - below)
    chord = (1 - share) * (below - 1) * curve[place - 1] + share * (above - 1) * curve[place]
    return math.ceil(chord / (order - 1))


def epsilon_at(order: Fraction, units: int, delta: float) -> float:
    """Epsilon at `delta` of so much divergence at one order; never below the truth.

    Source: Canonne, Kamath, Steinke 2020, Proposition 12.
    """
    a = float(order)
    if delta <= 0 or a <= 1:
        return math.inf if units else 0.0
    epsilon = units / UNITS + math.log1p(-1 / a) - (math.log(delta) + math.log(a)) / (a - 1)
    return max(0.0, epsilon + abs(epsilon) * 1e-12 + 1e-12)


def best_order(curve: Sequence[int], delta: float) -> int:
    """The place of the order that gives `epsilon_of_curve`."""
    epsilons = _epsilons(curve, delta)
    return epsilons.index(min(epsilons))


def _epsilons(curve: Sequence[int], delta: float) -> list[float]:
    epsilons = []
    for order, units in zip(ORDERS, curve, strict=True):
        epsilons.append(epsilon_at(order, units, delta))
    return epsilons
