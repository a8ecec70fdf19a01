"""One column's public facts, and its codes.

    Attribute
    ├── Empty                  categories.py    no values at all
    ├── Categorical                             a list of texts
    │   ├── Ordered, Boolean
    │   └── Text                                no list yet: fitting refuses it
    └── Numeric                numeric.py       bins along a line
        ├── Integer, Continuous
        └── Date, Datetime, TimeOfDay           moments.py

Codes run from 0 to `size - 1`; where the attribute may be missing, the last code says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mezzotint.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_TEXTS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
"""Texts that mean "no value" unless a schema says otherwise; the first is written back."""

MISSING_LABEL = "(missing)"


@dataclass(frozen=True, kw_only=True)
class Attribute(ABC):
    """What is public about one column.

    Attributes:
        name: The column's name.
        missing: Texts that mean "no value", the first being the one that is written; None if the
            column is declared never to be missing (then a missing value counts as code 0).
        from_data: Facts that were taken from private data and are not yet confirmed.
        bought: Facts that a share of the budget bought; they are public, and noisy.
        storage: The Arrow type of decoded columns, if not the type's natural one.
    """

    name: str
    missing: tuple[str, ...] | None = MISSING_TEXTS
    from_data: tuple[str, ...] = ()
    bought: tuple[str, ...] = ()
    storage: str | None = None

    type: ClassVar[str]
    facts: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        if self.missing is not None and not self.missing:
            raise self._wrong("`missing` needs at least one text; write false if none is missing")

    @property
    @abstractmethod
    def lacks(self) -> str | None:
        """The fact without which the attribute has no codes, if it is still to be given."""

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Facts that are private or not known yet, in the order of `facts`."""
        return tuple(f for f in self.facts if f in self.from_data or f == self.lacks)

    @property
    @abstractmethod
    def values(self) -> int:
        """How many codes there are besides the missing one."""

    @property
    def size(self) -> int:
        """How many codes there are, the missing one included."""
        return self.values + (self.missing is not None)

    @property
    def missing_code(self) -> int | None:
        """The code of a missing value, or None if there is none."""
        return None if self.missing is None else self.values

    @property
    def _unreadable_code(self) -> int:
        return 0 if self.missing is None else self.values

    @cached_property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every code."""
        return np.min_scalar_type(self.size - 1)

    def labels(self) -> list[str]:
        """One label per code, for people."""
        return self._labels() + ([] if self.missing is None else [MISSING_LABEL])

    def encode(self, array: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Codes of a column, in `dtype`. Never raises because of a value.

        Guarantee: row-wise, so that neighbouring tables have neighbouring codes.
        Private and public: the values are private; the codes' range is public.
        """
        import pyarrow as pa

        from mezzotint.schema.values import is_text

        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if pa.types.is_dictionary(array.type) and len(array.dictionary) > len(array):
            array = array.dictionary_decode()
        if is_text(array.type):
            array = array.dictionary_encode()
        if not pa.types.is_dictionary(array.type):
            return self._encode_plain(array)
        codes = self._encode_plain(array.dictionary)
        indices = array.indices
        if indices.null_count:
            codes = np.append(codes, self.dtype.type(self._unreadable_code))
            indices = indices.cast("int64").fill_null(len(codes) - 1)
        return codes[indices.to_numpy(zero_copy_only=False)]

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """Values drawn uniformly inside each code's bin, as the column's own Arrow type."""
        return self.restore(self.draw(codes, rng), codes)

    def format(self, array: pa.Array | pa.ChunkedArray) -> pa.Array:
        """A decoded column as the texts that a CSV file shows."""
        import pyarrow as pa

        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        return self._format(array).fill_null(self.missing[0] if self.missing else "")

    @abstractmethod
    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Plain values for codes (for categories: the codes themselves); anything if missing."""

    @abstractmethod
    def restore(self, values: np.ndarray, codes: np.ndarray) -> pa.Array:
        """Drawn values as the column's own Arrow type, null where the code says missing."""

    @abstractmethod
    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and greatest plain value of every code but the missing one."""

    @abstractmethod
    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """Float midpoints of codes; NaN for missing values and for unordered categories."""

    @abstractmethod
    def plain(self, text: str) -> float | int:
        """A value of the schema's text (a constraint's, say) as a plain value."""

    @abstractmethod
    def _labels(self) -> list[str]: ...

    @abstractmethod
    def _encode_plain(self, array: pa.Array) -> np.ndarray: ...

    @abstractmethod
    def _format(self, array: pa.Array) -> pa.Array: ...

    def _null_mask(self, codes: np.ndarray) -> np.ndarray | None:
        return None if self.missing is None else codes == self.values

    def _require_complete(self) -> None:
        if self.lacks:
            raise self._wrong(
                f"its {self.lacks} are not known; give `{self.lacks}:` in the schema, drop the "
                'column, or buy them (`infer="dp"`)'
            )

    def _wrong(self, rule: str) -> SchemaError:
        return SchemaError(f"attribute {self.name!r}: {rule}")
