"""Numbers on a line, cut into bins by public edges.

    attribute value   special values first, then the bins from low to high, then missing
    plain value       what the line measures: a whole number, a float, days, seconds, ...

A bin holds the values from its edge up to the next edge, the last one its upper bound too. On a
line of whole numbers (integers, dates, times) short ranges get one code per value.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import stored
from mezzotint.schema.edges import Spacing, even_edges

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_UP_TO = 128
"""A range of so many whole numbers still gets a code for each, unless `bins` says otherwise."""

DEFAULT_BINS = 32
MAX_BINS = 1_000_000
LARGEST = 1e300
"""Beyond this, differences of floats could overflow."""

_TABLE_CELLS = 1 << 16
_REDRAWS = 100

OutOfBounds = Literal["clamp", "missing"]


@dataclass(frozen=True, kw_only=True)
class Numeric(Attribute):
    """A column of numbers between public bounds.

    Attributes:
        bounds: The least and the greatest value; None where `edges` are given.
        bins: How many bins; "exact" for one per whole number; None for the usual choice.
        spacing: "equal" widths, or "log": fine near zero, coarse far from it.
        edges: The bins' edges, first and last being the bounds, instead of `bounds` and `bins`.
        special: Values with a code of their own, in the bounds or not: 0, say, or -1 for "none".
        out_of_bounds: What becomes of a value beyond the bounds: the nearest bin, or missing.
    """

    bounds: tuple[float, float] | None = None
    bins: int | Literal["exact"] | None = None
    spacing: Spacing = "equal"
    edges: tuple[float, ...] | None = None
    special: tuple[float, ...] = ()
    out_of_bounds: OutOfBounds = "clamp"

    whole: ClassVar[bool] = True
    facts: ClassVar[tuple[str, ...]] = ("type", "bounds", "bins", "special", "missing")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_line()
        if self.bins is not None and self.bins != "exact" and not 1 <= self.bins <= MAX_BINS:
            raise self._wrong(f"bins = {self.bins} must be between 1 and {MAX_BINS:,}")
        if self.out_of_bounds == "missing" and self.missing is None:
            raise self._wrong(
                "values out of bounds cannot become missing in a column that is never missing; "
                "write `out_of_bounds: clamp`, or allow missing values"
            )
        if len(set(self.special)) < len(self.special):
            raise self._wrong("lists a special value twice; remove one")
        if self.bins == "exact" and not self.lacks and self.cells > MAX_BINS:
            raise self._wrong(
                f"has {self.cells:,} values, too many for `bins: exact`; give a number of bins"
            )

    def _check_line(self) -> None:
        points = self.edges or self.bounds
        if points is None:
            return
        if self.edges is not None and (self.bounds, self.bins, self.spacing) != (
            None,
            None,
            "equal",
        ):
            raise self._wrong("`edges` already say the bounds and the bins; give only one of them")
        if not all(abs(p) <= LARGEST for p in (*points, *self.special)):
            raise self._wrong(
                f"bounds, edges and special values must be finite numbers, at most {LARGEST:g}"
            )
        if len(points) < 2 or any(a > b for a, b in pairwise(points)):
            raise self._wrong(f"its bounds {list(points)} must go from low to high")
        if self.edges is not None and any(a == b for a, b in pairwise(points)):
            raise self._wrong(f"its edges {list(points)} must increase")

    @property
    def lacks(self) -> str | None:
        """The fact without which the attribute has no codes, if it is still to be given."""
        return None if self.edges or self.bounds else "bounds"

    @property
    def least(self) -> float:
        """The lower bound, as a plain value."""
        self._require_complete()
        return (self.edges or self.bounds or (0.0,))[0]

    @property
    def greatest(self) -> float:
        """The upper bound, as a plain value."""
        self._require_complete()
        return (self.edges or self.bounds or (0.0,))[-1]

    @property
    def cells(self) -> int:
        """How many whole numbers lie within the bounds."""
        return int(self.greatest) - int(self.least) + 1

    @cached_property
    def exact(self) -> bool:
        """Whether every value within the bounds has a code of its own."""
        if not self.whole or self.edges is not None:
            return False
        if self.bins is None:
            return self.cells <= EXACT_UP_TO
        return self.bins == "exact" or self.bins >= self.cells

    @cached_property
    def starts(self) -> np.ndarray:
        """The least value of every bin."""
        if self.exact:
            return np.arange(int(self.least), int(self.greatest) + 1)
        return self._edges[:-1]

    @cached_property
    def ends(self) -> np.ndarray:
        """The greatest value of every bin (for floats: the next bin's start)."""
        if self.exact:
            return self.starts
        ends = self._edges[1:].copy()
        if self.whole:
            ends[:-1] -= 1
        return ends

    @cached_property
    def _edges(self) -> np.ndarray:
        if self.edges is not None:
            return np.asarray(self.edges, np.int64 if self.whole else np.float64)
        bins = self.bins if isinstance(self.bins, int) else DEFAULT_BINS
        return even_edges(self.least, self.greatest, bins, self.spacing, self._grid)

    @property
    def _grid(self) -> float | None:
        """The distance between neighbouring values, or None if there is no such thing."""
        return 1

    @property
    def values(self) -> int:
        """Special values and bins."""
        return len(self.special) + len(self.starts)

    def _encode_plain(self, array: pa.Array) -> np.ndarray:
        values, valid = self.read(array)
        codes = self._code(values)
        if not valid.all():
            codes[~valid] = self._unreadable_code
        return codes

    def _code(self, values: np.ndarray) -> np.ndarray:
        if self._table is not None:
            first, table = self._table
            return table[np.clip(values, first, first + len(table) - 1) - first]
        return self._search(values)

    @cached_property
    def _table(self) -> tuple[int, np.ndarray] | None:
        """Where the line is short: every value's code, from one below its least to one above."""
        if not self.whole:
            return None
        points = [int(p) for p in (self.least, self.greatest, *self.special, *self.missing_points)]
        first, last = min(points) - 1, max(points) + 1
        if last - first >= _TABLE_CELLS:
            return None
        return first, self._search(np.arange(first, last + 1))

    def _search(self, values: np.ndarray) -> np.ndarray:
        bins = np.searchsorted(self.starts, values, side="right") - 1
        codes = (bins.clip(0) + len(self.special)).astype(self.dtype)
        if self.out_of_bounds == "missing":
            codes[(values < self.least) | (values > self.greatest)] = self._unreadable_code
        for code, point in enumerate(self.special):
            codes[values == point] = code
        for text in self.missing_points:
            codes[values == text] = self._unreadable_code
        return codes

    @cached_property
    def missing_points(self) -> list[float]:
        """Missing-value texts that are numbers, such as 999."""
        points = []
        for text in self.missing or ():
            try:
                points.append(self.plain(text))
            except (ValueError, ArithmeticError):
                continue
        return points

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Uniform inside each bin; never a value that has a code of its own."""
        kind = np.int64 if self.whole else np.float64
        low = np.concatenate([np.asarray(self.special, kind), self.starts, self.starts[:1]])
        high = np.concatenate([np.asarray(self.special, kind), self.ends, self.ends[:1]])
        low, high = low[codes], high[codes]
        values = self.between(low, high, rng)
        for _ in range(_REDRAWS if self.special else 0):
            again = (low < high) & np.isin(values, self.special)
            if not again.any():
                break
            values[again] = self.between(low[again], high[again], rng)
        return values

    def between(self, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Uniform plain values from `low` to `high`."""
        return rng.integers(low, high, endpoint=True)

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and greatest plain value of every code but the missing one."""
        special = np.asarray(self.special, self.starts.dtype)
        return np.concatenate([special, self.starts]), np.concatenate([special, self.ends])

    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """The middle of each code's values; NaN if missing."""
        low, high = self.intervals()
        return np.append((low.astype(float) + high) / 2, np.nan)[codes]

    def _labels(self) -> list[str]:
        points = [self.write(p) for p in self.special]
        if self.exact:
            return points + [self.write(v) for v in self.starts]
        texts = [
            (self.write(a), self.write(b)) for a, b in zip(self.starts, self.ends, strict=True)
        ]
        between = "–" if self.whole else "–<"
        bins = [a if a == b else f"{a}{between}{b}" for a, b in texts]
        bins[-1] = bins[-1].replace("–<", "–")
        return points + bins

    def restore(self, values: np.ndarray, codes: np.ndarray) -> pa.Array:
        """The column's own Arrow type, null where missing."""
        import pyarrow as pa

        array = pa.array(values, mask=self._null_mask(codes))
        return stored(self._natural(array), self.storage or self.natural_storage)

    natural_storage: ClassVar[str] = "int64"

    def _natural(self, array: pa.Array) -> pa.Array:
        return array

    @abstractmethod
    def read(self, array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """A column as plain values, and which of them could be read at all."""

    @abstractmethod
    def write(self, value: float) -> str:
        """A plain value as the schema and reports write it."""


@dataclass(frozen=True, kw_only=True)
class Integer(Numeric):
    """Whole numbers.

    Attributes:
        trailing_zero: Whether texts show them as floats: "22.0".
    """

    trailing_zero: bool = False

    type: ClassVar[str] = "integer"

    def read(self, array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Plain values, and which could be read."""
        from mezzotint.schema.values import integers

        return integers(array, self.name)

    def plain(self, text: str) -> int:
        """The whole number that a text names."""
        return int(text)

    def write(self, value: float) -> str:
        """Digits."""
        return str(int(value))

    def _format(self, array: pa.Array) -> pa.Array:
        from mezzotint.schema.values import pc

        texts = array.cast("int64", safe=False).cast("string")
        return pc.binary_join_element_wise(texts, ".0", "") if self.trailing_zero else texts


@dataclass(frozen=True, kw_only=True)
class Continuous(Numeric):
    """Real numbers.

    Attributes:
        decimals: How many decimals values have; None for as many as a float holds.
        trailing_zero: Whether texts show whole numbers as floats: "22.0".
    """

    decimals: int | None = None
    trailing_zero: bool = False

    type: ClassVar[str] = "continuous"
    whole: ClassVar[bool] = False
    natural_storage: ClassVar[str] = "double"

    @property
    def _grid(self) -> float | None:
        return 10.0**-self.decimals if self.decimals is not None and self._rounds else None

    @cached_property
    def _rounds(self) -> bool:
        """Whether floats of this size have decimals to round to at all."""
        largest = max(abs(self.least), abs(self.greatest))
        return self.decimals is not None and largest < 2.0**53 / 10**self.decimals

    def read(self, array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Plain values, and which could be read."""
        from mezzotint.schema.values import is_short_float, numbers

        values, valid = numbers(array, self.name)
        if self.decimals is not None and is_short_float(array.type):
            values = np.round(values, self.decimals)  # 0.7 in four bytes is a little below 0.7
        return values, valid

    def plain(self, text: str) -> float:
        """The number that a text names."""
        return float(text)

    def write(self, value: float) -> str:
        """The shortest digits that name the value."""
        return np.format_float_positional(value, trim="-") if abs(value) < 1e16 else repr(value)

    def between(self, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Uniform plain values from `low` to `high`, with the column's decimals."""
        values = low + rng.random(len(low)) * (high - low)
        if self.decimals is None or not self._rounds:
            return values
        scale = 10.0**self.decimals
        return np.maximum(np.round(np.floor(values * scale) / scale, self.decimals), low)

    def _format(self, array: pa.Array) -> pa.Array:
        from mezzotint.schema.values import pc

        texts = array.cast("double").cast("string")
        if not self.trailing_zero:
            return texts
        return pc.replace_substring_regex(texts, r"^(-?\d+)$", r"\1.0")


def plain_points(attribute: Numeric, texts: Sequence[str]) -> tuple[float, ...]:
    """The schema's texts as plain values of an attribute's line."""
    return tuple(attribute.plain(text) for text in texts)
