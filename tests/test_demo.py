"""The example table is what it says it is."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

import mezzotint
from mezzotint.demo import demo_schema, demo_table
from mezzotint.schema.check import check
from mezzotint.sources import open_source


def test_the_same_seed_gives_the_same_rows():
    assert mezzotint.demo_table is demo_table
    assert demo_table(200, 3).equals(demo_table(200, 3))
    assert not demo_table(200, 3).equals(demo_table(200, 4))
    assert demo_table(0).num_rows == 0


def test_the_table_fits_its_schema():
    table = demo_table(20_000, 1)
    found = check(open_source(table), demo_schema())
    assert found.ok, list(found.lines())
    assert demo_schema().unconfirmed() == []


def test_the_table_has_what_real_tables_have():
    table = demo_table()
    assert table.num_rows == 5000
    assert table.num_columns == 12
    kinds = {str(kind) for kind in table.schema.types}
    assert {"date32[day]", "int64", "double", "string", "bool"} <= kinds
    lacking = {name for name in table.column_names if table[name].null_count}
    assert lacking == {"systolic", "bmi", "smoker"}
    cost = table["cost"].to_numpy()
    assert 0.1 < np.mean(cost == 0) < 0.25
    assert np.mean(cost) > 1.5 * np.median(cost)
    assert np.corrcoef(table["nights"].to_numpy(), cost)[0, 1] > 0.6
    maternity = table.filter(pc.equal(table["ward"], "maternity"))
    assert maternity["sex"].unique().to_pylist() == ["female"]
