"""A plan in words, facts to be bought included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mezzotint.cli.talk import table
from mezzotint.cli.telling import entry

if TYPE_CHECKING:
    from mezzotint.tables.plan import Plan, Step


def plan_lines(plan: Plan) -> Iterator[str]:
    """For people."""
    budget = plan.budget
    yield f"Budget:     {budget} per {budget.unit}; rho {plan.rho:.4g}"
    yield f"Mechanism:  {plan.mechanism}"
    yield ""
    columns = ("what", "share", "releases", "noise (rows)", "error (rows)")
    if not plan.purchases:
        yield from table(columns, [_row(step) for step in plan.steps])
    else:
        columns += ("least shown (rows)", "delta")
        yield from table(columns, [(*_row(step), *_shown(step)) for step in plan.steps])
    yield ""
    if plan.assumed:
        yield entry(
            "Guessed",
            f"how many values there will be of {', '.join(plan.assumed)}; what is bought first "
            "decides. Errors, memory and time follow the guess",
        )
    limit = "small" if plan.max_model_mb is None else f"at most {plan.max_model_mb:g} MB"
    yield f"Counting:   {plan.marginals:,} marginals in one pass, {plan.counted_mb:,.1f} MB"
    yield f"Model:      {limit}"
    yield f"Time:       about {plan.seconds:.0f} CPU seconds, and the reading of the table"


def _row(step: Step) -> tuple[str, ...]:
    sigma = "" if step.sigma is None else f"{step.sigma:,.1f}"
    error = "" if step.error is None else f"{step.error:,.0f}"
    return step.what, f"{step.share:.1%}", f"{step.releases:,}", sigma, error


def _shown(step: Step) -> tuple[str, str]:
    least = "" if step.threshold is None else f"{step.threshold:,}"
    return least, f"{step.delta:.3g}" if step.delta else ""
