"""Schemas, domains, tables and conditions, as they are written on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mezzotint.cli.options import InferName, MechanismName
from mezzotint.errors import DataError, ParameterError, SchemaError

if TYPE_CHECKING:
    from mezzotint.schema import Schema
    from mezzotint.sources import Source
    from mezzotint.tables.synthesizer import Synthesizer


def read_schema(schema: Path | None, domain: Path | None) -> Schema:
    """The public facts that a user named, in one of two ways."""
    from mezzotint.schema import Schema

    if schema is not None and domain is not None:
        raise ParameterError("--schema and --domain exclude each other; give one of them")
    if schema is not None:
        return Schema.read(schema)
    if domain is not None:
        return Schema.from_sizes(read_domain(domain))
    raise ParameterError(
        "give the table's public facts: --schema FILE (`mezzotint schema draft` proposes one), or "
        "--domain FILE for a table of whole-number codes"
    )


def require_confirmed(facts: Schema, path: Path | None, infer: InferName | None) -> None:
    """Raise SchemaError while facts are open that are not to be bought."""
    if infer is None and path is not None:
        facts.require_confirmed(str(path))


def read_domain(path: Path) -> dict[str, int]:
    """A JSON object, attribute -> number of codes."""
    try:
        sizes = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"{path}: the domain cannot be read ({error.strerror}); give a JSON file"
        ) from None
    except ValueError as error:
        raise SchemaError(f"{path}: no valid JSON ({error}); mend the file") from None
    if not isinstance(sizes, dict) or not sizes:
        raise SchemaError(
            f"{path}: must be a JSON object with the number of codes of each attribute, such as "
            '{"age": 100, "sex": 2}'
        )
    return sizes


def open_table(path: Path, delimiter: str | None = None, encoding: str = "utf-8") -> Source:
    """The table behind a path."""
    from mezzotint.sources import open_source

    if delimiter == "\\t":
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ParameterError(
            f"--delimiter {delimiter!r}: give a single sign, such as ';' or '\\t' for a tab"
        )
    return open_source(path, delimiter=delimiter, encoding=encoding)


def make_mechanism(
    name: MechanismName,
    epsilon: float,
    delta: float,
    workload: int | None,
    max_model_mb: float | None,
) -> Synthesizer:
    """The mechanism that a user named, with the options that it takes.

    Raises:
        ParameterError: if an option is out of range, or the mechanism does not take it.
    """
    import mezzotint
    from mezzotint.privacy.accounting import Budget

    Budget(epsilon, delta)
    if max_model_mb is not None and not max_model_mb > 0:
        raise ParameterError(
            f"--max-model-mb {max_model_mb:g}: give a positive number of megabytes, such as 20"
        )
    kind = getattr(mezzotint, name.name)
    options = {"workload": workload, "max_model_mb": max_model_mb}
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in signature(kind).parameters:
            raise ParameterError(
                f"--{option.replace('_', '-')}: the mechanism {name} does not take it; leave it "
                "out, or take another --mechanism"
            )
    return kind(epsilon=epsilon, delta=delta, **given)


def parse_where(conditions: Iterable[str], schema: Schema) -> dict[str, Any]:
    """Conditions such as `sex=Male`, `age=30..39`, `age=65..` and `job=` (missing).

    An attribute that stands twice takes any of its values.
    """
    where: dict[str, Any] = {}
    for condition in conditions:
        name, value = _split(condition, schema)
        wanted = _wanted(schema, name, value)
        if name not in where:
            where[name] = wanted
        elif isinstance(wanted, tuple) or isinstance(where[name], tuple):
            raise ParameterError(
                f"--where {condition}: {name!r} has a range and another condition; give one range, "
                "or single values"
            )
        else:
            held = where[name]
            where[name] = [*(held if isinstance(held, list) else [held]), wanted]
    return where


def _split(condition: str, schema: Schema) -> tuple[str, str]:
    """Name and value, cut at the first = that follows an attribute's name."""
    cuts = [i for i, sign in enumerate(condition) if sign == "="]
    if not cuts:
        raise ParameterError(
            f"--where {condition}: give attribute=value, attribute=low..high, or attribute= for "
            "missing"
        )
    cut = next((i for i in cuts if condition[:i].strip() in schema.names), cuts[0])
    return schema[condition[:cut].strip()].name, condition[cut + 1 :].strip()


def _wanted(schema: Schema, name: str, value: str) -> Any:
    from mezzotint.schema import Categorical, Numeric

    attribute = schema[name]
    if isinstance(attribute, Categorical) and value in attribute.categories:
        return value
    if attribute.missing is not None and value in attribute.missing:
        return None
    ordered = isinstance(attribute, Numeric) or attribute.type == "ordered"
    if ordered and ".." in value:
        low, _, high = value.partition("..")
        return (low.strip() or None, high.strip() or None)
    return value
