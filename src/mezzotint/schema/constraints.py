"""What no row can be: forbidden combinations, and columns that stand in order.

Constraints are public facts. Each compiles to structural zeros, the cells of a marginal in which
*every* pair of values is impossible; what a bin's coarseness leaves over is redrawn on decoding.
Bounds are taken at their word: a clamped value counts as the bound that it was clamped to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import inf, prod
from typing import Literal, Protocol

import numpy as np

from mezzotint.errors import SchemaError
from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Categorical, Text
from mezzotint.schema.numeric import Continuous, Integer, Numeric

Attributes = Mapping[str, Attribute]
MAX_MASK_CELLS = 1 << 26


class Constraint(Protocol):
    """A rule that every row obeys."""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that the rule is about."""
        ...

    def check(self, attributes: Attributes) -> None:
        """Raise SchemaError unless the rule fits these attributes."""

    def impossible(self, attributes: Attributes) -> np.ndarray:
        """A mask with one axis per name: True where a cell can hold no row."""
        ...

    def violated(
        self,
        attributes: Attributes,
        values: Mapping[str, np.ndarray],
        codes: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Which rows of drawn plain values break the rule."""
        ...

    def redraw(
        self,
        attributes: Attributes,
        codes: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """New plain values for rows that break the rule, inside the same codes."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Condition:
    """A set of values of one attribute.

    Attributes:
        values: Single values, as the schema's texts.
        least: The lower end of a range, as text; None if open.
        greatest: The upper end of a range, as text; None if open.
        missing: Whether a missing value belongs to the set.
    """

    values: tuple[str, ...] = ()
    least: str | None = None
    greatest: str | None = None
    missing: bool = False

    @property
    def is_range(self) -> bool:
        """Whether the set is a range rather than a list."""
        return self.least is not None or self.greatest is not None

    def ends(self, attribute: Attribute) -> tuple[float, float]:
        """The range's ends as plain values."""
        low = -inf if self.least is None else attribute.plain(self.least)
        high = inf if self.greatest is None else attribute.plain(self.greatest)
        return low, high

    def covers(self, attribute: Attribute) -> np.ndarray:
        """Per code: whether all of its values belong to the set."""
        low, high = attribute.intervals()
        if self.is_range:
            first, last = self.ends(attribute)
            inside = (low >= first) & (high <= last)
        else:
            points = np.unique([attribute.plain(v) for v in self.values])
            listed = np.searchsorted(points, high, "right") - np.searchsorted(points, low, "left")
            whole = not isinstance(attribute, Continuous)
            inside = listed == (high - low + 1) if whole else (low == high) & (listed == 1)
        return inside if attribute.missing is None else np.append(inside, self.missing)

    def holds(self, attribute: Attribute, values: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Per row: whether its value belongs to the set."""
        if self.is_range:
            first, last = self.ends(attribute)
            inside = (values >= first) & (values <= last)
        else:
            inside = np.isin(values, [attribute.plain(v) for v in self.values])
        code = attribute.missing_code
        return inside if code is None else np.where(codes == code, self.missing, inside)


@dataclass(frozen=True)
class Never:
    """A combination that does not occur: all conditions at once.

    Attributes:
        conditions: attribute -> the values that do not occur together with the others'.
    """

    conditions: tuple[tuple[str, Condition], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that the rule is about."""
        return tuple(name for name, _ in self.conditions)

    def check(self, attributes: Attributes) -> None:
        """Raise SchemaError unless every value is one of its attribute's, as far as is known."""
        for name, condition in self.conditions:
            attribute = attributes[name]
            texts = (*condition.values, condition.least, condition.greatest)
            if condition.is_range and type(attribute) in (Categorical, Text):
                raise SchemaError(
                    f"never {self}: {name!r} is categorical and has no order, so it knows no "
                    "ranges; list the categories, or give it the type ordered"
                )
            for text in texts:
                if text is None or attribute.lacks == "categories":
                    continue
                try:
                    attribute.plain(text)
                except ValueError:
                    raise SchemaError(
                        f"never {self}: {text!r} is no {attribute.type} value of {name!r}; mend it"
                    ) from None

    def impossible(self, attributes: Attributes) -> np.ndarray:
        """The cells all of whose values meet all conditions."""
        covers = [condition.covers(attributes[name]) for name, condition in self.conditions]
        return reduce(np.logical_and.outer, covers)

    def violated(
        self,
        attributes: Attributes,
        values: Mapping[str, np.ndarray],
        codes: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Rows that meet all conditions."""
        held = [c.holds(attributes[n], values[n], codes[n]) for n, c in self.conditions]
        return np.logical_and.reduce(held)

    def redraw(
        self,
        attributes: Attributes,
        codes: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Another draw, which may be no better."""
        return {name: attributes[name].draw(codes[name], rng) for name in self.names}

    def __str__(self) -> str:
        return "{" + ", ".join(f"{name}: ..." for name, _ in self.conditions) + "}"


@dataclass(frozen=True)
class Inequality:
    """Two columns in order, wherever neither is missing.

    Attributes:
        left: The smaller column.
        operator: "<=" or "<".
        right: The greater column.
    """

    left: str
    operator: Literal["<=", "<"]
    right: str

    @property
    def names(self) -> tuple[str, ...]:
        """The two columns."""
        return self.left, self.right

    def check(self, attributes: Attributes) -> None:
        """Raise SchemaError unless both columns lie on the same line."""
        left, right = attributes[self.left], attributes[self.right]
        numbers = (Integer, Continuous)
        comparable = (isinstance(left, numbers) and isinstance(right, numbers)) or (
            isinstance(left, Numeric)
            and type(left) is type(right)
            and getattr(left, "resolution", None) == getattr(right, "resolution", None)
        )
        if self.left == self.right or not comparable:
            raise SchemaError(
                f"always {self}: a {left.type} and a {right.type} column cannot be compared; give "
                "both the same type (and resolution), numeric or a date"
            )

    def impossible(self, attributes: Attributes) -> np.ndarray:
        """The cells in which even the smallest left exceeds the greatest right."""
        left, right = attributes[self.left], attributes[self.right]
        low, high = left.intervals()[0][:, None], right.intervals()[1][None, :]
        mask = np.zeros((left.size, right.size), dtype=bool)
        mask[: left.values, : right.values] = ~self._holds(low, high)
        return mask

    def violated(
        self,
        attributes: Attributes,
        values: Mapping[str, np.ndarray],
        codes: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Rows out of order that could be in order, missing values aside."""
        broken = ~self._holds(values[self.left], values[self.right])
        for name in self.names:
            code = attributes[name].missing_code
            if code is not None:
                broken &= codes[name] != code
        low, high = self._ends(attributes, codes)
        return broken & self._holds(low, high)

    def redraw(
        self,
        attributes: Attributes,
        codes: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """The left value below the greatest right one, then the right value above the left."""
        left, right = (attributes[name] for name in self.names)
        assert isinstance(left, Numeric) and isinstance(right, Numeric)
        apart = 1 if self.operator == "<" and left.whole and right.whole else 0
        low, high = self._ends(attributes, codes)
        top = left.intervals()[1][codes[self.left]]
        first = left.between(low, np.maximum(low, np.minimum(top, high - apart)), rng)
        bottom = right.intervals()[0][codes[self.right]]
        second = right.between(np.minimum(high, np.maximum(bottom, first + apart)), high, rng)
        return {self.left: first, self.right: second}

    def _ends(
        self, attributes: Attributes, codes: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Per row, the least left and the greatest right value; of no meaning if missing."""
        left, right = (attributes[name] for name in self.names)
        low, high = left.intervals()[0], right.intervals()[1]
        low, high = np.append(low, low[:1]), np.append(high, high[:1])
        return low[codes[self.left]], high[codes[self.right]]

    def _holds(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return left <= right if self.operator == "<=" else left < right

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


def zero_masks(
    constraints: tuple[Constraint, ...], attributes: Attributes
) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Structural zeros, one mask per clique, its attributes in the schema's order."""
    order = {name: i for i, name in enumerate(attributes)}
    masks: dict[tuple[str, ...], np.ndarray] = {}
    for constraint in constraints:
        names = constraint.names
        cells = prod(attributes[name].size for name in names)
        if cells > MAX_MASK_CELLS:
            raise SchemaError(
                f"constraint {constraint}: it spans {cells:,} cells, more than "
                f"{MAX_MASK_CELLS:,}; give fewer columns or fewer bins"
            )
        axes = sorted(range(len(names)), key=lambda i: order[names[i]])
        clique = tuple(names[i] for i in axes)
        mask = constraint.impossible(attributes).transpose(axes)
        masks[clique] = masks[clique] | mask if clique in masks else mask
    return [(clique, mask) for clique, mask in masks.items() if mask.any()]
