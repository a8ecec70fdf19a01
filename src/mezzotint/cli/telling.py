"""What a command tells about a fitted table and about the ledger: in lines, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from textwrap import wrap
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from mezzotint.cli.talk import Talk

if TYPE_CHECKING:
    from mezzotint.privacy.account import Account
    from mezzotint.tables.fitted import FittedTable

_WIDTH = 96
_MARGIN = 12


@dataclass(frozen=True)
class Clock:
    """Seconds since a command began."""

    start: float = field(default_factory=perf_counter)

    def read(self) -> dict[str, float]:
        """Wall seconds since then, and the CPU seconds of this process since it started."""
        return {
            "seconds": round(perf_counter() - self.start, 3),
            "cpu_seconds": round(process_time(), 3),
        }


def entry(label: str, text: str) -> str:
    """A labelled paragraph."""
    lines = wrap(text, _WIDTH - _MARGIN, break_long_words=False, break_on_hyphens=False)
    return f"{label + ':':<{_MARGIN}}" + f"\n{' ' * _MARGIN}".join(lines)


def fitted_lines(fitted: FittedTable) -> Iterator[str]:
    """The mechanism and the guarantee."""
    statement, tree = fitted.privacy, fitted.model.tree
    yield entry(
        "Mechanism",
        f"{statement.mechanism}, {len(statement.releases)} releases; the model has "
        f"{len(tree.cliques)} cliques and {tree.megabytes:.2g} MB",
    )
    yield entry("Guarantee", statement.sentence())


def fitted_facts(fitted: FittedTable) -> dict[str, Any]:
    """The mechanism, the guarantee and the model, for scripts."""
    statement, model = fitted.privacy, fitted.model
    return {
        "mechanism": statement.mechanism,
        "dataset": statement.dataset,
        "epsilon": statement.epsilon,
        "delta": statement.delta,
        "adjacency": str(statement.adjacency),
        "unit": {"name": statement.unit.name, "rows": statement.unit.rows},
        "private": statement.private,
        "rho": statement.rho if statement.programme is None else None,
        "delta_spent": statement.delta_spent,
        "epsilon_spent": statement.epsilon_spent,
        "releases": len(statement.releases),
        "statement": statement.sentence(),
        "attributes": len(model.domain),
        "estimated_rows": round(model.total),
        "model_mb": model.tree.megabytes,
        "model_cliques": len(model.tree.cliques),
    }


def account_facts(account: Account) -> dict[str, Any]:
    """A data set's running total, for scripts."""
    return {
        "datasets": list(account.datasets),
        "unit": {"name": account.unit.name, "rows": account.unit.rows},
        "adjacency": str(account.unit.adjacency),
        "runs": account.runs,
        "delta": account.delta,
        "rho": account.rho,
        "delta_spent": account.delta_spent,
        "epsilon": account.epsilon if isfinite(account.epsilon) else None,
        "cap_epsilon": None if account.cap is None else account.cap.epsilon,
        "epsilon_left": account.epsilon_left,
        "delta_left": account.delta_left,
    }


def tell_total(account: Account | None, talk: Talk) -> None:
    """The running total after a run; with --json it goes to stderr as well as into the object."""
    if account is None:
        return
    line = entry("Ledger", account.sentence())
    if talk.json:
        talk.note(line)
    else:
        talk.say(line)


def files(**places: Path | None) -> dict[str, str]:
    """The files that a command wrote, by what they hold."""
    return {name: str(path) for name, path in places.items() if path is not None}
