"""What a draft looks at, column by column, in one pass over private rows.

Guarantee: none. A profile holds private facts; only `draft` sees it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mezzotint.schema.attribute import MISSING_TEXTS
from mezzotint.schema.numeric import LARGEST
from mezzotint.schema.values import (
    MICROSECONDS,
    clock,
    instants,
    is_number,
    is_text,
    numbers,
    pc,
    tallied,
    texts,
)

MAX_TEXTS = 1_000
_MAX_POINTS = 1 << 17
_CODE_LIKE = re.compile(r"[+-]?0\d")
_FRACTION = re.compile(r"\.(\d*)$")
DATE_FORMATS = (None, "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
TIME_FORMATS = tuple(f"{d} {t}" for t in ("%H:%M:%S", "%H:%M") for d in DATE_FORMATS[1:])


@dataclass
class Points:
    """Distinct plain values on a line, and how often each occurred; infinities are left out.

    Attributes:
        values: Increasing; a part of them if there are very many.
        counts: One per value.
        least: The least value of all.
        greatest: The greatest value of all.
    """

    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    counts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    least: float = np.inf
    greatest: float = -np.inf

    def add(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Take in more values."""
        finite = np.abs(values) <= LARGEST
        values, counts = values[finite], counts[finite]
        if not len(values):
            return
        self.least = min(self.least, values.min().item())
        self.greatest = max(self.greatest, values.max().item())
        both = np.concatenate([self.values.astype(values.dtype), values])
        self.values, place = np.unique(both, return_inverse=True)
        tally = np.concatenate([self.counts, counts])
        self.counts = np.bincount(place, weights=tally).astype(np.int64)
        if len(self.values) > _MAX_POINTS:
            keep = np.linspace(0, len(self.values) - 1, _MAX_POINTS // 2).astype(np.int64)
            self.values, self.counts = self.values[keep], self.counts[keep]

    @property
    def median(self) -> float:
        """The middle value."""
        middle = np.searchsorted(np.cumsum(self.counts), self.counts.sum() / 2)
        return self.values[middle].item()


@dataclass
class Profile:
    """What one column holds.

    Attributes:
        name: The column's name.
        kind: Its Arrow type, a dictionary's being that of its values.
        dictionary: Whether it is dictionary-typed, other than by our own reader.
        ordered: Whether that dictionary has an order.
        rows: How many rows were seen.
        missing: Texts that mean "no value" ("" for Arrow's null), and how often each occurred.
        texts: The other texts and their counts; None once there are too many.
        declared: A dictionary's values, whether they occur or not.
        numeric: Whether every value is a number.
        whole: Whether every value is a whole number.
        decimals: The most digits after the point.
        trailing_zero: Whether a whole number was written as "22.0".
        points: The numbers; for columns of dates and times, the microseconds.
        moment: "date", "datetime" or "time", if every value is one.
        formats: Ways of writing dates that fit every text so far; None is ISO 8601.
    """

    name: str
    kind: pa.DataType
    dictionary: bool = False
    ordered: bool = False
    rows: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] | None = field(default_factory=Counter)
    declared: list[str] = field(default_factory=list)
    numeric: bool = True
    whole: bool = True
    decimals: int = 0
    trailing_zero: bool = False
    points: Points = field(default_factory=Points)
    moment: str | None = None
    formats: list[str | None] | None = None

    def add(self, array: pa.Array) -> None:
        """Look at a batch of the column."""
        self.rows += len(array)
        if self.dictionary:
            words = texts(array.dictionary, self.name).drop_null().to_pylist()
            self.declared = list(dict.fromkeys([*self.declared, *words]))
        values, counts, nulls = tallied(array, self.name)
        self.missing[""] += nulls
        self._add_distinct(values, counts)

    def _add_distinct(self, values: pa.Array, counts: np.ndarray) -> None:
        words = texts(values, self.name)
        absent = np.asarray(pc.is_in(words, value_set=pa.array(MISSING_TEXTS)))
        absent |= np.asarray(words.is_null())
        for word, times in zip(
            words.filter(pa.array(absent)).to_pylist(), counts[absent].tolist(), strict=True
        ):
            self.missing[word or ""] += times
        present = pa.array(~absent)
        values, words, counts = values.filter(present), words.filter(present), counts[~absent]
        if not len(values):
            return
        listed = words.to_pylist() if is_text(values.type) or self.texts is not None else []
        if self.texts is not None:
            for word, times in zip(listed, counts.tolist(), strict=True):
                self.texts[word] += times
            if len(self.texts) > MAX_TEXTS:
                self.texts = None
        if is_text(values.type):
            self._add_text(words, listed, counts)
        elif is_number(values.type):
            self._add_numbers(values, counts)
        else:
            self.numeric = self.whole = False
            self._add_moments(values, counts)

    def _add_text(self, words: pa.Array, listed: list[str], counts: np.ndarray) -> None:
        plain, valid = numbers(words, self.name)
        self.numeric &= bool(valid.all()) and not any(map(_CODE_LIKE.match, listed))
        if self.numeric:
            self.points.add(plain, counts)
            self.whole &= bool(np.all(np.rint(plain) == plain))
            fractions = [m[1] for m in map(_FRACTION.search, listed) if m]
            self.trailing_zero |= any(f == "0" for f in fractions)
            self.decimals = max([self.decimals, *map(len, fractions)])
            if any("e" in w.lower() for w in listed):
                self.decimals = 15
            return
        self.whole = False
        self._add_written_moments(words, counts)

    def _add_numbers(self, values: pa.Array, counts: np.ndarray) -> None:
        plain, valid = numbers(values, self.name)
        plain, counts = plain[valid], counts[valid]
        self.points.add(plain, counts)
        finite = plain[np.isfinite(plain)]
        self.whole &= bool(np.all(np.rint(finite) == finite))
        if not self.whole:
            shown = finite[:1000].astype(np.float32 if values.type == pa.float32() else np.float64)
            fractions = (np.format_float_positional(v, trim="-").partition(".")[2] for v in shown)
            self.decimals = max([self.decimals, *map(len, fractions)])

    def _add_moments(self, values: pa.Array, counts: np.ndarray) -> None:
        if pa.types.is_time(values.type):
            self.moment = "time"
            plain, _ = clock(values, self.name)
        elif pa.types.is_temporal(values.type) and not pa.types.is_duration(values.type):
            self.moment = "date" if pa.types.is_date(values.type) else "datetime"
            plain, _ = instants(values, self.name, None)
        else:
            return
        self.points.add(plain, counts)

    def _add_written_moments(self, words: pa.Array, counts: np.ndarray) -> None:
        if self.formats == []:
            return
        if self.points.counts.sum() and self.moment is None:
            self.formats = []  # numbers came before: a mixture is no column of dates
            return
        if self.formats is None:
            self.formats = [*DATE_FORMATS, *TIME_FORMATS, "clock"]
        alive = []
        for form in self.formats:
            if form == "clock":
                plain, valid = clock(words, self.name)
            else:
                plain, valid = instants(words, self.name, form)
            if valid.all():
                alive.append((form, plain))
        self.formats = [form for form, _ in alive]
        if not alive:
            self.moment, self.points = None, Points()
            return
        form, plain = alive[0]
        whole_days = not np.any(plain % MICROSECONDS["day"])
        if form == "clock":
            self.moment = "time"
        else:
            dates = whole_days and self.moment in (None, "date")
            self.moment = "date" if dates and form in DATE_FORMATS else "datetime"
        self.points.add(plain, counts)

    @property
    def format(self) -> str | None:
        """How dates are written, if not as ISO 8601."""
        return self.formats[0] if self.formats and self.formats[0] != "clock" else None

    @property
    def present(self) -> int:
        """How many values are not missing."""
        return self.rows - self.missing.total()
