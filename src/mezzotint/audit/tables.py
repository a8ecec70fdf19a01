"""Attacks on the mechanisms for tables, on neighbours where they are as bad as they can be.

World 0 holds twenty rows (0, 0, 0), world 1 one row (1, 1, 1) more, all attributes binary. That row
is alone in its cell of every marginal, and moves it by the whole sensitivity.

The white-box attacker sees every released number with its scale, and knows both worlds. Of all that
the Gaussian noise lets through nothing is lost in his score, the logarithm of the likelihood ratio
of the measurements: sum over measurements of <noisy counts - counts in world 0, change> / sigma^2.
It is a normal law of variance V = sum |change|^2 / sigma^2 with mean 0 or V, also where later
scales depend on earlier results, as long as V does not (it is a Brownian motion stopped at time V).
So what he can see at most is mu-Gaussian DP with mu^2 = V, computed from the recorded scales: the
ceiling. The rest of the claim pays for the choices, which he does not count, and for the conversion
from zCDP, which is not tight for Gaussian noise.

The black-box attacker sees synthetic rows only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import pyarrow as pa

from mezzotint.audit.attack import ScoredAttack
from mezzotint.audit.bounds import Scores
from mezzotint.audit.brief import BriefRuns, coarse_estimate
from mezzotint.audit.claims import Claim, GaussianClaim
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.run import Run
from mezzotint.tables.aim import AIM
from mezzotint.tables.counting import Counts
from mezzotint.tables.curator import TrustedCurator
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Measurement, Query
from mezzotint.tables.independent import Independent
from mezzotint.tables.mezzotint import Mezzotint
from mezzotint.tables.mst import MST
from mezzotint.tables.synthesizer import Synthesizer

DOMAIN = Domain({"a": 2, "b": 2, "c": 2})
CROWD = 20
TITLES = {
    "independent": "Independent",
    "mst": "MST",
    "aim": "AIM",
    "mezzotint": "Mezzotint",
}
_CLASSES: dict[str, type[Synthesizer]] = {m.name: m for m in (Independent, MST, AIM, Mezzotint)}


def world_counts(world: int) -> Counts:
    """Exact counts of world 0 or 1."""
    joint = np.zeros((2, 2, 2), np.int64)
    joint[0, 0, 0] = CROWD
    joint[1, 1, 1] = world

    def marginal(clique: tuple[str, ...]) -> np.ndarray:
        return joint.sum(axis=tuple(i for i, a in enumerate(DOMAIN) if a not in clique))

    return Counts(DOMAIN, [DOMAIN.attributes], marginal)


def world_table(world: int) -> pa.Table:
    """The rows of world 0 or 1."""
    return pa.table({a: [0] * CROWD + [1] * world for a in DOMAIN})


class Listener(TrustedCurator):
    """The trusted curator, with an attacker who reads every released marginal."""

    def __init__(self, counts: Counts, run: Run) -> None:
        super().__init__(counts, run)
        self.heard: list[Measurement] = []

    def measure(self, query: Query, sigma: float) -> Measurement:
        """As the trusted curator does."""
        measurement = super().measure(query, sigma)
        self.heard.append(measurement)
        return measurement


@dataclass
class LikelihoodRatio:
    """The attacker who knows both worlds; remembers what each query would answer."""

    def __post_init__(self) -> None:
        self._worlds = (world_counts(0), world_counts(1))
        self._known: dict[Query, tuple[np.ndarray, float, float]] = {}

    def __call__(self, heard: list[Measurement]) -> tuple[float, float]:
        """The score, and the variance that the recorded scales give it."""
        score = variance = 0.0
        for m in heard:
            query = m.query
            if query not in self._known:
                one, two = (query.project(w.marginal(query.clique)) for w in self._worlds)
                change = (two - one).astype(np.float64)
                self._known[query] = change, float((one * change).sum()), float((change**2).sum())
            change, offset, size = self._known[query]
            score += (float((m.values * change).sum()) - offset) / m.sigma**2
            variance += size / m.sigma**2
        return score, variance


@cache
def _brief(mechanism: type[Synthesizer]) -> type[Synthesizer]:
    """The mechanism with a quick estimator in place of its own."""
    estimate = staticmethod(coarse_estimate)
    return type(
        mechanism.__name__, (mechanism,), {"_estimate": estimate, "_estimate_in_stages": estimate}
    )


@dataclass(frozen=True)
class WhiteBoxAttack(ScoredAttack):
    """Every released number of a mechanism for tables."""

    mechanism: str
    epsilon: float
    delta: float
    left_out: ClassVar[str] = (
        "the estimator between releases (a coarse one in its place) and the ledger's file "
        "(rows are charged, not written)"
    )

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees every release; 20 rows (0,0,0) with or without one row (1,1,1)"

    @property
    def name(self) -> str:
        """The mechanism's."""
        return self.mechanism

    @property
    def title(self) -> str:
        """The mechanism's."""
        return f"{TITLES[self.mechanism]}, white box"

    def visible(self) -> GaussianClaim:
        """The recorded scales of forty runs: the same in all of them, or the largest counts."""
        variances = [v for world in (0, 1) for _, v in self._attacked(world, 20)]
        return GaussianClaim(math.sqrt(max(variances)), self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """Log likelihood ratios."""
        return np.array([score for score, _ in self._attacked(world, runs)])

    def _attacked(self, world: int, runs: int) -> Iterator[tuple[float, float]]:
        mechanism = _brief(_CLASSES[self.mechanism])()
        make = BriefRuns(Budget(self.epsilon, self.delta))
        counts = world_counts(world)
        attacker = LikelihoodRatio()
        for _ in range(runs):
            curator = Listener(counts, make.begin())
            mechanism.release(curator)
            yield attacker(curator.heard)


@dataclass(frozen=True)
class BlackBoxAttack(ScoredAttack):
    """Synthetic rows, and nothing else."""

    mechanism: str
    epsilon: float
    delta: float
    runs: ClassVar[int] = 2_000

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees synthetic rows only; 20 rows (0,0,0) with or without one row (1,1,1)"

    @property
    def name(self) -> str:
        """The mechanism's, with what the attacker sees."""
        return f"{self.mechanism}-rows"

    @property
    def title(self) -> str:
        """The mechanism's, with what the attacker sees."""
        return f"{TITLES[self.mechanism]}, synthetic rows"

    def visible(self) -> Claim:
        """The claim itself: what rows keep of it is not known exactly."""
        return self.claim

    def scores(self, world: int, runs: int) -> Scores:
        """How many ones there are in the synthetic rows: the looked-for row holds nothing else."""
        synthesizer = _CLASSES[self.mechanism]()
        synthesizer.epsilon, synthesizer.delta = self.epsilon, self.delta
        table = world_table(world)
        found = np.empty(runs)
        for i in range(runs):
            rows = synthesizer.fit(table, DOMAIN.sizes).sample()
            found[i] = sum(np.asarray(rows[a]).sum() for a in DOMAIN)
        return found
