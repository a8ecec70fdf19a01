"""Composition beyond zCDP: Renyi DP and privacy loss distributions, through dp-accounting.

A list of events describes what was (or will be) released; the functions say what it amounts to:

>>> from mezzotint.privacy.composition import pld_epsilon, rdp_epsilon
>>> from mezzotint.privacy.events import SubsampledGaussian
>>> training = [SubsampledGaussian(noise_multiplier=1.0, rate=0.01, steps=100)]
>>> 0 < pld_epsilon(training, delta=1e-5) < rdp_epsilon(training, delta=1e-5) < 2
True

All results are pessimistic: events enter by what dominates them (see `events`), discretisation
rounds up, and a value beyond a method's reach is infinite.

References:
    Mironov. Renyi Differential Privacy. CSF 2017.
    Koskela, Jalko, Honkela. Computing Tight Differential Privacy Guarantees Using FFT. 2020.
    Doroshenko et al. Connect the Dots: Tighter Discrete Approximations of Privacy Loss
    Distributions. PETS 2022 (the pessimistic estimate).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mezzotint.errors import ParameterError
from mezzotint.privacy.checks import check_delta, check_epsilon
from mezzotint.privacy.events import INTERVAL, Event, SubsampledGaussian

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution
    from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant

_TOLERANCE = 1e-3


def rdp_epsilon(events: Sequence[Event], delta: float) -> float:
    """Epsilon of a composition at `delta`, by Renyi DP."""
    check_delta(delta)
    return float(_rdp(events).get_epsilon(delta))


def rdp_delta(events: Sequence[Event], epsilon: float) -> float:
    """Delta of a composition at `epsilon`, by Renyi DP."""
    check_epsilon(epsilon)
    return float(_rdp(events).get_delta(epsilon))


def pld_epsilon(events: Sequence[Event], delta: float) -> float:
    """Epsilon of a composition at `delta`, by privacy loss distributions."""
    check_delta(delta)
    return float(_pld(events).get_epsilon_for_delta(delta))


def pld_delta(events: Sequence[Event], epsilon: float) -> float:
    """Delta of a composition at `epsilon`, by privacy loss distributions."""
    check_epsilon(epsilon)
    return float(_pld(events).get_delta_for_epsilon(epsilon))


def calibrate_noise(epsilon: float, delta: float, *, rate: float = 1.0, steps: int = 1) -> float:
    """The smallest noise multiplier, to a thousandth, that keeps training within a budget.

    Args:
        epsilon: The budget's epsilon.
        delta: The budget's delta.
        rate: The probability with which a unit joins a step.
        steps: How many steps there are.

    Returns:
        A noise multiplier whose `pld_epsilon` is at most `epsilon`; never too small.
    """
    check_epsilon(epsilon)
    check_delta(delta)

    # A grid in proportion to epsilon keeps large budgets quick; it rounds up all the same.
    interval = INTERVAL * max(1.0, epsilon)

    def by_rdp(multiplier: float) -> bool:
        return rdp_epsilon([SubsampledGaussian(multiplier, rate, steps)], delta) <= epsilon

    def by_pld(multiplier: float) -> bool:
        losses = SubsampledGaussian(multiplier, rate, steps).pld(interval)
        return float(losses.get_epsilon_for_delta(delta)) <= epsilon

    # Renyi DP is quick and needs more noise: it brackets the answer from above.
    enough = 1.0
    while not by_rdp(enough):
        enough *= 1.25
    while by_rdp(enough / 1.25):
        enough /= 1.25
    if not by_pld(enough):
        raise ParameterError(
            f"epsilon {epsilon:g} at delta {delta:g} over {steps} steps is finer than privacy loss "
            "distributions resolve: give fewer steps or a larger epsilon"
        )
    while by_pld(enough / 1.25):
        enough /= 1.25
    short = enough / 1.25
    while enough > short * (1 + _TOLERANCE):
        middle = (enough + short) / 2
        if by_pld(middle):
            enough = middle
        else:
            short = middle
    return enough


def _rdp(events: Sequence[Event]) -> RdpAccountant:
    from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant

    _require_events(events)
    accountant = RdpAccountant()
    for event in events:
        accountant.compose(event.rdp())
    return accountant


def _pld(events: Sequence[Event]) -> PrivacyLossDistribution:
    _require_events(events)
    first, *rest = (event.pld() for event in events)
    for other in rest:
        first = first.compose(other)
    return first


def _require_events(events: Sequence[Event]) -> None:
    if not events:
        raise ParameterError("events is empty: describe at least one release to account for")
