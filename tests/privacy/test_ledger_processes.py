"""Many processes, forks and SIGKILL: never over the cap, never unrecorded, never shared noise."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mezzotint.errors import BudgetError, LedgerError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.releases import units_within
from tests.processes import fork, join


@pytest.mark.parametrize(
    ("workers", "epsilon"), [(10, 0.3), pytest.param(64, 0.02, marks=pytest.mark.slow)]
)
def test_concurrent_spenders_never_exceed_the_cap(tmp_path, workers: int, epsilon: float):
    """Processes open, spend and close at will; the cap is met to the last affordable run."""
    path, ask = tmp_path / "l.db", Budget(epsilon)
    with Ledger.open(path) as ledger:
        ledger.set_cap("adult", Budget(2.0))

    def spend() -> None:
        with Ledger.open(path) as mine:
            for _ in range(10_000):
                try:
                    run = mine.begin(ask, mechanism="AIM", dataset="adult")
                except BudgetError:
                    return
                # Spends its whole grant, so that nothing is given back.
                while True:
                    try:
                        run.gaussian("m", 9.0 / epsilon)
                    except BudgetError:
                        break
                run.close()

    join([fork(spend) for _ in range(workers)])
    with Ledger.open(path) as ledger:
        ledger.verify()
        account = ledger.account("adult")
        total = sum(r.units for run in ledger.runs() for r in ledger.releases(run.id))
        assert total == account.booked <= account.cap_units
        # Refused only when another run no longer fitted.
        assert account.booked + units_within(ask) > account.cap_units
        assert account.epsilon <= 2.0


def test_threads_of_one_process_share_a_ledger(tmp_path):
    with Ledger.open(tmp_path / "l.db") as ledger:
        run = ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult")
        threads = [
            threading.Thread(target=lambda: [run.gaussian("m", 1000.0) for _ in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [r.seq for r in run.releases] == list(range(80))
        ledger.verify()


@pytest.mark.parametrize("backend", ["auto", "opendp", "keyed"])
def test_three_forked_workers_draw_different_noise(tmp_path, backend: str):
    """The parent has drawn already, so that every sampler's state exists before the fork."""
    path = tmp_path / "l.db"
    ledger = Ledger.open(path, backend=backend)
    run = ledger.begin(Budget(9.0), mechanism="AIM", dataset="adult")
    drawn = [noise.discrete_gaussian(run.gaussian("parent", 50.0), 40).tolist()]

    def work(index: int) -> None:
        mine = noise.discrete_gaussian(run.gaussian(f"worker {index}", 50.0), 40)
        (tmp_path / f"{index}.json").write_text(json.dumps(mine.tolist()))

    join([fork(lambda index=index: work(index)) for index in range(3)])
    drawn += [json.loads((tmp_path / f"{index}.json").read_text()) for index in range(3)]
    for i in range(4):
        for j in range(i):
            assert abs(np.corrcoef(drawn[i], drawn[j])[0, 1]) < 0.9
    assert sorted(r.about for r in run.releases) == ["parent"] + [f"worker {i}" for i in range(3)]
    assert [r.seq for r in run.releases] == [0, 1, 2, 3]
    ledger.verify()
    ledger.close()


def test_a_spend_does_not_survive_a_fork():
    run = Ledger.memory().begin(Budget(9.0), mechanism="AIM", dataset="adult")
    spend = run.gaussian("m", 50.0)

    def work() -> None:
        with pytest.raises(LedgerError, match="was recorded by another process"):
            noise.discrete_gaussian(spend, 3)
        with pytest.raises(LedgerError, match="belongs to the process that made it; a forked"):
            run.gaussian("m", 50.0)

    join([fork(work)])
    assert len(noise.discrete_gaussian(spend, 3)) == 3


