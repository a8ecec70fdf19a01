"""Programmes in the ledger: once each, booked wholly, beside runs in zCDP, through kill -9."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from mezzotint.errors import BudgetError, LedgerError, ModelFileError, ParameterError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget, PrivacyUnit
from mezzotint.privacy.composition import pld_epsilon, rdp_epsilon
from mezzotint.privacy.events import Gaussian, PureDP, SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.statement import Statement

BUDGET = Budget(2.0, 1e-5)
TRAINING = SubsampledGaussian(1.3, rate=0.01, steps=50)
PROGRAMME = Programme((Gaussian(4.0), TRAINING, Gaussian(9.0)))


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    opened = Ledger.memory() if request.param == "memory" else Ledger.open(tmp_path / "l.db")
    with opened:
        yield opened
        opened.verify()


def begin(ledger: Ledger, programme: Programme = PROGRAMME, budget: Budget = BUDGET, **options):
    settings = {"mechanism": "GAN", "dataset": "digits"} | options
    return ledger.begin(budget, programme=programme, **settings)


def test_events_are_released_once_each_in_any_order(ledger):
    with begin(ledger) as run:
        assert run.programme == PROGRAMME
        run.vector(2, "means", 2**30)
        run.training(1, "steps")
        for again in (lambda: run.vector(2, "means", 2**30), lambda: run.training(1, "steps")):
            with pytest.raises(LedgerError, match=r"event \d of the programme of run 1 has been"):
                again()
        run.vector(0, "sums", 2**28)
    assert [(r.kind, r.event, r.units) for r in run.releases] == [
        ("vector", 2, 0),
        ("training", 1, 0),
        ("vector", 0, 0),
    ]
    assert run.releases[0].parameters == {
        "l2": 2**30,
        "noise_multiplier": 9.0,
        "sigma": 9.0 * 2**30,
    }
    assert run.releases[1].parameters == {"noise_multiplier": 1.3, "rate": 0.01, "steps": 50}


def test_what_was_not_planned_is_not_released(ledger):
    run = begin(ledger)
    for wrong, text in (
        (
            lambda: run.vector(1, "x", 2**30),
            r"event 1 .* as 'training' and not as 'vector'",
        ),
        (lambda: run.training(0, "x"), r"recorded as 'vector' and not as 'training'"),
        (lambda: run.vector(3, "x", 2**30), r"has no event 3, only 0 to 2"),
        (lambda: run.vector(-1, "x", 2**30), r"has no event -1"),
        (lambda: run.gaussian("x", 9.0), r"has a programme, and x is not in it"),
        (lambda: run.exponential("x", 0.1, 1), r"has a programme, and x is not in it"),
    ):
        with pytest.raises(LedgerError, match=text):
            wrong()
    for wrong, text in (
        (lambda: run.vector(0, "x", 2**10), r"outside of 2\^24 to 2\^40: choose the grid"),
        (lambda: run.vector(0, "x", 2**39), r"outside of 2\^24 to 2\^40"),
        (lambda: run.vector(0, "x", 0), r"x: l2 = 0 must be a whole number"),
        (lambda: run.vector(0, "x", 2.5e9), r"must be a whole number"),
    ):
        with pytest.raises(ParameterError, match=text):
            wrong()
    assert run.releases == ()
    plain = ledger.begin(Budget(1.0, 1e-5), mechanism="AIM", dataset="digits")
    with pytest.raises(LedgerError, match="has no programme, and x is released as an event"):
        plain.vector(0, "x", 2**30)


def test_a_programme_beyond_its_budget_never_begins(ledger):
    cost = PROGRAMME.epsilon(1e-5)
    with pytest.raises(BudgetError) as refused:
        begin(ledger, budget=Budget(0.5, 1e-5))
    assert str(refused.value) == (
        f"the programme's 3 events cost epsilon {cost:.6g} together at delta 1e-05, and the budget "
        "is epsilon 0.5, delta 1e-05; nothing was released. Add more noise, plan fewer steps, or "
        "ask for a larger epsilon"
    )
    with pytest.raises(ParameterError, match="delta_aside is for thresholds"):
        begin(ledger, delta_aside=1e-7)
    with pytest.raises(ParameterError, match="samples rows"):
        begin(ledger, budget=Budget(2.0, 1e-5, PrivacyUnit("replace-one")))
    assert ledger.runs() == ()


def test_randomised_response_is_an_event_too(ledger):
    unit = PrivacyUnit("replace-one", 2)
    programme = Programme((PureDP(0.5, 2), Gaussian(5.0), PureDP(0.4, 2), PureDP(0.4, 2)))
    with begin(ledger, programme, Budget(4.0, 1e-5, unit)) as run:
        spend = run.randomised_response("labels", 0.5, 10)
        assert spend.release.event == 0
        assert len(noise.randomised_response(spend, [0, 9, 3])) == 3
        with pytest.raises(LedgerError, match=r"2 events .* epsilon 0\.4; .*Give event = its"):
            run.randomised_response("sex", 0.4, 2)
        with pytest.raises(LedgerError, match=r"0 events .* epsilon 0\.7"):
            run.randomised_response("sex", 0.7, 2)
        with pytest.raises(LedgerError, match=r"epsilon = 0\.3 is asked for"):
            run.randomised_response("sex", 0.3, 2, event=3)
        assert run.randomised_response("sex", 0.4, 2, event=3).release.event == 3
        statement = Statement.of(run)
    assert Statement.from_json(statement.to_json()) == statement


def test_it_is_booked_wholly_unless_nothing_came_of_it(ledger):
    run = begin(ledger)
    cost = PROGRAMME.epsilon(1e-5)
    assert ledger.account("digits").epsilon == cost
    run.close()
    assert ledger.account("digits").epsilon == 0
    assert ledger.runs()[0].epsilon_spent == 0
    with begin(ledger) as run:
        run.vector(2, "means", 2**30)
    account = ledger.account("digits")
    assert account.epsilon == cost == ledger.runs()[1].epsilon_spent
    assert account.sentence() == (
        f"data set 'digits': 2 runs, epsilon {cost:.4g} in all (1 programme among them) at delta "
        "1e-05, per person (at most 1 row, add-remove); no cap is set"
    )
    with pytest.raises(LedgerError, match="is closed and spends no more"):
        run.vector(0, "sums", 2**30)


MIXTURES = [
    ([PROGRAMME], [0.5]),
    ([PROGRAMME, Programme((Gaussian(2.0),))], []),
    ([Programme((Gaussian(3.0),)), Programme((TRAINING,))], [1.0, 0.3]),
    ([Programme((SubsampledGaussian(0.7, 0.005, 500),))] * 3, [0.2]),
]


@pytest.mark.parametrize(("programmes", "others"), MIXTURES)
def test_mixed_runs_add_up_as_renyi_dp_says(programmes, others):
    """Never below the true cost; at most 2 % above an independent Renyi accountant."""
    ledger, events = Ledger.memory(), []
    for programme in programmes:
        with begin(ledger, programme, Budget(9.0, 1e-5)) as run:
            for place, event in enumerate(programme.events):
                if isinstance(event, Gaussian):
                    run.vector(place, "v", 2**30)
                else:
                    run.training(place, "t")
        events += programme.events
    for epsilon in others:
        with ledger.begin(Budget(epsilon, 1e-5), mechanism="AIM", dataset="digits") as run:
            sigma = math.sqrt(1 / (2 * run.total_rho))
            run.gaussian("age", sigma)
        events.append(Gaussian(sigma))
    for delta in (1e-5, 1e-7):
        total = ledger.account("digits", delta=delta).epsilon
        assert pld_epsilon(events, delta) <= total <= rdp_epsilon(events, delta) * 1.02


def test_runs_at_different_deltas_may_simply_be_added():
    ledger = Ledger.memory()
    for budget in (Budget(9.0, 1e-6), Budget(9.0, 2e-6)):
        begin(
            ledger,
            Programme((PureDP(0.01),)),
            Budget(budget.epsilon, budget.delta, PrivacyUnit("replace-one")),
        ).randomised_response("x", 0.01, 2)
    assert ledger.account("digits", delta=1e-5).epsilon == pytest.approx(0.02, rel=1e-2)


def test_a_cap_holds_for_both_kinds(ledger):
    ledger.set_cap("digits", BUDGET)
    with begin(ledger) as run:
        run.training(1, "steps")
    left = ledger.account("digits").epsilon_left
    assert 0 < left < BUDGET.epsilon
    with pytest.raises(BudgetError, match=r"a programme of .* makes epsilon 2\.\d+ in all"):
        for _ in range(9):
            begin(ledger).vector(0, "sums", 2**30)
    with pytest.raises(BudgetError, match=r"the cap is epsilon 2 at delta 1e-05"):
        ledger.begin(Budget(1.9, 1e-5), mechanism="AIM", dataset="digits")
    left = ledger.account("digits").epsilon_left
    ledger.begin(Budget(left * 0.999, 1e-5), mechanism="AIM", dataset="digits")
    assert ledger.account("digits").epsilon <= 2.0


def test_a_lone_programme_at_a_smaller_delta_is_recomputed():
    ledger = Ledger.memory()
    ledger.set_cap("digits", Budget(3.0, 1e-9))
    begin(ledger).training(1, "steps")
    assert ledger.account("digits").epsilon == PROGRAMME.epsilon(1e-9) > PROGRAMME.epsilon(1e-5)


def test_a_repeated_request_gets_the_same_bytes_in_any_order(tmp_path):
    def options(**changes):
        return {"fingerprint": b"rows", "request": "r"} | changes

    with Ledger.open(tmp_path / "l.db") as ledger:
        with begin(ledger, **options()) as run:
            first = noise.integer_gaussian(run.vector(0, "sums", 2**30), 50)
            steps = noise.training(run.training(1, "steps")).gaussian(3, 50)
        cost = ledger.account("digits").epsilon
        with begin(ledger, **options()) as run:
            assert (noise.training(run.training(1, "steps")).gaussian(3, 50) == steps).all()
            with pytest.raises(LedgerError, match="has been released already"):
                run.training(1, "steps")
            assert (noise.integer_gaussian(run.vector(0, "sums", 2**30), 50) == first).all()
            with pytest.raises(LedgerError, match="is closed and spends no more"):
                run.vector(2, "means", 2**30)
        assert ledger.account("digits").epsilon == cost
        with pytest.raises(LedgerError, match=r"repeats request r and asks for .*nothing was"):
            begin(ledger, **options()).vector(0, "sums", 2**29)
        other = Programme((Gaussian(5.0), TRAINING))
        with pytest.raises(LedgerError, match="comes again with other data or settings"):
            begin(ledger, other, **options())
        with pytest.raises(LedgerError, match="comes again with other data or settings"):
            ledger.begin(
                BUDGET, mechanism="GAN", dataset="digits", fingerprint=b"rows", request="r"
            )
        ledger.forget(1)
        with pytest.raises(LedgerError, match="noise key was forgotten"):
            begin(ledger, **options()).training(1, "steps")


def fork_and_kill(work) -> None:
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_kill_9_between_begin_and_release_and_after_it(tmp_path):
    path, out = tmp_path / "l.db", tmp_path / "out"
    PROGRAMME.epsilon(1e-5)

    def mine(ledger: Ledger):
        return begin(ledger, fingerprint=b"rows", request="r")

    fork_and_kill(lambda: mine(Ledger.open(path)))
    with Ledger.open(path) as ledger:
        assert ledger.runs()[0].state == "open"
        assert ledger.account("digits").epsilon == PROGRAMME.epsilon(1e-5)

    def release() -> None:
        run = mine(Ledger.open(path))
        out.write_bytes(noise.training(run.training(1, "steps")).gaussian(0, 40).tobytes())

    fork_and_kill(release)
    with Ledger.open(path) as ledger:
        ledger.verify()
        assert [r.event for r in ledger.releases(1)] == [1]
        again = noise.training(mine(ledger).training(1, "steps")).gaussian(0, 40)
        assert again.tobytes() == out.read_bytes()
        ledger.settle(1)
        assert ledger.account("digits").epsilon == PROGRAMME.epsilon(1e-5)
    fork_and_kill(lambda: begin(Ledger.open(path), dataset="other"))
    with Ledger.open(path) as ledger:
        assert ledger.account("other").epsilon > 0
        ledger.settle(2)
        assert ledger.account("other").epsilon == 0


def test_concurrent_spenders_never_exceed_the_cap(tmp_path):
    path = tmp_path / "l.db"
    programme = Programme((Gaussian(12.0),))
    programme.epsilon(1e-5)
    with Ledger.open(path) as ledger:
        ledger.set_cap("digits", Budget(1.0, 1e-5))

    def spend() -> None:
        with Ledger.open(path) as mine:
            for _ in range(100):
                try:
                    with begin(mine, programme) as run:
                        run.vector(0, "v", 2**30)
                except BudgetError:
                    return

    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            status = 1
            try:
                spend()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    with Ledger.open(path) as ledger:
        runs = ledger.runs()
        assert ledger.account("digits").epsilon <= 1.0
        assert rdp_epsilon([Gaussian(12.0)] * (len(runs) + 1), 1e-5) > 0.99
        with pytest.raises(BudgetError):
            begin(ledger, programme)


def a_statement() -> Statement:
    with begin(Ledger.memory()) as run:
        run.vector(0, "sums", 2**30)
        run.training(1, "steps")
        return Statement.of(run)


def test_the_statement_shows_the_programme():
    statement = a_statement()
    assert statement.epsilon_spent == PROGRAMME.epsilon(1e-5)
    assert statement.sentence().endswith(
        "(2, 1e-05)-differential privacy under add-remove adjacency; GAN made 2 releases of "
        f"private data, at epsilon {statement.epsilon_spent:.4g} (one privacy loss distribution of "
        "all 3 events fixed before the data was touched)."
    )
    data = json.loads(json.dumps(statement.to_json()))
    assert (data["format"], data["rho"]) == (2, None)
    assert [row["kind"] for row in data["programme"]] == [
        "gaussian",
        "subsampled-gaussian",
        "gaussian",
    ]
    assert Statement.from_json(data) == statement


def forged(change) -> dict:
    data = json.loads(json.dumps(a_statement().to_json()))
    change(data)
    return data


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["releases"][0].update(event=2),
        lambda d: d["releases"][0].update(event=7),
        lambda d: d["releases"][0].update(event=-1),
        lambda d: d["releases"][0].pop("event"),
        lambda d: d["releases"].append(d["releases"][0]),
        lambda d: d["releases"][0].update(kind="training"),
        lambda d: d["releases"][0].update(units=5),
        lambda d: d["releases"][0]["parameters"].update(sigma=1e12),
        lambda d: d["releases"][1]["parameters"].update(steps=49),
        lambda d: d["releases"][1]["parameters"].update(more=1),
        lambda d: d["programme"][1].update(kind="laplace"),
        lambda d: d["programme"].clear(),
        lambda d: d.pop("programme"),
        lambda d: d.update(adjacency="replace-one"),
        lambda d: d["unit"].update(rows=2),
    ],
)
def test_a_statement_that_does_not_fit_its_programme_is_refused(change):
    with pytest.raises(ModelFileError, match=r"privacy statement: damaged or incomplete"):
        Statement.from_json(forged(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(epsilon=0.5),
        lambda d: d.update(delta=1e-30),
        lambda d: d["programme"][2].update(noise_multiplier=0.3),
    ],
)
def test_a_statement_that_claims_less_than_it_spends_is_refused(change):
    with pytest.raises(ModelFileError, match=r"its releases cost epsilon .*more than the"):
        Statement.from_json(forged(change))


@pytest.fixture
def old_file(tmp_path) -> Path:
    """A ledger written by the version before programmes, as text."""
    path = tmp_path / "old.db"
    db = sqlite3.connect(path)
    db.executescript((Path(__file__).parent / "format1.sql").read_text(encoding="utf-8"))
    db.executescript("PRAGMA application_id = 1299860583; PRAGMA user_version = 1;")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    return path


HEAD = "480655110ea2484fe2751746a76ab16f54223f21e626fe875d240f3d01d093d1"


def test_a_file_of_format_1_is_read_without_being_changed(old_file):
    before = old_file.read_bytes()
    with Ledger.open(old_file, read_only=True) as ledger:
        account = ledger.account("adult")
        assert (account.booked, account.delta_units, account.runs) == (16128370099, 10000000001, 2)
        assert account.epsilon == pytest.approx(0.7069036421649917, rel=1e-12)
        assert ledger.verify(HEAD) == 12
        assert [r.kind for r in ledger.releases(1)] == ["gaussian", "threshold", "exponential"]
        assert old_file.read_bytes() == before
        # Somebody else brings it up to date meanwhile.
        with Ledger.open(old_file) as other:
            begin(other, dataset="adult").vector(0, "sums", 2**30)
        assert ledger.verify(HEAD) == 14
        assert ledger.account("adult").epsilon > account.epsilon


def test_a_file_of_format_1_is_used_and_its_requests_repeat(old_file):
    for _ in range(2):
        with Ledger.open(old_file) as ledger:
            assert ledger.verify(HEAD) >= 12
            with ledger.begin(
                Budget(1.0, 1e-5),
                mechanism="AIM",
                dataset="adult",
                fingerprint=b"rows",
                request="r",
                delta_aside=1e-7,
            ) as run:
                drawn = noise.discrete_gaussian(run.gaussian("age", 9.0), 5)
                assert drawn.tolist() == [16, 21, -3, 3, 13]
    with Ledger.open(old_file) as ledger:
        before = ledger.account("adult").epsilon
        with begin(ledger, dataset="adult", budget=Budget(1.5, 1e-5)) as run:
            run.training(1, "steps")
        assert ledger.account("adult").epsilon > before
        ledger.verify(HEAD)
    with sqlite3.connect(old_file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


def test_a_forged_programme_is_found(tmp_path):
    path = tmp_path / "l.db"
    with Ledger.open(path) as ledger:
        begin(ledger).vector(0, "sums", 2**30)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET programme = NULL")
    db.close()
    with pytest.raises(LedgerError, match="table 'runs' differs from the journal"):
        Ledger.open(path)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM releases")
    db.close()
    with pytest.raises(LedgerError, match="differs from the journal"):
        Ledger.open(path)
