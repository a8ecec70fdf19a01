"""What the documents show is what happens.

A `console` block holds commands and their output. They are run in order, in one directory for each
document, and the output must be the same up to numbers and line breaks (noise is never the same
twice). `MEZZOTINT_REWRITE_DOCS=1 pytest tests/cli/test_docs.py` writes the present output into the
documents. Commands in other fenced blocks must be ones that the command line takes.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sessions(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, and what follows each."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command = command[:-1] + more.removeprefix("> ")
        yield command, output


def normal(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "#", text)
    text = re.sub(r"\d[\d.,:]*(e-?\d+)?(?<![.,:])", "#", text)
    return " ".join(text.split())


def execute(command: str, run) -> str:
    """What a command prints, on either stream."""
    program, *words = shlex.split(command)
    if program == "cp":
        shutil.copy(*words)
        return ""
    assert program == "mezzotint", f"a document may show mezzotint and cp only, not {program}"
    outcome = run(*words)
    return outcome.out + outcome.err


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_show_what_happens(document, run):
    Path("data.csv").unlink()
    Path("schema.yaml").unlink()
    text = document.read_text()
    told = text
    for kind, block in BLOCK.findall(text):
        for command, output in sessions(block) if kind == "console" else ():
            shown = execute(command, run)
            assert "Traceback" not in shown
            if "MEZZOTINT_REWRITE_DOCS" in os.environ:
                lines = "".join(f"{line.rstrip()}\n" for line in shown.splitlines())
                told = told.replace(f"$ {command}\n{output}", f"$ {command}\n{lines}")
            else:
                assert normal(shown) == normal(output), command
    if told != text:
        document.write_text(told)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_commands_that_exist(document, run):
    for kind, block in BLOCK.findall(document.read_text()):
        if kind not in ("", "sh", "bash", "shell"):
            continue
        for command in re.findall(r"^(?:\$ )?mezzotint (.*)$", block.replace("\\\n", " "), re.M):
            words = shlex.split(command.split(";")[0], comments=True)
            outcome = run(*[re.sub(r"[\[\]]", "", word) for word in words], "--help")
            assert outcome.code == 0, f"{command}: {outcome.err}"
