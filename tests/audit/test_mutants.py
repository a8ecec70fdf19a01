"""L6: every seeded privacy bug is found by the test that is named for it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.privacy.ledger import Ledger

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


def run_killer(mutant: Mutant, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Calls the test that shall find the bug."""
    module, function = mutant.killer.split(":")
    room = importlib.import_module(module)

    def made(argument: Any) -> Any:
        match argument:
            case "unit":
                return PrivacyUnit()
            case "ledger":
                return Ledger.memory()
            case "overheard":
                return room.Overheard(patch)
            case "tmp_path":
                folder.mkdir(parents=True, exist_ok=True)
                return folder
        return argument

    getattr(room, function)(*(made(argument) for argument in mutant.arguments))


@pytest.fixture(scope="module")
def passes_unmutated(tmp_path_factory):
    """Whether a killer passes without a bug; run once for all bugs that it shall find."""
    passed: set[tuple[str, tuple[Any, ...]]] = set()

    def check(mutant: Mutant) -> bool:
        if (mutant.killer, mutant.arguments) not in passed:
            with pytest.MonkeyPatch.context() as patch:
                run_killer(mutant, patch, tmp_path_factory.mktemp("honest"))
            passed.add((mutant.killer, mutant.arguments))
        return True

    return check


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_bug_is_found(mutant, passes_unmutated, tmp_path):
    """The killer passes on the real code, and fails on the mutated one by an assertion.

    An error of another kind would show that the mutant is broken, not that it was found; those
    that a guard of the real code raises are named with the mutant.
    """
    assert passes_unmutated(mutant)
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        try:
            run_killer(mutant, patch, tmp_path / "mutated")
        except (AssertionError, pytest.fail.Exception):
            return
        except Exception as stopped:
            assert type(stopped).__name__ in mutant.errors, f"{mutant.name} is broken: {stopped!r}"
            return
    pytest.fail(f"{mutant.name} survived {mutant.killer}: {mutant.bug}")


def test_there_are_enough_and_no_two_are_alike():
    assert len(MUTANTS) >= 25
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)
    assert len({m.bug for m in MUTANTS}) == len(MUTANTS)


def test_the_published_list_is_this_list():
    """docs/referee.md names every bug with its killer, and no other."""
    text = (ROOT / "docs" / "referee.md").read_text()
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| (.*?) \| `(.*?)` \|$", text, re.MULTILINE)
    assert listed == [(m.name, m.bug, m.killer.replace("tests.", "", 1)) for m in MUTANTS]
