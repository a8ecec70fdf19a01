"""YAML to a schema: the boundary where texts become facts, or an error that names the line's place.

Every scalar is read as text, as YAML's own failsafe schema has it: `no` is the word no, `007` keeps
its zeros, and each field makes of its text what it needs.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mezzotint.errors import MezzotintError, SchemaError
from mezzotint.privacy.accounting import Adjacency, PrivacyUnit
from mezzotint.schema.attribute import MISSING_TEXTS, Attribute
from mezzotint.schema.categories import Boolean, Categorical, Empty, Ordered, Text, arrow_type
from mezzotint.schema.constraints import Condition, Constraint, Inequality, Never
from mezzotint.schema.moments import Date, Datetime, TimeOfDay
from mezzotint.schema.numeric import Continuous, Integer, Numeric
from mezzotint.schema.schema import Schema
from mezzotint.schema.suggest import did_you_mean
from mezzotint.schema.values import Resolution

VERSION = 1
TYPES: dict[str, type[Attribute]] = {
    kind.type: kind
    for kind in (
        *(Categorical, Ordered, Boolean, Text, Empty),
        *(Integer, Continuous, Date, Datetime, TimeOfDay),
    )
}
_CORE: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class AttributeText(_Strict):
    """One attribute as the YAML has it; absent fields keep their type's default."""

    type: str
    categories: tuple[str, ...] | None = None
    other: str | None = None
    false: str | None = None
    true: str | None = None
    bounds: tuple[str, str] | None = None
    edges: tuple[str, ...] | None = None
    bins: Literal["exact"] | int | None = None
    spacing: Literal["equal", "log"] | None = None
    special: Texts | None = None
    out_of_bounds: Literal["clamp", "missing"] | None = None
    decimals: int | None = Field(None, ge=0, le=15)
    trailing_zero: bool | None = None
    resolution: Resolution | None = None
    format_: str | None = Field(None, alias="format")
    missing: Texts | None = None
    storage: str | None = None
    from_data: Texts | None = None
    bought: Texts | None = None


class UnitText(_Strict):
    """The privacy unit as the YAML has it."""

    name: str = "person"
    rows: Annotated[int, Field(ge=1)] = 1
    adjacency: Adjacency = Adjacency.ADD_REMOVE
    column: str | None = None
    assumed: Texts = ()


class SchemaText(_Strict):
    """The whole document as the YAML has it."""

    mezzotint_schema: int = Field(VERSION, alias="mezzotint-schema")
    unit: UnitText = UnitText()
    missing: Texts = MISSING_TEXTS
    attributes: dict[str, AttributeText]
    never: tuple[dict[str, Any], ...] = ()
    always: Texts = ()
    drop: Texts = ()


class _Loader(_CORE):  # pyright: ignore[reportGeneralTypeIssues]
    """PyYAML's loader of texts; a key that stands twice is an error, not a silent override."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                mark = key.start_mark
                raise SchemaError(f"line {mark.line + 1}: {key.value!r} stands twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """A file's text, or an error that names the file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(
            f"{path}: cannot be read ({error}); give a schema in YAML, such as `mezzotint schema "
            "draft` writes"
        ) from None


