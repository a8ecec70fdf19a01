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
    "threshold": "Gaussian noise, large counts only",
    "exponential": "noisy choice",
    "randomised-response": "randomised response",
}


@dataclass(frozen=True)
class LedgerRow:
    """One release: what, how, with which noise, at which share of the whole cost. Public."""

    seq: int
    about: str
    how: str
    noise: str
    rho: float
    share: float


def ledger_rows(statement: Statement) -> list[LedgerRow]:
    """Every release, in order."""
    total = sum(release.rho for release in statement.releases) or 1.0
    return [
        LedgerRow(
            seq=release.seq + 1,
            about=release.about,
            how=_KINDS.get(release.kind, release.kind),
            noise=", ".join(_noise(release)),
            rho=release.rho,
            share=release.rho / total,
        )
        for release in statement.releases
    ]


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
