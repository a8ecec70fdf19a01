"""What each role learns, in a table: after a `submit`, and in `ledger show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mezzotint.cli.talk import table

if TYPE_CHECKING:
    from mezzotint.privacy.account import RunRecord
    from mezzotint.privacy.ledger import Ledger
    from mezzotint.privacy.views import View

_COLUMNS = ("who looks", "who cheats", "epsilon", "rho")


def view_lines(views: Sequence[View]) -> Iterator[str]:
    """One row for each view; nothing if there are none."""
    if views:
        yield from table(_COLUMNS, [_row(view) for view in views])


def _row(view: View) -> tuple[str, ...]:
    if view.epsilon is None or view.rho is None:
        guarantee = ("its own data", "")
    else:
        guarantee = (f"{view.epsilon:.4g}", f"{view.rho:.4g}")
    return view.role, view.corrupted or "nobody", *guarantee


def ledger_views(
    ledger: Path, book: Ledger, runs: Sequence[RunRecord]
) -> dict[int, tuple[View, ...]]:
    """The views of those runs that were made together with others, by the run's number.

    A key holder and a provider keep what was agreed beside their ledgers: `jobs/ID/job.json` and
    `job.json`. A ledger that lies elsewhere has no views to show.
    """
    agreed = [*ledger.absolute().parent.glob("jobs/*/job.json")]
    agreed += [path for path in [ledger.absolute().parent / "job.json"] if path.exists()]
    asked = {run.request: run for run in runs if run.request is not None}
    if not agreed or not asked:
        return {}
    from mezzotint.encrypted.job import Job
    from mezzotint.encrypted.refusal import Refusal
    from mezzotint.encrypted.views import views
    from mezzotint.privacy.releases import request_id

    found = {}
    for path in agreed:
        try:
            job = Job.from_bytes(path.read_bytes())
        except Refusal:
            # Of another version, say; the ledger's own figures stand without it.
            continue
        run = asked.get(
            request_id(
                dataset=job.dataset,
                mechanism=job.mechanism,
                parameters={"job": job.id},
                nonce=job.nonce,
            )
        )
        if run is not None:
            found[run.id] = views(job, book.releases(run.id))
    return found