def parse(text: str, place: str) -> Schema:
    """Read a schema; errors name the place, the field, its value and the mend."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  (texts only: safer than safe)
        if not isinstance(document, dict) or "attributes" not in document:
            raise SchemaError(
                "no schema: it begins with `attributes:`; `mezzotint schema draft` writes one"
            )
        found = document.get("mezzotint-schema", str(VERSION))
        if found != str(VERSION):
            raise SchemaError(
                f"mezzotint-schema: {found!r} is not the version that this program reads "
                f"({VERSION}); use a newer Mezzotint, or draft the schema again"
            )
        # An empty section is a section with nothing in it.
        filled = {key: value for key, value in document.items() if value != ""}
        return _schema(SchemaText.model_validate(filled))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SchemaError(f"{place}{where}: no valid YAML ({problem}); mend the line") from None
    except ValidationError as error:
        raise SchemaError(f"{place}: {_explained(error)}") from None
    except MezzotintError as error:
        raise SchemaError(f"{place}: {error}") from None


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
    if first["type"] == "extra_forbidden":
        owner = AttributeText if path.startswith("attributes.") else SchemaText
        owner = UnitText if path.startswith("unit.") else owner
        known = [f.alias or name for name, f in owner.model_fields.items()]
        field = str(first["loc"][-1])
        return f"{path}: there is no such field{did_you_mean(field, known)}"
    if first["type"] == "missing":
        return f"{path}: is missing; add it"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{path}: {message}, got {first['input']!r}; mend it"


def _schema(document: SchemaText) -> Schema:
    missing = document.missing or MISSING_TEXTS
    attributes = tuple(
        _attribute(name, text, missing) for name, text in document.attributes.items()
    )
    unit = document.unit
    for fact in unit.assumed:
        if fact not in ("name", "rows"):
            raise SchemaError(f"unit.assumed: {fact!r} is no fact of the unit; give name or rows")
    constraints: list[Constraint] = [_never(rule) for rule in document.never]
    by_name = {a.name: a for a in attributes}
    constraints += [_inequality(rule, by_name) for rule in document.always]
    return Schema(
        attributes,
        unit=PrivacyUnit(unit.adjacency, unit.rows, unit.name),
        unit_column=unit.column,
        assumed=unit.assumed,
        constraints=tuple(constraints),
        drop=document.drop,
        missing=missing,
    )


def _attribute(name: str, text: AttributeText, missing: tuple[str, ...]) -> Attribute:
    kind = TYPES.get(text.type)
    if kind is None:
        raise SchemaError(
            f"attributes.{name}.type: {text.type!r} is no type{did_you_mean(text.type, TYPES)}"
        )
    given = {k: v for k, v in text if v is not None and k != "type"}
    if kind is Boolean and ("false" in given or "true" in given):
        given["categories"] = (given.pop("false", "False"), given.pop("true", "True"))
    own = {f.name for f in fields(kind)} - {"name"}
    for field in given:
        if field not in own or (kind is Text and field in ("categories", "other")):
            raise SchemaError(
                f"attributes.{name}.{field.rstrip('_')}: a column of the type {kind.type} has no "
                "such field; remove it, or give another type"
            )
    given["missing"] = _missing(given.get("missing"), missing)
    for field in ("from_data", "bought"):
        for fact in given.get(field, ()):
            if fact not in kind.facts:
                raise SchemaError(
                    f"attributes.{name}.{field}: {fact!r} is no fact of a column of the type "
                    f"{kind.type}{did_you_mean(fact, kind.facts)}"
                )
    _check_storage(name, given.get("storage"))
    if issubclass(kind, Numeric):
        return _numeric(name, kind, given)
    return kind(name=name, **given)


def _numeric(name: str, kind: type[Numeric], given: dict[str, Any]) -> Numeric:
    # Dates are read in units of the resolution, which only the finished attribute knows.
    points = {f: given.pop(f) for f in ("bounds", "edges", "special") if given.get(f)}
    line = kind(name=name, **{k: v for k, v in given.items() if k in ("resolution",)})
    for field, texts in points.items():
        try:
            given[field] = tuple(line.plain(text) for text in texts)
        except (ValueError, ArithmeticError):
            raise SchemaError(
                f"attributes.{name}.{field}: {list(texts)} must be {kind.type} values; mend them"
            ) from None
    return kind(name=name, **given)


def _missing(own: tuple[str, ...] | None, common: tuple[str, ...]) -> tuple[str, ...] | None:
    if own is None or own == ("true",):
        return common
    if own == ("false",):
        return None
    return own + tuple(text for text in common if text not in own)


def _check_storage(name: str, storage: str | None) -> None:
    if storage in (None, "dictionary"):
        return
    try:
        arrow_type(storage)
    except ValueError:
        raise SchemaError(
            f"attributes.{name}.storage: {storage!r} is no Arrow type; give one such as int32, or "
            "remove the field"
        ) from None


def _never(rule: dict[str, Any]) -> Never:
    if len(rule) < 2:
        raise SchemaError(
            f"never: {rule} must name at least two columns, such as {{sex: Male, pregnant: yes}}"
        )
    return Never(tuple((name, _condition(name, value)) for name, value in rule.items()))


def _condition(name: str, value: Any) -> Condition:
    if isinstance(value, dict):
        odd = set(value) - {"min", "max", "missing"}
        if odd or not value or not all(isinstance(v, str) for v in value.values()):
            raise SchemaError(
                f"never: {name}: {value} is no set of values; give a value, a list, a range "
                "{min: 0, max: 17}, or {missing: true}"
            )
        return Condition((), value.get("min"), value.get("max"), value.get("missing") == "true")
    if isinstance(value, list):
        if not value or not all(isinstance(v, str) for v in value):
            raise SchemaError(f"never: {name}: {value} must be a list of values; mend it")
        return Condition(tuple(value))
    return Condition((str(value),))


def _inequality(rule: str, attributes: dict[str, Attribute]) -> Inequality:
    # A name may hold spaces and signs itself: take the cut whose both sides are attributes.
    for match in re.finditer(r"\s(<=|<|>=|>)\s", rule):
        left, right = rule[: match.start()].strip(), rule[match.end() :].strip()
        if left in attributes and right in attributes:
            if match[1].startswith(">"):
                left, right = right, left
            return Inequality(left, "<=" if match[1].endswith("=") else "<", right)
    known = did_you_mean(re.split(r"\s*(?:<=|<|>=|>)\s*", rule)[0].strip(), attributes)
    raise SchemaError(
        f"always: {rule!r} must compare two attributes, such as `start <= end`{known}"
    )
