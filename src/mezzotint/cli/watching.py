"""Progress of work that other programs do: what stage it is in, and how long it will take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mezzotint.cli.talk import Talk

if TYPE_CHECKING:
    from mezzotint.service.progress import Progress


@contextmanager
def watching(talk: Talk) -> Iterator[Callable[[Progress], None]]:
    """Show moments of progress: as a bar on a terminal, elsewhere as a line for each new stage."""
    if talk.quiet:
        yield lambda progress: None
        return
    if not sys.stderr.isatty():
        yield _Lines(talk)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("beginning", total=None)

        def show(progress: Progress) -> None:
            bars.update(
                bar,
                description=progress.words(),
                total=progress.total or None,
                completed=progress.done,
            )

        yield show


class _Lines:
    def __init__(self, talk: Talk) -> None:
        self._talk, self._told = talk, ""

    def __call__(self, progress: Progress) -> None:
        # "encrypting noise-3-marks" is one of many that are one stage for people.
        stage = progress.stage.partition("-")[0]
        if not self._told.startswith(stage):
            self._told = stage
            self._talk.note(f"... {stage}")
