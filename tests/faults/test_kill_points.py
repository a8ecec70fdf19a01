"""SIGKILL at every numbered point of a fit: before each line that spends, draws or writes.

The points are the lines of the privacy core and of the writing of files, numbered in the order in
which a fit first reaches them. A child runs the fit under a tracer and kills itself at one; then
the parent looks at what is left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pytest

import mezzotint
from mezzotint.errors import ModelFileError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.tables import curator

PACKAGE = Path(mezzotint.__file__).parent
TRACED = (str(PACKAGE / "privacy"), str(PACKAGE / "sources" / "writing.py"))
SIZES = {"a": 3, "b": 2, "c": 2}
CAP = Budget(2.0)

Point = tuple[str, int]


class Tracer:
    """Calls back at each new line of the traced files."""

    def __init__(self, reached: Callable[[Point], None]) -> None:
        self._reached = reached
        self._seen: set[Point] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> Tracer | None:
        name = frame.f_code.co_filename
        if not name.startswith(TRACED):
            return None
        point = (name, frame.f_lineno)
        if event == "line" and point not in self._seen:
            self._seen.add(point)
            self._reached(point)
        return self


def fit(folder: Path) -> None:
    """The work that is killed; tells the pipe of every draw, as an eavesdropper would."""
    ledger = folder / "ledger.db"
    table = pa.table({name: [i % size for i in range(60)] for name, size in SIZES.items()})
    mechanism = mezzotint.MST(epsilon=1.0)
    mechanism.fit(table, SIZES, ledger=ledger, dataset="patients").save(folder / "m.mezzo")


def in_child(work: Callable[[], None]) -> int:
    """The exit status of a forked child that does the work."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


@pytest.fixture(scope="module")
def points(tmp_path_factory) -> list[Point]:
    """The numbered points, as one whole fit reaches them."""
    folder = tmp_path_factory.mktemp("whole")
    prepare(folder)
    fit(folder)  # whatever is imported or kept is there now, in every child
    folder = tmp_path_factory.mktemp("traced")
    prepare(folder)
    listed = folder / "points.json"

    def work() -> None:
        found: list[Point] = []
        sys.settrace(Tracer(found.append))
        fit(folder)
        sys.settrace(None)
        listed.write_text(json.dumps(found))
        os._exit(0)

    assert in_child(work) == 0
    return [(name, line) for name, line in json.loads(listed.read_text())]


def prepare(folder: Path) -> None:
    with Ledger.open(folder / "ledger.db") as ledger:
        ledger.set_cap("patients", CAP)


def killed_at(point: Point, folder: Path) -> None:
    """Runs the fit in a child that dies at the point; draws are noted beside the ledger."""

    def work() -> None:
        spoken = os.open(folder / "draws", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        draw = curator.discrete_gaussian

        def overheard(spend: Any, size: int) -> Any:
            drawn = draw(spend, size)
            os.write(spoken, (spend.release.hash + "\n").encode())
            return drawn

        curator.discrete_gaussian = overheard

        def die(reached: Point) -> None:
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.settrace(Tracer(die))
        fit(folder)

    assert os.WTERMSIG(in_child(work)) == signal.SIGKILL


def look(folder: Path) -> None:
    """What must hold whenever the work died."""
    drawn = (folder / "draws").read_text().split() if (folder / "draws").exists() else []
    with Ledger.open(folder / "ledger.db") as ledger:
        ledger.verify()
        (account,) = ledger.accounts()
        runs = ledger.runs()
        recorded = {r.hash: r for run in runs for r in ledger.releases(run.id)}
        assert set(drawn) <= set(recorded), "noise was drawn for a release that is not recorded"
        assert account.booked >= sum(r.units for r in recorded.values())
        assert account.epsilon <= CAP.epsilon
        for run in runs:
            assert run.units >= run.spent
            ledger.settle(run.id)
    model = folder / "m.mezzo"
    if model.exists():
        held = mezzotint.load(model).privacy.releases
        assert {release.hash for release in held} <= set(recorded)
        assert len(held) > 3
    # Life goes on: the next fit finds its budget and replaces what is there.
    fit(folder)
    try:
        assert mezzotint.load(model).privacy.private
    except ModelFileError as error:
        raise AssertionError("the model is half-written") from error


def test_the_points_cover_the_release_path(points):
    files = {Path(name).name for name, _ in points}
    assert {"ledger.py", "run.py", "journal.py", "noise.py", "spend.py", "writing.py"} <= files
    assert len(points) > 200


def test_killed_at_points_of_a_fit(points, tmp_path):
    """One in so many points; the slow test takes them all."""
    chosen = points[:: len(points) // 24]
    for number, point in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        prepare(folder)
        killed_at(point, folder)
        look(folder)


@pytest.mark.slow
def test_killed_at_every_point_of_a_fit(points, tmp_path):
    for number, point in enumerate(points):
        folder = tmp_path / str(number)
        folder.mkdir()
        prepare(folder)
        killed_at(point, folder)
        look(folder)


def test_noise_is_overheard_at_all():
    """The eavesdropper of these tests listens where the curator draws."""
    assert curator.discrete_gaussian is noise.discrete_gaussian
