"""What is unforeseen shows no private value."""

from __future__ import annotations

import errno

import pytest

from mezzotint.cli.failures import explain
from mezzotint.errors import BudgetError, DataError


def broken(value: str) -> float:
    return float(value)


def test_bugs_are_called_bugs_and_quote_nothing(monkeypatch, run):
    monkeypatch.setattr("mezzotint.cli.fitting.read_schema", lambda *_: broken("Alice, HIV"))
    outcome = run("plan", "-s", "schema.yaml")
    assert outcome.code == 1
    assert "Alice" not in outcome.err
    assert outcome.err.startswith("error: ValueError in fitting.py, line ")
    assert "this is a bug in Mezzotint" in outcome.err
    monkeypatch.setenv("MEZZOTINT_DEBUG", "1")
    assert "Alice" in run("plan", "-s", "schema.yaml").err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("d"), 2, "d"),
        (BudgetError("b"), 1, "b"),
        (OSError(errno.ENOSPC, "No space left on device", "x.csv"), 1, "make room"),
        (PermissionError(errno.EACCES, "Permission denied", "x.csv"), 1, "x.csv: Permission"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.csv"), 1, "check the path"),
        (MemoryError(), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_foreseen_failures(error, code, words):
    told = explain(error)
    assert told[0] == code
    assert words in told[1]
