"""Who sees what: the guarantee against each party that takes part, and against one that cheats.

Where several parties make a release together, each of them sees more than the public does: noise
that it knows protects nobody from it. A view says, for one party, what it sees and which guarantee
holds against it. A guarantee against the public alone would be silent about those who are nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class View:
    """One party's view. Public.

    Attributes:
        role: who looks: "public", "provider", "key holder", "holder".
        corrupted: what it does against the protocol, in words; empty if it keeps to it.
        sees: what it sees, in words.
        rho: the zCDP of what it sees; None where it owns the data, or sees all of it.
        epsilon: the same as epsilon at ``delta``; None as for ``rho``.
        delta: the failure probability.
    """

    role: str
    corrupted: str
    sees: tuple[str, ...]
    rho: float | None
    epsilon: float | None
    delta: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return vars(self) | {"sees": list(self.sees)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> View:
        """The inverse of `to_json`."""
        return cls(
            role=str(data["role"]),
            corrupted=str(data["corrupted"]),
            sees=tuple(str(what) for what in data["sees"]),
            rho=None if data["rho"] is None else float(data["rho"]),
            epsilon=None if data["epsilon"] is None else float(data["epsilon"]),
            delta=float(data["delta"]),
        )
