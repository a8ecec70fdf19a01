"""What a cap allows, when runs are chosen after seeing what earlier ones released.

Adding up is one thing where everything was fixed beforehand; an analyst chooses the next run after
the last one's results. A rule that takes, at every moment, the best of several ways to add up is
not proved then: different results may lead down branches on which different ways are best. So a cap
has one rule, fixed by public facts alone, before anything of the data is seen:

    Order   the Renyi divergence at one order, fixed by the cap and the first run. Runs are accepted
            while the sum of their curves there stays within what the cap allows at that order.
    Sums    the runs' own epsilons and deltas, added up (basic composition).

`Sums` is taken where the first run on the data is a programme that holds back delta for others and
is no small part of the cap: a plan that splits epsilon and delta. All else goes by `Order`. Where
the first run is in zCDP, it is the order that serves zCDP best, so that such runs fill a cap to the
last unit; where it is a programme, the order at which the cap holds most of its like.

A lone programme may fill a cap by its own privacy loss distribution. If it is within the rule as
well, nothing is new. If it is not, then nothing else is ever accepted beside it (what is booked
never shrinks below it once it has released anything), and on every branch the same one programme
is all there is.

Guarantee: all accepted runs together are (cap epsilon, cap delta)-DP, for an adversary who chooses
    every run and its data-independent parameters in knowledge of all earlier results. Beside it:
    where thresholds of runs in zCDP spend delta, how much of it is chosen on the way, and what is
    proved is cap delta plus that.
Sources: Rogers, Roth, Ullman, Vadhan 2016 (filters; basic composition); Feldman, Zrnic 2021, and
    Lecuyer 2021 (Renyi filters at a fixed order); Whitehouse, Ramdas, Rogers, Wu 2023 (zCDP).
Not covered: a cap that is replaced, or two data sets that turn out to be one (`lineage`), after
    something was released: the new cap holds by its own rule from then on, and whoever sets it
    answers for what made him do so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from mezzotint.privacy import renyi
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.programme import Charge, usable_delta, with_samplers
from mezzotint.privacy.releases import UNITS_PER_DELTA, epsilon_of, units_within
from mezzotint.privacy.zcdp import zcdp_order

# A first run of less than this share of the cap's epsilon does not decide for `Sums`.
_SMALL = 64
# Sums of doubles: 0.1 + 0.9 of a delta may be a little more than it.
_DIGITS = Fraction(1, 10**12)


@dataclass(frozen=True)
class Booked:
    """What counts against a cap.

    Attributes:
        units: Pico-rho of runs in zCDP,
        delta_units: and what their thresholds take of delta, in 10^-18.
        charges: What programmes cost.
        granted: Epsilon and delta of every run that counts, as it was granted.
    """

    units: int = 0
    delta_units: int = 0
    charges: tuple[Charge, ...] = ()
    granted: tuple[tuple[float, float], ...] = ()

    def with_run(
        self, budget: Budget, units: int, delta_units: int, charge: Charge | None
    ) -> Booked:
        """The same and one run more."""
        own = (budget.epsilon, budget.delta) if charge is None else (charge.epsilon, charge.delta)
        return Booked(
            self.units + units,
            self.delta_units + delta_units,
            self.charges if charge is None else (*self.charges, charge),
            (*self.granted, own),
        )


class Rule(Protocol):
    """A cap's rule."""

    def total(self, booked: Booked) -> float:
        """What is booked, as epsilon at the cap's delta; infinite where that is used up."""
        ...

    def most(self, booked: Booked) -> int:
        """The most pico-rho in all that the cap holds beside the other things booked."""
        ...

    def holds(self, booked: Booked) -> bool:
        """Whether the cap allows it."""
        ...

    def left(self, booked: Booked) -> tuple[float, float]:
        """The largest epsilon that a further run may ask for, and at which delta."""
        ...


