"""Nothing is public until somebody says so."""

import pyarrow as pa
import pytest

from mezzotint.errors import DataError, SchemaError
from mezzotint.schema import Schema

TEXT = """
unit: {assumed: [rows]}
attributes:
  age: {type: integer, bounds: [0, 99], from_data: [type, bounds, missing]}
  sex: {type: categorical, categories: [f, m], from_data: [categories]}
  pay: {type: integer}
  job: {type: categorical}
"""


def test_facts_are_listed_with_a_question():
    facts = Schema.from_text(TEXT).unconfirmed()
    assert [f.key for f in facts] == [
        (None, "rows"), ("age", "type"), ("age", "bounds"), ("age", "missing"),
        ("sex", "categories"), ("pay", "bounds"), ("job", "categories"),
    ]  # fmt: skip
    questions = [f.question for f in facts]
    assert "one person contributes at most 1 row?" in questions[0]
    assert questions[2] == "age: is it public that its values lie between 0 and 99?"
    assert questions[4] == "sex: is it public that its values are f, m?"
    assert [f.known for f in facts] == [True] * 5 + [False] * 2


def test_facts_are_confirmed_one_by_one_or_all_at_once():
    schema = Schema.from_text(TEXT)
    some = schema.confirm(("age", "bounds"), schema.unconfirmed()[0])
    assert [f.key for f in some.unconfirmed()][:2] == [("age", "type"), ("age", "missing")]
    rest = schema.confirm(all_public=True)
    assert [f.key for f in rest.unconfirmed()] == [("pay", "bounds"), ("job", "categories")]
    assert schema.unconfirmed()  # frozen


def test_what_cannot_be_confirmed_is_refused():
    schema = Schema.from_text(TEXT)
    with pytest.raises(SchemaError, match="nothing to confirm about sex: type"):
        schema.confirm(("sex", "type"))
    with pytest.raises(SchemaError, match=r"'pay': its bounds are not known.*infer"):
        schema.confirm(("pay", "bounds"))


def test_fitting_is_refused_with_every_fact_and_three_ways_out():
    with pytest.raises(SchemaError) as caught:
        Schema.from_text(TEXT).require_confirmed("my.yaml")
    message = str(caught.value)
    for line in (
        "my.yaml holds facts",
        "privacy unit: rows",
        "age: type, bounds, missing",
        "sex: categories",
        "job: categories",
        "edit the YAML",
        "mezzotint schema confirm",
        'infer="dp"',
    ):
        assert line in message
    Schema.from_sizes({"a": 2}).require_confirmed()


def test_a_long_list_of_facts_is_cut():
    columns = {f"c{i}": [1, 2] for i in range(50)}
    with pytest.raises(SchemaError, match="and 31 more"):
        Schema.draft(pa.table(columns)).require_confirmed()


def test_unknown_attributes_and_columns_are_named_with_a_guess():
    schema = Schema.from_sizes({"age": 2, "income": 3})
    with pytest.raises(SchemaError, match="no attribute 'aeg'; did you mean 'age'"):
        schema["aeg"]
    with pytest.raises(DataError, match="'age', which the table does not have; did you mean 'Age'"):
        schema.encode(pa.record_batch({"Age": [1], "income": [1]}))
    with pytest.raises(SchemaError, match="'age': its number of values"):
        Schema.from_sizes({"age": 0})
    with pytest.raises(SchemaError, match="no attributes"):
        Schema.from_sizes({})


def test_a_selection_keeps_the_order_and_drops_the_rest():
    schema = Schema.from_sizes({"a": 2, "b": 3, "c": 4}).select(["c", "a"])
    assert schema.names == ("a", "c") and schema.drop == ("b",)


def test_coded_tables_are_exact_and_public():
    schema = Schema.from_sizes({"a": 2, "b": 5000})
    assert schema.sizes == {"a": 2, "b": 5000}
    codes = schema.encode(pa.record_batch({"a": [0, 1, 7], "b": [4999, 0, -1]}))
    assert codes["a"].tolist() == [0, 1, 1] and codes["b"].tolist() == [4999, 0, 0]
    assert codes["a"].dtype == "uint8" and codes["b"].dtype == "uint16"
    assert Schema.from_text(schema.to_text()) == schema
    assert not schema.unconfirmed()
