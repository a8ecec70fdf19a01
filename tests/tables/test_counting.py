"""The counting kernel against counting by hand."""

from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.errors import DataError, ParameterError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.schema import Schema
from mezzotint.schema.contribution import ContributionBound
from mezzotint.sources import open_source
from mezzotint.tables.counting import Tally, count
from mezzotint.tables.covering import cover
from mezzotint.tables.domain import Domain


def by_hand(rows, domain, clique):
    axes = [domain.attributes.index(a) for a in clique]
    counts = np.zeros(domain.shape(clique), np.int64)
    for cell, times in Counter(tuple(row[i] for i in axes) for row in rows).items():
        counts[cell] = times
    return counts


class Batches:
    """A source that cuts its rows where it is told to, empty batches included."""

    name = "cut"

    def __init__(self, table, cuts):
        self.columns = tuple(table.column_names)
        self.table, self.cuts = table, [0, *sorted(cuts), table.num_rows]

    def batches(self, columns=None):
        batch = self.table.select(columns or self.columns).combine_chunks()
        for start, stop in zip(self.cuts, self.cuts[1:], strict=False):
            part = batch.slice(start, stop - start)
            yield from part.to_batches() or [pa.RecordBatch.from_pylist([], part.schema)]

    def like(self, table):
        return table


@st.composite
def tables(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    domain = Domain({f"c{i}": s for i, s in enumerate(sizes)})
    row = st.tuples(*(st.integers(0, s - 1) for s in sizes))
    rows = draw(st.lists(row, max_size=30))
    cuts = draw(st.lists(st.integers(0, len(rows)), max_size=6))
    return domain, rows, cuts


@given(tables(), st.sampled_from([0, 40, 1 << 20]), st.integers(1, 3))
def test_counts_equal_counting_by_hand(drawn, keep, order):
    domain, rows, cuts = drawn
    columns = {a: pa.array([r[i] for r in rows], pa.int64()) for i, a in enumerate(domain)}
    cliques = list(combinations(domain, min(order, len(domain))))
    source = Batches(pa.table(columns), cuts)
    seen = []
    counts = count(
        source, Schema.from_sizes(domain.sizes), cliques, keep_bytes=keep, progress=seen.append
    )
    assert sum(seen) == len(rows)
    for clique in cliques:
        for smaller in range(len(clique) + 1):
            for part in combinations(clique, smaller):
                found = counts.marginal(reversed(part))
                assert found.dtype == np.int64
                assert found.shape == domain.shape(part)
                assert (found == by_hand(rows, domain, part)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 400_000))
def test_kept_and_streamed_counts_agree_across_chunks(seed, rows):
    rng = np.random.default_rng(seed)
    sizes = {"a": 300, "b": 2, "c": 70_000, "d": 3}
    table = pa.table({n: rng.integers(0, s, rows) for n, s in sizes.items()})
    cliques = [("a", "b", "d"), ("c",), ("b", "c")]
    kept, streamed = (
        count(open_source(table), Schema.from_sizes(sizes), cliques, keep_bytes=keep)
        for keep in (1 << 30, 0)
    )
    for clique in cliques:
        assert (kept.marginal(clique) == streamed.marginal(clique)).all()
        assert kept.marginal(clique).sum() == rows


def test_counts_of_disjoint_rows_add_up():
    sizes = {"a": 3, "b": 4, "c": 5}
    rng = np.random.default_rng(1)
    table = pa.table({n: rng.integers(0, s, 999) for n, s in sizes.items()})
    schema, domain, pairs = Schema.from_sizes(sizes), Domain(sizes), list(combinations(sizes, 2))
    whole = count(open_source(table), schema, pairs)
    tallies = [Tally(domain, pairs) for _ in range(3)]
    for tally, part in zip(tallies, (table[:5], table[5:700], table[700:]), strict=True):
        for batch in part.to_batches():
            tally.add(schema.encode(batch))
    tallies[0].merge(tallies[1])
    tallies[0].merge(tallies[2])
    for pair in pairs:
        assert (tallies[0].joint(pair) == whole.marginal(pair)).all()


@given(
    st.lists(st.integers(1, 300), min_size=2, max_size=8),
    st.data(),
    st.integers(1, 100_000),
)
def test_a_cover_holds_every_clique_and_keeps_its_size(sizes, data, cells):
    domain = Domain({f"c{i}": s for i, s in enumerate(sizes)})
    pool = [c for k in (1, 2, 3) for c in combinations(domain, k)]
    cliques = data.draw(st.lists(st.sampled_from(pool), min_size=1))
    blocks = cover(domain, cliques, cells)
    for clique in cliques:
        assert any(set(clique) <= set(block) for block in blocks)
    for block in blocks:
        assert block == domain.clique(block)
        assert domain.cells(block) <= cells or block in cliques


