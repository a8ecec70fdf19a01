from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.encrypted.layout import MarginalsLayout
from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Domain
from tests.encrypted.kernel import BFV, counts, key_pair, table

SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=5).map(
    lambda sizes: {f"a{i}": size for i, size in enumerate(sizes)}
)


def cliques(sizes):
    return [c for k in range(1, min(len(sizes), 3) + 1) for c in combinations(sizes, k)]


@settings(max_examples=25, deadline=None)
@given(sizes=SIZES)
def test_every_cell_has_a_place_of_its_own_and_none_is_wasted(sizes):
    domain = Domain(sizes)
    layout = MarginalsLayout(domain, cliques(sizes), rows=100)
    places = np.concatenate([layout.place(c).ravel() for c in layout.cliques])
    assert np.array_equal(np.sort(places), np.arange(layout.positions))
    assert np.array_equal(layout.placed, np.arange(layout.positions))
    assert all(layout.place(c).shape == domain.shape(c) for c in layout.cliques)


@settings(max_examples=10, deadline=None)
@given(sizes=SIZES, holders=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_holders_counts_plus_noise_decode_bit_for_bit(sizes, holders, seed):
    """Random tables of random shapes, split over holders: decrypted minus noise is the count."""
    secret, public = key_pair(BFV)
    rng = np.random.default_rng(seed)
    layout = MarginalsLayout(Domain(sizes), cliques(sizes), rows=200, holders=holders)
    tables = [table(rng, sizes, int(rng.integers(0, 60))) for _ in range(holders)]
    noise = rng.integers(-5000, 5000, layout.positions)
    counted = [{c: counts(sizes, c, rows) for c in layout.cliques} for rows in tables]
    vectors = [noise, *(layout.flatten(marginals) for marginals in counted)]
    uploads = [public.encrypt_cells(vector) for vector in vectors]
    decoded = []
    for pieces in zip(*uploads, strict=True):
        total = public.scheme.add([public.scheme.load(piece) for piece in pieces])
        decoded.append(secret.decode(total, np.arange(layout.preset.width)))
    cells = np.concatenate(decoded)[: layout.positions] - noise
    whole = {a: np.concatenate([rows[a] for rows in tables]) for a in sizes}
    for clique in layout.cliques:
        assert np.array_equal(cells[layout.place(clique)], counts(sizes, clique, whole))


def test_adult_takes_two_megabytes():
    """The 148,137 cells of all pairs of a domain of Adult's sizes."""
    sizes = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)
    domain = Domain({f"a{i}": size for i, size in enumerate(sizes)})
    layout = MarginalsLayout(domain, combinations(domain, 2), rows=49152)
    assert layout.positions == 148_137
    assert layout.ciphertexts * layout.preset.cells_bytes < 2.6e6


def test_what_is_no_marginal_of_the_job_is_refused():
    domain = Domain({"a": 2, "b": 3})
    with pytest.raises(ParameterError, match="no attribute 'c'"):
        MarginalsLayout(domain, [("a", "c")], rows=10)
    layout = MarginalsLayout(domain, [("b", "a")], rows=10)
    assert layout.cliques == (("a", "b"),)
    with pytest.raises(ParameterError, match="not part of this job"):
        layout.place(("a",))


def test_counts_that_do_not_fit_the_public_facts_are_refused():
    layout = MarginalsLayout(Domain({"a": 2}), [("a",)], rows=10)
    layout.flatten({("a",): np.array([4, 6])})
    for wrong, words in (
        ({}, "expected counts of shape"),
        ({("a",): np.zeros(3, dtype=int)}, "expected counts of shape"),
        ({("a",): np.array([5, 6])}, "more rows than the public maximum of 10"),
        ({("a",): np.array([-1, 6])}, "more rows than the public maximum of 10"),
    ):
        with pytest.raises(ParameterError, match=words) as caught:
            layout.flatten(wrong)
        # How many there are is private.
        assert "11" not in str(caught.value)


def test_jobs_beyond_the_parameters_are_refused():
    with pytest.raises(ParameterError, match="wrap around unseen"):
        MarginalsLayout(Domain({"a": 2}), [("a",)], rows=2**27)
    with pytest.raises(ParameterError, match="wrap around unseen"):
        MarginalsLayout(Domain({"a": 2}), [("a",)], rows=100).fit(2**27)
