"""How far a job is, and how long it will take.

A stage counts its own steps; the time left follows from the pace of those done since this process
began. Progress is public: it depends on the plan and on the machine, never on a count.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mezzotint.service.files import write_private

_EVERY = 0.5


@dataclass(frozen=True)
class Progress:
    """One moment of one job.

    Attributes:
        stage: what is being done.
        done: steps of the stage that are done.
        total: all of its steps; 0 if nobody knows.
        seconds: since the stage began.
        left: seconds that the stage will still take; None while nobody can say.
    """

    stage: str
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    left: float | None = None

    def words(self) -> str:
        """For people."""
        if not self.total:
            return self.stage
        share = f"{self.stage}: {self.done:,} of {self.total:,}"
        return share if self.left is None else f"{share}, {spell(self.left)} left"


def spell(seconds: float) -> str:
    """A duration in words, rounded up to something that a person wants to know."""
    if seconds < 1:
        return "less than a second"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


class Pace:
    """Turns counted steps into `Progress`, and passes it on about twice a second.

    Args:
        tell: where it goes.
        clock: seconds, from any beginning.
    """

    def __init__(
        self, tell: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._stage: tuple[str, int] | None = None
        self._first = 0
        self._began = self._told = float("-inf")

    def __call__(self, stage: str, done: int, total: int) -> None:
        """A stage has come so far."""
        now = self._clock()
        if (stage, total) != self._stage:
            # Steps that an earlier process did say nothing of this one's pace.
            self._stage, self._first, self._began = (stage, total), done, now
        elif now - self._told < _EVERY and done != total:
            return
        self._told = now
        seconds, fresh = now - self._began, done - self._first
        left = seconds / fresh * (total - done) if fresh > 0 and seconds > 0 else None
        self._tell(Progress(stage, done, total, round(seconds, 3), left))


class Stages:
    """Keeps what each stage took: seconds on the clock, and CPU seconds with ended children.

    Args:
        pace: where progress goes on to.
        clock: seconds, from any beginning.
    """

    def __init__(
        self, pace: Callable[[str, int, int], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pace = pace
        self._clock = clock
        self._stage = "preparing"
        self._since = self._now()
        self._taken: dict[str, tuple[float, float]] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """A stage has come so far."""
        if stage != self._stage:
            self._close()
            self._stage = stage
        self._pace(stage, done, total)

    def ended(self) -> dict[str, dict[str, float]]:
        """What each stage took, the present one included."""
        self._close()
        return {
            stage: {"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3)}
            for stage, (seconds, cpu) in self._taken.items()
        }

    def _close(self) -> None:
        now, taken = self._now(), self._taken.get(self._stage, (0.0, 0.0))
        self._taken[self._stage] = (
            taken[0] + now[0] - self._since[0],
            taken[1] + now[1] - self._since[1],
        )
        self._since = now

    def _now(self) -> tuple[float, float]:
        return self._clock(), sum(os.times()[:4])


def write_progress(path: Path, progress: Progress) -> None:
    """Leave it where the service finds it."""
    write_private(path, json.dumps(asdict(progress)).encode())


def read_progress(path: Path) -> Progress | None:
    """What was left last, if anything was."""
    try:
        return Progress(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
