"""The YAML: what is written reads the same, and what is wrong is named."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import DataError, SchemaError
from mezzotint.privacy.accounting import Adjacency, PrivacyUnit
from mezzotint.schema import Boolean, Categorical, Continuous, Integer, Ordered, Schema, Text
from mezzotint.schema.categories import Empty
from mezzotint.schema.moments import Date, Datetime, TimeOfDay

EVERYTHING = """
# a comment
unit: {name: patient, rows: 5, adjacency: replace-one, column: patient id, assumed: [rows]}
missing: ["", "?"]
attributes:
  age: {type: integer, bounds: [0, 120], from_data: [bounds, missing]}
  income: {type: continuous, bounds: [0, 1e6], bins: 40, spacing: log, special: 0, decimals: 2}
  grade: {type: ordered, categories: [low, mid, high], missing: false}
  country: {type: categorical, categories: [no, de, 007, 1.0, true], other: no, missing: -}
  smoker: {type: boolean, false: no, true: yes, missing: ["false", n/a]}
  born: {type: date, bounds: [1900-01-01, 2025-12-31], format: "%d/%m/%Y"}
  seen: {type: datetime, bounds: ["2020-01-01", 2021-01-01T12:30], resolution: minute}
  at: {type: time, bounds: ["00:00", "23:59:59"], bins: 24}
  dose: {type: integer, edges: [0, 1, 5, 100], out_of_bounds: missing, storage: int16}
  nothing: {type: empty}
  notes: {type: text}
drop: [name, address]
never:
  - {smoker: yes, age: {max: 9}}
  - {grade: [low, mid], country: {missing: true}}
always:
  - age > dose
