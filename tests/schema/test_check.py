"""How a table fits, for those who may see it."""

import pyarrow as pa

from mezzotint.schema import Schema
from mezzotint.schema.check import check
from mezzotint.sources import open_source

SCHEMA = Schema.from_text("""
unit: {column: id, rows: 2}
attributes:
  age: {type: integer, bounds: [0, 99], special: -1}
  sex: {type: categorical, categories: [f, m], missing: false}
  ok: {type: boolean}
  from: {type: integer, bounds: [0, 9]}
  to: {type: integer, bounds: [0, 9]}
always: from <= to
""")


def test_every_misfit_is_counted():
    table = pa.table(
        {
            "id": ["a", "a", "a", "b", "c", "d", ""],
            "age": ["5", "-1", "7", "x", "100", "-3", "5"],
            "sex": ["f", "m", "m", None, "x", "x", "f"],
            "ok": pa.array([True, None, True, False, None, True, True]),
            "from": [1, 9, 1, None, 3, 3, 1],
            "to": [2, 1, 1, 1, 3, 3, 1],
        }
    )
    found = check(open_source(table), SCHEMA)
    assert (found.rows, found.dropped, found.ok) == (7, 2, False)
    age, sex, ok = (found.fits[n] for n in ("age", "sex", "ok"))
    assert (age.unreadable, age.below, age.above, age.missing) == (1, 1, 1, 0)
    assert (sex.unknown, sex.undeclared_missing, sex.examples) == (2, 1, ["x"])
    assert (ok.missing, ok.misfits) == (2, 0)
    assert found.violations == {"from <= to": 1}
    text = "\n".join(found.lines())
    assert "age: 1 unreadable, 1 below the bounds, 1 above the bounds (such as" in text
    assert "sex: 1 missing though declared never to be, 2 not among the categories" in text
    assert "from <= to: violated by 1 rows" in text and "2 rows dropped" in text


def test_a_table_that_fits(example):
    path = example("hmeq.csv")
    found = check(open_source(path), Schema.draft(path).confirm(all_public=True))
    assert found.ok and list(found.lines()) == ["5,960 rows"]
