"""Many spenders on one ledger file: never over budget, every spend on the disk, and at what rate.

The slow test's figures are printed: `pytest -m slow -s tests/faults/test_crowded_ledger.py`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mezzotint.errors import BudgetError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from tests.processes import fork

ASK, CAP = Budget(0.02, 1e-5), Budget(0.59, 1e-5)
EACH = 8
"""So many spends use up a run."""


def spend(path: Path, attempts: int, told: int) -> None:
    """Begins runs and spends from them as long as it is let; tells how often it was."""
    spends, run = 0, None
    with Ledger.open(path) as ledger:
        for _ in range(attempts):
            try:
                if run is None:
                    run = ledger.begin(ASK, mechanism="AIM", dataset="adult")
                run.gaussian("a count", (EACH / (2 * run.total_rho)) ** 0.5)
                spends += 1
            except BudgetError:
                run = None
    os.write(told, f"{spends}\n".encode())


@pytest.mark.parametrize(
    ("workers", "attempts"), [(8, 200), pytest.param(64, 10_000, marks=pytest.mark.slow)]
)
def test_spenders_in_a_crowd_never_exceed_the_cap(tmp_path, workers, attempts):
    path = tmp_path / "l.db"
    with Ledger.open(path) as ledger:
        # So that the last attempts are refused, whoever makes them.
        cap = Budget(CAP.epsilon * (attempts / 10_000) ** 0.5, CAP.delta)
        ledger.set_cap("adult", cap)
    shares = [attempts // workers + (i < attempts % workers) for i in range(workers)]
    read, told = os.pipe()
    start = time.perf_counter()
    children = [fork(lambda share=share: spend(path, share, told)) for share in shares]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * workers
    seconds = time.perf_counter() - start
    os.close(told)
    with os.fdopen(read) as pipe:
        spends = sum(map(int, pipe.read().split()))
    with Ledger.open(path) as ledger:
        ledger.verify()
        account, runs = ledger.account("adult"), ledger.runs()
        recorded = [r.units for run in runs for r in ledger.releases(run.id)]
    assert len(recorded) == spends < attempts
    assert sum(recorded) <= account.booked <= account.cap_units
    assert all(run.spent <= run.units and run.releases <= EACH for run in runs)
    assert account.epsilon <= cap.epsilon
    # Refused only where another run no longer fitted.
    assert account.booked + runs[0].units > account.cap_units
    sys.stdout.write(
        f"{workers} processes, {attempts} attempts, {spends} spends in {len(runs)} runs, the rest "
        f"refused: epsilon {account.epsilon:.4f} of {cap.epsilon:.4f}; "
        f"{spends / seconds:.0f} durable spends a second\n"
    )
    if attempts == 10_000:  # the slow one: alone on its machine
        assert spends / seconds > 200
