"""What the commands for images tell: progress on a terminal, results in lines and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mezzotint.cli.talk import Talk, table
from mezzotint.cli.telling import entry
from mezzotint.images.work import Progress, silent

if TYPE_CHECKING:
    from mezzotint.images.data import ImageData
    from mezzotint.images.fitted import FittedImages
    from mezzotint.images.plan import ImagePlan


@contextmanager
def working(talk: Talk) -> Iterator[Progress]:
    """Show stages with the time that is left, the loss and what was spent, on a terminal."""
    if talk.quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(
            stage: str, share: float, *, loss: float | None = None, epsilon: float | None = None
        ) -> None:
            figures = "" if loss is None else f"loss {loss:.4g}"
            if epsilon is not None:
                figures += f"  epsilon {epsilon:.3g}"
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0, figures="")
            bars.update(tasks[stage], completed=share, figures=figures)

        yield progress


def fitted_lines(fitted: FittedImages) -> Iterator[str]:
    """The method, what it draws, and the guarantee."""
    facts, releases = fitted.facts, sum(len(s.releases) for s in fitted.statements)
    count = "1 release" if releases == 1 else f"{releases} releases"
    yield entry("Method", f"{fitted.privacy.mechanism}, {count}")
    yield entry("Images", shape_words(facts.shape, len(facts.classes)))
    yield entry("Guarantee", fitted.sentence())


def shape_words(shape: tuple[int, int, int], classes: int) -> str:
    """Such as: 28 x 28 pixels, grey, 10 classes."""
    colour = "grey" if shape[2] == 1 else "RGB"
    return f"{shape[0]} x {shape[1]} pixels, {colour}, {classes} classes"


def fitted_facts(fitted: FittedImages) -> dict[str, Any]:
    """The method, the guarantee and the public facts, for scripts."""
    statement = fitted.privacy
    return {
        "method": statement.mechanism,
        "dataset": statement.dataset,
        "epsilon": fitted.epsilon,
        "delta": fitted.delta,
        "adjacency": str(statement.adjacency),
        "unit": {"name": statement.unit.name, "rows": statement.unit.rows},
        "private": fitted.private,
        "epsilon_spent": sum(s.epsilon_spent for s in fitted.statements),
        "releases": sum(len(s.releases) for s in fitted.statements),
        "statement": fitted.sentence(),
        "facts": fitted.facts.to_json(),
        "shares": fitted.shares.tolist(),
        "settings": fitted.settings,
    }


def drawn_facts(data: ImageData) -> dict[str, Any]:
    """How many images of each class were drawn."""
    counts = {name: int((data.y == label).sum()) for label, name in enumerate(data.classes)}
    return {"images": len(data), "classes": counts}


def plan_lines(plan: ImagePlan) -> Iterator[str]:
    """A plan for people."""
    budget, facts = plan.budget, plan.facts
    yield f"Budget:     {budget} per {budget.unit}"
    yield f"Method:     {plan.method}"
    yield f"Images:     {shape_words(facts.shape, len(facts.classes))}; these count as public"
    if plan.count_budget is not None:
        yield entry(
            "Number",
            f"not declared (--population): bought first, for {plan.count_budget}; the plan below "
            f"guesses {facts.population:,}",
        )
    yield ""
    shares = plan.programme.shares(budget.delta)
    rows = [
        (about, type(event).__name__, *_noise(event), f"{share:.1%}")
        for about, event, share in zip(plan.steps, plan.programme.events, shares, strict=True)
    ]
    yield from table(("what", "release", "noise", "rate", "steps", "share"), rows)
    yield ""
    yield f"Memory:     about {plan.estimate.memory_mb:,.0f} MB"
    yield f"Time:       about {plan.estimate.seconds:,.0f} CPU or GPU seconds"


def _noise(event: Any) -> tuple[str, str, str]:
    multiplier = getattr(event, "noise_multiplier", None)
    noise = f"{event.epsilon:.4g} (epsilon)" if multiplier is None else f"{multiplier:.4g}"
    rate, steps = getattr(event, "rate", None), getattr(event, "steps", None)
    return noise, "" if rate is None else f"{rate:.3g}", "" if steps is None else f"{steps:,}"
