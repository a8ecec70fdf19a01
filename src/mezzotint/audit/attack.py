"""An attack, and the line of the audit that it yields."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import Any, ClassVar

import numpy as np

from mezzotint.audit.bounds import CONFIDENCE, Scores, gaussian_bound, one_run_bound, score_bound
from mezzotint.audit.claims import Claim, GaussianClaim

FALSE_ALARM = 1e-6
"""The probability that a whole audit of mechanisms that keep their claims fails any of them."""
_CHUNKS = 8
_BINS = 48
# Claims and ceilings are found by bisection; a bound this little above one refutes nothing.
_TOLERANCE = 1e-6

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Line:
    """One mechanism under attack: the claim, and what was proved against it.

    Attributes:
        mechanism: The attack's name.
        title: What was attacked, in words.
        attacker: What the attacker saw, and the neighbours that he tells apart.
        claimed_epsilon: The promised epsilon,
        delta: at this delta.
        ceiling: The epsilon that the attacker's score could show, were every noise as recorded.
        lower_bound: The epsilon that was proved, with probability `confidence`.
        confidence: Of `lower_bound`.
        alarm_bound: The same with probability `1 - false_alarm`: decides whether the line holds.
            For one run it is stated at a smaller delta, and compared with the epsilon there.
        false_alarm: The probability that a correct mechanism's line does not hold.
        estimator: "exact", "gaussian" or "one run".
        runs: Runs on each of the two data sets; for one run, its canaries.
        cpu_seconds: Processor time, all processes together.
        holds: Whether claim, ceiling and bound agree.
        left_out: What the audit replaced for speed, in words.
        histogram: Edges, and shares of runs in each world, for the plot.
    """

    mechanism: str
    title: str
    attacker: str
    claimed_epsilon: float
    delta: float
    ceiling: float
    lower_bound: float
    confidence: float
    alarm_bound: float
    false_alarm: float
    estimator: str
    runs: int
    cpu_seconds: float
    holds: bool
    left_out: str
    histogram: dict[str, list[float]] = field(repr=False)

    @property
    def tightness(self) -> float:
        """What was proved, as a share of the ceiling."""
        return self.lower_bound / self.ceiling if self.ceiling > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; the histogram is the page's alone."""
        figures = asdict(self) | {"tightness": self.tightness}
        del figures["histogram"]
        return figures


class Attack(ABC):
    """A mechanism, two neighbouring data sets, and what an attacker makes of a release.

    Attributes:
        left_out: What is not the mechanism's own code, in words.
        runs: How many runs a world there are by default.
        epsilon: What is claimed,
        delta: at this delta.
    """

    left_out: ClassVar[str] = "nothing"
    runs: ClassVar[int] = 100_000
    epsilon: float
    delta: float

    @property
    @abstractmethod
    def name(self) -> str:
        """As the command line calls it."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What is attacked, in words."""

    @property
    @abstractmethod
    def attacker(self) -> str:
        """What the attacker sees, and the neighbours that he tells apart."""

    @property
    def claim(self) -> Claim:
        """What is promised."""
        return Claim(self.epsilon, self.delta)

    @abstractmethod
    def audit(
        self, runs: int, *, jobs: int = 1, false_alarm: float = FALSE_ALARM, progress: Progress
    ) -> Line:
        """Run the mechanism and bound its epsilon from below."""

    def _line(
        self,
        bound: Callable[[float], float],
        *,
        alarm: float,
        limit: float,
        ceiling: float,
        estimator: str,
        runs: int,
        cpu_seconds: float,
        false_alarm: float,
        histogram: dict[str, list[float]],
    ) -> Line:
        claim = self.claim
        return Line(
            mechanism=self.name,
            title=self.title,
            attacker=self.attacker,
            claimed_epsilon=claim.epsilon,
            delta=claim.delta,
            ceiling=ceiling,
            lower_bound=bound(CONFIDENCE),
            confidence=CONFIDENCE,
            alarm_bound=alarm,
            false_alarm=false_alarm,
            estimator=estimator,
            runs=runs,
            cpu_seconds=round(cpu_seconds, 2),
            holds=alarm <= limit * (1 + _TOLERANCE) and ceiling <= claim.epsilon * (1 + 1e-3),
            left_out=self.left_out,
            histogram=histogram,
        )


