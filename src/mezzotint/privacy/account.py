"""What a data set has spent over all its runs, and what is left.

Runs compose by adding their zCDP, and the deltas that they spent beside it (Bun, Steinke 2016,
Lemmas 1.7 and 8.2); the sum is shown as epsilon through the tight conversion. A budget belongs to
a lineage: every name and every version under which the same people's data came in.

Runs with a programme (`programme`) are booked wholly from their beginning, unless they end with
no release at all. What they and the others came to is the least of three true figures: that of the
sum of all Renyi curves; the sum of every programme's own epsilon, each at its own delta, and that
of the zCDP at what those leave of delta; and, where one programme is all there was, its own. That
is what a given history of runs costs. What a cap lets in, while runs are chosen in knowledge of
earlier results, goes by one rule fixed beforehand (`caps`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mezzotint.errors import BudgetError
from mezzotint.privacy import renyi
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.caps import Booked, Order, Rule
from mezzotint.privacy.programme import Charge, usable_delta, with_samplers
from mezzotint.privacy.releases import UNITS_PER_DELTA, delta_of, epsilon_of, rho_of


@dataclass(frozen=True)
class RunRecord:
    """One run, as the ledger lists it.

    Attributes:
        id: Its number in the ledger.
        dataset: The data set's name, as the run gave it.
        mechanism: The mechanism's name.
        budget: What the run may spend.
        units: The same in pico-rho: the reservation.
        spent: The pico-rho of its recorded releases.
        delta_units: What it may spend of delta beside rho, in 10^-18: set aside when it began.
        delta_spent: What its recorded releases spent of it.
        releases: How many there are.
        state: "open" (running, or crashed), "closed" or "settled".
        request: The request id, if the run may be repeated.
        private: False if its noise was switched off or fixed.
        time: When it began.
        charge: What its programme costs; None for a run in zCDP.
    """

    id: int
    dataset: str
    mechanism: str
    budget: Budget
    units: int
    spent: int
    delta_units: int
    delta_spent: int
    releases: int
    state: str
    request: str | None
    private: bool
    time: str
    charge: Charge | None = None

    @property
    def booked(self) -> int:
        """The pico-rho that count against the cap: all it may spend, until it has ended."""
        return self.units if self.state == "open" else self.spent

    @property
    def booked_delta(self) -> int:
        """The units of delta that count against the cap, in the same way."""
        return self.delta_units if self.state == "open" else self.delta_spent

    @property
    def epsilon_spent(self) -> float:
        """What its recorded releases cost, as epsilon at the budget's delta."""
        if self.charge is not None:
            return self.charge.epsilon if self.releases else 0.0
        return epsilon_of(self.spent, self.budget.delta, self.delta_spent)


