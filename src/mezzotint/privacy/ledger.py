"""The ledger: every release is recorded, durably, before it happens.

1. Costs are integers of 10^-12 rho, and of 10^-18 delta for what is spent beside it, rounded up.
2. Check and row are one serialised transaction, on the disk before it returns.
3. A sampler takes the committed row (`Spend`), never a number; a run with a request id commits
   the row's noise key with it, so that a repetition gives the same bytes at no cost.
4. No refund: what is recorded stays spent, whether or not it was drawn. A run reserves its
   maximum first; a clean end gives back what was never recorded; a crashed run's reservation
   stays booked until somebody settles it.
5. Rows are chained by hash; the head can be kept elsewhere (`head`, `verify`).
6. The budget belongs to the lineage of a data set, not to a name, a file or an account.

A ledger that can repeat noise holds its keys: a file to be guarded like the data itself. Keys
exist only for runs with a request id, and `forget` destroys them. Runs without one leave none.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from mezzotint.errors import LedgerError, ParameterError
from mezzotint.privacy import lineage, store
from mezzotint.privacy.account import Account, RunRecord
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.checks import check_delta, check_positive
from mezzotint.privacy.journal import FORMAT_VERSION, Entry
from mezzotint.privacy.programme import Charge, Programme
from mezzotint.privacy.releases import (
    Release,
    delta_units_rounded_up,
    delta_within,
    request_id,
    units_within,
)
from mezzotint.privacy.run import Run, release_of
from mezzotint.privacy.spend import Backend, Spend
from mezzotint.privacy.store import Store

__all__ = ["Account", "Backend", "Ledger", "Release", "Run", "RunRecord", "Spend", "request_id"]

InsecureNoise = Literal["off"] | int


class Ledger:
    """Grants budgets and keeps the record of every release.

    `Ledger.open(path)` is durable and may be shared by many processes; `Ledger.memory()` lives
    as long as the process.
    """

    def __init__(
        self, store: Store, backend: Backend | str, insecure_noise: InsecureNoise | None
    ) -> None:
        self.store = store
        self.backend = _backend(backend)
        self.insecure_noise = insecure_noise

    @classmethod
    def memory(
        cls,
        *,
        backend: Backend | str = Backend.AUTO,
        insecure_noise: InsecureNoise | None = None,
    ) -> Ledger:
        """A ledger that ends with the process.

        Args:
            backend: Which sampler draws.
            insecure_noise: For tests only, and never private: "off" for no noise at all, an
                integer for noise that it fixes. Every run, statement and report says so.
        """
        if (
            insecure_noise is not None
            and insecure_noise != "off"
            and type(insecure_noise) is not int
        ):
            raise ParameterError(
                f"insecure_noise = {insecure_noise!r} is unknown: give 'off' or an integer seed "
                "in tests, and nothing at all anywhere else"
            )
        return cls(Store(None), backend, insecure_noise)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        create: bool = True,
        read_only: bool = False,
        backend: Backend | str = Backend.AUTO,
    ) -> Ledger:
        """The ledger in a file; its chain is verified first, at some 20 microseconds a row.

        Args:
            path: An SQLite file. It holds noise keys of repeatable runs: guard it like the data.
            create: Whether a missing file is made.
            read_only: For looking only; nothing can be spent.
            backend: Which sampler draws.
        """
        file = Path(path).absolute()
        if not file.exists():
            if read_only or not create:
                raise LedgerError(f"there is no ledger at {file}: check the path")
            try:
                store.create(file)
            except (OSError, store.DatabaseError) as error:
                raise LedgerError(
                    f"ledger {file} cannot be created ({error}): "
                    "name a folder that exists, can be written and has space; nothing was released"
                ) from error
        opened = cls(Store(file, read_only=read_only), backend, None)
        opened.verify()
        return opened

    @property
    def path(self) -> Path | None:
        """The file; None in memory."""
        return self.store.path

    @property
    def head(self) -> str:
        """The hash that stands for the whole history; keep it elsewhere to detect a rollback."""
        with self.store.reading() as db:
            (head,) = db.execute("SELECT hash FROM journal ORDER BY entry DESC LIMIT 1").fetchone()
            return head

    def begin(
        self,
        budget: Budget,
        *,
        mechanism: str,
        dataset: str,
        delta_aside: float = 0.0,
        fingerprint: bytes | None = None,
        request: str | None = None,
        programme: Programme | None = None,
    ) -> Run:
        """Reserves a budget in the data set's lineage; refuses over its cap.

        Args:
            budget: The most that the run will spend.
            mechanism: The mechanism's name; public.
            dataset: The data set's name; public.
            delta_aside: The part of the budget's delta that is kept for thresholds
                (`Run.threshold`); rho is computed from the rest.
            fingerprint: A digest of the content, so that the same content under another name
                draws on the same budget. The ledger keeps only a keyed hash of it.
            request: A request id (see `request_id`). The same id continues or repeats the same
                run: its recorded releases come again, bit for bit, at no further cost. Needs a
                fingerprint, because the same noise on other data would give both away.
            programme: All that the run will release, in place of zCDP; it must cost no more than
                the budget, and is booked wholly as soon as the run begins.
        """
        _require_name(dataset, "dataset")
        _require_name(mechanism, "mechanism")
        aside = _aside(delta_aside, budget)
        charge = None if programme is None else _charge(programme, budget, aside)
        units = units_within(budget, aside) if charge is None else 0
        if charge is None and (units < 1 or units >= 2**60):
            raise ParameterError(
                f"{budget} is rho {budget.rho:.3g}, outside of what the ledger can count "
                "(1e-12 to 1e6): give an epsilon between 0.001 and 1000"
            )
        if request is not None:
            self._require_repeatable(fingerprint)
        with self.store.changing() as change:
            mac = None if fingerprint is None else lineage.content_mac(change.db, fingerprint)
            if request is not None:
                for held in lineage.run_records(change.db, "WHERE request = ?", request):
                    (content,) = change.db.execute(
                        "SELECT content FROM runs WHERE id = ?", (held.id,)
                    ).fetchone()
                    _require_same_request(
                        held,
                        (content, mac),
                        (held.budget, budget),
                        (held.delta_units, aside),
                        (held.mechanism, mechanism),
                        (held.dataset, dataset),
                        (held.charge and held.charge.programme, programme),
                    )
                    return Run(self, held)
            home = lineage.resolve(change, dataset, mac, budget.unit)
            account = lineage.account(change.db, home, budget.delta)
            account.require(budget, units, aside, dataset, charge)
            (last,) = change.db.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()
            planned = {} if charge is None else {"programme": charge.to_json()}
            change.append(
                "begin",
                planned
                | {
                    "run": last + 1,
                    "lineage": home,
                    "dataset": dataset,
                    "mechanism": mechanism,
                    "epsilon": budget.epsilon,
                    "delta": budget.delta,
                    "units": units,
                    "delta_units": aside,
                    "request": request,
                    "content": mac,
                    "private": self.insecure_noise is None,
                },
            )
            (record,) = lineage.run_records(change.db, "WHERE runs.id = ?", last + 1)
        return Run(self, record)

    def set_cap(self, dataset: str, cap: Budget, *, fingerprint: bytes | None = None) -> None:
        """Limits what all runs on a data set may spend together; replaces an earlier cap."""
        _require_name(dataset, "dataset")
        units = units_within(cap)
        with self.store.changing() as change:
            mac = None if fingerprint is None else lineage.content_mac(change.db, fingerprint)
            home = lineage.resolve(change, dataset, mac, cap.unit)
            body = {"lineage": home, "epsilon": cap.epsilon, "delta": cap.delta, "units": units}
            change.append("cap", body)

    def account(self, dataset: str, *, delta: float | None = None) -> Account:
        """What a data set has spent in all, and what is left.

        Args:
            dataset: Its name.
            delta: Where epsilon is stated; the cap's by default, else the latest run's.
        """
        delta = None if delta is None else check_delta(delta)
        with self.store.reading() as db:
            home = lineage.find(db, dataset)
            if home is None:
                raise LedgerError(
                    f"{self.store.place} knows no data set {dataset!r}: check its name"
                )
            return lineage.account(db, home, delta)

    def accounts(self) -> tuple[Account, ...]:
        """The account of every lineage."""
        with self.store.reading() as db:
            homes = db.execute("SELECT id FROM lineages ORDER BY id").fetchall()
            return tuple(lineage.account(db, home) for (home,) in homes)

    def runs(self, dataset: str | None = None) -> tuple[RunRecord, ...]:
        """All runs, or those on one data set under any of its names."""
        with self.store.reading() as db:
            if dataset is None:
                return lineage.run_records(db, "")
            return lineage.run_records(db, "WHERE lineage = ?", lineage.find(db, dataset))

    def releases(self, run: int) -> tuple[Release, ...]:
        """The releases of a run, in their order."""
        with self.store.reading() as db:
            rows = db.execute(
                "SELECT journal.entry, journal.time, kind, body, hash FROM releases"
                " JOIN journal USING (entry) WHERE run = ? ORDER BY seq",
                (run,),
            )
            return tuple(release_of(Entry(*row)) for row in rows)

    def settle(self, run: int) -> None:
        """Ends a crashed run: gives back what it reserved and never recorded.

        Sound because every release is recorded before it happens; a process that still uses
        the run is refused from now on.
        """
        with self.store.changing() as change:
            for held in lineage.run_records(change.db, "WHERE runs.id = ?", run):
                if held.state == "open":
                    change.append("settle", {"run": run, "spent": held.spent})
                return
        raise LedgerError(f"{self.store.place} has no run {run}: see `mezzotint ledger show`")

    def forget(self, run: int) -> None:
        """Destroys a run's noise keys: its releases stand, and can never be repeated."""
        with self.store.changing() as change:
            for (entry,) in change.db.execute(
                "SELECT entry FROM releases WHERE run = ?", (run,)
            ).fetchall():
                change.forget_secret(f"noise {entry}")
        self.store.checkpoint()

    def verify(self, head: str | None = None) -> int:
        """Checks chain and totals; returns the number of rows, raises `LedgerError` if tampered.

        Args:
            head: A head that was kept elsewhere; the chain must still contain it.
        """
        return self.store.verify(head)

    def export(self) -> dict[str, Any]:
        """The whole journal as plain JSON values, without any key."""
        with self.store.reading() as db:
            rows = [
                Entry(*row)
                for row in db.execute(
                    "SELECT entry, time, kind, body, hash FROM journal ORDER BY entry"
                )
            ]
        return {
            "format": FORMAT_VERSION,
            "head": rows[-1].hash,
            "entries": [
                {
                    "entry": row.entry,
                    "time": row.time,
                    "kind": row.kind,
                    "body": row.content,
                    "hash": row.hash,
                }
                for row in rows
            ],
        }

    def close(self) -> None:
        """Closes the ledger for this process; open runs stay reserved."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require_repeatable(self, fingerprint: bytes | None) -> None:
        if fingerprint is None:
            raise ParameterError(
                "a request that may be repeated needs a fingerprint of the data: "
                "the same noise on other data would give both away"
            )
        if self.backend is Backend.OPENDP:
            raise ParameterError(
                "backend 'opendp' draws fresh entropy and cannot repeat a release: "
                "use 'auto' or 'keyed' with a request id"
            )


def _charge(programme: Programme, budget: Budget, aside: int) -> Charge:
    if aside:
        raise ParameterError(
            "delta_aside is for thresholds, which a programme cannot hold: "
            "leave it at 0, or begin a run without a programme"
        )
    return Charge.of(programme, budget)


def _require_same_request(held: RunRecord, *recorded_and_asked: tuple[object, object]) -> None:
    if any(recorded != asked for recorded, asked in recorded_and_asked):
        raise LedgerError(
            f"request {held.request} was made for {held.mechanism} on {held.dataset!r} with "
            f"{held.budget}, and comes again with other data or settings; nothing was released. "
            "Repeat it exactly, or make a new request with another nonce"
        )


def _aside(delta: float, budget: Budget) -> int:
    """What is set aside, in the ledger's units."""
    if delta == 0:
        return 0
    delta = check_positive(delta, "delta_aside", "0, or a share of delta such as a tenth")
    units = delta_units_rounded_up(delta)
    if delta_within(units) >= budget.delta:
        raise ParameterError(
            f"delta_aside = {delta!r} leaves nothing of delta = {budget.delta!r}, for the ledger "
            "counts 1e-18 at a time: set a share of it aside, such as a tenth, or give more delta"
        )
    return units


def _require_name(name: str, place: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ParameterError(f"{place} = {name!r} is empty: give the ledger a name to book under")


def _backend(name: Backend | str) -> Backend:
    try:
        return Backend(name)
    except ValueError:
        raise ParameterError(
            f"backend = {name!r} is unknown: give 'auto', 'opendp' or 'keyed'"
        ) from None
