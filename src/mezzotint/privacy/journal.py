"""The journal: an append-only list of events with a hash chain, and the tables made from it.

Every row's hash covers its content and the hash before it; the last one, the head, stands for
the whole history. The other tables are the journal's projection, made by `project` alone:
`verify` replays the journal into an empty database and compares, so that a changed table is
found like a changed row. A forger who rewrites the whole chain is found by a head that was kept
elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mezzotint.privacy.releases import canonical

FORMAT_VERSION = 2
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
    units INTEGER NOT NULL, spent INTEGER NOT NULL,
    delta_units INTEGER NOT NULL, delta_spent INTEGER NOT NULL, releases INTEGER NOT NULL,
    state TEXT NOT NULL, request TEXT UNIQUE, content TEXT, private INTEGER NOT NULL,
    programme TEXT);
CREATE INDEX runs_of_lineage ON runs (lineage);
CREATE TABLE releases (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL, event INTEGER,
    PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE UNIQUE INDEX release_of_event ON releases (run, event);
"""
SCHEMA = _JOURNAL + _PROJECTION
# Format 1 knew no programmes; nothing else differs, and its rows mean what they meant.
UPGRADE = """
ALTER TABLE runs ADD COLUMN programme TEXT;
ALTER TABLE releases ADD COLUMN event INTEGER;
CREATE UNIQUE INDEX release_of_event ON releases (run, event);
"""
# A file that may only be read shows its tables as format 2 would hold them.
VIEW = """
CREATE TEMP VIEW runs AS SELECT held.*, NULL AS programme FROM main.runs AS held;
CREATE TEMP VIEW releases AS SELECT held.*, NULL AS event FROM main.releases AS held;
"""
UNVIEW = "DROP VIEW temp.runs; DROP VIEW temp.releases;"
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
    row: dict[str, Any] = _ABSENT | json.loads(body) | {"entry": entry, "time": time}
    if row["programme"] is not None:
        row["programme"] = canonical(row["programme"])
    for statement in _CHANGES[kind]:
        db.execute(statement, row)


# Only rows of programmes have these.
_ABSENT: Mapping[str, Any] = {"programme": None, "event": None}
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
        " :units, 0, :delta_units, 0, 0, 'open', :request, :content, :private, :programme)",
    ),
    "release": (
        "UPDATE runs SET spent = spent + :units, delta_spent = delta_spent + :delta_units,"
        " releases = releases + 1 WHERE id = :run",
        "INSERT INTO releases VALUES (:run, :seq, :entry, :event)",
    ),
    "close": ("UPDATE runs SET state = 'closed' WHERE id = :run",),
    "settle": ("UPDATE runs SET state = 'settled' WHERE id = :run",),
}


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


def verify(db: sqlite3.Connection, head: str | None) -> int:
    """Checks the chain and the projection; returns the number of rows.

    Raises:
        Tampered: Something differs; the message says what.
    """
    replica = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.closing(replica):
        replica.executescript(_PROJECTION)
        replica.execute("BEGIN")
        previous, count, found = GENESIS, 0, head is None
        for row in db.execute("SELECT entry, time, kind, body, hash FROM journal ORDER BY entry"):
            entry = Entry(*row)
            _check_link(entry, previous, count)
            try:
                project(replica, entry.entry, entry.time, entry.kind, entry.body)
            except (KeyError, ValueError, TypeError, sqlite3.Error):
                raise Tampered(f"entry {count} makes no sense") from None
            previous = entry.hash
            found = found or previous == head
            count += 1
        for table in _PROJECTED:
            query = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - our own names
            if db.execute(query).fetchall() != replica.execute(query).fetchall():
                raise Tampered(f"table {table!r} differs from the journal")
    if not count:
        raise Tampered("the journal is empty")
    if not found:
        raise Tampered(f"the head {head} that was kept elsewhere is not in its chain")
    return count


class Tampered(Exception):  # noqa: N818 - a finding, turned into a LedgerError by the store
    """What is wrong with a journal."""


def _check_link(row: Entry, previous: str, count: int) -> None:
    try:
        expected = chain_hash(previous, row.entry, row.time, row.kind, row.body)
    except (TypeError, ValueError):
        expected = ""
    if row.entry != count or row.hash != expected:
        raise Tampered(f"the hash chain breaks at entry {count}")
