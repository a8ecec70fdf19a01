"""The privacy statement that travels with a model and with every table drawn from it."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from mezzotint.errors import ModelFileError, ParameterError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.planned import require_planned
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.releases import Release, delta_of, epsilon_of, rho_of
from mezzotint.privacy.run import Run
from mezzotint.privacy.views import View

FORMAT = 2
_PACKAGES = ("mezzotint", "numpy", "opendp", "cryptography")


@dataclass(frozen=True)
class Statement:
    """What is guaranteed, to whom, and which releases it rests on. All of it is public.

    Attributes:
        mechanism: The mechanism's name.
        dataset: The data set's name, as the run gave it.
        budget: What was granted: the guarantee.
        releases: Every release of the run.
        private: False if the noise was switched off or fixed: nothing is guaranteed then.
        run: The run's number in its ledger.
        head: The ledger's head when the statement was made; `Ledger.verify(head)` checks it.
        versions: The software that drew the noise.
        programme: What was planned, if the run did not spend zCDP as it went.
        views: The guarantee against each party, if several made the releases together; what is
            granted (`budget`) is the guarantee against everybody else.
    """

    mechanism: str
    dataset: str
    budget: Budget
    releases: tuple[Release, ...]
    private: bool
    run: int
    head: str
    versions: Mapping[str, str]
    programme: Programme | None = None
    views: tuple[View, ...] = ()

    @classmethod
    def of(cls, run: Run) -> Statement:
        """The statement of a run."""
        versions = {name: version(name) for name in _PACKAGES}
        return cls(
            mechanism=run.mechanism,
            dataset=run.dataset,
            budget=run.budget,
            releases=run.releases,
            private=run.private,
            run=run.id,
            head=run.head,
            versions=versions | {"python": platform.python_version()},
            programme=run.programme,
        )

    @property
    def epsilon(self) -> float:
        """The guarantee's epsilon."""
        return self.budget.epsilon

    @property
    def delta(self) -> float:
        """The guarantee's delta."""
        return self.budget.delta

    @property
    def unit(self) -> PrivacyUnit:
        """Whose contribution is hidden."""
        return self.budget.unit

    @property
    def adjacency(self) -> Adjacency:
        """What neighbouring means."""
        return self.budget.unit.adjacency

    @property
    def units(self) -> int:
        """What the releases cost, in pico-rho."""
        return sum(release.units for release in self.releases)

    @property
    def rho(self) -> float:
        """What the releases cost, in zCDP."""
        return rho_of(self.units)

    @property
    def delta_units(self) -> int:
        """What the releases cost of `delta` beside rho, in 10^-18."""
        return sum(release.delta_units for release in self.releases)

    @property
    def delta_spent(self) -> float:
        """The same as a probability: that of thresholds which fail."""
        return delta_of(self.delta_units)

    @property
    def epsilon_spent(self) -> float:
        """What the releases cost, as epsilon at `delta`; never above `epsilon`.

        Rho counts at what `delta_spent` leaves of `delta`, so that both are within `delta`. A
        programme counts wholly as soon as one of its events is released.
        """
        if self.programme is not None:
            return self.programme.epsilon(self.delta) if self.releases else 0.0
        return epsilon_of(self.units, self.delta, self.delta_units)

    def sentence(self) -> str:
        """The guarantee in plain words."""
        if not self.private:
            return (
                "No privacy guarantee: the noise was switched off or fixed for a test. "
                "Do not publish this model, or anything drawn from it."
            )
        unit = self.unit
        rows = "one row" if unit.rows == 1 else f"at most {unit.rows} rows"
        data = "table" if self.programme is None else "data"
        changed = {
            Adjacency.ADD_REMOVE: f"if that {unit.name} had not been in the {data} at all",
            Adjacency.REPLACE_ONE: f"if that {unit.name}'s data had been anything else",
        }[self.adjacency]
        factor = math.exp(min(self.epsilon, 700.0))
        if self.programme is not None:
            planned = len(self.programme.events)
            rho = (
                "one privacy loss distribution of "
                + ("the one event" if planned == 1 else f"all {planned} events")
                + " fixed before the data was touched"
            )
        else:
            rho = f"rho {self.rho:.4g} of zero-concentrated differential privacy"
        if self.delta_units:
            rho += f", and delta {self.delta_spent:.4g} for thresholds"
        count = "1 release" if len(self.releases) == 1 else f"{len(self.releases)} releases"
        return (
            f"For every {unit.name} ({rows} of {self.dataset!r}): whatever anybody knows already, "
            f"the result would have been nearly as likely {changed}. Nothing that it shows becomes "
            f"more than {factor:.3g} times as likely by that {unit.name}'s data, up to a "
            f"probability of {self.delta:g} that it does. In the field's terms: ({self.epsilon:g}, "
            f"{self.delta:g})-differential privacy under {self.adjacency} adjacency; "
            f"{self.mechanism} made {count} of private data, at epsilon {self.epsilon_spent:.4g} "
            f"({rho})."
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        # Without a programme nothing is new since format 1.
        extra: dict[str, Any] = (
            {} if self.programme is None else {"programme": self.programme.to_json()}
        )
        if self.views:
            extra["views"] = [view.to_json() for view in self.views]
        return extra | {
            "format": 1 if self.programme is None else FORMAT,
            "private": self.private,
            "guarantee": self.sentence(),
            "epsilon": self.epsilon,
            "delta": self.delta,
            "adjacency": str(self.adjacency),
            "unit": {"name": self.unit.name, "rows": self.unit.rows},
            "epsilon_spent": self.epsilon_spent,
            "rho": self.rho if self.programme is None else None,
            "delta_spent": self.delta_spent,
            "mechanism": self.mechanism,
            "dataset": self.dataset,
            "run": self.run,
            "head": self.head,
            "versions": dict(self.versions),
            "releases": [release.to_json() for release in self.releases],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statement:
        """The inverse of `to_json`; refuses a statement that contradicts itself."""
        try:
            if data["format"] > FORMAT:
                raise ModelFileError(
                    f"privacy statement: format {data['format']} is newer than this version of "
                    f"Mezzotint reads ({FORMAT}): update Mezzotint"
                )
            unit = PrivacyUnit(
                Adjacency(data["adjacency"]), data["unit"]["rows"], data["unit"]["name"]
            )
            statement = cls(
                mechanism=str(data["mechanism"]),
                dataset=str(data["dataset"]),
                budget=Budget(data["epsilon"], data["delta"], unit),
                releases=tuple(Release.from_json(row) for row in data["releases"]),
                private=data["private"] is True,
                run=int(data["run"]),
                head=str(data["head"]),
                versions={str(name): str(text) for name, text in data["versions"].items()},
                programme=_programme(data, unit),
                views=tuple(View.from_json(row) for row in data.get("views", ())),
            )
            if statement.programme is not None:
                require_planned(statement.programme, statement.releases)
            elif any(release.event is not None for release in statement.releases):
                raise ValueError("a release belongs to a programme that is missing")
        except (KeyError, TypeError, ValueError, AttributeError, ParameterError) as error:
            raise ModelFileError(
                f"privacy statement: damaged or incomplete ({error!r}): take an intact copy"
            ) from error
        if statement.epsilon_spent > statement.epsilon:
            raise ModelFileError(
                f"privacy statement: its releases cost epsilon {statement.epsilon_spent:.6g}, more "
                f"than the {statement.epsilon:g} it claims: do not trust it, take an intact copy"
            )
        return statement


def _programme(data: Mapping[str, Any], unit: PrivacyUnit) -> Programme | None:
    if "programme" not in data:
        return None
    programme = Programme.from_json(data["programme"])
    programme.require_unit(unit)
    return programme
