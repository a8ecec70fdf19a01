"""A plan in words and as JSON, facts to be bought included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mezzotint.cli.talk import table

if TYPE_CHECKING:
    from mezzotint.privacy.accounting import Budget
    from mezzotint.schema import Schema
    from mezzotint.schema.infer import Purchase
    from mezzotint.tables.plan import Plan
    from mezzotint.tables.synthesizer import Synthesizer


@dataclass(frozen=True)
class Planned:
    """What a fit would spend.

    Attributes:
        budget: epsilon, delta and the privacy unit.
        purchases: facts that would be bought first.
        mechanism: the mechanism's plan; None if it depends on facts that are still to be bought.
        name: the mechanism.
    """

    budget: Budget
    purchases: tuple[Purchase, ...]
    mechanism: Plan | None
    name: str

    @classmethod
    def of(cls, synthesizer: Synthesizer, schema: Schema, *, buys: bool) -> Planned:
        """A plan from public facts; `buys` facts that nobody has declared, if asked to."""
        from mezzotint.privacy.accounting import Budget
        from mezzotint.tables.domain import Domain

        budget = Budget(synthesizer.epsilon, synthesizer.delta, schema.unit)
        purchases: tuple[Purchase, ...] = ()
        if buys:
            from mezzotint.schema.infer import DEFAULT_SHARE
            from mezzotint.schema.infer import purchases as planned_purchases

            purchases = planned_purchases(schema, DEFAULT_SHARE * budget.rho)
        if any(not fact.known for fact in schema.unconfirmed()):
            return cls(budget, purchases, None, synthesizer.name)
        rest = budget.rho - sum(p.rho for p in purchases)
        plan = synthesizer.plan(Domain(schema.sizes), budget, rest)
        return cls(budget, purchases, plan, synthesizer.name)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"Budget:     {self.budget} per {self.budget.unit}; rho {self.budget.rho:.4g}"
        yield f"Mechanism:  {self.name}"
        yield ""
        yield from table(
            ("what", "share", "releases", "noise (rows)", "error (rows)"), list(self._rows())
        )
        yield ""
        if self.mechanism is None:
            yield "Its steps, time and memory depend on facts that are bought first."
            return
        if self.purchases:
            yield "The mechanism's steps are those for the schema as it is, before it is bought."
        plan = self.mechanism
        limit = "small" if plan.max_model_mb is None else f"at most {plan.max_model_mb:g} MB"
        yield f"Counting:   {plan.marginals:,} marginals in one pass, {plan.counted_mb:,.1f} MB"
        yield f"Model:      {limit}"
        yield f"Time:       about {plan.seconds:.0f} CPU seconds, and the reading of the table"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for p in self.purchases:
            what = f"{p.fact} of {p.attribute}"
            yield what, f"{p.rho / self.budget.rho:.1%}", "1", f"{p.sigma:,.1f}", ""
        if self.mechanism is None:
            return
        part = self.mechanism.rho / self.budget.rho
        for step in self.mechanism.steps:
            sigma = "" if step.sigma is None else f"{step.sigma:,.1f}"
            error = "" if step.error is None else f"{step.error:,.0f}"
            yield step.what, f"{step.share * part:.1%}", f"{step.releases:,}", sigma, error

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        plan = {} if self.mechanism is None else self.mechanism.to_json()
        budget = self.budget
        return {
            "mechanism": self.name,
            "epsilon": budget.epsilon,
            "delta": budget.delta,
            "adjacency": str(budget.unit.adjacency),
            "unit": {"name": budget.unit.name, "rows": budget.unit.rows},
            **plan,
            "rho": budget.rho,
            "bought": [vars(purchase) for purchase in self.purchases],
        }
