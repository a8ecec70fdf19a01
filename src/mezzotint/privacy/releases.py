"""What the public may see of a run: its releases, in the ledger's own units.

Costs are whole numbers of pico-rho (10^-12 of zCDP), always rounded up, so that sums are exact
and no order of addition matters. The few releases that can fail outright (`Run.threshold`) cost a
probability beside: a whole number of 10^-18 of delta, rounded up as well.

A run that spends rho and, beside it, delta_1 + delta_2 + ... is (delta_1 + delta_2 + ...)-
approximate rho-zCDP, and so (epsilon, delta)-DP wherever rho alone gives epsilon at what those
deltas leave of delta (Bun, Steinke 2016, Lemmas 8.2 and 8.8).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.zcdp import zcdp_epsilon, zcdp_rho

UNITS_PER_RHO = 10**12
UNITS_PER_DELTA = 10**18

# The keyed samplers' laws are within 2^-200 of the true ones (see `gaussian_table`). By the
# definition of (epsilon, delta)-DP, n draws at that distance add at most (1 + e^epsilon) n 2^-200
# to delta. This share of delta pays for it: 2^40 draws up to epsilon 62 at delta 1e-9.
SAMPLER_SHARE = 2.0**-40


def units_rounded_up(rho: Fraction) -> int:
    """The cost of a release; never below the true cost."""
    return math.ceil(rho * UNITS_PER_RHO)


def units_within(budget: Budget, delta_units: int = 0) -> int:
    """The units of rho that a budget holds beside units of delta; never above what it allows."""
    left = _left(budget.delta, delta_units)
    if left <= 0:
        return 0
    rho = zcdp_rho(budget.epsilon, left * (1 - SAMPLER_SHARE))
    return math.floor(Fraction(rho) * UNITS_PER_RHO)


def epsilon_of(units: int, delta: float, delta_units: int = 0) -> float:
    """What units of rho and of delta mean as epsilon at `delta`; never below the truth.

    Infinite where the units of delta alone use up `delta`.
    """
    left = _left(delta, delta_units)
    if left < 0 or (units > 0 and left == 0):
        return math.inf
    return zcdp_epsilon(rho_of(units), left * (1 - SAMPLER_SHARE)) if units > 0 else 0.0


def _left(delta: float, delta_units: int) -> float:
    """What units of delta leave of it, rounded down."""
    return _rounded_down(Fraction(delta) - Fraction(delta_units, UNITS_PER_DELTA))


def delta_units_rounded_up(delta: float) -> int:
    """The cost of a release that may fail with probability `delta`; never below the true cost."""
    return math.ceil(Fraction(delta) * UNITS_PER_DELTA)


def delta_within(delta_units: int) -> float:
    """Units as a probability, rounded down to a double: to spend it costs these units."""
    return _rounded_down(Fraction(delta_units, UNITS_PER_DELTA))


def delta_of(delta_units: int) -> float:
    """Units as a probability, rounded up to a double."""
    delta = delta_within(delta_units)
    exact = Fraction(delta_units, UNITS_PER_DELTA)
    return delta if Fraction(delta) == exact else math.nextafter(delta, math.inf)


def _rounded_down(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def rho_of(units: int) -> float:
    """Units as zCDP, rounded up to a double."""
    rho = units / UNITS_PER_RHO
    return rho if Fraction(rho) * UNITS_PER_RHO >= units else math.nextafter(rho, math.inf)


@dataclass(frozen=True)
class Release:
    """One row of the ledger: what was measured, how, and what it cost. All of it is public.

    Attributes:
        seq: Position in the run, from 0.
        kind: "gaussian", "threshold", "exponential" or "randomised-response"; in a programme
            "vector", "training", "randomised-response" or "shuffled".
        about: What was measured, in words; never a private value.
        parameters: The mechanism's public parameters.
        units: The cost in pico-rho, rounded up.
        delta_units: The cost beside it, in 10^-18 of delta, rounded up; 0 for most kinds.
        time: When it was recorded, ISO 8601 in UTC.
        entry: The row's position in the ledger's chain.
        hash: The chain's hash after this row, in hexadecimal.
        event: Which event of the run's programme it is; None where there is no programme.
    """

    seq: int
    kind: str
    about: str
    parameters: Mapping[str, float | int] = field(hash=False)
    units: int
    delta_units: int
    time: str
    entry: int
    hash: str
    event: int | None = None

    @property
    def rho(self) -> float:
        """The cost in zCDP."""
        return rho_of(self.units)

    @property
    def delta(self) -> float:
        """The cost beside rho: the probability that the release fails outright."""
        return delta_of(self.delta_units)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        event = {} if self.event is None else {"event": self.event}
        return event | {
            "seq": self.seq,
            "kind": self.kind,
            "about": self.about,
            "parameters": dict(self.parameters),
            "units": self.units,
            "delta_units": self.delta_units,
            "time": self.time,
            "entry": self.entry,
            "hash": self.hash,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Release:
        """The inverse of `to_json`."""
        units, delta_units = int(row["units"]), int(row["delta_units"])
        if min(units, delta_units) < 0:
            raise ValueError("a release costs less than nothing")
        return cls(
            seq=int(row["seq"]),
            kind=str(row["kind"]),
            about=str(row["about"]),
            parameters={str(name): value for name, value in row["parameters"].items()},
            units=units,
            delta_units=delta_units,
            time=str(row["time"]),
            entry=int(row["entry"]),
            hash=str(row["hash"]),
            event=None if row.get("event") is None else int(row["event"]),
        )


def canonical(value: object) -> str:
    """The one JSON text of a value; NaN and infinities are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def request_id(
    *, dataset: str, mechanism: str, parameters: Mapping[str, object], nonce: str
) -> str:
    """The name under which a run may be repeated: a hash of everything that determines it.

    Give the same nonce to ask for the same bytes again, at no cost; another nonce for a new run.
    """
    text = canonical([dataset, mechanism, dict(parameters), nonce])
    return hashlib.sha256(text.encode()).hexdigest()
