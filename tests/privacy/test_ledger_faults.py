"""Damaged, foreign, tampered and full ledgers: one error each, and nothing released."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3

import pytest

from mezzotint.errors import LedgerError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A ledger of two runs, with everything in the main file."""
    file = tmp_path_factory.mktemp("ledger") / "l.db"
    with Ledger.open(file) as ledger:
        ledger.set_cap("adult", Budget(8.0), fingerprint=b"rows")
        for request in ("one", "two"):
            with ledger.begin(
                Budget(1.0), mechanism="AIM", dataset="adult", fingerprint=b"rows", request=request
            ) as run:
                for i in range(20):
                    run.gaussian(f"marginal {i}", 100.0)
    return file


@pytest.fixture
def path(original, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copy(original, tmp_path / "l.db")


def refused(path, text: str) -> None:
    with pytest.raises(LedgerError, match=text):
        Ledger.open(path).begin(Budget(0.1), mechanism="AIM", dataset="adult")


def test_no_sqlite_file_is_refused(path):
    path.write_bytes(b"age,sex\n1,2\n" * 500)
    refused(path, r"ledger .*l\.db cannot be used \(file is not a database\); nothing was released")


def test_an_empty_file_is_no_fresh_ledger(path):
    path.write_bytes(b"")
    refused(path, "is no Mezzotint ledger: name another file")


def test_another_sqlite_file_is_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("CREATE TABLE t (x)")
    db.close()
    refused(tmp_path / "other.db", "is no Mezzotint ledger")


def test_a_newer_format_is_refused(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.close()
    refused(path, r"has format 3 and this version of Mezzotint reads format 2: update Mezzotint")


def test_places_without_a_ledger_are_refused(tmp_path):
    with pytest.raises(LedgerError, match=r"there is no ledger at .*none\.db: check the path"):
        Ledger.open(tmp_path / "none.db", create=False)
    with pytest.raises(LedgerError, match=r"cannot be created .*name a folder that exists"):
        Ledger.open(tmp_path / "no folder" / "l.db")
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_ledger_says_so(tmp_path):
    ledger = Ledger.open(tmp_path / "l.db")
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="is closed: open it again"):
        ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult")


TAMPERINGS = [
    "UPDATE journal SET body = replace(body, '50000000', '40000000') WHERE entry = 10",
    "UPDATE journal SET time = '2020' WHERE entry = 3",
    "UPDATE journal SET kind = 'settle' WHERE entry = 24",
    "DELETE FROM journal WHERE entry = 12",
    "DELETE FROM journal WHERE entry > 40",
    "DELETE FROM journal",
    "UPDATE journal SET hash = upper(hash) WHERE entry = 2",
    "INSERT INTO journal SELECT 1000, time, kind, body, hash FROM journal WHERE entry = 5",
    "UPDATE runs SET spent = 0",
    "UPDATE runs SET delta_units = 1",
    "UPDATE runs SET delta_spent = 1",
    "UPDATE runs SET units = 1 WHERE id = 2",
    "UPDATE runs SET state = 'open'",
    "DELETE FROM runs WHERE id = 1",
    "UPDATE lineages SET cap_units = cap_units * 2",
    "UPDATE lineages SET cap_units = NULL",
    "DELETE FROM names",
    "UPDATE contents SET mac = '00'",
    "UPDATE releases SET seq = 100 WHERE seq = 19",
    "DROP TABLE releases",
]


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_found_on_opening(path, tampering: str):
    db = sqlite3.connect(path)
    with db:
        db.execute(tampering)
    db.close()
    refused(path, r"was changed from outside: .*Restore the file|cannot be used \(no such table")


def test_a_rollback_is_found_by_a_head_kept_elsewhere(path, tmp_path):
    old = tmp_path / "old.db"
    shutil.copy(path, old)
    with Ledger.open(path) as ledger:
        with ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult") as run:
            run.gaussian("age", 100.0)
        head = ledger.head
    old.replace(path)
    for leftover in path.parent.glob("l.db-*"):
        leftover.unlink()
    with Ledger.open(path) as ledger:
        ledger.verify()
        with pytest.raises(LedgerError, match="kept elsewhere is not in its chain"):
            ledger.verify(head)


def test_broken_bytes_are_an_error_or_harmless_and_never_a_crash(path):
    """Flipped and truncated files: an error, or the very same history."""
    with Ledger.open(path) as ledger:
        head, export = ledger.head, ledger.export()
    whole = path.read_bytes()
    shuffle = random.Random(5)
    errors = 0
    for trial in range(150):
        damaged = bytearray(whole)
        if trial % 3:
            for _ in range(shuffle.choice([1, 30])):
                damaged[shuffle.randrange(len(damaged))] ^= 1 << shuffle.randrange(8)
        else:
            del damaged[shuffle.randrange(len(damaged)) :]
        for leftover in path.parent.glob("l.db-*"):
            leftover.unlink()
        path.write_bytes(damaged)
        try:
            with Ledger.open(path) as ledger:
                assert ledger.head == head
                assert ledger.export() == export
        except LedgerError:
            errors += 1
    assert errors > 50


def test_a_full_disk_releases_nothing_and_loses_nothing(tmp_path):
    """A file-size limit stands in for the disk; SQLite meets the same failing write."""
    file = tmp_path / "l.db"
    Ledger.open(file).close()
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            ledger = Ledger.open(file)
            run = ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult")
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
            made = 0
            try:
                for i in range(100):
                    run.gaussian(f"marginal {i}", 1000.0)
                    made += 1
            except LedgerError as error:
                assert "cannot be used" in str(error)
                assert "space on its disk" in str(error)
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                assert 0 < made < 100
                assert len(run.releases) == made
                run.gaussian("after some space was made", 1000.0)
                assert ledger.verify() == made + 5
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    with Ledger.open(file) as ledger:
        assert ledger.runs()[0].releases > 1
