"""The ledger: every release is recorded before it happens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from types import TracebackType
from typing import Self

from mezzotint.errors import BudgetError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.checks import check_positive
from mezzotint.privacy.releases import RHO_UNIT, Release, Spend


class Run:
    """One mechanism's spending on one data set."""

    def __init__(self, budget: Budget, mechanism: str, dataset: str, noise: str) -> None:
        self.budget = budget
        self.mechanism = mechanism
        self.dataset = dataset
        self._noise = noise
        self._units = math.floor(Fraction(budget.rho) / Fraction(10) ** -12)
        self._slack = min(100_000, self._units >> 10)
        self._spent = 0
        self._releases: list[Release] = []

    @property
    def private(self) -> bool:
        """False if the noise was switched off or seeded for a test."""
        return self._noise == "os"

    @property
    def total_rho(self) -> float:
        """What a mechanism may plan with."""
        return (self._units - self._slack) * RHO_UNIT

    @property
    def remaining_rho(self) -> float:
        """What a mechanism may still plan with."""
        return max(0, self._units - self._slack - self._spent) * RHO_UNIT

    @property
    def releases(self) -> tuple[Release, ...]:
        """What was recorded so far."""
        return tuple(self._releases)

    def gaussian(self, about: str, sigma: float, l2_squared: int | None = None) -> Spend:
        """Records discrete Gaussian noise of scale sigma; costs l2_squared / (2 sigma^2)."""
        l2_squared = self.budget.unit.l2_squared if l2_squared is None else l2_squared
        sigma = check_positive(sigma, "sigma", "the noise scale")
        cost = Fraction(l2_squared) / (2 * Fraction(sigma) ** 2)
        return self._record("gaussian", about, {"sigma": sigma, "l2_squared": l2_squared}, cost)

    def exponential(self, about: str, epsilon: float, sensitivity: int) -> Spend:
        """Records an exponential mechanism; costs epsilon^2 / 8 (bounded range)."""
        epsilon = check_positive(epsilon, "epsilon", "the selection's epsilon")
        parameters = {"epsilon": epsilon, "sensitivity": sensitivity}
        return self._record("exponential", about, parameters, Fraction(epsilon) ** 2 / 8)

    def _record(
        self, kind: str, about: str, parameters: Mapping[str, float | int], cost: Fraction
    ) -> Spend:
        units = math.ceil(cost * 10**12)
        if self._spent + units > self._units:
            raise BudgetError(f"{about}: costs {units} of {self._units - self._spent} pico-rho")
        self._spent += units
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        release = Release(len(self._releases), kind, about, parameters, units, now)
        self._releases.append(release)
        return Spend(release, self._noise)

    def close(self) -> None:
        """Ends the run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class Ledger:
    """Hands out runs."""

    def __init__(self, noise: str = "os") -> None:
        self._noise = noise

    @classmethod
    def memory(cls, *, insecure_noise: str | int | None = None) -> Ledger:
        """A ledger that lives as long as the process."""
        return cls("os" if insecure_noise is None else str(insecure_noise))

    def begin(
        self, budget: Budget, *, mechanism: str, dataset: str, fingerprint: bytes | None = None
    ) -> Run:
        """Reserves the budget."""
        return Run(budget, mechanism, dataset, self._noise)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        pass
