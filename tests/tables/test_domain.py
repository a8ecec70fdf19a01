"""Domains and domain files."""

import pytest

from mezzotint.errors import SchemaError
from mezzotint.tables.domain import Domain


def test_a_domain_knows_its_shape():
    domain = Domain({"age": 85, "sex": 2, "one": 1})
    assert domain.attributes == ("age", "sex", "one")
    assert list(domain) == ["age", "sex", "one"]
    assert len(domain) == 3
    assert "sex" in domain
    assert "race" not in domain
    assert domain.clique(["sex", "age", "sex"]) == ("age", "sex")
    assert domain.shape(("sex", "age")) == (2, 85)
    assert domain.cells(("age", "sex")) == 170
    assert domain.cells(()) == 1


def test_cells_do_not_overflow():
    domain = Domain({f"a{i}": 10**6 for i in range(20)})
    assert domain.cells(domain) == 10**120


@pytest.mark.parametrize("size", [0, -1, 2.0, "3", None, True])
def test_sizes_are_whole_numbers(size):
    with pytest.raises(SchemaError, match=r"attribute 'age'.*whole number >= 1, got .*Mend"):
        Domain({"age": size})


def test_domain_files_are_read(tmp_path):
    file = tmp_path / "domain.json"
    file.write_text('{"age": 85, "sex": 2}')
    assert Domain.read(file) == Domain({"age": 85, "sex": 2})


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "{}", '{"age": 0}', "\xff"])
def test_damaged_domain_files_are_named(tmp_path, text):
    file = tmp_path / "domain.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SchemaError, match=r"domain\.json|attribute 'age'"):
        Domain.read(file)


def test_missing_domain_files_are_named(tmp_path):
    with pytest.raises(SchemaError, match=r"nowhere"):
        Domain.read(tmp_path / "nowhere.json")
