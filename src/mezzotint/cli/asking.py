"""Confirming facts on a terminal, one by one."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mezzotint.errors import MezzotintError, ParameterError

if TYPE_CHECKING:
    from mezzotint.schema import Schema

_HELP = """\
Facts that the data gave away, or that were guessed. You answer for each being public: known
without the table, or harmless to publish even if it holds for one person only.
  y yes, it is public     c yes to this and all other facts of the same column
  n no, leave it open     e edit the schema    q stop here, keeping the answers so far
"""


def ask(schema: Schema) -> Schema:
    """Ask about every open fact; returns the schema with those that were confirmed."""
    print(_HELP)
    left: set[tuple[str | None, str]] = set()
    while pending := [f for f in schema.unconfirmed() if f.known and f.key not in left]:
        fact = pending[0]
        match input(f"[{len(pending)} to go] {fact.question} [y/n/c/e/q] ").strip().lower():
            case "y" | "yes":
                schema = schema.confirm(fact)
            case "c":
                schema = schema.confirm(*(f for f in pending if f.attribute == fact.attribute))
            case "n" | "no":
                left.add(fact.key)
            case "e" | "edit":
                schema = _edit(schema)
            case "q" | "quit":
                break
            case _:
                print(_HELP)
    return schema


def _edit(schema: Schema) -> Schema:
    """The schema as it comes back from the user's editor; as it was, if that makes no sense."""
    from mezzotint.schema import Schema

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="mezzotint-") as folder:
        path = Path(folder, "schema.yaml")
        schema.write(path)
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603
            return Schema.read(path)
        except (OSError, subprocess.CalledProcessError):
            raise ParameterError(
                f"the editor {editor!r} cannot be run; set EDITOR, or edit the file and confirm "
                "again; nothing was changed"
            ) from None
        except MezzotintError as error:
            print(f"Not taken: {error}")
            return schema
