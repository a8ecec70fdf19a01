"""What each role learns, in a table: after a `submit`, and in `ledger show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mezzotint.cli.talk import table

if TYPE_CHECKING:
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
