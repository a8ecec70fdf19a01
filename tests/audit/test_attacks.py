"""L5: attacks on mechanisms that keep their claims, and on ones that do not."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from mezzotint.audit import suite
from mezzotint.audit.attack import FALSE_ALARM, OneRunAttack, ScoredAttack, histogram
from mezzotint.audit.brief import BriefRuns, coarse_estimate
from mezzotint.audit.claims import gaussian_epsilon
from mezzotint.audit.page import render
from mezzotint.audit.single import GaussianAttack, ResponseAttack, SelectionAttack
from mezzotint.audit.tables import DOMAIN, BlackBoxAttack, WhiteBoxAttack, world_counts
from mezzotint.errors import BudgetError, ParameterError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.spend import Backend
from mezzotint.tables.aim import AIM
from mezzotint.tables.curator import TrustedCurator
from mezzotint.tables.mst import MST

DELTA = 1e-5
QUICK = {
    "gaussian": (GaussianAttack(1.0, DELTA), 100_000, 0.7),
    "gaussian-opendp": (GaussianAttack(4.0, DELTA, Backend.OPENDP), 10_000, 0.7),
    "selection": (SelectionAttack(4.0, DELTA), 3000, 0.4),
    "selection-opendp": (SelectionAttack(4.0, DELTA, Backend.OPENDP), 2000, 0.3),
    "randomised-response": (ResponseAttack(1.0, DELTA), 100_000, 0.85),
    "independent": (WhiteBoxAttack("independent", 4.0, DELTA), 2000, 0.5),
    "mst": (WhiteBoxAttack("mst", 4.0, DELTA), 1200, 0.35),
    "aim": (WhiteBoxAttack("aim", 4.0, DELTA), 600, 0.15),
    "mezzotint": (WhiteBoxAttack("mezzotint", 4.0, DELTA), 600, 0.15),
}


def audited(attack, runs):
    return attack.audit(runs, false_alarm=FALSE_ALARM, progress=lambda share: None)


@pytest.mark.parametrize("name", QUICK)
def test_claims_hold_and_the_attack_is_no_formality(name):
    """The line holds (false alarm 1e-6), and a fair share of what is visible was proved."""
    attack, runs, share = QUICK[name]
    line = audited(attack, runs)
    assert line.mechanism == attack.name == name
    assert line.holds
    assert line.ceiling <= line.claimed_epsilon * (1 + 1e-3)
    # Reached with room to spare: the bounds fall short of this by more than five deviations never.
    assert line.lower_bound >= share * line.ceiling
    assert line.alarm_bound <= line.lower_bound
    assert line.runs == runs


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_what_the_attacker_can_see_is_what_the_recorded_noise_lets_through(epsilon):
    """Independent shows all of rho, MST two thirds, AIM nine tenths and a little more."""
    rho = Budget(epsilon, DELTA).rho
    for mechanism, least, most in (
        ("independent", 0.999, 1),
        ("mst", 0.666, 0.667),
        ("aim", 0.9, 0.92),
        ("mezzotint", 0.91, 0.93),
    ):
        ceiling = WhiteBoxAttack(mechanism, epsilon, DELTA).visible().epsilon
        assert gaussian_epsilon(sqrt(2 * rho * least), DELTA) <= ceiling
        assert ceiling <= gaussian_epsilon(sqrt(2 * rho * most), DELTA)


def test_the_worlds_differ_by_one_row():
    for clique in (("a",), ("a", "b"), ("a", "b", "c")):
        one, two = (world_counts(world).marginal(clique) for world in (0, 1))
        assert int(np.abs(two - one).sum()) == 1


class Weak(GaussianAttack):
    """Draws with less noise than it records: the second draw's sum is of two rows."""

    def scores(self, world, runs):
        return super().scores(world, runs) * 0.5 + world * 128


def test_a_line_does_not_hold_where_less_noise_was_drawn_than_recorded():
    line = audited(Weak(1.0, DELTA), 100_000)
    assert not line.holds
    assert line.alarm_bound > line.ceiling


