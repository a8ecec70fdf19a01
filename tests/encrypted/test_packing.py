import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.encrypted.packing import pack_records
from mezzotint.encrypted.record_layout import RecordFile, RecordsLayout, reverse_bits
from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Domain
from tests.encrypted.kernel import counts, table

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(
    lambda sizes: {f"a{i}": size for i, size in enumerate(sizes)}
)
PACKINGS = st.sampled_from([(1, 1), (2, 1), (1, 4), (4, 2), (8, 16), (32, 2)])


def negacyclic(a, b):
    """The product of two polynomials modulo X^N + 1, in whole numbers."""
    n = len(a)
    full = np.rint(np.fft.irfft(np.fft.rfft(a, 2 * n) * np.fft.rfft(b, 2 * n), 2 * n))
    return (full[:n] - full[n:]).astype(np.int64)


@st.composite
def layouts(draw):
    sizes = draw(SIZES)
    names = list(sizes)
    cut = draw(st.integers(0, len(names) - 1))
    order = draw(st.permutations(names))
    shares = [order] if cut == 0 else [order[:cut], order[cut:]]
    rows = draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    packing = draw(PACKINGS)
    return RecordsLayout(Domain(sizes), rows=rows, shares=shares, packing=packing)


@settings(max_examples=40, deadline=None)
@given(layout=layouts())
def test_every_cell_of_every_pair_has_a_place_of_its_own(layout):
    assert len(np.unique(layout.placed)) == len(layout.placed)
    assert layout.placed.max() < layout.positions
    for clique in layout.cliques:
        assert layout.place(clique).shape == layout.domain.shape(clique)


@settings(max_examples=40, deadline=None)
@given(layout=layouts(), seed=st.integers(0, 2**32))
def test_products_of_packed_polynomials_hold_the_counts(layout, seed):
    """The algebra of the layout in plain integers: multiples of m are the cells, exactly."""
    rng = np.random.default_rng(seed)
    sizes = dict(layout.domain.sizes)
    parts = [table(rng, sizes, int(rng.integers(0, n + 1))) for n in layout.rows]
    files = {
        file: polynomial
        for part, codes in enumerate(parts)
        for share in range(len(layout.shares))
        for file, polynomial in pack_records(layout, part, share, codes)
    }
    whole = {a: np.concatenate([codes[a] for codes in parts]) for a in sizes}
    degree = layout.preset.degree
    cells = np.zeros(layout.positions, dtype=np.int64)
    for other in range(len(layout.rights.first)):
        for left in range(int(layout.starts[other + 1] - layout.starts[other])):
            total = np.zeros(degree, dtype=np.int64)
            for chunk in range(layout.chunk_count):
                factor = files[RecordFile("left", chunk, left)]
                if layout.mirrored:
                    mirror = files[RecordFile("left", chunk, other)]
                    right = np.concatenate([mirror[:1], -mirror[:0:-1]])
                else:
                    right = files[RecordFile("right", chunk, other)]
                total += negacyclic(factor, right)
            accumulator = int(layout.starts[other]) + left
            ciphertext, index = divmod(accumulator, layout.fold)
            place = int(reverse_bits(np.array([index]), layout.fold)[0])
            start = ciphertext * degree
            cells[start + place : start + degree : layout.fold] = total[:: layout.fold]
    for clique in layout.cliques:
        if len(clique) == 2:
            assert np.array_equal(cells[layout.place(clique)], counts(sizes, clique, whole))


@settings(max_examples=20, deadline=None)
@given(layout=layouts(), rows=st.integers(0, 5))
def test_an_uploads_shape_does_not_depend_on_the_rows(layout, rows):
    """Names, number and length of files are a function of the public layout alone."""
    sizes = dict(layout.domain.sizes)
    rows = min(rows, layout.rows[0])
    some = table(np.random.default_rng(0), sizes, rows)
    none = table(np.random.default_rng(0), sizes, 0)
    for share in range(len(layout.shares)):
        one = [(f, len(p)) for f, p in pack_records(layout, 0, share, some)]
        assert one == [(f, len(p)) for f, p in pack_records(layout, 0, share, none)]
        assert [f for f, _ in one] == list(layout.files(0, share))


