"""What a failure prints, and its exit code.

stderr gets `error: ` and one message that names the place and the mend. With `--json`, stdout gets
`{"error": {"type": ..., "message": ..., "exit_code": ...}}` as well, so that a script always finds
exactly one JSON object there.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from mezzotint.errors import MezzotintError

_INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DEBUG = "MEZZOTINT_DEBUG"


def report_failure(error: BaseException, *, as_json: bool) -> int:
    """Print what went wrong; returns the exit code."""
    code, message = explain(error)
    if os.environ.get(_DEBUG):
        traceback.print_exception(error)
    if message:
        print(f"error: {message}", file=sys.stderr)
    if as_json:
        kind = type(error).__name__
        print(json.dumps({"error": {"type": kind, "message": message, "exit_code": code}}))
    return code


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code and the message of a failure."""
    if isinstance(error, MezzotintError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return (
            _INTERRUPTED,
            "interrupted; no file was left half-written, and what was spent stays booked",
        )
    # Typer brings its own copy of click, or uses the installed one, depending on its version.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        return _usage(error)
    if isinstance(error, OSError):
        return 1, _system(error)
    if isinstance(error, MemoryError):
        return 1, (
            "there is not enough memory: take a smaller --workload or --max-model-mb, or give "
            "attributes fewer bins in the schema"
        )
    return 1, _bug(error)


def _usage(error: Any) -> tuple[int, str]:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "mezzotint"
    message = error.format_message().rstrip(".")
    if not message:  # no words were given at all, and the help has been shown
        return error.exit_code, ""
    return error.exit_code, f"{message}; `{command} --help` shows what it takes"


def _system(error: OSError) -> str:
    place = error.filename or "a file"
    if error.errno in _FULL:
        mend = "make room, or give another place"
    elif isinstance(error, PermissionError):
        mend = "give a place that you may read and write"
    else:
        mend = "check the path"
    return f"{place}: {error.strerror or error}; {mend}"


def _bug(error: BaseException) -> str:
    """Type and place only: the text of an unforeseen error may quote private rows."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"{os.sep}mezzotint{os.sep}" in f.filename]
    frame = (ours or list(frames))[-1] if frames else None
    place = f" in {Path(frame.filename).name}, line {frame.lineno}" if frame else ""
    return (
        f"{type(error).__name__}{place}: this is a bug in Mezzotint. Its text is not shown, because"
        f" it could quote private rows; {_DEBUG}=1 shows it. Please report it without them"
    )
