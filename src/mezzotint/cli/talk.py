"""What a command says: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Talk:
    """How a command speaks.

    Attributes:
        json: whether the result is one JSON object, for scripts.
        quiet: whether only errors are printed.
    """

    json: bool = False
    quiet: bool = False

    def say(self, *lines: str) -> None:
        """A part of the result, for people."""
        if not self.json and not self.quiet:
            print(*lines, sep="\n")

    def note(self, line: str) -> None:
        """Something to know that is no result."""
        if not self.quiet:
            print(line, file=sys.stderr)

    def result(self, content: Mapping[str, Any]) -> None:
        """The result, for scripts: the one JSON object."""
        if self.json:
            print(json.dumps(content, ensure_ascii=False, allow_nan=False))

    @contextmanager
    def stage(self, what: str) -> Iterator[Callable[[float], None]]:
        """Show on a terminal that something is going on.

        Yields:
            A function that takes the share that is done, 0 to 1; until it is called, the bar only
            moves to and fro.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda share: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(what, total=None)
            yield lambda share: bars.update(bar, total=1.0, completed=share)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns: words to the left, numbers to the right."""
    lines = [head, *rows]
    columns = range(len(head))
    widths = [max(len(line[i]) for line in lines) for i in columns]
    numbers = [all(row[i][:1].isdigit() or not row[i] for row in rows) for i in columns]
    return [
        "  ".join(
            line[i].rjust(widths[i]) if numbers[i] else line[i].ljust(widths[i]) for i in columns
        ).rstrip()
        for line in lines
    ]