@settings(max_examples=20, deadline=None)
@given(layout=layouts(), seed=st.integers(0, 2**32))
def test_a_holder_alone_makes_the_files_that_the_job_expects(layout, seed):
    sizes = dict(layout.domain.sizes)
    for part, most in enumerate(layout.rows):
        codes = table(np.random.default_rng(seed + part), sizes, most)
        for share in range(len(layout.shares)):
            alone = layout.alone(part, share)
            assert alone.scale == layout.scale
            own = dict(pack_records(alone, 0, 0, codes))
            for file, polynomial in pack_records(layout, part, share, codes):
                *whose, local = layout.local(file)
                assert whose == [part, share]
                assert np.array_equal(own.pop(local), polynomial)
            assert not own


@settings(max_examples=30, deadline=None)
@given(layout=layouts())
def test_no_row_has_more_ones_than_the_error_bound_assumes(layout):
    codes = {a: np.zeros(layout.rows[0], dtype=int) for a in layout.domain}
    for share in range(len(layout.shares)):
        for file, polynomial in pack_records(layout, 0, share, codes):
            groups = layout.lefts if file.side == "left" else layout.rights
            most = groups.most_attributes * min(layout.fold, layout.rows[0])
            assert np.abs(polynomial).sum() <= most
            assert np.abs(polynomial).max(initial=0) <= 1


def test_rows_that_do_not_fit_the_public_facts_are_refused():
    layout = RecordsLayout(Domain({"a": 2, "b": 3}), rows=(4,))
    fine = {"a": np.array([0, 1]), "b": np.array([2, 0])}
    list(pack_records(layout, 0, 0, fine))
    for wrong, words in (
        ({"a": fine["a"]}, "'b': its codes are missing"),
        (fine | {"a": np.array([0, 2])}, "'a': codes must lie in 0 .. 1"),
        (fine | {"a": np.array([0, -1])}, "'a': codes must lie in 0 .. 1"),
        (fine | {"a": np.array([0.0, 1.0])}, "'a': expected a row of whole numbers"),
        (fine | {"a": np.array([0])}, "different numbers of rows"),
        ({a: np.zeros(5, dtype=int) for a in "ab"}, "more rows than the public maximum of 4"),
    ):
        with pytest.raises(ParameterError, match=words):
            list(pack_records(layout, 0, 0, wrong))


def test_layouts_that_make_no_sense_are_refused():
    domain = Domain({"a": 2, "b": 3})
    for wrong, words in (
        ({"rows": ()}, "rows: expected"),
        ({"rows": (0,)}, "rows: expected"),
        ({"rows": (9,), "shares": [["a"]]}, "held by exactly one holder"),
        ({"rows": (9,), "shares": [["a", "b"], ["b"]]}, "held by exactly one holder"),
        ({"rows": (9,), "packing": (3, 1)}, "powers of two"),
        ({"rows": (9,), "packing": (128, 128)}, "powers of two"),
    ):
        with pytest.raises(ParameterError, match=words):
            RecordsLayout(domain, **wrong)
    layout = RecordsLayout(domain, rows=(9,))
    with pytest.raises(ParameterError, match="1- and 2-way"):
        layout.place(("b", "a"))


def test_adult_keeps_within_a_gigabyte_and_fits():
    sizes = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)
    layout = RecordsLayout(Domain({f"a{i}": s for i, s in enumerate(sizes)}), rows=(49152,))
    assert layout.cost.uploads * layout.preset.record_bytes < 1e9
    assert layout.accumulators == 588 + 148_137
    assert layout.ciphertexts == 19
    assert layout.fit(10_000).error < 0.02
