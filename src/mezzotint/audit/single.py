"""Attacks on single releases: Gaussian noise, a noisy choice, randomised response."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mezzotint.audit.attack import ScoredAttack
from mezzotint.audit.bounds import Scores
from mezzotint.audit.brief import BriefRuns
from mezzotint.audit.claims import Claim, GaussianClaim, gaussian_mu
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.noise import FEW_DRAWS, discrete_gaussian, exponential_mechanism
from mezzotint.privacy.noise import randomised_response as respond
from mezzotint.privacy.run import Run
from mezzotint.privacy.spend import Backend, Spend

# A sensitivity far above 1 makes the discrete law the continuous one, to beyond 1e-300.
_STEP = 256


def _run(epsilon: float, delta: float, backend: Backend, unit: PrivacyUnit | None = None) -> Run:
    """A run of the real ledger; the budget is far above what one attack may take."""
    ledger = Ledger.memory(backend=backend)
    budget = Budget(epsilon, delta, unit or PrivacyUnit())
    return ledger.begin(budget, mechanism="audit", dataset="made up")


@dataclass(frozen=True)
class GaussianAttack(ScoredAttack):
    """A count with discrete Gaussian noise; the unit moves it by the sensitivity.

    Every cell of a released vector serves as one run: cells are independent.
    """

    epsilon: float
    delta: float
    backend: Backend = Backend.KEYED
    runs: ClassVar[int] = 1_000_000

    @property
    def name(self) -> str:
        """The sampler's own attack."""
        return "gaussian" if self.backend is Backend.KEYED else f"gaussian-{self.backend.value}"

    @property
    def title(self) -> str:
        """The sampler by name."""
        which = "keyed sampler" if self.backend is Backend.KEYED else "OpenDP"
        return f"Discrete Gaussian noise, {which}"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees a noisy count that one unit moves by the full sensitivity"

    def visible(self) -> GaussianClaim:
        """The ratio of sensitivity and noise, as the ledger's row has it."""
        parameters = self._row(_run(900.0, 1e-5, self.backend)).release.parameters
        return GaussianClaim(
            math.sqrt(parameters["l2_squared"]) / float(parameters["sigma"]), self.delta
        )

    def scores(self, world: int, runs: int) -> Scores:
        """The noisy counts."""
        drawn = []
        run = _run(900.0, 1e-5, self.backend)
        most = 1 << 18 if self.backend is Backend.KEYED else FEW_DRAWS
        for start in range(0, runs, most):
            if run.remaining_rho < 100:
                run = _run(900.0, 1e-5, self.backend)
            drawn.append(discrete_gaussian(self._row(run), min(most, runs - start)))
        return (np.concatenate(drawn) + world * _STEP).astype(np.float64)

    def _row(self, run: Run) -> Spend:
        sigma = _STEP / gaussian_mu(self.epsilon, self.delta)
        return run.gaussian("a count", sigma, _STEP**2)


@dataclass(frozen=True)
class SelectionAttack(ScoredAttack):
    """A choice of two by the exponential mechanism; the unit raises one score and lowers the other.

    The first candidate lies so far behind that its choice is rare: then the odds of the two worlds
    differ by nearly e^epsilon, and not so rare that a bound needs more runs than there are.
    """

    epsilon: float
    delta: float
    backend: Backend = Backend.KEYED
    left_out: ClassVar[str] = "the ledger's file: rows are charged, not written"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees which of two candidates was chosen; the unit moves both scores, apart"

    @property
    def name(self) -> str:
        """The sampler's own attack."""
        return "selection" if self.backend is Backend.KEYED else f"selection-{self.backend.value}"

    @property
    def title(self) -> str:
        """The sampler by name."""
        which = "keyed sampler" if self.backend is Backend.KEYED else "OpenDP's Gumbel noise"
        return f"Exponential mechanism, {which}"

    @property
    def behind(self) -> int:
        """How far the first candidate lies behind in world 0, in sensitivities."""
        return 2 + math.ceil(4 / self.epsilon)

    def visible(self) -> Claim:
        """The exact epsilon of the event that the first candidate is chosen."""
        # Scores (0, behind) against (1, behind - 1); the mechanism halves epsilon.
        rare, often = (
            1 / (1 + math.exp(self.epsilon * (self.behind - 2 * world) / 2)) for world in (0, 1)
        )
        return Claim(math.log((often - self.delta) / rare), self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """1 where the first candidate was chosen."""
        make = BriefRuns(Budget(900.0, 1e-5), self.backend)
        counts = np.array([world, self.behind - world], np.int64)
        return np.array(
            [
                1.0 - exponential_mechanism(make.begin().exponential("a", self.epsilon, 1), counts)
                for _ in range(runs)
            ]
        )


@dataclass(frozen=True)
class ResponseAttack(ScoredAttack):
    """One person's randomised answer, where the person is replaced by another."""

    epsilon: float
    delta: float
    categories: int = 4
    runs: ClassVar[int] = 1_000_000

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return "randomised-response"

    @property
    def title(self) -> str:
        """In words."""
        return "Randomised response"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees the answer of one person, whose true answer is 0 in one world, 1 in the other"

    def visible(self) -> Claim:
        """The exact epsilon of the event that the answer is the true one."""
        lie = 1 / (math.exp(self.epsilon) + self.categories - 1)
        return Claim(math.log((math.exp(self.epsilon) * lie - self.delta) / lie), self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """1 for the answer 1; every row of the vector serves as one run."""
        unit = PrivacyUnit(Adjacency.REPLACE_ONE)
        spend = _run(900.0, 1e-5, Backend.KEYED, unit).randomised_response(
            "an answer", self.epsilon, self.categories
        )
        answers = respond(spend, np.full(runs, world, np.int64))
        return (answers == 1).astype(np.float64)
