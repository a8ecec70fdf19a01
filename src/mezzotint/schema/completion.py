"""Attributes completed by facts that were bought, and by public conventions for the rest.

Everything here is public: what comes in was released by `infer`, under its guarantee.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Categorical, Ordered, in_natural_order
from mezzotint.schema.constraints import Condition, Constraint, Inequality, Never
from mezzotint.schema.moments import Date, Datetime, TimeOfDay
from mezzotint.schema.numeric import DEFAULT_BINS, Continuous, Numeric
from mezzotint.schema.schema import Schema
from mezzotint.schema.values import MICROSECONDS

MOST_CATEGORIES = 1_000
"""The most frequent ones are kept; no model can hold pairs of larger columns."""
_YEARS = (1900, 2101)


def line_of(attribute: Attribute) -> tuple[np.ndarray, int]:
    """Public edges between cells on an attribute's line, and what to add to an upper edge."""
    assert isinstance(attribute, Numeric)
    if isinstance(attribute, Date | Datetime):
        years = np.arange(*_YEARS)
        first = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
        if isinstance(attribute, Datetime):
            first = first * (MICROSECONDS["day"] // MICROSECONDS[attribute.resolution])
        return first, -1
    if isinstance(attribute, Continuous):
        powers = 2.0 ** np.arange(-20, 64)
        return np.concatenate([-powers[::-1], [0.0], powers]), 0
    powers = 2 ** np.arange(62, dtype=np.int64)
    return np.concatenate([-powers[::-1] + 1, powers]), -1


def with_bounds(attribute: Numeric, noisy: np.ndarray, threshold: int) -> Numeric:
    """Bounds at the outermost cells that reach the threshold; at the fullest, if none does."""
    edges, back = line_of(attribute)
    cells = np.flatnonzero(noisy >= threshold)
    if not len(cells):
        cells = np.array([noisy.argmax()])
    low = edges[max(int(cells[0]) - 1, 0)].item()
    high = edges[min(int(cells[-1]), len(edges) - 1)].item() + back
    return replace(attribute, bounds=(low, max(low, high)), bought=("bounds",))


def with_categories(attribute: Categorical, shown: Mapping[str, int]) -> Categorical:
    """The most frequent of the categories that are shown, and one for all the others."""
    names = sorted(shown, key=lambda name: -shown[name])[:MOST_CATEGORIES]
    other = "other"
    while other in names:
        other = f"({other})"
    kind = Ordered if isinstance(attribute, Ordered) else Categorical
    return kind(
        name=attribute.name,
        missing=attribute.missing,
        storage=attribute.storage,
        categories=(*sorted(names, key=in_natural_order), other),
        other=other,
        bought=("categories",),
    )


def still_meant(
    constraints: Iterable[Constraint], attributes: Mapping[str, Attribute]
) -> Iterator[Constraint]:
    """The constraints that the completed attributes can express, as far as they can.

    A value that was not shown is one of "other" now, about which a rule on that value says
    nothing; a column whose noisy bounds lie below another's tells nothing about their order.
    """
    for constraint in constraints:
        if isinstance(constraint, Inequality):
            left, right = (attributes[name] for name in constraint.names)
            assert isinstance(left, Numeric) and isinstance(right, Numeric)
            if left.least < right.greatest:
                yield constraint
        elif isinstance(constraint, Never):
            conditions = [(n, _named(c, attributes[n])) for n, c in constraint.conditions]
            if all(c.values or c.missing or c.is_range for _, c in conditions):
                yield Never(tuple(conditions))


def _named(condition: Condition, attribute: Attribute) -> Condition:
    if not isinstance(attribute, Categorical):
        return condition
    known = attribute.categories
    ends = (e for e in (condition.least, condition.greatest) if e is not None)
    if any(end not in known for end in ends):
        return replace(condition, least=None, greatest=None)
    return replace(condition, values=tuple(v for v in condition.values if v in known))


def guessed(schema: Schema) -> Schema:
    """The schema with stand-ins for facts that are still to be bought: for plans, looks at no row.

    Bounds: those of the whole line. Categories: `DEFAULT_BINS` of them.
    """
    stand_ins: dict[str, Attribute] = {}
    for attribute in schema:
        pending = attribute.unconfirmed
        plain = by_convention(attribute)
        if isinstance(plain, Categorical) and "categories" in pending:
            plain = with_categories(plain, {str(i): 0 for i in range(DEFAULT_BINS - 1)})
        elif (
            isinstance(plain, Numeric) and "bounds" in pending and not isinstance(plain, TimeOfDay)
        ):
            plain = with_bounds(plain, np.zeros(len(line_of(plain)[0]) + 1, np.int64), 0)
        stand_ins[attribute.name] = plain
    constraints = tuple(still_meant(schema.constraints, stand_ins))
    return replace(schema, attributes=tuple(stand_ins.values()), constraints=constraints)


def bought_of(attribute: Attribute) -> list[str]:
    """The facts of an attribute that have to be bought; a time of day has public bounds."""
    if isinstance(attribute, TimeOfDay):
        return []
    return [fact for fact in attribute.unconfirmed if fact in ("bounds", "categories")]


def by_convention(attribute: Attribute) -> Attribute:
    """The attribute with public conventions in the place of facts that nobody confirmed."""
    pending = attribute.unconfirmed
    changes: dict[str, object] = {"from_data": ()}
    if "missing" in pending:
        changes["missing"] = type(attribute).missing
    if isinstance(attribute, Numeric):
        if "special" in pending:
            changes["special"] = ()
        if "bounds" in pending:
            # What bins suit is not known either: fine near zero, coarse far from it, is safest.
            log_suits = attribute.type in ("integer", "continuous")
            changes |= {"edges": None, "bins": None, "spacing": "log" if log_suits else "equal"}
            if isinstance(attribute, TimeOfDay):
                last = MICROSECONDS["day"] // MICROSECONDS[attribute.resolution] - 1
                changes["bounds"] = (0, last)
        elif "bins" in pending:
            changes |= {"bins": None, "spacing": "equal"}
    elif isinstance(attribute, Categorical) and "categories" in pending:
        changes |= {"categories": (), "other": None}
    return replace(attribute, **changes)