@dataclass(frozen=True)
class Account:
    """The running total of one lineage.

    Attributes:
        datasets: The names of its data sets.
        unit: The privacy unit, one for all runs.
        delta: The delta at which epsilons are stated: the cap's, else the latest run's, with what
            earlier runs spent of theirs added.
        booked: Pico-rho of all releases and of the reservations of runs that have not ended.
        reserved: The part of `booked` that is reserved and not released (yet).
        delta_units: What is booked of delta beside rho, in 10^-18.
        cap: The most that may be spent in all; None for no limit.
        rule: By which the cap holds.
        granted: Epsilon and delta of every run that counts, as it was granted, where the rule adds
            them up.
        runs: How many runs there were.
        charges: What the booked programmes cost.
    """

    datasets: tuple[str, ...]
    unit: PrivacyUnit
    delta: float
    booked: int
    reserved: int
    delta_units: int
    cap: Budget | None
    rule: Rule | None
    runs: int
    charges: tuple[Charge, ...] = ()
    granted: tuple[tuple[float, float], ...] = ()

    @property
    def rho(self) -> float:
        """The running total in zCDP."""
        return rho_of(self.booked)

    @property
    def delta_spent(self) -> float:
        """The running total of what is spent of delta beside rho."""
        return delta_of(self.delta_units)

    @property
    def epsilon(self) -> float:
        """The running total as epsilon at `delta`; infinite if that is used up."""
        return total_epsilon(self.booked, self.delta, self.delta_units, self.charges)

    @property
    def cap_units(self) -> int | None:
        """The pico-rho that the cap holds beside everything else that is booked."""
        return None if self.rule is None else self.rule.most(self._booked)

    @property
    def left(self) -> int | None:
        """Pico-rho left under the cap."""
        return None if self.cap_units is None else max(0, self.cap_units - self.booked)

    @property
    def epsilon_left(self) -> float | None:
        """The largest epsilon that a further run may ask for, at `delta_left`."""
        return None if self.rule is None else self.rule.left(self._booked)[0]

    @property
    def delta_left(self) -> float | None:
        """Where `epsilon_left` is stated: below the cap's delta if runs hold parts of that."""
        return None if self.rule is None else self.rule.left(self._booked)[1]

    @property
    def _booked(self) -> Booked:
        return Booked(self.booked, self.delta_units, self.charges, self.granted)

    def sentence(self) -> str:
        """The running total in words."""
        names = " = ".join(repr(name) for name in self.datasets)
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        total = f"data set {names}: {runs}, epsilon {self.epsilon:.4g} in all"
        if self.reserved:
            total += f" (rho {rho_of(self.reserved):.4g} of it reserved by runs not yet ended)"
        if self.charges:
            booked = "1 programme" if len(self.charges) == 1 else f"{len(self.charges)} programmes"
            total += f" ({booked} among them)"
        total += f" at delta {self.delta:g}"
        if self.delta_units:
            total += f" ({self.delta_spent:.4g} of it for thresholds)"
        total += f", per {self.unit}"
        if self.cap is None:
            return total + "; no cap is set"
        assert self.epsilon_left is not None
        left = show_down(self.epsilon_left)
        if self.delta_left != self.cap.delta:
            left += f" at delta {self.delta_left:.4g}"
        return total + f"; the cap is epsilon {self.cap.epsilon:g}, and epsilon {left} is left"

    def require(
        self,
        budget: Budget,
        units: int,
        delta_units: int,
        dataset: str,
        charge: Charge | None = None,
    ) -> None:
        """Refuses a run that the cap does not hold, saying what is left.

        Args:
            budget: What the run asks for.
            units: The same in pico-rho,
            delta_units: beside units of delta that it sets aside.
            dataset: The data set's name, as the run gives it.
            charge: What its programme costs, if it has one: then it asks for no rho.
        """
        if self.cap is None or self.rule is None:
            return
        asked_for = self._booked.with_run(budget, units, delta_units, charge)
        if self.rule.holds(asked_for):
            return
        beside = replace(self._booked, delta_units=self.delta_units + delta_units)
        within = max(0, self.rule.most(beside) - self.booked)
        delta = self.cap.delta
        left = show_down(epsilon_of(within, delta, delta_units) if within else 0.0)
        if self.delta_left != delta:
            left = f"{show_down(self.rule.left(beside)[0])} at delta {self.delta_left:.4g}"
        asked = f"epsilon {budget.epsilon:g} at delta {budget.delta:g}"
        if charge is not None:
            together = self.rule.total(asked_for)
            asked = f"a programme of {asked}, which makes epsilon {together:.4g} in all"
            if isinstance(self.rule, Order):
                order = f"{float(self.rule.order):.3g}"
                asked += f" at Renyi order {order}, which cap and first run have fixed"
        elif budget.delta != delta:
            asked += f" (epsilon {epsilon_of(units, delta, delta_units):.4g} at delta {delta:g})"
        if self.delta_units + delta_units:
            aside = delta_of(self.delta_units + delta_units)
            asked += f" (thresholds of all runs take delta {aside:.4g})"
        mend = f"Ask for at most epsilon {left}, or raise" if within else "Raise"
        mend += " the cap if the data's owner agrees"
        if self.reserved:
            mend += "; runs that crashed can be settled"
        spent = self.rule.total(self._booked)
        others = ", ".join(repr(name) for name in self.datasets if name != dataset)
        raise BudgetError(
            f"data set {dataset!r}{f' (also {others})' if others else ''}: the cap is epsilon "
            f"{self.cap.epsilon:g} at delta {delta:g}, epsilon {spent:.4g} of it is spent"
            f"{' or reserved by open runs' if self.reserved else ''}, this run asks for {asked}, "
            f"and epsilon {left} is left; nothing was released. {mend}"
        )


def show_down(epsilon: float, digits: int = 4) -> str:
    """`epsilon` in a few digits, rounded down: asking for what is shown never exceeds it."""
    if epsilon <= 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(epsilon))
    scaled = math.floor(epsilon * 10.0**places) / 10.0**places
    return f"{scaled:.{digits}g}"


def total_epsilon(units: int, delta: float, delta_units: int, charges: Sequence[Charge]) -> float:
    """What pico-rho, units of delta and programmes come to together at `delta`; never below.

    Infinite where the deltas alone use it up.
    """
    if not charges:
        return epsilon_of(units, delta, delta_units)
    left = Fraction(delta) - Fraction(delta_units, UNITS_PER_DELTA)
    if left <= 0:
        return math.inf
    return min(
        _by_curves(units, math.nextafter(float(left), 0.0), charges),
        _by_addition(units, delta, delta_units, charges),
        _alone(units, delta, delta_units, charges),
    )


def _by_curves(units: int, left: float, charges: Sequence[Charge]) -> float:
    slack = sum(charge.slack for charge in charges)
    curve = renyi.add([renyi.zcdp_curve(units), *(charge.curve for charge in charges)])
    # One event more stands for the draws of the runs in zCDP.
    events = 1 + sum(len(charge.programme.events) for charge in charges)
    epsilon = renyi.epsilon_of_curve(curve, usable_delta(left, slack))
    return with_samplers(epsilon, left, slack, events)


def _by_addition(units: int, delta: float, delta_units: int, charges: Sequence[Charge]) -> float:
    rest = Fraction(delta) - sum(Fraction(charge.delta) for charge in charges)
    if rest - Fraction(delta_units, UNITS_PER_DELTA) < 0 or (units and rest <= 0):
        return math.inf
    own = sum(charge.epsilon for charge in charges) * (1 + 1e-12)
    if not units:
        return own
    return own + epsilon_of(units, math.nextafter(float(rest), 0.0), delta_units)


def _alone(units: int, delta: float, delta_units: int, charges: Sequence[Charge]) -> float:
    if len(charges) > 1 or units or delta_units:
        return math.inf
    (only,) = charges
    return only.epsilon if delta >= only.delta else only.programme.epsilon(delta)
