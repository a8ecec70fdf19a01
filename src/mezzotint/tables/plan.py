"""What a mechanism will spend, on what, with which expected error, before it touches a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import pi, sqrt
from typing import TYPE_CHECKING, Any

from mezzotint.privacy.accounting import Budget
from mezzotint.tables.domain import Clique, Domain

if TYPE_CHECKING:
    from mezzotint.schema.infer import Purchase


@dataclass(frozen=True)
class Step:
    """One kind of spending.

    Attributes:
        what: in words.
        share: of the budget's rho, 0 to 1.
        releases: how many, at most.
        sigma: noise scale in rows of each measured cell; None for choices.
        error: expected L1 error of one such measurement, in rows; None for choices.
        threshold: the least noisy count that is shown, where names are private or bounds unknown.
        delta: what it costs of the budget's delta beside rho.
    """

    what: str
    share: float
    releases: int
    sigma: float | None = None
    error: float | None = None
    threshold: int | None = None
    delta: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Spending, time and memory, computed from public facts only.

    Attributes:
        mechanism: its name.
        budget: epsilon, delta, unit and adjacency.
        rho: the budget as zCDP, beside what steps cost of its delta.
        steps: on what it goes.
        candidates: how many marginals the curator must be able to count.
        counted_mb: memory for the exact counts, units of 2**20 bytes.
        max_model_mb: the most that the model may take; None if it is always small.
        seconds: rough CPU seconds on an ordinary core, reading the table not included.
        purchases: facts of the schema that are bought first; they are steps as well.
        assumed: attributes of which that leaves the number of values open; errors, memory and
            time are those of a public guess.
    """

    mechanism: str
    budget: Budget
    rho: float
    steps: tuple[Step, ...]
    marginals: int
    counted_mb: float
    max_model_mb: float | None
    seconds: float
    purchases: tuple[Purchase, ...] = ()
    assumed: tuple[str, ...] = ()

    @classmethod
    def of(  # noqa: PLR0917 (in the order of the fields)
        cls,
        mechanism: str,
        budget: Budget,
        rho: float,
        domain: Domain,
        queries: Sequence[Clique],
        steps: Sequence[Step],
        *,
        rounds: int,
        max_model_mb: float | None = None,
    ) -> Plan:
        """A plan with its memory and a rough guess of its time.

        Args:
            mechanism: its name.
            budget: what is granted.
            rho: what of it the mechanism may spend, as zCDP.
            domain: attributes and sizes.
            queries: the cliques that the curator counts.
            steps: on what the budget goes.
            rounds: how many times the model is fitted, at most.
            max_model_mb: the limit on the model; None if it is always small.
        """
        cells = sum(domain.cells(q) for q in queries)
        fit = 0.02 + 5e-6 * sum(domain.sizes.values()) * len(domain)
        scores = 5e-5 * len(queries) + 5e-9 * cells
        seconds = 1.0 + rounds * (fit + (scores if rounds > 1 else 0.0))
        counted = 8 * cells / 2**20
        return cls(
            mechanism, budget, rho, tuple(steps), len(queries), counted, max_model_mb, seconds
        )

    def after(self, purchases: Sequence[Purchase], rho: float) -> Plan:
        """The plan of a whole budget, some of which buys facts first.

        Args:
            purchases: what is bought, out of ``rho``.
            rho: the whole budget as zCDP; this plan's is what is left of it.
        """
        bought = [
            Step(
                f"{p.fact} of {p.attribute}",
                p.rho / rho,
                1,
                p.sigma,
                threshold=p.threshold,
                delta=p.delta,
            )
            for p in purchases
        ]
        rest = [replace(step, share=step.share * (self.rho / rho)) for step in self.steps]
        return replace(
            self,
            rho=rho,
            steps=(*bought, *rest),
            purchases=tuple(purchases),
            assumed=tuple(dict.fromkeys(p.attribute for p in purchases)),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "mechanism": self.mechanism,
            "epsilon": self.budget.epsilon,
            "delta": self.budget.delta,
            "adjacency": str(self.budget.unit.adjacency),
            "unit": {"name": self.budget.unit.name, "rows": self.budget.unit.rows},
            "rho": self.rho,
            "steps": [vars(step) for step in self.steps],
            "marginals": self.marginals,
            "counted_mb": self.counted_mb,
            "max_model_mb": self.max_model_mb,
            "seconds": self.seconds,
            "bought": [vars(purchase) for purchase in self.purchases],
            "assumed": list(self.assumed),
        }


def one_way_step(domain: Domain, share: float, sigmas: Mapping[str, float]) -> Step:
    """Measuring every attribute on its own; the error is the largest attribute's."""
    errors = [sqrt(2 / pi) * sigmas[a] * domain.sizes[a] for a in domain]
    worst = max(range(len(errors)), key=errors.__getitem__)
    return Step(
        "every attribute on its own",
        share,
        len(domain),
        sigmas[domain.attributes[worst]],
        errors[worst],
    )
