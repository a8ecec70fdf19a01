"""What a user asks of synthetic rows: ``where={"sex": "Male", "age": (30, 39)}``. Public."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import ParameterError, SchemaError
from mezzotint.schema import Attribute, Categorical, Numeric, Schema
from mezzotint.schema.categories import Boolean

if TYPE_CHECKING:
    import pyarrow as pa


_FAR = 2**62


@dataclass(frozen=True)
class Wish:
    """The values asked of one attribute: a range, or a list of points.

    Attributes:
        attribute: which.
        share: for each code the share of its values that is asked for, values being spread evenly
            within a code; a point of a real line counts as its whole bin.
        cut: for each code whether values of it that are not asked for must be redrawn.
        low: for a range, per code but the missing one, the least plain value asked for.
        high: the greatest.
        points: for a list, the plain values.
        inside: which code (first axis) holds which point.
    """

    attribute: Attribute
    share: np.ndarray
    cut: np.ndarray
    low: np.ndarray
    high: np.ndarray
    points: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, attribute: Attribute, wanted: Any) -> Wish:
        """One value, a list of values, a range as a tuple of two, or None for missing."""
        least, greatest = attribute.intervals()
        low, high = least, greatest
        points, missing = np.empty(0, low.dtype), False
        first = last = 0.0
        if isinstance(wanted, tuple):
            first, last = _ends(attribute, wanted)
            low = np.maximum(low, first).astype(low.dtype)
            high = np.minimum(high, last).astype(high.dtype)
        else:
            values = wanted if isinstance(wanted, list | set | frozenset) else [wanted]
            known = [v for v in values if not _is_missing(v)]
            missing = len(known) < len(values)
            points = np.unique(np.array([_plain(attribute, v) for v in known], low.dtype))
        inside = (points >= low[:, None]) & (points <= high[:, None])
        special = np.isin(points, least[: _specials(attribute)])
        inside[_specials(attribute) :, special] = False
        whole = not isinstance(attribute, Numeric) or attribute.whole
        if not isinstance(wanted, tuple):
            asked = inside.sum(axis=1)
            share = asked / (greatest - least + 1) if whole else np.minimum(asked, 1.0)
            cut = share < 1 if whole else greatest > least
        else:
            cut = (low > least) | (high < greatest)
            if whole:
                share = np.maximum(high - low + 1, 0) / (greatest - least + 1)
            else:
                width = np.where(greatest > least, greatest - least, 1)
                point = (low == high) & ((first == last) | (least == greatest))
                share = np.where(low < high, (high - low) / width, point)
        if attribute.missing is not None:
            share, cut = np.append(share, float(missing)), np.append(cut, False)
        elif missing:
            raise ParameterError(
                f"where: {attribute.name!r} is never missing by its schema; ask for a value."
            )
        if not share.any():
            raise ParameterError(
                f"where: {attribute.name!r} = {wanted!r} lies outside of what its schema allows; "
                f"it takes {_range(attribute)}."
            )
        return cls(attribute, share, cut, low, high, points, inside)

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each row a plain value that its code and the wish both allow."""
        assert isinstance(self.attribute, Numeric)
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
        try:
            return cls(schema, {name: Wish.of(schema[name], v) for name, v in where.items()})
        except SchemaError as error:
            raise ParameterError(f"where: {error}") from None

    def __bool__(self) -> bool:
        return bool(self.wishes)

    @property
    def shares(self) -> dict[str, np.ndarray]:
        """For each attribute asked for, the share of each code's values that is."""
        return {name: wish.share for name, wish in self.wishes.items()}

    def narrow(
        self, table: pa.Table, codes: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> pa.Table:
        """Redraw numbers in bins that a wish cuts, so that they are the ones asked for."""
        import pyarrow as pa

        from mezzotint.schema.values import pc

        for name, wish in self.wishes.items():
            cut = wish.cut[codes[name]]
            if isinstance(wish.attribute, Numeric) and cut.any():
                redrawn = wish.attribute.restore(wish.draw(codes[name], rng), codes[name])
                column = pc.if_else(pa.array(cut), redrawn, table.column(name))
                table = table.set_column(table.column_names.index(name), name, column)
        return table


def _plain(attribute: Attribute, value: Any) -> float | int:
    if isinstance(attribute, Boolean) and isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, date | datetime | time):
        text = value.isoformat()
    elif isinstance(value, float) and value.is_integer() and isinstance(attribute, Numeric):
        text = str(int(value))
    else:
        text = str(value)
    try:
        plain = attribute.plain(text)
        if isinstance(plain, float) or abs(plain) < _FAR:
            return plain
    except (ValueError, ArithmeticError):
        pass
    raise ParameterError(
        f"where: {value!r} is no {attribute.type} value of {attribute.name!r}; it takes "
        f"{_range(attribute)}."
    )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _specials(attribute: Attribute) -> int:
    return len(attribute.special) if isinstance(attribute, Numeric) else 0


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
