"""Which budget a data set draws on, whatever name it comes under.

A lineage gathers all names and all contents of what is, for the people in it, one data set: a
second upload, another name for the same file, a new version under the old name. Contents are
known by HMAC-SHA256 under a key of the ledger's own, so that the ledger never holds a plain hash
that could be compared with a guessed table.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3

from mezzotint.errors import BudgetError
from mezzotint.privacy.account import Account, RunRecord
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.caps import Sums, rule_of
from mezzotint.privacy.journal import Change, secret
from mezzotint.privacy.programme import Charge
from mezzotint.privacy.releases import canonical, delta_of

_RUN_COLUMNS = (
    "SELECT runs.id, dataset, mechanism, epsilon, delta, units, spent, releases, state, request,"
    " private, time, unit, delta_units, delta_spent, programme"
    " FROM runs JOIN lineages ON lineages.id = runs.lineage "
)


def content_mac(db: sqlite3.Connection, fingerprint: bytes) -> str:
    """The name under which the ledger knows a content."""
    key = secret(db, "contents")
    assert key is not None
    return hmac.new(key, fingerprint, hashlib.sha256).hexdigest()


def unit_to_text(unit: PrivacyUnit) -> str:
    """The one text of a privacy unit."""
    return canonical({"adjacency": unit.adjacency, "rows": unit.rows, "name": unit.name})


def unit_from_text(text: str) -> PrivacyUnit:
    """The inverse of `unit_to_text`."""
    return PrivacyUnit(**json.loads(text))


def resolve(change: Change, dataset: str, mac: str | None, unit: PrivacyUnit) -> int:
    """The lineage of a data set, made, extended or merged as its name and content demand."""
    db = change.db
    named = find(db, dataset)
    held = None
    if mac is not None:
        row = db.execute("SELECT lineage FROM contents WHERE mac = ?", (mac,)).fetchone()
        held = None if row is None else row[0]
    lineage = named if named is not None else held
    if lineage is None:
        (last,) = db.execute("SELECT coalesce(max(id), 0) FROM lineages").fetchone()
        (most,) = db.execute("SELECT coalesce(max(lineage), 0) FROM runs").fetchone()
        lineage = max(last, most) + 1
        change.append("lineage", {"lineage": lineage, "unit": unit_to_text(unit)})
    _require_unit(db, lineage, dataset, unit)
    if held is not None and held != lineage:
        _require_unit(db, held, dataset, unit)
        _merge(change, held, lineage)
    if named is None:
        change.append("name", {"name": dataset, "lineage": lineage})
    if mac is not None and held is None:
        change.append("content", {"mac": mac, "lineage": lineage})
    return lineage


def find(db: sqlite3.Connection, dataset: str) -> int | None:
    """The lineage that holds a name."""
    row = db.execute("SELECT lineage FROM names WHERE name = ?", (dataset,)).fetchone()
    return None if row is None else row[0]


def _require_unit(db: sqlite3.Connection, lineage: int, dataset: str, unit: PrivacyUnit) -> None:
    (text,) = db.execute("SELECT unit FROM lineages WHERE id = ?", (lineage,)).fetchone()
    held = unit_from_text(text)
    if held != unit:
        raise BudgetError(
            f"data set {dataset!r}: its budget is kept per {held}, and this run counts per {unit}. "
            "Guarantees for different neighbours do not add up; nothing was released. "
            "Use the unit and adjacency of the earlier runs, or another ledger if these really "
            "are other people"
        )


def _merge(change: Change, lineage: int, into: int) -> None:
    """Two lineages turn out to hold the same data: one budget from now on, the smaller cap."""
    caps = change.db.execute(
        "SELECT cap_units, cap_epsilon, cap_delta FROM lineages"
        " WHERE id IN (?, ?) AND cap_units IS NOT NULL",
        (lineage, into),
    ).fetchall()
    change.append("merge", {"lineage": lineage, "into": into})
    if caps:
        units, epsilon, delta = min(caps)
        body = {"lineage": into, "epsilon": epsilon, "delta": delta, "units": units}
        change.append("cap", body)


def account(db: sqlite3.Connection, lineage: int, delta: float | None = None) -> Account:
    """The running total of a lineage."""
    unit, epsilon, cap_delta = db.execute(
        "SELECT unit, cap_epsilon, cap_delta FROM lineages WHERE id = ?", (lineage,)
    ).fetchone()
    held = unit_from_text(unit)
    names = db.execute("SELECT name FROM names WHERE lineage = ? ORDER BY rowid", (lineage,))
    booked, reserved, delta_units, count = db.execute(
        "SELECT coalesce(sum(CASE state WHEN 'open' THEN units ELSE spent END), 0),"
        " coalesce(sum(CASE state WHEN 'open' THEN units - spent ELSE 0 END), 0),"
        " coalesce(sum(CASE state WHEN 'open' THEN delta_units ELSE delta_spent END), 0),"
        " count(*) FROM runs WHERE lineage = ?",
        (lineage,),
    ).fetchone()
    cap = None if cap_delta is None else Budget(epsilon, cap_delta, held)
    charges = tuple(
        Charge.from_json(json.loads(text), at)
        for text, at in db.execute(
            "SELECT programme, delta FROM runs WHERE lineage = ? AND programme IS NOT NULL"
            " AND (state = 'open' OR releases > 0) ORDER BY id",
            (lineage,),
        )
    )
    rule = None if cap is None else rule_of(cap, _first(db, lineage))
    return Account(
        datasets=tuple(name for (name,) in names),
        unit=held,
        delta=delta or cap_delta or _latest_delta(db, lineage, delta_units),
        booked=booked,
        reserved=reserved,
        delta_units=delta_units,
        cap=cap,
        rule=rule,
        runs=count,
        charges=charges,
        granted=_granted(db, lineage) if isinstance(rule, Sums) else (),
    )


def _first(db: sqlite3.Connection, lineage: int) -> Charge | None:
    """The first run's programme, whatever became of it: nothing had been released before."""
    row = db.execute(
        "SELECT programme, delta FROM runs WHERE lineage = ? ORDER BY id LIMIT 1", (lineage,)
    ).fetchone()
    return None if row is None or row[0] is None else Charge.from_json(json.loads(row[0]), row[1])


