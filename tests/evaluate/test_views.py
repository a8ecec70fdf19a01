import numpy as np
import pyarrow as pa
import pytest

from mezzotint.evaluate.rows import read
from mezzotint.evaluate.views import MOST_BARS, Summary, pair_view, view
from mezzotint.schema import Categorical, Integer, Schema
from tests.evaluate.tables import MIXED, read_mixed


def rows_of(table, schema):
    return read(table, schema, np.random.default_rng(0), role="real")


def test_shares_add_up_and_the_error_is_theirs():
    real, synthetic = read_mixed(400, 1), read_mixed(300, 2)
    for column in real.columns.values():
        shown = view(real, synthetic, column)
        assert sum(shown.real) == pytest.approx(1)
        assert sum(shown.synthetic) == pytest.approx(1)
        assert len(shown.labels) == len(shown.real) == len(shown.synthetic)
        assert shown.error == pytest.approx(
            np.abs(np.subtract(shown.real, shown.synthetic)).sum() / 2
        )
        assert shown.private


def test_a_public_view_holds_nothing_real():
    synthetic = read_mixed(300, 2)
    for column in synthetic.columns.values():
        shown = view(None, synthetic, column)
        assert (shown.real, shown.error, shown.real_summary) == (None, None, None)
        assert not shown.private


def test_summaries_are_of_the_values_themselves():
    real = read_mixed(500)
    shown = view(real, real, real.columns["income"])
    known = real.values["income"][~np.isnan(real.values["income"])]
    summary = shown.real_summary
    assert summary.mean == pytest.approx(known.mean())
    assert summary.sd == pytest.approx(known.std())
    assert summary.quartiles == pytest.approx(np.quantile(known, [0.25, 0.5, 0.75]))
    assert summary.missing == pytest.approx(1 - len(known) / 500)


def test_dates_are_summarised_as_dates():
    real = read_mixed(500)
    texts = view(real, real, real.columns["joined"]).real_summary.texts
    assert texts[0].startswith("2020-")
    assert texts[1].endswith(" days")


def test_a_column_of_gaps_has_no_summary():
    summary = Summary.of(np.full(4, np.nan), read_mixed(1).columns["age"])
    assert np.isnan(summary.mean)
    assert summary.missing == 1
    assert summary.texts == ("–",) * 5


def test_categories_by_share_the_rest_together_and_gaps_last():
    schema = Schema((Categorical(name="c", categories=tuple(map(str, range(40)))),))
    column = [str(i) for i in range(40) for _ in range(40 - i)] + [None] * 5
    rows = rows_of({"c": column}, schema)
    shown = view(rows, rows, rows.columns["c"])
    assert len(shown.labels) == MOST_BARS
    assert shown.labels[:3] == ("0", "1", "2")
    assert shown.labels[-2:] == ("30 others", "(missing)")
    assert shown.missing
    assert sum(shown.real) == pytest.approx(1)


def test_gaps_that_nobody_has_are_not_drawn():
    schema = Schema((Categorical(name="c", categories=("a", "b")),))
    rows = rows_of({"c": ["a", "b"]}, schema)
    assert view(rows, rows, rows.columns["c"]).labels == ("a", "b")


def test_a_pair_in_groups():
    real, synthetic = read_mixed(400, 1), read_mixed(300, 2)
    pair = pair_view(real, synthetic, ("age", "city"))
    assert pair.real.shape == pair.synthetic.shape == tuple(map(len, pair.labels))
    assert pair.real.sum() == pytest.approx(1)
    assert pair.synthetic.sum() == pytest.approx(1)
    assert pair.labels[0][0] == "0 to 9"
    assert set(pair.labels[1]) == {"Bath", "Cork", "Graz"}
    bath = real.codes["city"] == 0
    assert pair.real[:, pair.labels[1].index("Bath")].sum() == pytest.approx(bath.mean())
    assert pair.private


def test_a_pair_with_many_values_and_gaps():
    schema = Schema((Integer(name="n", bounds=(0, 99)), Integer(name="m", bounds=(0, 9))))
    rng = np.random.default_rng(0)
    n = pa.array(rng.integers(0, 100, 500), mask=rng.random(500) < 0.2)
    rows = rows_of(pa.table({"n": n, "m": rng.integers(0, 10, 500)}), schema)
    pair = pair_view(rows, rows, ("n", "m"))
    assert len(pair.labels[0]) <= 12
    assert pair.labels[0][-1] == "(missing)"
    assert pair.real[-1].sum() == pytest.approx(n.null_count / 500)
    assert pair.labels[1] == tuple(map(str, range(10)))
    assert (pair.real == pair.synthetic).all()


def test_an_attribute_without_values():
    table = pa.table({"c": pa.nulls(9, pa.string()), "d": ["x"] * 9})
    schema = Schema(
        (Categorical(name="c", categories=("a", "b")), Categorical(name="d", categories=("x",)))
    )
    rows = rows_of(table, schema)
    shown = view(rows, rows, rows.columns["c"])
    assert shown.real[-1] == 1
    assert pair_view(rows, rows, ("c", "d")).real.tolist() == [[1.0]]


def test_the_mixed_schema_covers_every_kind_of_view():
    assert {a.type for a in MIXED} == {"integer", "continuous", "categorical", "date", "boolean"}
