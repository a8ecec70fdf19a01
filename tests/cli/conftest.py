"""A small table, its schema, and the command line in this process."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mezzotint.cli import main

SCHEMA = """\
mezzotint-schema: 1
unit: {name: person, rows: 1}
attributes:
  age: {type: integer, bounds: [18, 81], bins: 16, missing: false}
  colour: {type: categorical, categories: [red, green, blue], missing: "?"}
  size: {type: continuous, bounds: [0, 10], bins: 8, decimals: 2}
  since: {type: date, bounds: [2020-01-01, 2020-12-31], bins: 12, missing: false}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its one JSON object."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def table_text(rows: int = 300) -> str:
    """A CSV file whose columns hang together."""
    rng = random.Random(7)
    lines = ["age,colour,size,since"]
    for _ in range(rows):
        age = rng.randint(18, 81)
        colour = rng.choice(["red", "green"] if age < 40 else ["blue", "?"])
        size = "" if rng.random() < 0.1 else f"{rng.uniform(0, 10):.2f}"
        lines.append(f"{age},{colour},{size},2020-{rng.randint(1, 12):02d}-15")
    return "\n".join(lines) + "\n"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working directory with data.csv and schema.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEZZOTINT_LEDGER", raising=False)
    Path("data.csv").write_text(table_text())
    Path("schema.yaml").write_text(SCHEMA)
    return tmp_path


@pytest.fixture
def run(place, capfd):
    """Runs a command in this process."""

    def runner(*words: object) -> Outcome:
        capfd.readouterr()
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return runner


@pytest.fixture
def fails(run):
    """Runs a command that must fail cleanly; returns its message."""

    def runner(code: int, *words: object) -> str:
        before = _files()
        outcome = run(*words)
        assert outcome.code == code, outcome
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        *notes, error = outcome.err.rstrip("\n").split("\nerror: ")
        error = error if notes else error.removeprefix("error: ")
        assert outcome.err.count("error: ") == 1
        assert _files() == before
        return error

    return runner


def _files() -> list[Path]:
    """All files but those that SQLite keeps beside a ledger."""
    return sorted(p for p in Path().rglob("*") if not p.name.endswith(("-wal", "-shm")))
