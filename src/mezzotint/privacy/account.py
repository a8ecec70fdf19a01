"""What a data set has spent over all its runs, and what is left.

Runs compose by adding their zCDP, and the deltas that they spent beside it (Bun, Steinke 2016,
Lemmas 1.7 and 8.2); the sum is shown as epsilon through the tight conversion. A budget belongs to
a lineage: every name and every version under which the same people's data came in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mezzotint.errors import BudgetError
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.releases import delta_of, epsilon_of, rho_of, units_within


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
        cap_units: The pico-rho that the cap holds beside the booked units of delta.
        runs: How many runs there were.
    """

    datasets: tuple[str, ...]
    unit: PrivacyUnit
    delta: float
    booked: int
    reserved: int
    delta_units: int
    cap: Budget | None
    cap_units: int | None
    runs: int

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
        return epsilon_of(self.booked, self.delta, self.delta_units)

    @property
    def left(self) -> int | None:
        """Pico-rho left under the cap."""
        return None if self.cap_units is None else max(0, self.cap_units - self.booked)

    @property
    def epsilon_left(self) -> float | None:
        """The largest epsilon at `delta` that a further run may ask for."""
        return None if self.left is None else epsilon_of(self.left, self.delta)

    def sentence(self) -> str:
        """The running total in words."""
        names = " = ".join(repr(name) for name in self.datasets)
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        total = f"data set {names}: {runs}, epsilon {self.epsilon:.4g} in all"
        if self.reserved:
            total += f" (rho {rho_of(self.reserved):.4g} of it reserved by runs not yet ended)"
        total += f" at delta {self.delta:g}"
        if self.delta_units:
            total += f" ({self.delta_spent:.4g} of it for thresholds)"
        total += f", per {self.unit}"
        if self.cap is None:
            return total + "; no cap is set"
        assert self.epsilon_left is not None
        left = show_down(self.epsilon_left)
        return total + f"; the cap is epsilon {self.cap.epsilon:g}, and epsilon {left} is left"

    def require(self, budget: Budget, units: int, delta_units: int, dataset: str) -> None:
        """Refuses a run that the cap does not hold, saying what is left.

        Args:
            budget: What the run asks for.
            units: The same in pico-rho,
            delta_units: beside units of delta that it sets aside.
            dataset: The data set's name, as the run gives it.
        """
        if self.cap is None:
            return
        within = max(0, units_within(self.cap, self.delta_units + delta_units) - self.booked)
        if units <= within:
            return
        delta = self.cap.delta
        left = show_down(epsilon_of(within, delta, delta_units) if within else 0.0)
        asked = f"epsilon {budget.epsilon:g} at delta {budget.delta:g}"
        if budget.delta != delta:
            asked += f" (epsilon {epsilon_of(units, delta, delta_units):.4g} at delta {delta:g})"
        if self.delta_units + delta_units:
            aside = delta_of(self.delta_units + delta_units)
            asked += f" (thresholds of all runs take delta {aside:.4g})"
        mend = f"Ask for at most epsilon {left}, or raise" if within else "Raise"
        mend += " the cap if the data's owner agrees"
        if self.reserved:
            mend += "; runs that crashed can be settled"
        others = ", ".join(repr(name) for name in self.datasets if name != dataset)
        raise BudgetError(
            f"data set {dataset!r}{f' (also {others})' if others else ''}: the cap is epsilon "
            f"{self.cap.epsilon:g} at delta {delta:g}, epsilon "
            f"{epsilon_of(self.booked, delta, self.delta_units):.4g} of it is spent"
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
