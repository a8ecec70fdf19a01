import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.encrypted.scores import ScoresLayout, score
from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Domain
from tests.encrypted.kernel import SCORES, counts, everything, key_pair, table


def uploaded(layout, marginals, holders=1):
    _, public = key_pair(SCORES)
    sums = {}
    for _ in range(holders):
        for file, cells in layout.pack(marginals):
            data = public.encrypt_record(cells, layout.scale)
            sums.setdefault(file, []).append(public.scheme.load(data, scale=layout.scale))
    return {
        clique: [public.scheme.add(sums[file]) for file in layout.files(clique)]
        for clique in layout.cliques
    }


@settings(max_examples=10, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=2),
    holders=st.integers(1, 3),
    weight=st.integers(1, 4),
    offset=st.integers(-(10**6), 10**6),
    seed=st.integers(0, 2**32),
)
def test_a_score_is_the_whole_number_of_the_formula(sizes, holders, weight, offset, seed):
    secret, public = key_pair(SCORES)
    rng = np.random.default_rng(seed)
    named = {f"a{i}": size for i, size in enumerate(sizes)}
    clique = tuple(named)
    layout = ScoresLayout(Domain(named), [clique], rows=3000, holders=holders)
    marginal = counts(named, clique, table(rng, named, 900))
    estimate = layout.estimate(clique, rng.normal(900 / marginal.size, 30, marginal.shape))
    ciphertexts = uploaded(layout, {clique: marginal}, holders)[clique]
    total = score(public, layout, clique, ciphertexts, estimate, weight=weight, offset=offset)
    total = public.scheme.add([total, public.scheme.load(public.encrypt(np.array([-77])))])
    sent = public.scheme.load(public.scheme.save(public.release(total, np.array([0]))))
    margin = layout.fit(weight * abs(offset) + 77, weight=weight).margin
    expected = weight * (int(((holders * marginal - estimate) ** 2).sum()) - offset) - 77
    assert secret.decode(sent, np.array([0]), margin=margin) == [expected]


def test_a_released_score_tells_nothing_about_single_cells():
    """The product's other coefficients correlate cells; after the release they are uniform."""
    secret, public = key_pair(SCORES)
    domain = Domain({"a": 3, "b": 2})
    layout = ScoresLayout(domain, [("a", "b")], rows=100)
    marginal = np.array([[1, 2], [3, 4], [5, 6]])
    total = score(
        public,
        layout,
        ("a", "b"),
        uploaded(layout, {("a", "b"): marginal})[("a", "b")],
        0 * marginal,
    )
    assert np.rint(everything(secret, total)[:2]).tolist() == [91, 70]
    rest = everything(secret, public.release(total, np.array([0])))[1:]
    half = 2.0 ** (secret.preset.ring_bits - 1)
    # See the test of releases of cells for the false-alarm rate.
    assert (np.abs(rest) < half / 50).sum() < 0.03 * len(rest)


def test_a_marginal_may_take_several_ciphertexts():
    secret, public = key_pair(SCORES)
    domain = Domain({"a": 100, "b": 90})
    layout = ScoresLayout(domain, [("a", "b")], rows=5000)
    assert [file.stop - file.start for file in layout.files(("a", "b"))] == [8192, 808]
    marginal = np.zeros((100, 90), dtype=np.int64)
    marginal[0, 0], marginal[99, 89] = 2000, 3000
    total = score(
        public,
        layout,
        ("a", "b"),
        uploaded(layout, {("a", "b"): marginal})[("a", "b")],
        0 * marginal,
    )
    assert secret.decode(total, np.array([0])) == [13_000_000]


def test_estimates_for_which_nothing_is_proved_are_refused():
    _, public = key_pair(SCORES)
    layout = ScoresLayout(Domain({"a": 2}), [("a",)], rows=10)
    for wrong in ([5, 6], [-1, 1], [1.5, 2.0]):
        with pytest.raises(ParameterError, match="sum of at most 10"):
            score(public, layout, ("a",), [], np.array(wrong))
    with pytest.raises(ParameterError, match="finite numbers of shape"):
        layout.estimate(("a",), np.array([np.nan, 1.0]))
    assert layout.estimate(("a",), np.array([-3.0, 40.0])).tolist() == [0, 10]
    assert layout.estimate(("a",), np.array([0.0, 0.0])).tolist() == [0, 0]


def test_counts_that_do_not_fit_the_public_facts_are_refused():
    layout = ScoresLayout(Domain({"a": 2}), [("a",)], rows=10)
    for wrong in ({}, {("a",): np.array([1])}, {("a",): np.array([9, 2])}):
        with pytest.raises(ParameterError, match="marginal"):
            list(layout.pack(wrong))
