"""What a user asks of synthetic rows: ``where={"sex": "Male", "age": (30, 39)}``. Public."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.schema import Attribute, Categorical, Numeric, Schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Wish:
    """The values asked of one attribute: a range, or a list of points.

    Attributes:
        attribute: which.
        allowed: for each code whether it holds any of the values.
        low: for a range, per code but the missing one, the least plain value asked for.
        high: the greatest.
        points: for a list, the plain values.
        inside: which code (first axis) holds which point.
    """

    attribute: Attribute
    allowed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    points: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, attribute: Attribute, wanted: Any) -> Wish:
        """One value, a list of values, a range as a tuple of two, or None for missing."""
        low, high = attribute.intervals()
        points, missing = np.empty(0, low.dtype), False
        if isinstance(wanted, tuple):
            first, last = _ends(attribute, wanted)
            low, high = np.maximum(low, first), np.minimum(high, last)
            allowed = low <= high
        else:
            values = wanted if isinstance(wanted, list | set | frozenset) else [wanted]
            missing = None in values
            points = np.array([_plain(attribute, v) for v in values if v is not None], low.dtype)
        inside = (points >= low[:, None]) & (points <= high[:, None])
        if not isinstance(wanted, tuple):
            allowed = inside.any(axis=1)
        if attribute.missing is not None:
            allowed = np.append(allowed, missing)
        elif missing:
            raise ParameterError(
                f"where: {attribute.name!r} is never missing by its schema; ask for a value."
            )
        if not allowed.any():
            raise ParameterError(
                f"where: {attribute.name!r} = {wanted!r} lies outside of what its schema allows; "
                f"it takes {_range(attribute)}."
            )
        return cls(attribute, allowed, low, high, points, inside)

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each row a plain value that its code and the wish both allow."""
        known = np.minimum(codes, len(self.low) - 1)
        if not len(self.points):
            return self.attribute.between(self.low[known], self.high[known], rng)
        ticket = rng.random((len(codes), len(self.points)))
        return self.points[np.where(self.inside[known], ticket, -1.0).argmax(axis=1)]


@dataclass(frozen=True)
class Evidence:
    """All wishes of a query.

    Attributes:
        schema: the table's public facts.
        wishes: attribute -> what is asked of it.
    """

    schema: Schema
    wishes: Mapping[str, Wish]

    @classmethod
    def of(cls, schema: Schema, where: Mapping[str, Any]) -> Evidence:
        """Read the user's words; a ParameterError names what does not fit."""
        return cls(schema, {name: Wish.of(schema[name], v) for name, v in where.items()})

    def __bool__(self) -> bool:
        return bool(self.wishes)

    @property
    def codes(self) -> dict[str, np.ndarray]:
        """For each attribute asked for, which codes are allowed."""
        return {name: wish.allowed for name, wish in self.wishes.items()}

    def narrow(
        self, table: pa.Table, codes: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> pa.Table:
        """Redraw numbers within their bins, so that they are the ones asked for."""
        for name, wish in self.wishes.items():
            if isinstance(wish.attribute, Numeric):
                values = wish.draw(codes[name], rng)
                column = wish.attribute.restore(values, codes[name])
                table = table.set_column(table.column_names.index(name), name, column)
        return table


def _plain(attribute: Attribute, value: Any) -> float | int:
    text = value.isoformat() if isinstance(value, date | datetime | time) else str(value)
    try:
        return attribute.plain(text)
    except ValueError:
        raise ParameterError(
            f"where: {value!r} is no {attribute.type} value of {attribute.name!r}; it takes "
            f"{_range(attribute)}."
        ) from None


def _ends(attribute: Attribute, ends: tuple[Any, ...]) -> tuple[float, float]:
    if len(ends) != 2 or type(attribute) is Categorical:
        raise ParameterError(
            f"where: {attribute.name!r} = {ends!r}: a range is a tuple of two ends, for "
            "attributes that have an order. Give a list for single values."
        )
    low, high = ends
    return (
        -inf if low is None else _plain(attribute, low),
        inf if high is None else _plain(attribute, high),
    )


def _range(attribute: Attribute) -> str:
    labels = attribute.labels()
    return ", ".join(labels) if len(labels) <= 12 else f"{labels[0]} to {labels[-1]}"
