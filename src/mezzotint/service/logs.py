"""What a service writes down: the name of an event, ids and sizes.

There is no way to write anything else: no text of an error, no value, no header. The exact reason
of a refusal is one of the fixed sentences of this package, and carries ids only.
"""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

_LONGEST = 120


class Log(Protocol):
    """Takes events."""

    def __call__(self, event: str, **facts: str | int | float) -> None:
        """Write down one event with its ids and sizes."""
        ...


def to_stream(role: str, stream: TextIO | None = None) -> Log:
    """A log of one line per event, such as `2026-11-22T10:00:00Z provider upload job=3f bytes=9`.

    Args:
        role: who writes.
        stream: where to; stderr by default.
    """

    def write(event: str, **facts: str | int | float) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        told = " ".join(f"{name}={_plain(value)}" for name, value in facts.items())
        print(f"{now} {role} {event} {told}".rstrip(), file=stream or sys.stderr, flush=True)

    return write


def silent(event: str, **facts: str | int | float) -> None:
    """No log."""


def _plain(value: str | float) -> str:
    """On one line, and short: nobody writes a second line into the log from outside."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    kept = "".join(sign if sign.isprintable() and sign != " " else "_" for sign in text)
    return kept[:_LONGEST]