@pytest.mark.parametrize("ledgers", [1, pytest.param(25, marks=pytest.mark.slow)])
def test_kill_9_in_the_release_path_leaves_nothing_unrecorded_and_no_double_noise(
    tmp_path, ledgers: int
):
    """Forty kills a ledger: a long one takes so long to open that kills would meet it there."""
    moments = random.Random(11)
    lines = 0
    for i in range(ledgers):
        (tmp_path / str(i)).mkdir()
        lines += killed_in_the_release_path(tmp_path / str(i), 40, moments)
    sys.stdout.write(
        f"{40 * ledgers} kills, {lines} releases came out: none unrecorded, none with two noises\n"
    )


def killed_in_the_release_path(tmp_path: Path, kills: int, moments: random.Random) -> int:
    """Workers killed at random moments; what came out is in the ledger, once, and repeats."""
    path, out = tmp_path / "l.db", tmp_path / "out.jsonl"
    Ledger.open(path).close()

    def work(request: str) -> None:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        ledger = Ledger.open(path)
        run = ledger.begin(
            Budget(5.0), mechanism="AIM", dataset="adult", fingerprint=b"rows", request=request
        )
        for i in itertools.count():  # until it is killed, however fast the machine
            spend = run.gaussian(f"m{i}", 400.0)
            drawn = noise.discrete_gaussian(spend, 6).tolist()
            line = {"request": request, "hash": spend.release.hash, "seq": i, "drawn": drawn}
            # SIGKILL can tear a write in two: each line begins afresh, so that it alone is lost.
            os.write(handle, ("\n" + json.dumps(line) + "\n").encode())

    killed, longest, done = 0, 0.06, 0
    for round_ in range(kills):
        # Every request is tried by several workers in turn: a retry must repeat, not redraw.
        child = fork(lambda round_=round_: work(f"request {round_ // 4}"))
        time.sleep(moments.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        before, done = done, out.stat().st_size if out.exists() else 0
        # A busy machine: give the next one longer to get there.
        longest = min(1.5 * longest, 2.0) if done == before else max(0.9 * longest, 0.06)
    assert killed == kills  # none ended by itself, with an error or without
    written = [line for line in out.read_text().splitlines() if line]
    lines = [json.loads(line) for line in written if line.startswith("{") and line.endswith("}")]
    assert len(written) - len(lines) <= kills
    assert len(lines) > kills
    with Ledger.open(path) as ledger:
        ledger.verify()
        recorded = {r.hash for run in ledger.runs() for r in ledger.releases(run.id)}
        assert {line["hash"] for line in lines} <= recorded
        noises: dict[tuple[str, int], list[int]] = {}
        for line in lines:
            key = (line["request"], line["seq"])
            assert noises.setdefault(key, line["drawn"]) == line["drawn"]
        # Reservations of the killed stay booked.
        runs = ledger.runs()
        assert {run.state for run in runs} == {"open"}
        assert ledger.account("adult").booked == sum(run.units for run in runs)
        # The last attempt completes the work, with the bytes that came out before.
        for held in runs:
            run = ledger.begin(
                Budget(5.0),
                mechanism="AIM",
                dataset="adult",
                fingerprint=b"rows",
                request=held.request,
            )
            for i in range(held.releases):
                drawn = noise.discrete_gaussian(run.gaussian(f"m{i}", 400.0), 6).tolist()
                assert noises.get((held.request or "", i), drawn) == drawn
        assert [r.releases for r in ledger.runs()] == [r.releases for r in runs]
    return len(lines)


def test_many_processes_may_create_the_ledger_at_once(tmp_path):
    path = tmp_path / "l.db"

    def work() -> None:
        with (
            Ledger.open(path) as ledger,
            ledger.begin(Budget(0.1), mechanism="AIM", dataset="adult") as run,
        ):
            run.gaussian("m", 1000.0)

    join([fork(work) for _ in range(8)])
    with Ledger.open(path) as ledger:
        assert len(ledger.runs()) == 8
    assert [p.name for p in tmp_path.iterdir()] == ["l.db"]
