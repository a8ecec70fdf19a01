"""L4: the noise drawn against the noise recorded, for every mechanism for tables.

The counts are known here, so what a release added to them is known exactly. Each residual is
divided by the sigma of its own ledger row; the sum of squares is compared with chi-square. With
4,000 residuals that finds an error of 12 % in the scale, in either direction.

A false alarm: below 1e-6 in each case of each test, all its assertions together.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from scipy.stats import chi2, norm

from mezzotint.audit.tables import Listener
from mezzotint.errors import ParameterError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.composition import pld_epsilon
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.noise import discrete_gaussian
from mezzotint.privacy.programme import Programme
from mezzotint.tables import curator as curator_room
from mezzotint.tables.aim import AIM
from mezzotint.tables.curator import Candidate, TrustedCurator
from mezzotint.tables.graphical import Query
from mezzotint.tables.independent import Independent
from mezzotint.tables.mezzotint import Mezzotint
from mezzotint.tables.mst import MST

from ..tables.private import counts_of, rows_of
from .laws import FALSE_ALARM

# One attribute is wide enough for Mezzotint to offer it in groups.
SIZES = {"a": 3, "b": 8, "c": 2, "d": 40}
MECHANISMS = {
    "independent": Independent,
    "mst": MST,
    "aim": lambda: AIM(workload=2),
    "mezzotint": lambda: Mezzotint(workload=2),
}
LEVEL = FALSE_ALARM / 3
"""Of one assertion, where a case has two or three."""
UNITS = [PrivacyUnit(), PrivacyUnit(Adjacency.REPLACE_ONE, rows=3)]


def residuals_of(mechanism, backend="auto", unit=None, least=4000):
    """Everything that was added to counts, each in units of its ledger row's sigma."""
    counts = counts_of(SIZES, rows_of(SIZES, 400), width=2)
    found, releases = [], []
    while sum(r.size for r in found) < least:
        ledger = Ledger.memory(backend=backend)
        budget = Budget(2.0, 1e-6, unit or PrivacyUnit())
        with ledger.begin(budget, mechanism="audit", dataset="made up") as run:
            curator = Listener(counts, run)
            MECHANISMS[mechanism]().release(curator)
        rows = [row for row in run.releases if row.kind == "gaussian"]
        assert len(rows) == len(curator.heard)
        for row, heard in zip(rows, curator.heard, strict=True):
            exact = heard.query.project(counts.marginal(heard.clique))
            assert heard.values.shape == exact.shape
            found.append((heard.values - exact).ravel() / float(row.parameters["sigma"]))
        releases.append((budget, run.releases))
    return found, releases


def second_moment_p(residuals):
    """Two-sided p-value: sigma is above 5 throughout, where the discrete law is the normal one."""
    square = float((np.concatenate(residuals) ** 2).sum())
    size = sum(r.size for r in residuals)
    return 2 * min(chi2.sf(square, size), chi2.cdf(square, size))


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_what_was_drawn_is_what_was_recorded(mechanism, unit, least=4000):
    residuals, _ = residuals_of(mechanism, unit=unit, least=least)
    assert second_moment_p(residuals) > LEVEL
    together = np.concatenate(residuals)
    # The mean as well: noise that is clipped, or added to some cells only, is not centred or wide.
    assert 2 * norm.sf(abs(together.sum()) / sqrt(together.size)) > LEVEL
    # And the share beyond two sigma, which a wrong law of the right width would miss.
    beyond, share = (np.abs(together) > 2).sum(), 2 * norm.sf(2)
    spread = sqrt(together.size * share * (1 - share))
    # Steps of 1 / sigma are up to a fifth of a sigma wide here: allowed for in full.
    slack = 0.2 * 2 * norm.pdf(2) * together.size
    assert abs(beyond - together.size * share) < 5.5 * spread + slack


def test_the_scale_test_finds_a_fifth():
    """Power: noise at 80 % or 125 % of its scale is refused."""
    residuals, _ = residuals_of("independent")
    for factor in (0.8, 1.25):
        assert second_moment_p([r * factor for r in residuals]) < LEVEL


