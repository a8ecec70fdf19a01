"""The ledger's releases as rows of the report's table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mezzotint.evaluate.formats import number
from mezzotint.privacy.accounting import Adjacency
from mezzotint.privacy.releases import Release
from mezzotint.privacy.statement import Statement

_SYMBOLS = {"sigma": "σ", "epsilon": "ε", "l2_squared": "squared sensitivity"}
_KINDS = {
    "gaussian": "Gaussian noise",
    "shared-gaussian": "Gaussian noise in shares",
    "threshold": "Gaussian noise, large counts only",
    "exponential": "noisy choice",
    "randomised-response": "randomised response",
    "vector": "Gaussian noise on a vector",
    "training": "noisy training on random samples",
    "shuffled": "noisy answers, shuffled",
}


@dataclass(frozen=True)
class LedgerRow:
    """One release: what, how, with which noise, at which share of the whole cost. Public.

    Rho is None for an event of a programme, which is not accounted in zCDP; its share of the whole
    cost, and of its epsilon, is by Renyi DP.
    """

    seq: int
    about: str
    how: str
    noise: str
    rho: float | None
    share: float


def ledger_rows(statement: Statement) -> list[LedgerRow]:
    """Every release, in order."""
    total = sum(release.rho for release in statement.releases) or 1.0
    programme = statement.programme
    planned = () if programme is None else programme.shares(statement.delta)
    return [
        LedgerRow(
            seq=release.seq + 1,
            about=release.about,
            how=_KINDS.get(release.kind, release.kind),
            noise=", ".join(_noise(release)),
            rho=release.rho if release.event is None else None,
            share=release.rho / total if release.event is None else planned[release.event],
        )
        for release in statement.releases
    ]


def cost(statement: Statement) -> tuple[str, str]:
    """What the releases cost together: in which currency, and how much of it."""
    if statement.programme is None:
        return "Spent, as zCDP ρ", f"{statement.rho:.4g}"
    return "Spent, as ε of all releases together", f"{statement.epsilon_spent:.4g}"


def _noise(release: Release) -> Iterator[str]:
    for name, value in sorted(release.parameters.items(), reverse=True):
        yield f"{_SYMBOLS.get(name, name.replace('_', ' '))} {number(float(value))}"
    if release.delta_units:
        yield f"δ {release.delta:.3g}"


def neighbours(statement: Statement) -> str:
    """What two tables must differ in to count as neighbours."""
    unit = statement.unit
    rows = "1 row" if unit.rows == 1 else f"up to {unit.rows} rows"
    if statement.adjacency is Adjacency.ADD_REMOVE:
        return f"with and without one {unit.name} ({rows})"
    return f"with one {unit.name}’s data replaced ({rows})"
