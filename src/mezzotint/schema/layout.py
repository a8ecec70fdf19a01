"""A schema to YAML that is pleasant to read and to edit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from textwrap import indent

from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Boolean, Categorical
from mezzotint.schema.constraints import Condition, Constraint, Never
from mezzotint.schema.numeric import Numeric
from mezzotint.schema.schema import Schema

_WIDTH = 96
_HEAD = """\
# What is public about the table: this file may be published, and travels with every model.
"""
_PENDING = """\
#
# NOT YET PUBLIC. `from_data` and `assumed` list facts that were taken from the data, or guessed.
# For each: correct it if need be; remove it from the list once you answer for its being public.
# `mezzotint schema confirm FILE` asks fact by fact.
"""
_PLAIN = re.compile(r"[A-Za-z0-9_.+<=/(^$][A-Za-z0-9_.+<>=/()&;*%$^'|~ -]*|-?[0-9][0-9.eE+-]*")


def to_yaml(schema: Schema) -> str:
    """The schema as YAML."""
    parts = [_HEAD + (_PENDING if schema.unconfirmed() else "") + "mezzotint-schema: 1\n"]
    parts.append("\n".join(_unit(schema)) + "\n")
    parts.append(
        "# Texts that mean 'no value', where a column may be missing; the first is written back.\n"
        f"missing: {_flow(schema.missing, 9)}\n"
    )
    blocks = [_attribute(a, schema.missing) for a in schema.attributes]
    parts.append("attributes:\n" + "".join(blocks))
    never = [c for c in schema.constraints if isinstance(c, Never)]
    always: list[Constraint] = [c for c in schema.constraints if not isinstance(c, Never)]
    if never:
        rules = "".join(f"  - {_never(rule)}\n" for rule in never)
        parts.append("# Combinations that do not occur.\nnever:\n" + rules)
    if always:
        rules = "".join(f"  - {_scalar(str(rule))}\n" for rule in always)
        parts.append("# Columns that stand in order.\nalways:\n" + rules)
    if schema.drop:
        parts.append(f"# Columns that are left out.\ndrop: {_flow(schema.drop, 6)}\n")
    return "\n".join(parts)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all at once or not at all."""
    from mezzotint.sources.writing import replacing

    with replacing(path) as file:
        file.write(text.encode())


def _unit(schema: Schema) -> Iterator[str]:
    unit = schema.unit
    yield "# Whose contribution is hidden, and how many rows of the table it may be."
    yield "unit:"
    yield f"  name: {_scalar(unit.name)}"
    yield f"  rows: {unit.rows}"
    yield f"  adjacency: {unit.adjacency.value}"
    if schema.unit_column:
        yield f"  column: {_scalar(schema.unit_column)}  # a {unit.name}'s further rows are dropped"
    else:
        yield f"  # column: ID   # names the {unit.name}; without it `rows` is a mere declaration"
    if schema.assumed:
        yield f"  assumed: {_flow(schema.assumed, 11)}"


def _attribute(attribute: Attribute, common: tuple[str, ...]) -> str:
    lines = [f"type: {attribute.type}"]
    lines += [f"{key}: {value}" for key, value in _facts(attribute)]
    if attribute.missing is None:
        lines.append("missing: false")
    elif attribute.missing != common:
        own = _own_missing(attribute.missing, common)
        lines.append(f"missing: {_scalar(own[0]) if len(own) == 1 else _flow(own, 13)}")
    if attribute.storage is not None:
        lines.append(f"storage: {_scalar(attribute.storage)}")
    if attribute.from_data:
        lines.append(f"from_data: {_flow(attribute.from_data, 15)}")
    if attribute.bought:
        lines.append(f"bought: {_flow(attribute.bought, 12)}")
    return f"  {_scalar(attribute.name)}:\n" + indent("\n".join(lines), "    ") + "\n"


def _own_missing(texts: tuple[str, ...], common: tuple[str, ...]) -> tuple[str, ...]:
    """The fewest leading texts that, followed by the common ones, give all texts."""
    for length in range(1, len(texts) + 1):
        own = texts[:length]
        if own + tuple(t for t in common if t not in own) == texts and own not in (
            ("true",),
            ("false",),
        ):
            return own
    return texts


def _facts(attribute: Attribute) -> Iterator[tuple[str, str]]:
    if isinstance(attribute, Boolean):
        yield "false", _scalar(attribute.categories[0])
        yield "true", _scalar(attribute.categories[1])
        return
    if isinstance(attribute, Categorical):
        if attribute.categories:
            yield "categories", _flow(attribute.categories, 16)
        if attribute.other is not None:
            yield "other", _scalar(attribute.other)
        return
    if not isinstance(attribute, Numeric):
        return
    for name in ("bounds", "edges", "special"):
        if points := getattr(attribute, name):
            yield name, _flow([attribute.write(p) for p in points], 6 + len(name))
    if attribute.bins is not None:
        yield "bins", str(attribute.bins)
    defaults = {f.name: f.default for f in fields(attribute)}
    names = ("spacing", "out_of_bounds", "decimals", "trailing_zero", "resolution", "format_")
    for name in names:
        if (value := getattr(attribute, name, None)) != defaults.get(name):
            yield name.rstrip("_"), "true" if value is True else _scalar(str(value))


def _never(rule: Never) -> str:
    return "{" + ", ".join(f"{_scalar(n)}: {_condition(c)}" for n, c in rule.conditions) + "}"


def _condition(condition: Condition) -> str:
    if condition.is_range or condition.missing:
        ends = (("min", condition.least), ("max", condition.greatest))
        parts = [f"{key}: {_scalar(end)}" for key, end in ends if end is not None]
        parts += ["missing: true"] if condition.missing else []
        return "{" + ", ".join(parts) + "}"
    texts = [_scalar(text) for text in condition.values]
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"


def _flow(texts: Iterable[str], column: int) -> str:
    """A list in brackets, broken into lines that fit."""
    words = [_scalar(text) for text in texts]
    line, lines = "", []
    for word in [*(f"{w}," for w in words[:-1]), *words[-1:]]:
        if line and column + len(line) + len(word) + 2 > _WIDTH:
            lines.append(line)
            line, column = "", 8
        line += (" " if line else "") + word
    lines.append(line)
    return "[" + ("\n" + " " * 6).join(lines) + "]"


def _scalar(text: str) -> str:
    """A text as YAML reads it back: bare where it can be, in double quotes elsewhere."""
    bare = _PLAIN.fullmatch(text) and text == text.strip() and " #" not in text
    if bare and text not in ("true", "false"):
        return text
    escaped = "".join(_escaped(c) for c in text)
    return f'"{escaped}"'


def _escaped(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
