"""Caps, lineages, reservations, the chain: in memory and on disk alike."""

from __future__ import annotations

import json
import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import BudgetError, LedgerError, ParameterError
from mezzotint.privacy.account import show_down
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.journal import GENESIS, chain_hash
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.releases import canonical, units_within


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    opened = Ledger.memory() if request.param == "memory" else Ledger.open(tmp_path / "l.db")
    with opened:
        yield opened
        opened.verify()


def begin(ledger: Ledger, epsilon: float = 1.0, dataset: str = "adult", **options):
    return ledger.begin(Budget(epsilon), mechanism="AIM", dataset=dataset, **options)


def test_runs_add_up_as_zcdp(ledger):
    for _ in range(4):
        with begin(ledger) as run:
            run.gaussian("age", math.sqrt(1 / (2 * run.total_rho)))
    account = ledger.account("adult")
    assert account.rho == pytest.approx(4 * Budget(1.0).rho, rel=1e-3)
    # Four runs of epsilon 1 cost far less than epsilon 4.
    assert 1.9 < account.epsilon < 2.1
    assert account.runs == 4
    assert account.sentence() == (
        f"data set 'adult': 4 runs, epsilon {account.epsilon:.4g} in all at delta 1e-09, per "
        "person (at most 1 row, add-remove); no cap is set"
    )


def test_a_reservation_counts_until_the_run_ends(ledger):
    ledger.set_cap("adult", Budget(1.2))
    run = begin(ledger)
    run.gaussian("age", 1000.0)
    with pytest.raises(BudgetError, match="or reserved by open runs"):
        begin(ledger)
    assert ledger.account("adult").booked == units_within(Budget(1.0))
    run.close()
    assert ledger.account("adult").booked == 500_000
    begin(ledger)


def test_a_recorded_release_is_never_given_back(ledger):
    with pytest.raises(RuntimeError), begin(ledger) as run:
        run.gaussian("age", 100.0)
        raise RuntimeError("the fit failed")
    assert ledger.runs()[0].state == "closed"
    assert ledger.account("adult").booked == 50_000_000


def test_a_crashed_run_stays_booked_until_settled(ledger):
    run = begin(ledger)
    run.gaussian("age", 100.0)
    assert ledger.account("adult").reserved == units_within(Budget(1.0)) - 50_000_000
    ledger.settle(run.id)
    ledger.settle(run.id)
    assert ledger.account("adult").booked == 50_000_000
    with pytest.raises(LedgerError, match="is settled and spends no more"):
        run.gaussian("age", 100.0)
    with pytest.raises(LedgerError, match="has no run 77"):
        ledger.settle(77)


def test_the_cap_refuses_in_words_that_help(ledger):
    ledger.set_cap("adult", Budget(2.0))
    with begin(ledger, 1.5) as run:
        run.gaussian("age", math.sqrt(1 / (2 * run.total_rho)))
    with pytest.raises(BudgetError) as refused:
        begin(ledger, 1.8)
    account = ledger.account("adult")
    left = show_down(account.epsilon_left)
    assert str(refused.value) == (
        f"data set 'adult': the cap is epsilon 2 at delta 1e-09, epsilon {account.epsilon:.4g} of "
        f"it is spent, this run asks for epsilon 1.8 at delta 1e-09, and epsilon {left} is left; "
        f"nothing was released. Ask for at most epsilon {left}, or raise the cap if the data's "
        "owner agrees"
    )
    # What the message offers is granted; a little more is not.
    with pytest.raises(BudgetError):
        begin(ledger, float(left) + 0.002)
    begin(ledger, float(left))
    assert len(ledger.runs()) == 2


def test_a_spent_cap_says_so(ledger):
    ledger.set_cap("adult", Budget(1.0))
    begin(ledger)
    with pytest.raises(BudgetError, match=r"epsilon 0 is left.*Raise the cap if the data's owner"):
        begin(ledger, 0.5)
    ledger.set_cap("adult", Budget(2.0))
    begin(ledger, 0.5)


def test_a_cap_at_another_delta_compares_at_its_own(ledger):
    ledger.set_cap("adult", Budget(1.0, 1e-12))
    with pytest.raises(
        BudgetError, match=r"asks for epsilon 0\.99 at delta 1e-06 \(epsilon 1\.[3-9]"
    ):
        ledger.begin(Budget(0.99, 1e-6), mechanism="AIM", dataset="adult")


def test_a_cap_stated_before_any_run_is_kept(ledger):
    ledger.set_cap("adult", Budget(3.0))
    account = ledger.account("adult")
    assert (account.cap, account.booked, account.runs) == (Budget(3.0), 0, 0)
    assert account.epsilon_left == pytest.approx(3.0, rel=1e-6)
    assert account.sentence().endswith("the cap is epsilon 3, and epsilon 2.999 is left")


def test_the_same_content_under_another_name_draws_on_the_same_budget(ledger):
    ledger.set_cap("adult", Budget(1.0), fingerprint=b"the rows")
    with pytest.raises(BudgetError, match=r"data set 'copy' \(also 'adult'\)"):
        begin(ledger, 1.2, "copy", fingerprint=b"the rows")
    begin(ledger, 0.9, "copy", fingerprint=b"the rows")
    assert ledger.account("copy") == ledger.account("adult")
    assert ledger.account("adult").datasets == ("adult", "copy")
    # Another version under a known name belongs to the same people.
    with pytest.raises(BudgetError):
        begin(ledger, 0.9, "adult", fingerprint=b"other rows")