@pytest.mark.parametrize("backend", ["opendp", "keyed"])
def test_no_two_releases_share_their_noise(backend):
    """Correlation of each release's residuals with the next one's, over all of them."""
    residuals, _ = residuals_of("independent", backend)
    same = different = 0.0
    for one, two in pairwise(residuals):
        size = min(one.size, two.size)
        same += float(one[:size] @ two[:size])
        different += size
    assert 2 * norm.sf(abs(same) / sqrt(different)) > LEVEL
    # Runs repeat the same questions: neither may their answers' noise repeat.
    period = len(SIZES)
    same = sum(float(r @ s) for r, s in zip(residuals, residuals[period:], strict=False))
    size = sum(r.size for r in residuals[period:])
    assert 2 * norm.sf(abs(same) / sqrt(size)) > LEVEL


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_rows_cost_what_their_noise_costs(mechanism, unit):
    """The ledger's own sum against rho, computed anew from each row's public parameters."""
    _, releases = residuals_of(mechanism, unit=unit, least=1)
    for budget, rows in releases:
        rho = Fraction(0)
        for row in rows:
            parameters = {name: Fraction(value) for name, value in row.parameters.items()}
            if row.kind == "gaussian":
                assert parameters["l2_squared"] == unit.l2_squared
                cost = parameters["l2_squared"] / (2 * parameters["sigma"] ** 2)
            else:
                assert row.kind == "exponential"
                cost = parameters["epsilon"] ** 2 / 8
                # exp(score / scale): twice the sensitivity over epsilon, never less.
                scale = 2 * parameters["sensitivity"] / parameters["epsilon"]
                assert parameters["scale"] >= scale
            assert row.units >= cost * 10**12
            rho += cost
        assert rho <= Fraction(budget.rho)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_second_fit_is_charged_again(mechanism):
    table = {a: rows_of(SIZES, 50)[:, i] for i, a in enumerate(SIZES)}
    import pyarrow as pa

    ledger = Ledger.memory()
    synthesizer = MECHANISMS[mechanism]()
    spent = []
    for _ in range(2):
        synthesizer.fit(pa.table(table), SIZES, ledger=ledger, dataset="one")
        spent.append(ledger.account("one").booked)
    assert spent[1] == pytest.approx(2 * spent[0], rel=0.01)
    first, second = ledger.runs()
    assert first.releases > 0 and second.releases > 0


def test_rows_of_a_repeatable_run_have_noise_of_their_own():
    """Same question, same sigma, same run: other noise; the same request: the same noise."""
    ledger = Ledger.memory()
    drawn = []
    for _ in range(2):
        with ledger.begin(
            Budget(50.0), mechanism="m", dataset="d", fingerprint=b"rows", request="one"
        ) as run:
            drawn.append([discrete_gaussian(run.gaussian("a", 40.0), 50) for _ in range(3)])
    for i in range(3):
        assert (drawn[0][i] == drawn[1][i]).all()
        for j in range(i):
            assert (drawn[0][i] != drawn[0][j]).any()


def test_the_worst_score_moves_by_the_declared_sensitivity():
    """A unit's three rows go from one cell to another, both counted as far from the estimate."""
    unit = PrivacyUnit(Adjacency.REPLACE_ONE, rows=3)
    scores, declared = [], []
    for world in ([(0, 0)] * 3, [(1, 1)] * 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                curator_room, "exponential_mechanism", lambda spend, s: scores.append(int(s[0]))
            )
            counts = counts_of({"a": 2, "b": 2}, np.array(world), width=2)
            with Ledger.memory().begin(Budget(1.0, unit=unit), mechanism="m", dataset="d") as run:
                candidate = Candidate(Query(("a",)), 5, np.array([10.0, -10.0]))
                TrustedCurator(counts, run).choose([candidate], 0.01)
            declared.append(run.releases[0].parameters["sensitivity"])
    assert declared[0] == declared[1] == abs(scores[0] - scores[1])


def test_a_programme_costs_all_of_its_steps():
    """Against the accountant itself, and more steps cost more."""
    events = [SubsampledGaussian(1.0, rate=0.02, steps=steps) for steps in (1, 100, 400)]
    costs = [Programme((event,)).epsilon(1e-5) for event in events]
    assert costs[0] < costs[1] < costs[2]
    for event, cost in zip(events, costs, strict=True):
        assert cost == pytest.approx(pld_epsilon([event], 1e-5), rel=0.01)


def test_randomised_response_is_refused_where_it_would_tell_how_many_there_are():
    for unit, allowed in ((PrivacyUnit(), False), (PrivacyUnit(Adjacency.REPLACE_ONE), True)):
        run = Ledger.memory().begin(Budget(50.0, unit=unit), mechanism="m", dataset="d")
        if allowed:
            run.randomised_response("an answer", 1.0, 4)
        else:
            with pytest.raises(ParameterError, match="publishes the number of rows"):
                run.randomised_response("an answer", 1.0, 4)
        assert len(run.releases) == allowed
