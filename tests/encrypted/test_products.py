import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.encrypted.packing import pack_records
from mezzotint.encrypted.products import run_unit, units
from mezzotint.encrypted.record_layout import RecordsLayout
from mezzotint.tables.domain import Domain
from tests.encrypted.kernel import CKKS, counts, everything, key_pair, table


def uploaded(layout, parts, encryptor):
    """Every holder's upload, read back: what the provider has."""
    scheme = key_pair(CKKS)[1].scheme
    return {
        file: scheme.load(encryptor.encrypt_record(polynomial, layout.scale), scale=layout.scale)
        for part, codes in enumerate(parts)
        for share in range(len(layout.shares))
        for file, polynomial in pack_records(layout, part, share, codes)
    }


def computed(layout, uploads):
    """All ciphertexts of cells."""
    public = key_pair(CKKS)[1]
    results = [run_unit(public, layout, unit, uploads.__getitem__) for unit in units(layout)]
    return [public.scheme.load(data) for data in results]


@settings(max_examples=10, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_decrypted_minus_known_noise_is_the_plain_count_bit_for_bit(data, seed):
    """Random tables of random shapes; holders of different rows and of different columns."""
    secret, public = key_pair(CKKS)
    rng = np.random.default_rng(seed)
    sizes = {f"a{i}": n for i, n in enumerate(data.draw(st.lists(st.integers(1, 5), max_size=4)))}
    sizes["last"] = 2
    names = data.draw(st.permutations(list(sizes)))
    cut = data.draw(st.integers(0, len(names) - 1))
    maxima = data.draw(st.lists(st.integers(1, 300), min_size=1, max_size=2))
    layout = RecordsLayout(
        Domain(sizes),
        rows=maxima,
        shares=[names] if cut == 0 else [names[:cut], names[cut:]],
        packing=data.draw(st.sampled_from([None, (1, 1), (2, 1), (4, 8)])),
    )
    parts = [table(rng, sizes, int(rng.integers(0, most + 1))) for most in maxima]
    uploads = uploaded(layout, parts, data.draw(st.sampled_from([public, secret])))
    noise = rng.integers(-3000, 3000, layout.positions)
    sheets = [public.scheme.load(piece) for piece in public.encrypt_cells(noise)]
    margin, width = layout.fit(3000).margin, layout.preset.width
    cells = np.zeros(layout.positions, dtype=np.int64)
    for number, counted in enumerate(computed(layout, uploads)):
        wanted = layout.placed[layout.placed // width == number]
        total = public.scheme.add([counted, sheets[number]])
        sent = public.scheme.load(public.scheme.save(public.release(total, wanted % width)))
        cells[wanted] = secret.decode(sent, wanted % width, margin=margin)
    cells[layout.placed] -= noise[layout.placed]
    whole = {a: np.concatenate([codes[a] for codes in parts]) for a in sizes}
    for clique in layout.cliques:
        assert np.array_equal(cells[layout.place(clique)], counts(sizes, clique, whole))


@pytest.mark.parametrize("packing", [(1, 1), (16, 16)])
def test_nothing_but_cells_is_left_even_before_a_release(packing):
    """Every coefficient of the result is looked at: cells, other pairs of columns, or zero."""
    secret, _ = key_pair(CKKS)
    sizes = {"a": 3, "b": 2, "c": 4}
    layout = RecordsLayout(Domain(sizes), rows=(30,), packing=packing)
    codes = table(np.random.default_rng(5), sizes, 30)
    (result,) = computed(layout, uploaded(layout, [codes], key_pair(CKKS)[1]))
    values = everything(secret, result)
    error = layout.fit(0).error
    assert np.abs(values - np.rint(values)).max() <= error
    hot = np.concatenate([np.eye(n, dtype=int)[:, codes[a]] for a, n in sizes.items()])
    gram = hot @ hot.T
    expected = np.zeros(layout.preset.width, dtype=np.int64)
    blocks = np.arange(layout.left * layout.right)
    for accumulator in range(layout.accumulators):
        at = layout._position(np.array(accumulator), blocks)
        for block, position in zip(blocks.tolist(), at.tolist(), strict=True):
            column, k = divmod(block, layout.left)
            if accumulator < int(layout.starts[0]):
                lefts = layout.lefts.columns[accumulator]
                if column == 0 and k < len(lefts):
                    expected[position] = hot[lefts[k]].sum()
                continue
            group = int(np.searchsorted(layout.starts, accumulator, side="right")) - 1
            lefts = layout.lefts.columns[accumulator - int(layout.starts[group])]
            rights = layout.rights.columns[group]
            if k < len(lefts) and column < len(rights):
                expected[position] = gram[lefts[k], rights[column]]
    assert np.array_equal(np.rint(values), expected)


def test_the_error_found_is_below_the_error_proved():
    secret, public = key_pair(CKKS)
    sizes = {"a": 4, "b": 4}
    layout = RecordsLayout(Domain(sizes), rows=(2000,))
    codes = table(np.random.default_rng(6), sizes, 2000)
    worst = 0.0
    for result in computed(layout, uploaded(layout, [codes], public)):
        values = everything(secret, result)
        worst = max(worst, float(np.abs(values - np.rint(values)).max()))
    assert 0.0 < worst < layout.fit(0).error


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    rows=st.lists(st.integers(1, 20_000), min_size=1, max_size=3),
    packing=st.sampled_from([(1, 1), (2, 2), (8, 4)]),
)
def test_units_share_out_all_the_work_and_their_costs_add_up(sizes, rows, packing):
    domain = Domain({f"a{i}": size for i, size in enumerate(sizes)})
    layout = RecordsLayout(domain, rows=rows, packing=packing)
    work = units(layout)
    assert [unit.number for unit in work] == list(range(layout.ciphertexts))
    assert [unit.first for unit in work] + [layout.accumulators] == [0] + [u.stop for u in work]
    for name in ("products", "relinearisations", "plain_products"):
        assert sum(getattr(u.cost, name) for u in work) == getattr(layout.cost, name)
    uploads = layout.cost.uploads * layout.preset.record_bytes
    mirrors = uploads if layout.mirrored else 0
    assert all(0 < unit.memory <= uploads + mirrors for unit in work)
    assert all(unit.cost.seconds > 0 for unit in work)


def test_progress_counts_every_accumulator():
    sizes = {"a": 2, "b": 2}
    layout = RecordsLayout(Domain(sizes), rows=(8,), packing=(2, 2))
    uploads = uploaded(layout, [table(np.random.default_rng(0), sizes, 8)], key_pair(CKKS)[1])
    seen = []
    (unit,) = units(layout)
    run_unit(key_pair(CKKS)[1], layout, unit, uploads.__getitem__, seen.append)
    assert seen == list(range(1, layout.accumulators + 1))
