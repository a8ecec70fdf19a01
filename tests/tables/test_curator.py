"""The curator: exact scores, honest sensitivities, whole numbers, the noise that was recorded."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mezzotint.errors import BudgetError, ParameterError
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.tables import curator as room
from mezzotint.tables.curator import Candidate
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Query

from ..examples import examples
from ..privacy.laws import chi_square_p, scale_p
from .brute import FALSE_ALARM
from .private import SIZES, a_curator, releases_of, rows_of

GRID = 1024


def by_hand(rows, sizes, clique):
    counts = np.zeros([sizes[a] for a in clique], np.int64)
    axes = [list(sizes).index(a) for a in clique]
    for row in rows:
        counts[tuple(row[i] for i in axes)] += 1
    return counts


class Overheard:
    """Stands in for the exponential mechanism and keeps what it was given."""

    def __init__(self, monkeypatch):
        self.scores = []
        self.sensitivity = None
        monkeypatch.setattr(room, "exponential_mechanism", self)

    def __call__(self, spend, scores):
        self.scores = [int(s) for s in scores]
        self.sensitivity = int(spend.release.parameters["sensitivity"])
        return int(np.argmax(scores))


@pytest.fixture
def overheard(monkeypatch):
    return Overheard(monkeypatch)


EXTREME = st.floats(allow_nan=False, allow_infinity=False)
ESTIMATES = st.one_of(st.floats(-10, 1000), EXTREME, st.sampled_from([5e-324, 1e308, -1e308, 0.5]))


@st.composite
def candidates(draw, domain, estimates=ESTIMATES, penalties=None):
    clique = domain.clique(
        draw(st.lists(st.sampled_from(domain.attributes), min_size=1, max_size=3))
    )
    groups = {}
    for a in clique:
        if draw(st.booleans()):
            labels = draw(
                st.lists(st.integers(0, 2), min_size=domain.sizes[a], max_size=domain.sizes[a])
            )
            groups[a] = np.unique(labels, return_inverse=True)[1]
    query = Query(clique, groups)
    shape = query.shape(domain)
    size = int(np.prod(shape))
    estimate = draw(st.lists(estimates, min_size=size, max_size=size))
    penalty = draw(penalties if penalties is not None else st.floats(0, 1e6))
    return Candidate(query, draw(st.integers(1, 50)), np.reshape(estimate, shape), penalty)


DOMAIN = Domain(SIZES)


def exact_score(candidate, rows):
    """The score in rows, by fractions, the estimates rounded to the grid."""
    counts = candidate.query.project(by_hand(rows, SIZES, candidate.query.clique))
    grid = [Fraction(round(Fraction(float(e)) * GRID), GRID) for e in candidate.estimate.ravel()]
    distance = sum(abs(int(c) - e) for c, e in zip(counts.ravel(), grid, strict=True))
    penalty = Fraction(round(Fraction(float(candidate.penalty)) * GRID), GRID)
    return candidate.weight * (distance - penalty)


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.integers(0, 40), st.integers(0, 1000))
def test_scores_are_exact(data, n, seed):
    rows = rows_of(SIZES, n, seed)
    asked = data.draw(st.lists(candidates(DOMAIN, st.floats(-1e6, 1e6)), min_size=1, max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        overheard = Overheard(patch)
        a_curator(rows).choose(asked, 0.1)
    assert [Fraction(s, GRID) for s in overheard.scores] == [exact_score(c, rows) for c in asked]


@st.composite
def neighbours(draw):
    """Two tables, and the unit whose presence or content makes the difference."""
    unit = PrivacyUnit(draw(st.sampled_from(Adjacency)), rows=draw(st.integers(1, 4)))
    row = st.tuples(*(st.integers(0, s - 1) for s in SIZES.values()))
    common = draw(st.lists(row, max_size=12))
    mine = draw(st.lists(row, max_size=unit.rows))
    if draw(st.booleans()):
        mine = mine[:1] * unit.rows  # The worst case puts all rows into one cell.
    other = []
    if unit.adjacency is Adjacency.REPLACE_ONE:
        other = draw(st.lists(row, min_size=len(mine), max_size=len(mine)))
        if draw(st.booleans()):
            other = other[:1] * len(mine)
    return common + mine, common + other, unit


@settings(max_examples=examples(150), deadline=None)
@given(neighbours(), st.data())
def test_no_score_moves_further_than_declared(drawn, data):
    """Guarantee: epsilon^2 / 8 zCDP of `choose`, whatever the estimates are."""
    *worlds, unit = drawn
    asked = data.draw(st.lists(candidates(DOMAIN), min_size=1, max_size=4))
    heard = []
    for rows in worlds:
        with pytest.MonkeyPatch.context() as patch:
            overheard = Overheard(patch)
            a_curator(np.array(rows).reshape(-1, 4), unit=unit).choose(asked, 0.01)
        heard.append(overheard)
    assert heard[0].sensitivity == heard[1].sensitivity
    assert heard[0].sensitivity == max(c.weight for c in asked) * unit.l1 * GRID
    for here, there in zip(heard[0].scores, heard[1].scores, strict=True):
        assert abs(here - there) <= heard[0].sensitivity


@settings(max_examples=examples(150), deadline=None)
@given(neighbours(), st.data())
def test_no_measurement_moves_further_than_declared(drawn, data):
    """Guarantee: l2_squared / (2 sigma^2) zCDP of `measure`, groups or not."""
    *worlds, unit = drawn
    query = data.draw(candidates(DOMAIN)).query
    curators = [a_curator(np.array(rows).reshape(-1, 4), unit=unit, noise="off") for rows in worlds]
    one, two = (c.measure(query, 1000.0).values for c in curators)
    (release,) = releases_of(curators[0])
    assert release.parameters["l2_squared"] == unit.l2_squared
    assert int(((one - two) ** 2).sum()) <= unit.l2_squared
    assert int(np.abs(one - two).sum()) <= unit.l1


def test_the_worst_case_meets_the_declared_sensitivity_exactly():
    unit = PrivacyUnit(Adjacency.REPLACE_ONE, rows=3)
    worlds = [[(0, 0, 0, 0)] * 3, [(1, 1, 1, 1)] * 3]
    one, two = (
        a_curator(np.array(w), unit=unit, noise="off").measure(Query(("a",)), 90.0) for w in worlds
    )
    assert ((one.values - two.values) ** 2).sum() == unit.l2_squared == 18


def test_huge_scores_are_clamped_and_do_not_wrap_around(overheard):
    """Also sums of many cells, each of which fits 64 bits."""
    sizes = {"a": 200, "b": 200}
    curator = a_curator(rows_of(sizes, 10), sizes)
    far = np.full((200, 200), 2.0**49)
    asked = [
        Candidate(Query(("a", "b")), 1, far),
        Candidate(Query(("a", "b")), 10**9, far),
        Candidate(Query(("a", "b")), 1, np.full((200, 200), 1e300)),
        Candidate(Query(("a", "b")), 10**9, far * 0, penalty=1e30),
        Candidate(Query(("a",)), 1, np.zeros(200)),
    ]
    curator.choose(asked, 0.1)
    top = room._LARGEST_SCORE
    assert 0.99 * top < overheard.scores[0] <= top
    assert overheard.scores[1] == top
    assert 0.99 * top < overheard.scores[2] <= top
    assert overheard.scores[3] == -top
    assert overheard.scores[4] == 10 * GRID


@pytest.mark.parametrize("noise", [None, 3])
def test_every_measured_value_is_a_whole_number(noise):
    curator = a_curator(rows_of(SIZES, 50), noise=noise)
    for query in [Query(("a",)), Query(("a", "d")), Query(("b",), {"b": np.array([0, 1, 1, 0])})]:
        values = curator.measure(query, 37.5).values
        assert values.dtype == np.int64
        assert values.shape == query.shape(DOMAIN)


@pytest.mark.parametrize("unit", [PrivacyUnit(), PrivacyUnit(Adjacency.REPLACE_ONE, rows=3)])
def test_the_noise_has_the_recorded_scale(unit):
    """20,000 residuals against the exact second moment (an error of 5.5 % is missed with 4e-8)."""
    sizes = {"a": 100, "b": 200}
    curator = a_curator(rows_of(sizes, 500), sizes, noise=11, unit=unit)
    exact = a_curator(rows_of(sizes, 500), sizes, noise="off", unit=unit)
    query = Query(("a", "b"))
    measurement = curator.measure(query, 40.0)
    residuals = (measurement.values - exact.measure(query, 40.0).values).ravel()
    (release,) = releases_of(curator)
    assert release.kind == "gaussian"
    assert measurement.sigma == release.parameters["sigma"] == 40.0
    assert release.rho == pytest.approx(unit.l2_squared / (2 * 40.0**2))
    assert scale_p(residuals, float(release.parameters["sigma"])) > FALSE_ALARM
    assert scale_p(residuals, 40.0 * 2**0.5) < FALSE_ALARM


def test_choices_follow_the_exponential_mechanism_with_its_half():
    """Chi-square over 3,000 choices; the law without the half, for monotone scores, is refused."""
    rows = rows_of(SIZES, 60)
    curator = a_curator(rows, noise=5, epsilon=700.0)
    counts = by_hand(rows, SIZES, ("a",))
    asked = [
        Candidate(Query(("a",)), weight, counts + np.array([0, off, -off]), penalty)
        for weight, off, penalty in [(2, 1.0, 0), (1, 2.0, 1.0), (2, 1.75, 0.25), (1, 0.5, -2.0)]
    ]
    epsilon = 1.0
    chosen = np.bincount([curator.choose(asked, epsilon) for _ in range(3000)], minlength=4)
    scores = np.array([float(exact_score(c, rows)) for c in asked])
    law = np.exp(0.5 * epsilon * scores / 2)
    assert chi_square_p(chosen, 3000 * law / law.sum()) > FALSE_ALARM
    monotone = np.exp(epsilon * scores / 2)
    assert chi_square_p(chosen, 3000 * monotone / monotone.sum()) < FALSE_ALARM
    assert stats.entropy(law / law.sum(), monotone / monotone.sum()) > 0.01


def test_a_choice_costs_an_eighth_of_epsilon_squared():
    curator = a_curator(rows_of(SIZES, 10), unit=PrivacyUnit(rows=3))
    curator.choose([Candidate(Query(("a",)), 7, np.zeros(3))], 0.1)
    (release,) = releases_of(curator)
    assert release.kind == "exponential"
    assert release.parameters["sensitivity"] == 7 * 3 * GRID
    assert release.rho == pytest.approx(0.01 / 8, abs=1e-11)


def test_nothing_is_answered_beyond_the_budget():
    curator = a_curator(rows_of(SIZES, 10))
    with pytest.raises(BudgetError, match=r"counts of a would cost"):
        curator.measure(Query(("a",)), 0.5)
    with pytest.raises(BudgetError, match=r"choice of one of 1 queries would cost"):
        curator.choose([Candidate(Query(("a",)), 1, np.zeros(3))], 9.0)
    assert releases_of(curator) == ()
    assert curator.remaining_rho == curator.total_rho


def test_what_was_spent_before_is_not_planned_with_again():
    """Facts that are bought come out of the same run."""
    run_budget = Budget(1.0)
    curator = a_curator(rows_of(SIZES, 10), budget=run_budget)
    before = curator.total_rho
    curator.measure(Query(("a",)), 20.0)
    later = room.TrustedCurator(curator._counts, curator._run)
    assert later.total_rho == curator.remaining_rho < before
    assert curator.total_rho == before


def test_marginals_that_were_not_counted_are_refused():
    curator = a_curator(rows_of(SIZES, 10))
    with pytest.raises(ParameterError, match=r"was not counted"):
        curator.measure(Query(("a", "b", "c", "d")), 100.0)
