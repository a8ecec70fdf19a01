"""Attacks on the encrypted path: what each role sees of a job, against what its view claims.

The whole protocol runs in one process: keys, encryption, the pool of noise, the provider's sums,
the key holder's decryption. The table has one attribute with many values. Every odd value holds one
unit with all of its rows, no even value occurs: each cell is one run of the attack, odd cells of
world 1, even ones of world 0, and the noise of different cells is independent. What a role knows
beside the answer is taken off: the key holder draws its own share again from its ledger, as it
could at any time.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from mezzotint.audit.attack import ScoredAttack
from mezzotint.audit.bounds import Scores
from mezzotint.audit.claims import Claim, GaussianClaim
from mezzotint.privacy.accounting import PrivacyUnit

CELLS = 8192
"""Cells of one run of the protocol, half of them in each world."""
ROWS = 16
"""What one unit contributes: shares of noise must not be too small for large epsilons."""


@dataclass(frozen=True)
class Seen:
    """One run of the protocol, cell by cell.

    Attributes:
        counts: The exact counts, int64 of shape (cells,).
        answers: The released noisy counts.
        own: The key holder's own share of the noise.
        scale: The noise's scale as a role sees it, by the role's name.
        claims: The epsilon of each role's view, as the signed statement has it.
    """

    counts: np.ndarray
    answers: np.ndarray
    own: np.ndarray
    scale: dict[str, float]
    claims: dict[str, float]

    def by(self, role: str) -> np.ndarray:
        """What is left for a role of the answer, when it takes off what it knows."""
        if role == "keyholder":
            return self.answers - self.own
        # A provider that leaves the data holders' noise out gets counts with the own share alone.
        return self.counts + self.own if role == "cheating-provider" else self.answers


def run_protocol(epsilon: float, delta: float, cells: int) -> Seen:
    """One job over a made-up table."""
    import pyarrow as pa

    from mezzotint.encrypted.keyholder import KeyHolder
    from mezzotint.encrypted.local import run_in_process
    from mezzotint.encrypted.provider import ProviderJob
    from mezzotint.privacy import shared
    from mezzotint.schema import Schema
    from mezzotint.tables.independent import Independent

    counts = ROWS * (np.arange(cells, dtype=np.int64) % 2)
    table = pa.table({"a": np.repeat(np.arange(cells), counts)})
    schema = Schema(Schema.from_sizes({"a": cells}).attributes, PrivacyUnit(rows=ROWS))
    with tempfile.TemporaryDirectory(prefix="mezzotint-audit-") as folder:
        place = Path(folder)
        mechanism = Independent(epsilon=epsilon, delta=delta)
        fitted = run_in_process([table], schema, mechanism, place, pool_cells=cells)
        with KeyHolder.open(place / "keys", place / "keyholder") as role:
            run = role.begin(ProviderJob.open(place / "provider").job)
            (release,) = run.releases
            parameters = dict(release.parameters)
            others = [float(parameters[n]) for n in sorted(parameters) if n.startswith("other_")]
            own_scale = float(parameters["own"])
            spend = shared.record(
                run, release.about, own=own_scale, others=others, cells=int(parameters["cells"])
            )
            own = shared.own_share(spend, int(parameters["cells"]))
    (measured,) = fitted.model.measurements
    others_scale = float(np.sqrt(np.sum(np.square(others))))
    views = {(v["role"], bool(v["corrupted"])): v for v in fitted.privacy.to_json()["views"]}
    return Seen(
        counts,
        measured.values,
        own,
        {
            "public": float(parameters["sigma"]),
            "keyholder": others_scale,
            "cheating-provider": own_scale,
        },
        {
            "public": float(views["public", False]["epsilon"]),
            "keyholder": float(views["key holder", False]["epsilon"]),
            "cheating-provider": float(views["provider", True]["epsilon"]),
        },
    )


@cache
def probe(epsilon: float, delta: float) -> Seen:
    """A small job, for the scales and the claims."""
    return run_protocol(epsilon, delta, 64)


_TITLES = {
    "public": "Encrypted tables, what the public sees",
    "keyholder": "Encrypted tables, what the key holder sees",
    "cheating-provider": "Encrypted tables, a provider that leaves the holders' noise out",
}
_KNOWS = {
    "public": "sees the released counts",
    "keyholder": "knows its own share of the noise and takes it off",
    "cheating-provider": "gets counts that only the key holder's share protects",
}


@dataclass(frozen=True)
class RoleAttack(ScoredAttack):
    """One role's view of a job.

    Attributes:
        role: "public", "keyholder" or "cheating-provider".
    """

    role: str
    epsilon: float
    delta: float
    runs: ClassVar[int] = 100_000

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return f"encrypted-{self.role}"

    @property
    def title(self) -> str:
        """In words."""
        return _TITLES[self.role]

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return f"{_KNOWS[self.role]}; one unit in a cell, or none"

    @property
    def claim(self) -> Claim:
        """What the signed statement says of this role's view."""
        return Claim(probe(self.epsilon, self.delta).claims[self.role], self.delta)

    def visible(self) -> GaussianClaim:
        """The shares that this role does not know, as the key holder's ledger has them."""
        return GaussianClaim(ROWS / probe(self.epsilon, self.delta).scale[self.role], self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """Cells of one world, spread over their unit step: whole numbers are no normal law."""
        rng = np.random.default_rng()
        kept: list[Scores] = []
        while sum(map(len, kept)) < runs:
            left = runs - sum(map(len, kept))
            seen = run_protocol(self.epsilon, self.delta, min(CELLS, max(64, 2 * left)))
            cells = seen.by(self.role)[world::2]
            kept.append(cells + rng.uniform(-0.5, 0.5, len(cells)))
        return np.concatenate(kept)[:runs]
