"""Names that are themselves private: what shows of them, with which probability, at which price."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from mezzotint.errors import BudgetError, LedgerError, ModelFileError, ParameterError
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget, PrivacyUnit, zcdp_epsilon
from mezzotint.privacy.ledger import Ledger, Run
from mezzotint.privacy.releases import (
    delta_of,
    delta_units_rounded_up,
    delta_within,
    epsilon_of,
    units_within,
)
from mezzotint.privacy.run import plannable_rho
from mezzotint.privacy.statement import Statement
from mezzotint.privacy.thresholds import least_published

UNITS = [PrivacyUnit(a, rows) for a in ("add-remove", "replace-one") for rows in (1, 3)]
_EXACT = Context(prec=60, Emin=-(10**6))


def a_run(budget=None, aside=1e-10, **options) -> Run:
    ledger = Ledger.memory(**options)
    budget = budget or Budget(1.0)
    return ledger.begin(budget, mechanism="AIM", dataset="adult", delta_aside=aside)


def tail(sigma: float, least: int) -> Decimal:
    """P(noise >= least) of the discrete Gaussian, summed term by term."""
    c = _EXACT
    width = 2 * Decimal(sigma) ** 2

    def weight(x: int) -> Decimal:
        return c.exp(c.divide(Decimal(-x * x), width))

    reach = max(10, int(12 * sigma))
    total = sum(weight(x) for x in range(-reach, reach + 1))
    return sum((weight(x) for x in range(least, least + reach)), Decimal(0)) / total


@given(
    sigma=st.floats(0.3, 20),
    exponent=st.floats(-300, -1),
    unit=st.sampled_from(UNITS),
)
def test_a_unit_with_names_of_its_own_shows_any_with_probability_delta_at_most(
    sigma, exponent, unit
):
    delta = 10.0**exponent
    least = least_published(sigma, delta, unit)
    # All its rows in one name, a name for every row, and what the bound allows for at worst.
    for names, count in ((1, unit.rows), (unit.rows, 1), (unit.rows, unit.rows)):
        assert names * tail(sigma, least - count) <= Decimal(delta)
    # And hardly more than that: the threshold is no higher than a continuous tail demands.
    assert least <= unit.rows + 2 + sigma * (math.sqrt(-2 * math.log(delta / unit.rows)) + 1 / 64)


def shown_of_one_unit(unit: PrivacyUnit, names: int, count: int, delta: float, backend: str):
    """How often a unit's own names show, and in how many trials.

    Noise is independent between names, so one release of many units' names is many trials.
    """
    trials = 12_000 if backend == "auto" else 900
    budget = Budget(50.0, 0.5, unit)
    run = a_run(budget, 2 * delta, backend=backend)
    spend = run.threshold("jobs", 30.0, delta)
    counts = {f"{i} {j}": count for i in range(trials) for j in range(names)}
    shown = noise.counts_above_threshold(spend, counts)
    return len({name.split()[0] for name in shown}), trials


@pytest.mark.parametrize("backend", ["auto", "opendp"])
@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_audit_of_a_category_held_by_one_unit_only(unit, backend):
    """Guarantee: shown with probability <= delta, on either side of a pair of neighbours.

    Under add/remove one neighbour holds such names, under replace-one both do, each its own; the
    probability is the same on each side. A false alarm in any of the 16 counts: below 1e-7.
    """
    delta = 0.05
    for names, count in ((1, unit.rows), (unit.rows, 1)):
        shown, trials = shown_of_one_unit(unit, names, count, delta, backend)
        assert shown <= binom.isf(1e-9, trials, delta)
        # A threshold far too high would pass as well; this one is not (power, same error).
        assert shown >= binom.ppf(1e-9, trials, 0.7 * delta / unit.rows)


def test_the_audit_sees_a_threshold_that_is_too_low():
    """A unit with ten times its rows, or a noise of half the scale, is found out."""
    delta, unit = 0.05, PrivacyUnit()
    shown, trials = shown_of_one_unit(unit, 1, 11, delta, "auto")
    assert shown > binom.isf(1e-9, trials, delta)


def test_common_names_keep_their_noisy_counts_and_the_number_of_names_stays_secret():
    run = a_run(aside=1e-10, insecure_noise="off")
    spend = run.threshold("jobs", 20.0, 1e-11)
    least = spend.release.parameters["threshold"]
    shown = noise.counts_above_threshold(spend, {"b": least, "a": 10**6, "c": least - 1})
    assert shown == {"a": 10**6, "b": least}
    empty = noise.counts_above_threshold(run.threshold("none", 20.0, 1e-11), {})
    assert empty == {}
    first, second = run.releases
    assert dict(first.parameters) == dict(second.parameters)
    assert (first.units, first.delta_units) == (second.units, second.delta_units)


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_a_threshold_costs_rho_like_a_marginal_and_its_delta(unit):
    run = a_run(Budget(5.0, 1e-6, unit), 1e-7)
    spend = run.threshold("jobs", 100.0, 4e-8)
    marginal = run.gaussian("age", 100.0)
    assert spend.release.units == marginal.release.units
    assert spend.release.delta_units == delta_units_rounded_up(4e-8)
    assert spend.release.delta == pytest.approx(4e-8)
    assert marginal.release.delta == 0.0
    assert str(marginal.release.delta) == "0.0"
    assert spend.release.parameters["threshold"] == least_published(100.0, 4e-8, unit)
    assert run.remaining_delta == pytest.approx(6e-8)
    assert run.delta_aside == pytest.approx(1e-7)


def test_a_run_that_spends_more_delta_than_it_set_aside_is_refused():
    run = a_run(aside=1e-10)
    run.threshold("jobs", 50.0, 6e-11)
    with pytest.raises(
        BudgetError,
        match=r"run 1 \(AIM on 'adult'\): towns would cost delta 5e-11, and of the 1e-10 that the "
        r"run set aside only 4e-11 is left; nothing was released\. Set more of delta aside",
    ):
        run.threshold("towns", 50.0, 5e-11)
    run.threshold("towns", 50.0, run.remaining_delta)
    assert run.remaining_delta == 0.0
    assert len(run.releases) == 2
    with pytest.raises(BudgetError, match=r"of the 0 that the run set aside"):
        a_run(aside=0.0).threshold("jobs", 50.0, 1e-12)


def test_what_cannot_be_set_aside_is_refused():
    with pytest.raises(ParameterError, match=r"delta_aside = 1e-09 leaves nothing of delta"):
        a_run(aside=1e-9)
    with pytest.raises(ParameterError, match=r"counts 1e-18 at a time.*or give more delta"):
        a_run(Budget(1.0, 1e-19), 1e-20)
    for bad in (-1e-10, math.nan, math.inf, "1"):
        with pytest.raises(ParameterError, match=r"delta_aside = .* give 0, or a share of delta"):
            a_run(aside=bad)
    for bad in (0.0, 1.0, math.nan):
        with pytest.raises(ParameterError, match=r"jobs: delta = .*give a delta such as"):
            a_run().threshold("jobs", 50.0, bad)
    with pytest.raises(ParameterError, match=r"jobs: sigma = 0\.0"):
        a_run().threshold("jobs", 0.0, 1e-11)


@given(
    epsilon=st.floats(0.01, 20),
    delta=st.floats(1e-14, 1e-2),
    share=st.floats(0.001, 0.9),
    parts=st.integers(1, 50),
)
def test_a_whole_run_is_within_epsilon_and_delta(epsilon, delta, share, parts):
    """Everything that may be spent, spent: rho at what is left of delta, the parts beside it."""
    budget = Budget(epsilon, delta)
    run = a_run(budget, share * delta)
    assert run.total_rho == plannable_rho(budget, share * delta)
    aside = delta_units_rounded_up(share * delta)
    left = Fraction(delta) - Fraction(aside, 10**18)
    most = units_within(budget, aside)
    assert zcdp_epsilon(most / 1e12, float(left)) <= epsilon * (1 + 1e-12)
    assert epsilon_of(most, delta, aside) <= epsilon < epsilon_of(most + 10**6, delta, aside) * 1.1
    part = delta_within(max(1, aside // parts))
    sigma = math.sqrt(parts / (2 * run.total_rho))
    for i in range(min(parts, aside)):
        run.threshold(f"{i}", sigma, part)
    statement = Statement.of(run)
    assert statement.epsilon_spent <= epsilon
    assert statement.delta_spent < delta
    assert Statement.from_json(statement.to_json()) == statement


@given(st.integers(0, 2**52))
def test_units_of_delta_survive_being_written_as_doubles(units):
    assert delta_units_rounded_up(delta_within(units)) == units
    assert Fraction(delta_within(units)) <= Fraction(units, 10**18) <= Fraction(delta_of(units))


def test_epsilon_is_infinite_where_delta_is_used_up():
    assert epsilon_of(0, 1e-9, 10**9) == 0.0
    assert epsilon_of(1, 1e-9, 10**9 + 1) == math.inf
    assert epsilon_of(0, 1e-9, 10**9 + 1) == math.inf
    assert units_within(Budget(1.0), 2 * 10**9) == 0


def test_deltas_of_several_runs_add_up():
    with Ledger.memory() as ledger:
        for _ in range(12):
            with ledger.begin(
                Budget(1.0), mechanism="AIM", dataset="adult", delta_aside=1e-10
            ) as run:
                run.threshold("jobs", 100.0, 9e-11)
        account = ledger.account("adult")
        assert account.delta_units == 12 * delta_units_rounded_up(9e-11)
        # More than one run's delta: the total is stated at the last run's and the others' parts.
        assert account.delta == pytest.approx(1e-9 + 11 * 9e-11)
        assert account.epsilon == pytest.approx(zcdp_epsilon(12 * 5e-5, 9.1e-10))
        assert "at delta 1.99e-09 (1.08e-09 of it for thresholds), per person" in account.sentence()
        assert ledger.account("adult", delta=1e-9).epsilon == math.inf
        assert ledger.runs()[0].epsilon_spent == pytest.approx(zcdp_epsilon(5e-5, 9.1e-10))
        # An open run is booked with all that it set aside, a settled one with what it spent.
        run = ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult", delta_aside=1e-10)
        assert ledger.account("adult").delta_units == account.delta_units + 10**8 + 1
        ledger.settle(run.id)
        assert ledger.account("adult").delta_units == account.delta_units
        ledger.verify()


def test_the_cap_counts_delta_as_well():
    with Ledger.memory() as ledger:
        ledger.set_cap("adult", Budget(2.0, 1e-9))
        most = ledger.account("adult").cap_units

        def spend(epsilon, aside):
            with ledger.begin(
                Budget(epsilon), mechanism="AIM", dataset="adult", delta_aside=aside
            ) as run:
                run.threshold("jobs", math.sqrt(1 / (2 * run.total_rho)), aside)

        spend(1.0, 4e-10)
        account = ledger.account("adult")
        assert account.cap_units == units_within(Budget(2.0), account.delta_units) < most
        with pytest.raises(
            BudgetError, match=r"\(thresholds of all runs take delta 1e-09\), and epsilon 0 is left"
        ):
            spend(0.1, 6e-10)
        with pytest.raises(
            BudgetError, match=r"take delta 8e-10\), and epsilon (\S+) is left"
        ) as e:
            spend(1.95, 4e-10)
        # What the message offers is granted, and keeps the total within the cap.
        left = float(str(e.value).rsplit("at most epsilon ", maxsplit=1)[1].split(",")[0])
        with pytest.raises(BudgetError):
            spend(left + 0.002, 4e-10)
        spend(left, 4e-10)
        account = ledger.account("adult")
        assert 1.9 < account.epsilon <= 2.0
        assert account.delta_spent == pytest.approx(8e-10)
        ledger.verify()


def test_journal_and_export_show_every_part(tmp_path):
    with Ledger.open(tmp_path / "l.db") as ledger:
        with ledger.begin(Budget(1.0), mechanism="AIM", dataset="adult", delta_aside=1e-10) as run:
            run.threshold("jobs", 50.0, 2e-11)
        begin, release = (
            row["body"] for row in ledger.export()["entries"] if row["kind"] in ("begin", "release")
        )
        assert begin["delta_units"] == delta_units_rounded_up(1e-10)
        assert release["delta_units"] == delta_units_rounded_up(2e-11)
        assert release["kind"] == "threshold"
        ledger.verify()
        with ledger.store.changing() as change:
            change.db.execute("UPDATE runs SET delta_spent = 0")
        with pytest.raises(LedgerError, match="table 'runs' differs from the journal"):
            ledger.verify()


def test_a_repeated_request_repeats_its_thresholds():
    with Ledger.memory() as ledger:

        def begin(aside=1e-10):
            return ledger.begin(
                Budget(1.0), mechanism="AIM", dataset="adult", delta_aside=aside,
                fingerprint=b"rows", request="r",
            )  # fmt: skip

        counts = {"cook": 5000, "king": 1}
        with begin() as run:
            first = noise.counts_above_threshold(run.threshold("jobs", 50.0, 5e-11), counts)
        with begin() as again:
            second = noise.counts_above_threshold(again.threshold("jobs", 50.0, 5e-11), counts)
            assert again.remaining_delta == run.remaining_delta
        assert first == second
        with pytest.raises(LedgerError, match="comes again with other data or settings"):
            begin(2e-10)


def test_the_statement_says_what_thresholds_took():
    run = a_run()
    run.threshold("jobs", 100.0, 4e-11)
    run.gaussian("age", 100.0)
    statement = Statement.of(run)
    assert (statement.epsilon, statement.delta) == (1.0, 1e-9)
    assert statement.delta_spent == pytest.approx(4e-11)
    assert statement.epsilon_spent == pytest.approx(zcdp_epsilon(1e-4, 9.6e-10), rel=1e-9)
    assert statement.sentence().endswith(
        "(rho 0.0001 of zero-concentrated differential privacy, and delta 4e-11 for thresholds)."
    )
    data = statement.to_json()
    assert data["delta_spent"] == statement.delta_spent
    assert data["releases"][0]["delta_units"] == statement.delta_units
    data["releases"][0]["delta_units"] = 10**9 + 1
    with pytest.raises(ModelFileError, match=r"cost epsilon inf, more than the 1 it claims"):
        Statement.from_json(data)
    for cost in ("units", "delta_units"):
        data["releases"][0][cost] = -1
        with pytest.raises(ModelFileError, match=r"damaged .*costs less than nothing"):
            Statement.from_json(data)
        data["releases"][0][cost] = 0
