"""What a fit of images would spend, on what, and how long it takes; from public facts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mezzotint.images.data import ImageFacts
from mezzotint.privacy.accounting import Budget

if TYPE_CHECKING:
    from mezzotint.privacy.programme import Programme


@dataclass(frozen=True)
class Estimate:
    """How long a fit takes, and how much memory, roughly.

    Attributes:
        seconds: CPU or GPU seconds.
        memory_mb: the peak, in MB.
    """

    seconds: float
    memory_mb: float


@dataclass(frozen=True)
class ImagePlan:
    """Everything that a fit will spend, fixed before the data is touched.

    Attributes:
        method: its name.
        budget: of the whole fit.
        facts: shape, classes and the number of images that the plan assumes.
        assumed: whether that number is a guess, because it was neither declared nor bought yet.
        count_budget: the part that buys the number of images; None if nothing is spent on it.
        programme: the releases.
        steps: what each event of the programme is, in words.
        estimate: time and memory.
    """

    method: str
    budget: Budget
    facts: ImageFacts
    assumed: bool
    count_budget: Budget | None
    programme: Programme
    steps: tuple[str, ...]
    estimate: Estimate

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        count = self.count_budget
        return {
            "method": self.method,
            "epsilon": self.budget.epsilon,
            "delta": self.budget.delta,
            "adjacency": str(self.budget.unit.adjacency),
            "unit": {"name": self.budget.unit.name, "rows": self.budget.unit.rows},
            "facts": self.facts.to_json(),
            "assumed": self.assumed,
            "count": None if count is None else {"epsilon": count.epsilon, "delta": count.delta},
            "epsilon_planned": self.programme.epsilon(self.budget.delta),
            "releases": [
                {"about": about, "event": type(event).__name__, **vars(event)}
                for about, event in zip(self.steps, self.programme.events, strict=True)
            ],
            "seconds": self.estimate.seconds,
            "memory_mb": self.estimate.memory_mb,
        }