def test_only_counted_marginals_can_be_asked_for():
    table = pa.table({"a": [0, 1], "b": [1, 1], "c": [0, 0]})
    schema = Schema.from_sizes({"a": 2, "b": 2, "c": 2})
    for keep in (0, 1 << 20):
        counts = count(open_source(table), schema, [("a", "b")], keep_bytes=keep)
        with pytest.raises(ParameterError, match=r"was not counted; name it"):
            counts.marginal(("a", "c"))
        assert counts.marginal(()).item() == 2
        with pytest.raises(ValueError, match=r"read-only"):
            counts.marginal(("a",))[0] = 7


@pytest.mark.parametrize("keep_bytes", [0, 1 << 20])
@pytest.mark.parametrize("rows", [0, 3])
def test_too_many_cells_are_refused_whatever_the_rows(keep_bytes, rows):
    """With exact arithmetic, and before a row is read: the outcome must not tell how many."""
    sizes = {f"c{i}": 100_000 for i in range(5)}
    table = pa.table({n: pa.array([1, 2, 3][:rows], pa.int64()) for n in sizes})
    with pytest.raises(ParameterError, match=r"MiB, more than the limit of 1,024 MiB; .* fewer"):
        count(open_source(table), Schema.from_sizes(sizes), [tuple(sizes)], keep_bytes=keep_bytes)


def test_codes_are_kept_where_joint_tables_would_take_too_much():
    sizes = {"a": 50, "b": 50, "c": 50}
    rng = np.random.default_rng(0)
    table = pa.table({n: rng.integers(0, 50, 1000) for n in sizes})
    pairs = list(combinations(sizes, 2))
    counted = count(
        open_source(table), Schema.from_sizes(sizes), pairs, keep_bytes=0, memory_bytes=8 * 2500
    )
    expected = count(open_source(table), Schema.from_sizes(sizes), pairs)
    for pair in pairs:
        np.testing.assert_array_equal(counted.marginal(pair), expected.marginal(pair))


def test_a_missing_column_is_named_before_anything_is_read():
    with pytest.raises(DataError, match=r"'colour', which the table .* did you mean 'color'"):
        count(open_source({"color": [1]}), Schema.from_sizes({"colour": 2}), [("colour",)])


@given(
    st.lists(st.tuples(st.sampled_from(["u", "v", " v", "", "?", None]), st.integers(0, 1))),
    st.integers(1, 3),
    st.lists(st.integers(0, 20), max_size=4),
)
def test_contribution_is_bounded_to_each_units_first_rows(rows, most, cuts):
    schema = Schema(
        Schema.from_sizes({"x": 2}).attributes, PrivacyUnit(rows=most), unit_column="id"
    )
    table = pa.table(
        {"id": pa.array([r[0] for r in rows], pa.string()), "x": [r[1] for r in rows]},
        pa.schema([("id", pa.string()), ("x", pa.int64())]),
    )
    expected, seen = np.zeros(2, int), Counter()
    for identifier, value in rows:
        name = (identifier or "").strip()
        if name not in ("", "?") and seen[name] < most:
            seen[name] += 1
            expected[value] += 1
    cuts = [min(c, len(rows)) for c in cuts]
    counts = count(Batches(table, cuts), schema, [("x",)])
    assert counts.marginal(("x",)).tolist() == expected.tolist()


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(0, 12), st.integers(1, 3))
def test_sensitivity_adding_a_unit_moves_no_other_units_rows(names, place, most):
    schema = Schema(
        Schema.from_sizes({"x": 2}).attributes, PrivacyUnit(rows=most), unit_column="id"
    )

    def passed(identifiers):
        batch = pa.record_batch({"id": identifiers, "row": list(range(len(identifiers)))})
        kept = ContributionBound(schema)(batch) if identifiers else batch
        return kept.column("id").to_pylist()

    neighbour = [*names[:place], *["new"] * 5, *names[place:]]
    assert [n for n in passed(neighbour) if n != "new"] == passed(names)
    assert passed(neighbour).count("new") == most


def test_shapes_do_not_depend_on_the_rows():
    sizes = {"a": 3, "b": 4}
    schema = Schema.from_sizes(sizes)
    empty = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())})
    odd = pa.table({"a": [99, -5], "b": [None, 2**62]})
    for table in (empty, odd):
        for keep in (0, 100):
            counts = count(open_source(table), schema, [("a", "b")], keep_bytes=keep)
            assert counts.marginal(("a", "b")).shape == (3, 4)
            assert counts.marginal(("a", "b")).sum() == table.num_rows
