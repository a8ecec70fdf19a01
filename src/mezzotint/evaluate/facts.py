"""The schema's public facts, as the report's table shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mezzotint.schema import Schema
    from mezzotint.schema.attribute import Attribute

_MOST_CATEGORIES = 12


@dataclass(frozen=True)
class Facts:
    """What the schema says about one attribute. Public once confirmed.

    Attributes:
        name: the attribute.
        type: its type, in the schema's word.
        values: its bounds or categories, in words.
        codes: how many values it is coded by.
        missing: whether a missing value is one of them.
        confirmed: whether every fact about it has been declared public, or bought.
        bought: the facts that were bought.
    """

    name: str
    type: str
    values: str
    codes: int
    missing: bool
    confirmed: bool
    bought: tuple[str, ...] = ()


def facts_of(schema: Schema) -> tuple[Facts, ...]:
    """The facts of every attribute, in the schema's order."""
    return tuple(
        Facts(
            name=attribute.name,
            type=attribute.type,
            values=_values(attribute),
            codes=attribute.size,
            missing=attribute.missing_code is not None,
            confirmed=not attribute.from_data,
            bought=attribute.bought,
        )
        for attribute in schema.attributes
    )


def unconfirmed_facts(schema: Schema) -> tuple[str, ...]:
    """Facts that were taken from private data and that nobody has declared public, in words."""
    return tuple(str(fact) for fact in schema.unconfirmed())


def _values(attribute: Attribute) -> str:
    """Categories by name, a line of values by its ends."""
    from mezzotint.schema.numeric import Numeric

    if isinstance(attribute, Numeric):
        ends = f"{attribute.write(attribute.least)} to {attribute.write(attribute.greatest)}"
        special = ", ".join(attribute.write(point) for point in attribute.special)
        return f"{ends}; with a code of its own: {special}" if special else ends
    labels = attribute.labels()[: attribute.values]
    shown = ", ".join(labels[:_MOST_CATEGORIES])
    more = len(labels) - _MOST_CATEGORIES
    return f"{shown} and {more} more" if more > 0 else shown
