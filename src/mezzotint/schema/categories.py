"""Categories: a public list of texts, in order or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mezzotint.schema.attribute import Attribute

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CATEGORIES = 65_535


@dataclass(frozen=True, kw_only=True)
class Categorical(Attribute):
    """A column that takes one of a public list of values.

    Attributes:
        categories: The values as texts; surrounding spaces do not count. None yet, if empty.
        other: The category that stands for every value not listed; None if such values count as
            missing. It is one of `categories`.
    """

    categories: tuple[str, ...] = ()
    other: str | None = None

    type: ClassVar[str] = "categorical"
    facts: ClassVar[tuple[str, ...]] = ("type", "categories", "missing")

    def __post_init__(self) -> None:
        super().__post_init__()
        trimmed = [category.strip() for category in self.categories]
        if len(trimmed) > MAX_CATEGORIES:
            raise self._wrong(
                f"has {len(trimmed):,} categories, more than {MAX_CATEGORIES:,}; group them, with "
                "`other` for the rest"
            )
        if len(set(trimmed)) < len(trimmed):
            twice = next(c for c in trimmed if trimmed.count(c) > 1)
            raise self._wrong(f"lists the category {twice!r} twice; remove one")
        if self.other is not None and self.other not in self.categories:
            raise self._wrong(f"`other` names {self.other!r}, which is not among its categories")

    @property
    def lacks(self) -> str | None:
        """The fact without which the attribute has no codes, if it is still to be given."""
        return None if self.categories else "categories"

    @property
    def values(self) -> int:
        """How many categories there are."""
        self._require_complete()
        return len(self.categories)

    @cached_property
    def _lookup(self) -> tuple[pa.Array, np.ndarray]:
        import pyarrow as pa

        codes = {text.strip(): self._unreadable_code for text in self.missing or ()}
        codes |= {category.strip(): code for code, category in enumerate(self.categories)}
        return pa.array(list(codes), pa.string()), np.array(list(codes.values()), self.dtype)

    def _encode_plain(self, array: pa.Array) -> np.ndarray:
        from mezzotint.schema.values import pc, texts

        known, codes = self._lookup
        words = texts(array, self.name)
        found = pc.index_in(words, value_set=known).fill_null(len(codes))
        unknown = self._unreadable_code if self.other is None else self._other_code
        result = np.append(codes, self.dtype.type(unknown))[found.to_numpy(zero_copy_only=False)]
        if self.other is not None and words.null_count:
            result[np.asarray(words.is_null())] = self._unreadable_code
        return result

    @property
    def _other_code(self) -> int:
        return self.categories.index(self.other) if self.other is not None else 0

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Categories are their own codes."""
        return codes

    def restore(self, values: np.ndarray, codes: np.ndarray) -> pa.Array:
        """Categories as strings, or as the column's own Arrow type."""
        import pyarrow as pa

        mask = self._null_mask(codes)
        indices = pa.array(values.astype(np.int32), mask=mask)
        array = pa.DictionaryArray.from_arrays(indices, pa.array(self.categories, pa.string()))
        return stored(array, self.storage or self._natural)

    @property
    def _natural(self) -> str:
        return "string"

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """A category is a point at its own place in the list."""
        return np.arange(self.values), np.arange(self.values)

    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """Unordered categories are no numbers: NaN."""
        return np.full(len(codes), np.nan)

    def plain(self, text: str) -> int:
        """The code of a category."""
        from mezzotint.schema.suggest import did_you_mean

        if text not in self.categories:
            raise self._wrong(
                f"{text!r} is not among its categories{did_you_mean(text, self.categories)}"
            )
        return self.categories.index(text)

    def _labels(self) -> list[str]:
        return list(self.categories)

    def _format(self, array: pa.Array) -> pa.Array:
        return stored(array, "string")


@dataclass(frozen=True, kw_only=True)
class Ordered(Categorical):
    """Categories listed from lowest to highest."""

    type: ClassVar[str] = "ordered"

    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """A category's rank, from 0."""
        return np.where(codes < self.values, codes.astype(float), np.nan)


