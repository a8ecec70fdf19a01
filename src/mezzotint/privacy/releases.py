"""A release as the public sees it, and the spend that only a sampler may open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

RHO_UNIT = 1e-12


@dataclass(frozen=True)
class Release:
    """One row of the ledger: what was measured, how, and what it cost. Public.

    Attributes:
        seq: Position in the run, from 0.
        kind: "gaussian" or "exponential".
        about: What was measured, in words; never a private value.
        parameters: The mechanism's public parameters.
        units: The cost in pico-rho, rounded up.
        time: When it was recorded, ISO 8601 in UTC.
    """

    seq: int
    kind: str
    about: str
    parameters: Mapping[str, float | int]
    units: int
    time: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    @property
    def rho(self) -> float:
        """The cost in zCDP."""
        return self.units * RHO_UNIT


@dataclass(frozen=True)
class Spend:
    """A recorded release together with its secret: the only thing that samplers accept."""

    release: Release
    noise: str = field(default="os", repr=False)
