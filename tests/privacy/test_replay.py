"""Requests: the same id gives the same bytes, at no further cost, or nothing at all."""

from __future__ import annotations

import numpy as np
import pytest

from mezzotint.errors import LedgerError, ParameterError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger, request_id

SCORES = np.array([3, 1, 2])


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "l.db") as opened:
        yield opened
        opened.verify()


def begin(ledger: Ledger, request: str = "r", **changes):
    options = {"mechanism": "AIM", "dataset": "adult", "fingerprint": b"rows"} | changes
    budget = options.pop("budget", Budget(5.0))
    return ledger.begin(budget, request=request, **options)


def attempt(run, rounds: int) -> list[object]:
    made: list[object] = []
    for i in range(rounds):
        made.append(noise.exponential_mechanism(run.exponential(f"pick {i}", 0.1, 1), SCORES))
        made.append(noise.discrete_gaussian(run.gaussian(f"cells {i}", 9.0), 5).tolist())
        made.append(noise.discrete_gaussian(run.gaussian(f"many {i}", 9.0), 2000).tolist())
    return made


def test_a_repetition_gives_the_same_bytes_and_costs_nothing(ledger):
    with begin(ledger) as run:
        first = attempt(run, 2)
        releases = run.releases
    booked = ledger.account("adult").booked
    with begin(ledger) as again:
        assert again.remaining_rho == again.total_rho
        assert attempt(again, 2) == first
        assert again.releases == releases
        assert again.spent_rho == run.spent_rho
    assert ledger.account("adult").booked == booked
    assert len(ledger.runs()) == 1
    with begin(ledger, request="another nonce") as other:
        assert attempt(other, 2) != first


def test_an_interrupted_request_goes_on_where_it_stopped(ledger):
    with pytest.raises(KeyboardInterrupt), begin(ledger) as run:
        first = attempt(run, 1)
        run.exponential("pick 1", 0.1, 1)
        raise KeyboardInterrupt
    assert ledger.runs()[0].state == "open"
    with begin(ledger) as again:
        second = attempt(again, 2)
        assert second[:3] == first
        assert [r.seq for r in again.releases] == list(range(6))
    assert ledger.runs()[0].state == "closed"
    with begin(ledger) as third:
        assert attempt(third, 2) == second
        with pytest.raises(LedgerError, match="is closed and spends no more"):
            third.gaussian("one more", 9.0)


def test_a_cap_reached_since_does_not_hinder_a_repetition(ledger):
    with begin(ledger) as run:
        first = attempt(run, 1)
    ledger.set_cap("adult", Budget(0.01))
    with begin(ledger) as again:
        assert attempt(again, 1) == first


def test_two_processes_at_once_share_one_run(ledger):
    """Interleaved, each step by whoever comes first: never two noises for one step."""
    one, other = begin(ledger), begin(ledger)
    assert one.id == other.id
    drawn = {0: [], 1: []}
    for i in range(6):
        first, second = ((0, one), (1, other)) if i % 2 else ((1, other), (0, one))
        for name, run in (first, second):
            drawn[name].append(noise.discrete_gaussian(run.gaussian(f"m{i}", 9.0), 4).tolist())
    assert drawn[0] == drawn[1]
    assert ledger.runs()[0].releases == 6


def test_other_data_or_settings_under_the_same_id_are_refused(ledger):
    begin(ledger)
    for changes in (
        {"fingerprint": b"other rows"},
        {"budget": Budget(4.0)},
        {"budget": Budget(5.0, 1e-6)},
        {"mechanism": "MST"},
        {"dataset": "copy"},
    ):
        with pytest.raises(LedgerError, match=r"request r was made for AIM on 'adult'.*Repeat it"):
            begin(ledger, **changes)
    assert len(ledger.runs()) == 1


def test_other_questions_under_the_same_id_are_refused(ledger):
    begin(ledger).gaussian("age", 9.0)
    for kind, arguments in (
        ("gaussian", ("sex", 9.0)),
        ("gaussian", ("age", 9.1)),
        ("exponential", ("age", 0.1, 1)),
    ):
        with pytest.raises(LedgerError, match=r"repeats request r and asks for .*nothing was"):
            getattr(begin(ledger), kind)(*arguments)
    assert ledger.runs()[0].releases == 1


def test_a_forgotten_run_stands_and_is_never_repeated(ledger):
    with begin(ledger) as run:
        attempt(run, 1)
        with ledger.store.reading() as db:
            keys = [v for (v,) in db.execute("SELECT value FROM secrets WHERE name <> 'contents'")]
    assert len(keys) == 3
    ledger.forget(run.id)
    with pytest.raises(LedgerError, match=r"noise key was forgotten: make a new request"):
        begin(ledger).exponential("pick 0", 0.1, 1)
    assert len(ledger.releases(run.id)) == 3
    ledger.verify()
    everything = b"".join(p.read_bytes() for p in ledger.path.parent.iterdir())
    assert not any(key in everything for key in keys)


def test_a_key_that_was_exchanged_draws_nothing(ledger):
    begin(ledger).gaussian("age", 9.0)
    with ledger.store.changing() as change:
        change.db.execute("UPDATE secrets SET value = zeroblob(32) WHERE name <> 'contents'")
    with pytest.raises(LedgerError, match="noise key of release 0 of run 1 is not the one"):
        begin(ledger).gaussian("age", 9.0)


def test_a_request_needs_a_fingerprint_and_a_sampler_that_repeats(tmp_path):
    ledger = Ledger.memory()
    with pytest.raises(ParameterError, match="needs a fingerprint of the data: the same noise"):
        begin(ledger, fingerprint=None)
    with pytest.raises(ParameterError, match="'opendp' draws fresh entropy and cannot repeat"):
        begin(Ledger.memory(backend="opendp"))
    assert ledger.runs() == ()


def test_request_ids_tell_everything_apart():
    base = {"dataset": "d", "mechanism": "m", "parameters": {"a": 1, "b": 2}, "nonce": "n"}
    ids = {
        request_id(**base),
        request_id(**base | {"parameters": {"b": 2, "a": 1}}),
        request_id(**base | {"dataset": "e"}),
        request_id(**base | {"mechanism": "k"}),
        request_id(**base | {"parameters": {"a": 1}}),
        request_id(**base | {"nonce": "o"}),
    }
    assert len(ids) == 5