def test_lineages_that_turn_out_to_be_one_are_merged(ledger):
    ledger.set_cap("a", Budget(3.0))
    ledger.set_cap("b", Budget(2.0))
    with begin(ledger, 1.0, "a", fingerprint=b"a") as run:
        run.gaussian("x", 100.0)
    with begin(ledger, 1.0, "b", fingerprint=b"b") as run:
        run.gaussian("x", 100.0)
    with begin(ledger, 1.0, "a", fingerprint=b"b"):
        pass
    assert ledger.account("a") == ledger.account("b")
    assert ledger.account("a").booked == 100_000_000
    assert ledger.account("a").cap == Budget(2.0)
    assert len(ledger.accounts()) == 1
    # A data set of its own still gets a lineage of its own.
    begin(ledger, 1.0, "c")
    assert ledger.account("c").runs == 1


def test_units_are_not_mixed_within_a_lineage(ledger):
    begin(ledger)
    for unit in (PrivacyUnit("replace-one"), PrivacyUnit(rows=2), PrivacyUnit(name="household")):
        with pytest.raises(
            BudgetError,
            match=r"'adult': its budget is kept per person \(at most 1 row, add-remove\), and this "
            r"run counts per .*do not add up; nothing was released\. Use the unit",
        ):
            ledger.begin(Budget(1.0, unit=unit), mechanism="AIM", dataset="adult")
    assert len(ledger.runs()) == 1


def test_data_sets_do_not_share_a_budget(ledger):
    ledger.set_cap("adult", Budget(1.0))
    begin(ledger)
    begin(ledger, 1.0, "bank")
    assert [r.dataset for r in ledger.runs("bank")] == ["bank"]
    with pytest.raises(LedgerError, match="knows no data set 'titanic': check its name"):
        ledger.account("titanic")
    assert ledger.runs("titanic") == ()


def test_budgets_beyond_the_ledgers_units_are_refused(ledger):
    for epsilon in (1e-7, 1e9, 1e300):
        with pytest.raises(ParameterError, match=r"outside of what the ledger can count.*give an"):
            begin(ledger, epsilon)
    with pytest.raises(ParameterError, match=r"dataset = '' is empty"):
        begin(ledger, 1.0, "")
    with pytest.raises(ParameterError, match=r"mechanism = ' ' is empty"):
        ledger.begin(Budget(1.0), mechanism=" ", dataset="adult")
    with pytest.raises(ParameterError, match=r"backend = 'numpy' is unknown: give 'auto'"):
        Ledger.memory(backend="numpy")
    assert ledger.runs() == ()


def test_the_chain_can_be_followed_by_anybody(ledger):
    before = ledger.head
    with begin(ledger) as run:
        run.gaussian("age", 100.0)
        release = run.releases[0]
    export = json.loads(json.dumps(ledger.export()))
    previous = GENESIS
    for row in export["entries"]:
        previous = chain_hash(
            previous, row["entry"], row["time"], row["kind"], canonical(row["body"])
        )
        assert previous == row["hash"]
    assert previous == export["head"] == ledger.head
    assert export["entries"][release.entry]["hash"] == release.hash
    assert [row["kind"] for row in export["entries"]] == [
        "create", "lineage", "name", "begin", "release", "close",
    ]  # fmt: skip
    assert ledger.verify(before) == ledger.verify(release.hash) == ledger.verify() == 6
    with pytest.raises(LedgerError, match="kept elsewhere is not in its chain"):
        ledger.verify("f" * 64)


def test_no_secret_and_no_plain_hash_leaves_by_the_export(tmp_path):
    import hashlib

    content = b"rows that somebody could guess"
    with Ledger.open(tmp_path / "l.db") as ledger:
        with begin(ledger, fingerprint=content, request="r") as run:
            run.gaussian("age", 100.0)
        text = json.dumps(ledger.export())
        with ledger.store.reading() as db:
            secrets = [bytes(v) for (v,) in db.execute("SELECT value FROM secrets")]
    raw = (tmp_path / "l.db").read_bytes()
    assert len(secrets) == 2
    assert not any(value.hex() in text for value in secrets)
    assert hashlib.sha256(content).hexdigest() not in text
    assert content not in raw
    assert hashlib.sha256(content).hexdigest().encode() not in raw
    # Another ledger knows the same content under another name.
    other = Ledger.memory()
    begin(other, fingerprint=content)
    macs = {row["body"]["mac"] for row in other.export()["entries"] if row["kind"] == "content"}
    assert not any(mac in text for mac in macs)


def test_a_run_that_cannot_be_repeated_leaves_no_key(tmp_path):
    with Ledger.open(tmp_path / "l.db") as ledger, begin(ledger) as run:
        run.gaussian("age", 100.0)
        with ledger.store.reading() as db:
            assert db.execute("SELECT name FROM secrets").fetchall() == [("contents",)]


def test_the_file_is_its_owners_alone_and_outlives_the_process(tmp_path):
    path = tmp_path / "l.db"
    with Ledger.open(path) as ledger:
        begin(ledger).gaussian("age", 100.0)
        head = ledger.head
    assert path.stat().st_mode & 0o077 == 0
    with Ledger.open(path, read_only=True) as ledger:
        assert ledger.head == head
        assert ledger.path == path
        assert ledger.account("adult").reserved > 0
        with pytest.raises(LedgerError, match=r"readonly database.*nothing was released"):
            begin(ledger)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


@given(st.floats(1e-6, 1e4))
def test_epsilons_are_shown_rounded_down(epsilon: float):
    shown = float(show_down(epsilon))
    assert epsilon * 0.998 <= shown <= epsilon