def test_a_line_does_not_hold_where_more_is_recorded_than_claimed():
    class Boastful(GaussianAttack):
        @property
        def claim(self):
            return replace(super().claim, epsilon=0.5)

    assert not audited(Boastful(1.0, DELTA), 1000).holds


def test_brief_runs_charge_and_refuse_as_the_ledger_does():
    budget = Budget(1.0, DELTA)
    run = BriefRuns(budget).begin()
    real = Ledger.memory().begin(budget, mechanism="m", dataset="d")
    for spender in (run, real):
        spender.gaussian("a", 11.0)
        spender.exponential("b", 0.05, 3)
    assert run.remaining_rho == real.remaining_rho
    assert run.spent_rho == real.spent_rho
    with pytest.raises(BudgetError, match="nothing was released"):
        run.gaussian("too much", 1.0)
    fresh = BriefRuns(budget).begin()
    assert fresh.remaining_rho == fresh.total_rho == real.total_rho


@pytest.mark.parametrize("mechanism", [MST, AIM])
def test_the_coarse_estimator_changes_no_scale(mechanism):
    """First and last rows, and the total, are those of a fit with the real estimator."""

    class Brief(mechanism):
        _estimate = staticmethod(coarse_estimate)
        _estimate_in_stages = staticmethod(coarse_estimate)

    rows = []
    for release in (mechanism(), Brief()):
        with Ledger.memory().begin(Budget(1.0, DELTA), mechanism="m", dataset="d") as run:
            release.release(TrustedCurator(world_counts(0), run))
        rows.append(run.releases)
        assert run.remaining_rho <= 0.01 * run.total_rho
    one, two = ([(r.kind, r.parameters) for r in part[: len(DOMAIN) + 1]] for part in rows)
    assert one == two


def test_black_box_runs_the_whole_synthesizer():
    """Synthetic rows differ from fit to fit: twelve have as many ones with probability 7e-8."""
    attack = BlackBoxAttack("mst", 4.0, DELTA)
    zero, one = (attack.scores(world, 12) for world in (0, 1))
    assert zero.shape == one.shape == (12,)
    assert zero.std() > 0
    assert audited(attack, 12).holds


def test_both_worlds_may_run_in_other_processes():
    line = WhiteBoxAttack("independent", 4.0, DELTA).audit(
        500, jobs=2, false_alarm=FALSE_ALARM, progress=lambda share: None
    )
    assert line.holds
    assert line.lower_bound > 0.3


def test_histograms_hold_nearly_all_runs():
    rng = np.random.default_rng(1)
    shown = histogram(rng.normal(size=1000), rng.normal(size=1000))
    assert len(shown["edges"]) == len(shown["world0"]) + 1
    assert sum(shown["world0"]) > 0.99
    assert sum(histogram(np.zeros(10), np.zeros(10))["world1"]) == 1.0


def test_names_are_unique_and_a_wrong_one_is_told_the_right_one():
    names = [entry.name for entry in suite.LISTED]
    assert len(set(names)) == len(names)
    for entry in suite.LISTED:
        if suite.available(entry):
            assert entry.make(1.0, DELTA).name == entry.name
    with pytest.raises(ParameterError, match="did you mean 'mst'"):
        suite.audit("mts", 1.0, DELTA)
    with pytest.raises(ParameterError, match="epsilon"):
        suite.audit("mst", float("nan"), DELTA)


def test_the_page_is_self_contained_and_shows_every_line():
    lines = [audited(QUICK["gaussian"][0], 1000), audited(Weak(1.0, DELTA), 100_000)]
    page = render(lines)
    assert page.count("<svg") >= 5
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page and "src=" not in page
    assert "1 of 2 claims did not hold" in page
    assert isinstance(lines[0].to_json()["lower_bound"], float)
    assert "histogram" not in lines[0].to_json()


def test_every_attack_is_one():
    for entry in suite.LISTED:
        if suite.available(entry):
            attack = entry.make(4.0, DELTA)
            assert attack.epsilon == 4.0
            assert attack.title and attack.attacker and attack.left_out
            assert attack.delta == DELTA
            assert isinstance(attack, ScoredAttack | OneRunAttack)
