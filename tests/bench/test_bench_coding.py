"""The tables of the encrypted benchmark have the shapes that were published."""

import pytest

from _coding import DEFAULT_DATA, problem

PUBLISHED = {
    # rows, attributes, one-hot columns, cells of all two-way marginals
    "cancer": (228, 10, 45, 872),
    "compas": (4120, 9, 24, 255),
    "diabetes": (614, 9, 39, 671),
    "adult": (48_842, 14, 588, 148_137),
}
needs_data = pytest.mark.skipif(
    not DEFAULT_DATA.exists(), reason=f"the shared tables are not at {DEFAULT_DATA}"
)


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_tables_have_the_published_shape(name):
    found = problem(name)
    table = found.train
    assert (table.rows, len(table.sizes), found.columns, found.cells) == PUBLISHED[name]
    for attribute, size in table.sizes.items():
        codes = table.columns[attribute]
        assert codes.min() >= 0
        assert codes.max() < size
    assert found.target in table.sizes
    assert found.test.sizes == table.sizes


@needs_data
def test_everybody_gets_the_same_rows():
    for once, again in zip(
        problem("compas").train.columns.values(),
        problem("compas").train.columns.values(),
        strict=True,
    ):
        assert (once == again).all()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"breast_cancer\.csv is missing"):
        problem("cancer", tmp_path)