@dataclass(frozen=True, kw_only=True)
class Boolean(Categorical):
    """Two values, false first; `categories` says how they are written."""

    categories: tuple[str, ...] = ("False", "True")

    type: ClassVar[str] = "boolean"
    facts: ClassVar[tuple[str, ...]] = ("type", "missing")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.categories) != 2:
            raise self._wrong("a boolean has two values; give `false:` and `true:`")

    @property
    def _natural(self) -> str:
        return "bool"

    def _encode_plain(self, array: pa.Array) -> np.ndarray:
        import pyarrow as pa

        if pa.types.is_boolean(array.type):
            codes = np.append(np.arange(2), self._unreadable_code).astype(self.dtype)
            return codes[array.cast(pa.uint8()).fill_null(2).to_numpy(zero_copy_only=False)]
        return super()._encode_plain(array)

    def restore(self, values: np.ndarray, codes: np.ndarray) -> pa.Array:
        """Booleans, or the two texts if that is how the column is stored."""
        import pyarrow as pa

        if (self.storage or self._natural) != "bool":
            return super().restore(values, codes)
        return pa.array(values == 1, mask=self._null_mask(codes))

    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """False is 0, true is 1."""
        return np.where(codes < self.values, codes.astype(float), np.nan)

    def _format(self, array: pa.Array) -> pa.Array:
        import pyarrow as pa

        from mezzotint.schema.values import pc

        if not pa.types.is_boolean(array.type):
            return super()._format(array)
        false, true = self.categories
        return pc.if_else(array, true, false)


@dataclass(frozen=True, kw_only=True)
class Text(Categorical):
    """Free text or identifiers: too many values to be categories. Fitting refuses it."""

    type: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories:
            raise self._wrong("a text has no categories; give it the type categorical")


@dataclass(frozen=True, kw_only=True)
class Empty(Attribute):
    """A column without values: its one code says missing."""

    type: ClassVar[str] = "empty"
    facts: ClassVar[tuple[str, ...]] = ("type",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.missing is None:
            raise self._wrong("an empty column is always missing; remove `missing: false`")

    @property
    def lacks(self) -> None:
        """Nothing is lacking."""
        return

    @property
    def values(self) -> int:
        """None."""
        return 0

    def _encode_plain(self, array: pa.Array) -> np.ndarray:
        return np.zeros(len(array), self.dtype)

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Missing values have no value."""
        return codes

    def restore(self, values: np.ndarray, codes: np.ndarray) -> pa.Array:
        """Nulls."""
        import pyarrow as pa

        return pa.nulls(len(codes), arrow_type(self.storage or "string"))

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """No codes but the missing one."""
        return np.empty(0), np.empty(0)

    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """No number."""
        return np.full(len(codes), np.nan)

    def plain(self, text: str) -> int:
        """There is no value."""
        raise self._wrong(f"an empty column has no value such as {text!r}")

    def _labels(self) -> list[str]:
        return []

    def _format(self, array: pa.Array) -> pa.Array:
        return array.cast("string")


def in_natural_order(word: str) -> list[tuple[int, float, str]]:
    """A sorting key that puts 9 before 10."""
    parts = re.split(r"(\d+)", word.casefold())
    return [(0, float(p), "") if p.isdecimal() else (1, 0.0, p) for p in parts if p]


def stored(array: pa.Array, storage: str) -> pa.Array:
    """A column as the Arrow type that a schema names ("string", "dictionary", "int64", ...)."""
    import pyarrow as pa

    if storage == "dictionary":
        return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = arrow_type(storage)
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    return array.cast(kind, safe=False)


def arrow_type(storage: str) -> pa.DataType:
    """The Arrow type of that name, time zones and precisions included."""
    import pyarrow as pa

    if storage.startswith("decimal128("):
        precision, scale = storage[len("decimal128(") : -1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if storage.startswith("timestamp["):
        unit, _, zone = storage[len("timestamp[") : -1].partition(", tz=")
        return pa.timestamp(unit, zone or None)
    return pa.type_for_alias(storage)
