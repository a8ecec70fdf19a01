"""What is promised to whom: adjacency, privacy unit, budget.

`Budget(epsilon=1.0)` reads as: for every person, and whatever an attacker knows already, the
published result would have looked nearly the same had that person's rows not been there. What
"not been there" means is the adjacency; how much of the table is one person's is the unit.
The conversions between zCDP and (epsilon, delta) come from `zcdp`; those through RDP and
privacy loss distributions from `composition`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mezzotint.errors import ParameterError
from mezzotint.privacy.checks import check_count, check_delta, check_epsilon
from mezzotint.privacy.zcdp import zcdp_delta, zcdp_epsilon, zcdp_rho

__all__ = [
    "DEFAULT_DELTA",
    "Adjacency",
    "Budget",
    "PrivacyUnit",
    "zcdp_delta",
    "zcdp_epsilon",
    "zcdp_rho",
]

DEFAULT_DELTA = 1e-9


class Adjacency(StrEnum):
    """Which data sets count as neighbours."""

    ADD_REMOVE = "add-remove"
    REPLACE_ONE = "replace-one"


@dataclass(frozen=True)
class PrivacyUnit:
    """Whose contribution is hidden, and how many rows it may be.

    Attributes:
        adjacency: Whether neighbours differ by a unit's presence or by its content.
        rows: The most rows that one unit contributes; the reader truncates to it.
        name: What a unit is, for sentences: "person", "household", "row".
    """

    adjacency: Adjacency = Adjacency.ADD_REMOVE
    rows: int = 1
    name: str = "person"

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "adjacency", Adjacency(self.adjacency))
        except ValueError:
            raise ParameterError(
                f"adjacency = {self.adjacency!r} is unknown: "
                "give 'add-remove' (the usual choice) or 'replace-one'"
            ) from None
        most = "the most rows that one privacy unit contributes to the table"
        object.__setattr__(self, "rows", check_count(self.rows, 1, "rows", most))
        if not isinstance(self.name, str) or not self.name.strip():
            raise ParameterError(
                f"the privacy unit's name = {self.name!r} is empty: give a noun such as 'person'"
            )

    @property
    def l1(self) -> int:
        """L1 sensitivity of one marginal's counts.

        Adding or removing a unit changes `rows` counts by one; replacing its content moves
        `rows` counts out of their cells and into others.
        """
        return self.rows if self.adjacency is Adjacency.ADD_REMOVE else 2 * self.rows

    @property
    def l2_squared(self) -> int:
        """Squared L2 sensitivity of one marginal's counts.

        The worst case puts all of a unit's rows into one cell.
        """
        square = self.rows * self.rows
        return square if self.adjacency is Adjacency.ADD_REMOVE else 2 * square

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{self.name} (at most {rows}, {self.adjacency})"


@dataclass(frozen=True)
class Budget:
    """An (epsilon, delta) guarantee, for a privacy unit.

    Attributes:
        epsilon: The privacy loss; smaller is more private.
        delta: The probability that the loss exceeds epsilon, roughly; far below 1 / people.
        unit: Whose contribution is hidden.
    """

    epsilon: float
    delta: float = DEFAULT_DELTA
    unit: PrivacyUnit = field(default_factory=PrivacyUnit)

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_epsilon(self.epsilon))
        object.__setattr__(self, "delta", check_delta(self.delta))

    @property
    def rho(self) -> float:
        """The largest zCDP parameter whose tight conversion gives (epsilon, delta); never above."""
        return zcdp_rho(self.epsilon, self.delta)

    def __str__(self) -> str:
        return f"epsilon {self.epsilon:g}, delta {self.delta:g}"