def _granted(db: sqlite3.Connection, lineage: int) -> tuple[tuple[float, float], ...]:
    """Epsilon and delta of every run that counts."""
    runs = run_records(db, "WHERE lineage = ?", lineage)
    return tuple(
        (run.budget.epsilon if run.charge is None else run.charge.epsilon, run.budget.delta)
        for run in runs
        if run.state == "open" or run.releases
    )


def _latest_delta(db: sqlite3.Connection, lineage: int, delta_units: int) -> float:
    """The latest run's delta, and what the runs before it spent of theirs."""
    latest = run_records(db, "WHERE lineage = ?", lineage)[-1]
    before = delta_units - latest.booked_delta
    return latest.budget.delta + delta_of(before)


def run_records(db: sqlite3.Connection, where: str, *values: object) -> tuple[RunRecord, ...]:
    """The runs that fulfil an SQL condition."""
    return tuple(
        RunRecord(
            id=row[0],
            dataset=row[1],
            mechanism=row[2],
            budget=Budget(row[3], row[4], unit_from_text(row[12])),
            units=row[5],
            spent=row[6],
            releases=row[7],
            state=row[8],
            request=row[9],
            private=bool(row[10]),
            time=row[11],
            delta_units=row[13],
            delta_spent=row[14],
            charge=None if row[15] is None else Charge.from_json(json.loads(row[15]), row[4]),
        )
        for row in db.execute(_RUN_COLUMNS + where + " ORDER BY runs.id", values)
    )
