"""The ledger's file: the journal in SQLite, one connection a process.

Every change is one transaction: BEGIN IMMEDIATE serialises all writers, and WAL with synchronous
FULL puts the commit on the disk before it returns. What cannot be read, trusted or written raises
`LedgerError`, and a caller that has no committed row has nothing to draw from.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mezzotint.errors import LedgerError
from mezzotint.privacy import journal
from mezzotint.privacy.journal import FORMAT_VERSION, Change

DatabaseError = sqlite3.Error
_APPLICATION_ID = 0x4D7A4C67
_BUSY_SECONDS = 60.0


class Store:
    """A connection to the ledger's database; every process has its own."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._inherited: list[sqlite3.Connection] = []
        self._viewed = False
        if path is None:
            self._db: sqlite3.Connection | None = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
            weakref.finalize(self, self._db.close)
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
            if self._viewed and db.execute("PRAGMA user_version").fetchone() != (1,):
                # Somebody has brought the file up to date since.
                db.executescript(journal.UNVIEW)
                self._viewed = False
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
            try:
                return journal.verify(db, head)
            except journal.Tampered as finding:
                raise LedgerError(
                    f"{self.place} was changed from outside: {finding}; nothing was released. "
                    "Restore the file from a copy that verifies, and keep the copy's head elsewhere"
                ) from None

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
                version = self._recognise(db)
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA fullfsync = ON")
                db.execute("PRAGMA secure_delete = ON")
                if version != FORMAT_VERSION:
                    self._viewed = self._read_only
                    if self._read_only:
                        db.executescript(journal.VIEW)
                    else:
                        _upgrade(db)
                if not self._read_only:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("ROLLBACK")
            except BaseException:
                db.close()
                raise
            return db

    def _recognise(self, db: sqlite3.Connection) -> int:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise LedgerError(
                f"{self.path} is no Mezzotint ledger: name another file, "
                "or restore the ledger from a copy; nothing was released"
            )
        if version not in (1, FORMAT_VERSION):
            raise LedgerError(
                f"{self.place} has format {version} and this version of Mezzotint reads format "
                f"{FORMAT_VERSION}: update Mezzotint; nothing was released"
            )
        return version

    @contextmanager
    def _trusting(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise LedgerError(
                f"{self.place} cannot be used ({error}); nothing was released. "
                "Check the file, its rights and the space on its disk, or restore it from a copy"
            ) from error


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
        if os.name == "posix":  # elsewhere a folder cannot be opened, and needs no flush
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    finally:
        fresh.unlink()


def _upgrade(db: sqlite3.Connection) -> None:
    """Makes a file of format 1 one of format 2, in one transaction, whoever comes first."""
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 1:
            for statement in journal.UPGRADE.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _initialise(db: sqlite3.Connection) -> None:
    db.executescript(
        f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {FORMAT_VERSION};"
        + journal.SCHEMA
    )
    db.execute("BEGIN IMMEDIATE")
    change = Change(db)
    change.append("create", {"format": FORMAT_VERSION})
    change.keep_secret("contents", os.urandom(32))
    db.execute("COMMIT")