class ScoredAttack(Attack):
    """Many runs on each of two neighbours, each with a score."""

    @abstractmethod
    def visible(self) -> Claim | GaussianClaim:
        """What the score could show if every noise were as recorded.

        A `GaussianClaim` says that the scores of the two worlds are two normal laws of one width.
        """

    @abstractmethod
    def scores(self, world: int, runs: int) -> Scores:
        """Scores of runs on world 0 or 1, shape (runs,)."""

    def audit(
        self,
        runs: int,
        *,
        jobs: int = 1,
        false_alarm: float = FALSE_ALARM,
        progress: Progress = lambda share: None,
    ) -> Line:
        """Run both worlds, on `jobs` processors."""
        start = time.process_time()
        visible = self.visible()
        worlds, elsewhere = _both(self, runs, jobs, progress)

        def bound(confidence: float) -> float:
            if isinstance(visible, GaussianClaim):
                return gaussian_bound(*worlds, visible, confidence)
            return score_bound(*worlds, visible.delta, confidence)

        estimator = "gaussian" if isinstance(visible, GaussianClaim) else "exact"
        shown = histogram(*worlds)
        bound(CONFIDENCE)
        spent = time.process_time() - start + elsewhere
        return self._line(
            bound,
            alarm=bound(1 - false_alarm),
            limit=visible.epsilon,
            ceiling=visible.epsilon,
            estimator=estimator,
            runs=runs,
            cpu_seconds=spent,
            false_alarm=false_alarm,
            histogram=shown,
        )


class OneRunAttack(Attack):
    """One run with many canaries, each in or out by a coin."""

    guess_share: ClassVar[float] = 0.2
    """The share of the canaries that is guessed, fixed beforehand: the most and least suspect."""

    @property
    @abstractmethod
    def alarm_claim(self) -> Claim:
        """What the same run promises at a delta far below the false alarm rate.

        The estimator's error has a term in delta, so a strict bound needs a small one.
        """

    @abstractmethod
    def suspicions(self, canaries: int) -> tuple[np.ndarray, np.ndarray]:
        """One run: which canaries were in, and how much each looks it; shape (canaries,) both."""

    def audit(
        self,
        runs: int,
        *,
        jobs: int = 1,
        false_alarm: float = FALSE_ALARM,
        progress: Progress = lambda share: None,
    ) -> Line:
        """One run with `runs` canaries."""
        start = time.process_time()
        inside, suspicion = self.suspicions(runs)
        each = max(1, int(self.guess_share * runs / 2))
        order = np.argsort(suspicion, kind="stable")
        right = int(inside[order[-each:]].sum() + (~inside[order[:each]]).sum())
        progress(1.0)

        def bound(confidence: float) -> float:
            return one_run_bound(runs, 2 * each, right, self.delta, confidence)

        shown = histogram(suspicion[~inside], suspicion[inside])
        strict = self.alarm_claim
        spent = time.process_time() - start
        return self._line(
            bound,
            alarm=one_run_bound(runs, 2 * each, right, strict.delta, 1 - false_alarm),
            limit=strict.epsilon,
            ceiling=self.epsilon,
            estimator="one run",
            runs=runs,
            cpu_seconds=spent,
            false_alarm=false_alarm,
            histogram=shown,
        )


def histogram(world0: Scores, world1: Scores) -> dict[str, list[float]]:
    """Shares of the runs between common edges, the outer thousandths left out."""
    low, high = np.quantile(np.concatenate([world0, world1]), [0.001, 0.999])
    if not low < high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    shares = [np.histogram(w, edges)[0] / max(len(w), 1) for w in (world0, world1)]
    return {"edges": edges.tolist(), "world0": shares[0].tolist(), "world1": shares[1].tolist()}


def _both(
    attack: ScoredAttack, runs: int, jobs: int, progress: Progress
) -> tuple[tuple[Scores, Scores], float]:
    """Scores of both worlds, and the processor time spent in other processes."""
    pieces = max(1, min(_CHUNKS, runs // 500))
    sizes = [len(part) for part in np.array_split(np.empty(runs, np.int8), pieces)]
    work = [(attack, world, size) for size in sizes for world in (0, 1)]
    if jobs <= 1:
        parts = []
        for i, piece in enumerate(work):
            parts.append(piece[0].scores(*piece[1:]))
            progress((i + 1) / len(work))
        elsewhere = 0.0
    else:
        # Forked processes would share what this one holds: locks, connections, thread pools.
        with ProcessPoolExecutor(jobs, get_context("spawn"), _alone) as pool:
            parts, elsewhere = [], 0.0
            for i, (part, seconds) in enumerate(pool.map(_piece, work)):
                parts.append(part)
                elsewhere += seconds
                progress((i + 1) / len(work))
    return (np.concatenate(parts[0::2]), np.concatenate(parts[1::2])), elsewhere


def _alone() -> None:
    """One thread a process: the processes are the parallelism."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _piece(work: tuple[ScoredAttack, int, int]) -> tuple[Scores, float]:
    start = time.process_time()
    attack, world, size = work
    return attack.scores(world, size), time.process_time() - start
