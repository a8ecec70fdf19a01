"""The privacy statement that travels with a model and its synthetic data."""

from __future__ import annotations

from dataclasses import dataclass

from mezzotint.privacy.accounting import Budget, zcdp_epsilon
from mezzotint.privacy.ledger import Run
from mezzotint.privacy.releases import Release


@dataclass(frozen=True)
class Statement:
    """What is guaranteed, to whom, and what it cost."""

    mechanism: str
    dataset: str
    budget: Budget
    rho: float
    releases: tuple[Release, ...]
    private: bool

    @classmethod
    def of(cls, run: Run) -> Statement:
        """The statement of a finished run."""
        rho = sum(release.rho for release in run.releases)
        return cls(run.mechanism, run.dataset, run.budget, rho, run.releases, run.private)

    @property
    def epsilon(self) -> float:
        """What was promised."""
        return self.budget.epsilon

    @property
    def delta(self) -> float:
        """What was promised."""
        return self.budget.delta

    @property
    def spent_epsilon(self) -> float:
        """What was spent, at the promised delta."""
        return zcdp_epsilon(self.rho, self.delta) if self.rho else 0.0

    def to_json(self) -> dict[str, object]:
        """As plain JSON values."""
        return {}

    def sentence(self) -> str:
        """The guarantee in plain words."""
        return str(self.budget)