@dataclass(frozen=True)
class Order:
    """Renyi divergence at one order.

    Attributes:
        cap: The most that may be spent.
        first: What the first run on the data costs, if it is a programme.
    """

    cap: Budget
    first: Charge | None = None

    @property
    def order(self) -> Fraction:
        """At which runs add up."""
        if self.first is None:
            return Fraction(zcdp_order(self.cap.epsilon, self.cap.delta))
        within = [
            (self.cap.epsilon - renyi.epsilon_at(order, 0, self.cap.delta)) / max(1, units)
            for order, units in zip(renyi.ORDERS, self.first.curve, strict=True)
        ]
        return renyi.ORDERS[within.index(max(within))]

    def total(self, booked: Booked) -> float:
        """See `Rule`; a lone programme by its own privacy loss distribution."""
        if self._in_zcdp(booked):
            return epsilon_of(booked.units, self.cap.delta, booked.delta_units)
        return min(self._filtered(booked), _alone(booked, self.cap.delta))

    def most(self, booked: Booked) -> int:
        """See `Rule`."""
        most = units_within(self.cap, booked.delta_units)
        if self._in_zcdp(booked):
            return most

        def fits(units: int) -> bool:
            return self._filtered(replace(booked, units=units)) <= self.cap.epsilon

        if fits(most):
            return most
        within = 0
        while most - within > 1:
            middle = (within + most) // 2
            within, most = (middle, most) if fits(middle) else (within, middle)
        return within

    def holds(self, booked: Booked) -> bool:
        """See `Rule`."""
        if self._in_zcdp(booked):
            return booked.units <= self.most(booked)
        return self.total(booked) <= self.cap.epsilon

    def left(self, booked: Booked) -> tuple[float, float]:
        """See `Rule`; in zCDP."""
        return epsilon_of(max(0, self.most(booked) - booked.units), self.cap.delta), self.cap.delta

    def _in_zcdp(self, booked: Booked) -> bool:
        """Whether the bound at the best order is that at ours, for there is nothing but zCDP."""
        return self.first is None and not booked.charges

    def _filtered(self, booked: Booked) -> float:
        left = Fraction(self.cap.delta) - Fraction(booked.delta_units, UNITS_PER_DELTA)
        if left <= 0:
            return math.inf
        delta = math.nextafter(float(left), 0.0)
        slack = sum(charge.slack for charge in booked.charges)
        spent = math.ceil(self.order * booked.units)
        for charge in booked.charges:
            spent += renyi.at(charge.curve, self.order)
        epsilon = renyi.epsilon_at(self.order, spent, usable_delta(delta, slack))
        # One event more stands for the draws of the runs in zCDP.
        events = 1 + sum(len(charge.programme.events) for charge in booked.charges)
        return with_samplers(epsilon, delta, slack, events)


@dataclass(frozen=True)
class Sums:
    """Epsilons and deltas as they were granted.

    Attributes:
        cap: The most that may be spent.
    """

    cap: Budget

    def total(self, booked: Booked) -> float:
        """See `Rule`."""
        epsilon, delta = self._sums(booked)
        return math.inf if delta > self._within(self.cap.delta) else float(epsilon)

    def most(self, booked: Booked) -> int:
        """See `Rule`."""
        epsilon, delta = self.left(booked)
        if epsilon <= 0:
            return booked.units
        return booked.units + units_within(replace(self.cap, epsilon=epsilon, delta=delta))

    def holds(self, booked: Booked) -> bool:
        """See `Rule`."""
        epsilon, delta = self._sums(booked)
        within = self._within
        return epsilon <= within(self.cap.epsilon) and delta <= within(self.cap.delta)

    def left(self, booked: Booked) -> tuple[float, float]:
        """See `Rule`."""
        epsilon, delta = self._sums(booked)
        left = float(Fraction(self.cap.epsilon) - epsilon), float(Fraction(self.cap.delta) - delta)
        return left if min(left) > 0 else (0.0, self.cap.delta)

    def _sums(self, booked: Booked) -> tuple[Fraction, Fraction]:
        epsilons = sum((Fraction(e) for e, _ in booked.granted), Fraction(0))
        return epsilons, sum((Fraction(d) for _, d in booked.granted), Fraction(0))

    def _within(self, most: float) -> Fraction:
        return Fraction(most) * (1 + _DIGITS)


def rule_of(cap: Budget, first: Charge | None) -> Rule:
    """The rule of a cap.

    Args:
        cap: The most that may be spent.
        first: What the first run on the data costs, if it is a programme.
    """
    if first is not None and first.delta < cap.delta and _SMALL * first.epsilon >= cap.epsilon:
        return Sums(cap)
    return Order(cap, first)


def _alone(booked: Booked, delta: float) -> float:
    if len(booked.charges) != 1 or booked.units or booked.delta_units:
        return math.inf
    only = booked.charges[0]
    return only.epsilon if delta >= only.delta else only.programme.epsilon(delta)
