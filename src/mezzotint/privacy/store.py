"""The ledger's file: an append-only journal with a hash chain, in SQLite.

The journal is the truth. Every row's hash covers its content and the hash before it; the last
one, the head, stands for the whole history. The other tables are its projection, made by
`project` alone: `verify` replays the journal into an empty database and compares, so that a
changed table is found like a changed row. A forger who rewrites the whole chain is found by a
head that was kept elsewhere.

Every change is one transaction: BEGIN IMMEDIATE serialises all writers, and WAL with synchronous
FULL puts the commit on the disk before it returns. What cannot be read, trusted or written raises
`LedgerError`, and a caller that has no committed row has nothing to draw from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mezzotint.errors import LedgerError
from mezzotint.privacy.releases import canonical

DatabaseError = sqlite3.Error
_APPLICATION_ID = 0x4D7A4C67
FORMAT_VERSION = 1
_BUSY_SECONDS = 60.0
GENESIS = "0" * 64

_JOURNAL = """
CREATE TABLE journal (
    entry INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_PROJECTION = """
CREATE TABLE lineages (
    id INTEGER PRIMARY KEY, unit TEXT NOT NULL,
    cap_epsilon REAL, cap_delta REAL, cap_units INTEGER);
CREATE TABLE names (name TEXT PRIMARY KEY, lineage INTEGER NOT NULL);
CREATE TABLE contents (mac TEXT PRIMARY KEY, lineage INTEGER NOT NULL);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, lineage INTEGER NOT NULL, dataset TEXT NOT NULL,
    mechanism TEXT NOT NULL, epsilon REAL NOT NULL, delta REAL NOT NULL, time TEXT NOT NULL,
    units INTEGER NOT NULL, spent INTEGER NOT NULL, releases INTEGER NOT NULL,
    state TEXT NOT NULL, request TEXT UNIQUE, content TEXT, private INTEGER NOT NULL);
CREATE INDEX runs_of_lineage ON runs (lineage);
CREATE TABLE releases (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (run, seq)) WITHOUT ROWID;
"""
_PROJECTED = ("lineages", "names", "contents", "runs", "releases")


@dataclass(frozen=True)
class Entry:
    """One row of the journal."""

    entry: int
    time: str
    kind: str
    body: str
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """The body, parsed."""
        return json.loads(self.body)


def chain_hash(previous: str, entry: int, time: str, kind: str, body: str) -> str:
    """The hash of a row, given the hash before it."""
    return hashlib.sha256((previous + canonical([entry, time, kind, body])).encode()).hexdigest()


def project(db: sqlite3.Connection, entry: int, time: str, kind: str, body: str) -> None:
    """Brings the projection up to date with one row of the journal."""
    row: dict[str, Any] = json.loads(body) | {"entry": entry, "time": time}
    for statement in _CHANGES[kind]:
        db.execute(statement, row)


_CHANGES: Mapping[str, tuple[str, ...]] = {
    "create": (),
    "lineage": ("INSERT INTO lineages VALUES (:lineage, :unit, NULL, NULL, NULL)",),
    "name": ("INSERT INTO names VALUES (:name, :lineage)",),
    "content": ("INSERT INTO contents VALUES (:mac, :lineage)",),
    "cap": (
        "UPDATE lineages SET cap_epsilon = :epsilon, cap_delta = :delta, cap_units = :units"
        " WHERE id = :lineage",
    ),
    "merge": (
        "UPDATE names SET lineage = :into WHERE lineage = :lineage",
        "UPDATE contents SET lineage = :into WHERE lineage = :lineage",
        "UPDATE runs SET lineage = :into WHERE lineage = :lineage",
        "DELETE FROM lineages WHERE id = :lineage",
    ),
    "begin": (
        "INSERT INTO runs VALUES (:run, :lineage, :dataset, :mechanism, :epsilon, :delta, :time,"
        " :units, 0, 0, 'open', :request, :content, :private)",
    ),
    "release": (
        "UPDATE runs SET spent = spent + :units, releases = releases + 1 WHERE id = :run",
        "INSERT INTO releases VALUES (:run, :seq, :entry)",
    ),
    "close": ("UPDATE runs SET state = 'closed' WHERE id = :run",),
    "settle": ("UPDATE runs SET state = 'settled' WHERE id = :run",),
}


class Store:
    """A connection to the ledger's database; every process has its own."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._inherited: list[sqlite3.Connection] = []
        if path is None:
            self._db: sqlite3.Connection | None = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
            _initialise(self._db)
        else:
            self._db = self._connect()

    @property
    def place(self) -> str:
        """What messages call this ledger."""
        return "the ledger in memory" if self.path is None else f"ledger {self.path}"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A consistent view."""
        with self._guard(), self._trusting():
            db = self._connection()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("ROLLBACK")

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """A serialised transaction; committed and on the disk when the block is left."""
        with self._guard(), self._trusting():
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield Change(db)
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    def verify(self, head: str | None = None) -> int:
        """Checks the chain and the projection; returns the number of rows.

        Args:
            head: A head that was kept elsewhere; the chain must contain it.
        """
        with self.reading() as db:
            replica = sqlite3.connect(":memory:", isolation_level=None)
            with contextlib.closing(replica):
                replica.executescript(_PROJECTION)
                replica.execute("BEGIN")
                previous, count, found = GENESIS, 0, head in (None, GENESIS)
                for row in db.execute(
                    "SELECT entry, time, kind, body, hash FROM journal ORDER BY entry"
                ):
                    entry = Entry(*row)
                    self._check(entry, previous, count)
                    try:
                        project(replica, entry.entry, entry.time, entry.kind, entry.body)
                    except (KeyError, ValueError, sqlite3.Error):
                        raise self._tampered(f"entry {count} makes no sense") from None
                    previous = entry.hash
                    found = found or previous == head
                    count += 1
                for table in _PROJECTED:
                    query = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - our own names
                    if db.execute(query).fetchall() != replica.execute(query).fetchall():
                        raise self._tampered(f"table {table!r} differs from the journal")
        if not found:
            raise self._tampered(f"the head {head} that was kept elsewhere is not in its chain")
        return count

    def _check(self, row: Entry, previous: str, count: int) -> None:
        try:
            expected = chain_hash(previous, row.entry, row.time, row.kind, row.body)
        except (TypeError, ValueError):
            expected = ""
        if row.entry != count or row.hash != expected:
            raise self._tampered(f"the hash chain breaks at entry {count}")

    def _tampered(self, what: str) -> LedgerError:
        return LedgerError(
            f"{self.place} was changed from outside: {what}; nothing was released. "
            "Restore the file from a copy that verifies, and keep the copy's head elsewhere"
        )

    def checkpoint(self) -> None:
        """Moves all commits into the main file and empties the log, so that none lingers there."""
        with self._guard(), self._trusting():
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes this process's connection."""
        with self._guard():
            if self._db is not None:
                self._db.close()
            self._db = None

    def _guard(self) -> threading.RLock:
        """This process's lock; a forked worker first gets a connection of its own."""
        if self._pid != os.getpid():
            if self.path is None:
                raise LedgerError(
                    "the ledger in memory belongs to the process that made it; a forked worker "
                    "would spend the same budget twice: use Ledger.open(path) to share one"
                )
            # SQLite forbids to use *or close* a connection that was carried over a fork, and
            # another thread may have held the lock at that moment.
            if self._db is not None:
                self._inherited.append(self._db)
                self._db = self._connect()
            self._lock = threading.RLock()
            self._pid = os.getpid()
        return self._lock

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise LedgerError(f"{self.place} is closed: open it again to go on")
        return self._db

    def _connect(self) -> sqlite3.Connection:
        assert self.path is not None
        with self._trusting():
            mode = "ro" if self._read_only else "rw"
            db = sqlite3.connect(
                f"{self.path.as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_SECONDS,
            )
            try:
                self._recognise(db)
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA secure_delete = ON")
                if not self._read_only:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("ROLLBACK")
            except BaseException:
                db.close()
                raise
            return db

    def _recognise(self, db: sqlite3.Connection) -> None:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise LedgerError(
                f"{self.path} is no Mezzotint ledger: name another file, "
                "or restore the ledger from a copy; nothing was released"
            )
        if version != FORMAT_VERSION:
            raise LedgerError(
                f"{self.place} has format {version} and this version of Mezzotint reads format "
                f"{FORMAT_VERSION}: update Mezzotint; nothing was released"
            )

    @contextmanager
    def _trusting(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            raise LedgerError(
                f"{self.place} cannot be used ({error}); nothing was released. "
                "Check the file, its rights and the space on its disk, or restore it from a copy"
            ) from error


class Change:
    """An open transaction: reads through `db`, writes by `append` and `keep_secret` only."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def append(self, kind: str, body: Mapping[str, object]) -> Entry:
        """Adds a row to the journal and projects it."""
        last = self.db.execute("SELECT entry, hash FROM journal ORDER BY entry DESC LIMIT 1")
        number, previous = last.fetchone() or (-1, GENESIS)
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = canonical(dict(body))
        hashed = chain_hash(previous, number + 1, time, kind, text)
        entry = Entry(number + 1, time, kind, text, hashed)
        self.db.execute(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?)",
            (entry.entry, entry.time, entry.kind, entry.body, entry.hash),
        )
        project(self.db, entry.entry, entry.time, entry.kind, entry.body)
        return entry

    def keep_secret(self, name: str, value: bytes) -> None:
        """Commits a secret together with the rows of this transaction."""
        self.db.execute("INSERT INTO secrets VALUES (?, ?)", (name, value))

    def forget_secret(self, name: str) -> None:
        """Overwrites a secret; see `secure_delete`."""
        self.db.execute("DELETE FROM secrets WHERE name = ?", (name,))


def secret(db: sqlite3.Connection, name: str) -> bytes | None:
    """A secret of the ledger, if it is still kept."""
    row = db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def create(path: Path) -> None:
    """Makes a new ledger file unless one is there; atomic among many processes.

    The file is complete before it gets its name, so that an empty or half-written file can only
    be a damaged one. It holds noise keys: nobody but its owner may read it.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    fresh = Path(name)
    try:
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            _initialise(db)
            db.execute("PRAGMA journal_mode = WAL")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        fresh.unlink()


def _initialise(db: sqlite3.Connection) -> None:
    db.executescript(
        f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {FORMAT_VERSION};"
        + _JOURNAL
        + _PROJECTION
    )
    db.execute("BEGIN IMMEDIATE")
    change = Change(db)
    change.append("create", {"format": FORMAT_VERSION})
    change.keep_secret("contents", os.urandom(32))
    db.execute("COMMIT")