"""


def test_every_field_is_understood_and_written_again():
    schema = Schema.from_text(EVERYTHING)
    assert schema.unit == PrivacyUnit(Adjacency.REPLACE_ONE, 5, "patient")
    assert schema.unit_column == "patient id" and schema.columns[-1] == "patient id"
    assert schema["country"].categories == ("no", "de", "007", "1.0", "true")
    assert schema["country"].missing == ("-", "", "?")
    assert schema["smoker"].categories == ("no", "yes")
    assert schema["smoker"].missing == ("false", "n/a", "", "?")
    assert schema["grade"].missing is None and schema["age"].missing == ("", "?")
    assert schema["income"].special == (0.0,) and schema["income"].decimals == 2
    assert schema["dose"].edges == (0, 1, 5, 100)
    assert schema["seen"].labels()[0].startswith("2020-01-01T00:00")
    assert schema.drop == ("name", "address")
    assert [str(c) for c in schema.constraints][-1] == "dose < age"
    text = schema.to_text()
    assert Schema.from_text(text) == schema
    assert Schema.from_text(text).to_text() == text
    assert "NOT YET PUBLIC" in text


def test_the_layout_is_pleasant():
    text = Schema.from_text(EVERYTHING).to_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "  column: patient id" in text
    assert "  - {smoker: yes, age: {max: 9}}\n" in text
    assert "NOT YET PUBLIC" not in Schema.from_sizes({"a": 2}).to_text()


def test_files_are_written_and_read(tmp_path):
    path = tmp_path / "schema.yaml"
    schema = Schema.from_text(EVERYTHING)
    schema.write(path)
    assert Schema.read(path) == schema
    path.write_text("\ufeff" + path.read_text())
    assert Schema.read(path) == schema
    with pytest.raises(DataError, match="cannot be written"):
        schema.write(tmp_path / "no" / "schema.yaml")


WORDS = st.text(max_size=12).filter(lambda t: t == t.strip())
NAMES = st.text(min_size=1, max_size=12)
MISSING = st.one_of(st.none(), st.lists(WORDS, min_size=1, max_size=3, unique=True).map(tuple))


@st.composite
def attributes(draw, name):
    common = {
        "name": name,
        "missing": draw(MISSING),
        "from_data": draw(st.sampled_from([(), ("type",)])),
    }
    low = draw(st.integers(-(10**6), 10**6))
    bounds = (low, low + draw(st.integers(0, 10**6)))
    bins = draw(st.one_of(st.none(), st.integers(1, 50)))
    spacing = draw(st.sampled_from(["equal", "log"]))
    numeric = {"bounds": bounds, "bins": bins, "spacing": spacing}
    categories = draw(st.lists(WORDS, min_size=1, max_size=5, unique=True).map(tuple))
    days = (0, draw(st.integers(0, 40_000)))
    pair = draw(st.lists(WORDS, min_size=2, max_size=2, unique=True).map(tuple))
    makers = [
        lambda: Integer(**common, **numeric, trailing_zero=True),
        lambda: Integer(**common, edges=(low, low + 1, low + 9), special=(low - 1,)),
        lambda: Integer(**common),
        lambda: Continuous(**common, **(numeric | {"bounds": (low / 7, low / 7 + 1e-3)})),
        lambda: Continuous(**common, bounds=tuple(map(float, bounds)), decimals=3),
        lambda: Categorical(**common, categories=categories, other=categories[-1]),
        lambda: Ordered(**common, categories=categories, storage="dictionary"),
        lambda: Boolean(**common, categories=pair),
        lambda: Text(**common),
        lambda: Date(**common, bounds=days, format_="%d. %m: %Y"),
        lambda: Datetime(**common, bounds=days, resolution="hour", storage="timestamp[ns, tz=UTC]"),
        lambda: TimeOfDay(**common, bounds=(0, 86_399)),
    ]
    if common["missing"] is not None:
        makers.append(lambda: Empty(**common, storage="double"))
    return draw(st.sampled_from(makers))()


@st.composite
def schemas(draw):
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    unit = PrivacyUnit(draw(st.sampled_from(list(Adjacency))), draw(st.integers(1, 9)), "a b: #c")
    return Schema(
        tuple(draw(attributes(name)) for name in names[:-1]),
        unit=unit,
        unit_column=draw(st.sampled_from([None, names[-1]])),
        assumed=draw(st.sampled_from([(), ("name", "rows")])),
        missing=draw(MISSING.filter(bool)),
    )


@given(schemas())
def test_any_schema_survives_its_text(schema):
    assert Schema.from_text(schema.to_text()) == schema


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no schema: it begins with `attributes:`"),
        ("a: b", "no schema"),
        ("attributes: {}", "no attributes; keep at least one"),
        ("attributes:", "attributes: is missing; add it"),
        ("attributes: {a: {type: integer", "line 2: no valid YAML"),
        ("attributes:\n  a: {type: boolean}\n  a: {type: boolean}", "line 3: 'a' stands twice"),
        ("attributes: {a: {type: integr}}", r"attributes\.a\.type: 'integr' is no .*'integer'"),
        ("attributes: {a: {bounds: [0, 1]}}", r"attributes\.a\.type: is missing; add it"),
        ("attributes: {a: integer}", r"attributes\.a: .* got 'integer'; mend it"),
        ("attributes: {a: {type: integer, bound: [0, 1]}}", r"a\.bound: .* did you mean 'bounds'"),
        ("attributes: {a: {type: integer, bounds: [0, x]}}", r"a\.bounds: .* integer values"),
        ("attributes: {a: {type: integer, bounds: [0]}}", r"a\.bounds"),
        ("attributes: {a: {type: integer, bounds: [5, 0]}}", "'a': .* from low to high"),
        ("attributes: {a: {type: date, bounds: [1.1.2020, 2021-01-01]}}", "must be date values"),
        ("attributes: {a: {type: integer, categories: [x]}}", "integer has no such field"),
        ("attributes: {a: {type: text, categories: [x]}}", "text has no such field"),
        ("attributes: {a: {type: integer, bins: many}}", r"a\.bins"),
        ("attributes: {a: {type: integer, storage: int99}}", "'int99' is no Arrow type"),
        ("attributes: {a: {type: integer, from_data: [bound]}}", "did you mean 'bounds'"),
        ("attributes: {a: {type: boolean}}\nunit: {rows: 0}", r"unit\.rows: .* got '0'"),
        ("attributes: {a: {type: boolean}}\nunit: {adjacency: both}", r"unit\.adjacency"),
        ("attributes: {a: {type: boolean}}\nunit: {assumed: [age]}", "is no fact of the unit"),
        ("attributes: {a: {type: boolean}}\nunit: {colum: x}", "did you mean 'column'"),
        ("attributes: {a: {type: boolean}}\ndrops: [x]", "drops: .* did you mean 'drop'"),
        ("attributes: {a: {type: boolean}}\ndrop: [a]", "names the column 'a' twice"),
        ("attributes: {a: {type: boolean}}\nmezzotint-schema: 2", "use a newer Mezzotint"),
    ],
)
def test_a_wrong_text_is_named_with_its_mend(text, message):
    with pytest.raises(SchemaError, match=message) as caught:
        Schema.from_text(text, place="my.yaml")
    assert str(caught.value).startswith("my.yaml")
    assert caught.value.exit_code == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SchemaError, match=r"no\.yaml: cannot be read"):
        Schema.read(tmp_path / "no.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(SchemaError, match=r"bytes\.yaml: cannot be read"):
        Schema.read(tmp_path / "bytes.yaml")


def test_dates_keep_their_bounds():
    schema = Schema.from_text(EVERYTHING)
    assert schema["born"].least == (dt.date(1900, 1, 1) - dt.date(1970, 1, 1)).days
    assert "bounds: [1900-01-01, 2025-12-31]" in schema.to_text()
