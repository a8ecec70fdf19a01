"""Reports on the real-world tables beside the checkout, where there are any."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mezzotint.evaluate import build
from mezzotint.schema import Schema
from mezzotint.sources import open_source
from tests.evaluate.test_report import check

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "tabular"
NAMES = ("titanic", "hmeq", "compas", "breast_cancer", "diabetes")


@pytest.mark.parametrize("name", NAMES)
def test_a_report_on(name):
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    schema = Schema.draft(path).confirm(all_public=True)
    table = pa.Table.from_batches(open_source(path).batches())
    rng = np.random.default_rng(0)
    columns = {n: table[n].take(rng.integers(len(table), size=300)) for n in table.column_names}
    report = build(path, pa.table(columns), schema)
    check(report.html())
    assert report.closeness[0].synthetic.mean < 0.15
    assert report.downstream.scores
    assert report.regression.coefficients or report.regression.notes
