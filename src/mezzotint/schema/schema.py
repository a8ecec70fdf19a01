"""The public facts about a table, and the codes that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mezzotint.errors import DataError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.schema.numeric import Integer

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Schema:
    """Everything that is public about a table."""

    attributes: tuple[Integer, ...]
    unit: PrivacyUnit = field(default_factory=PrivacyUnit)

    @classmethod
    def from_sizes(cls, sizes: Mapping[str, int], *, unit: PrivacyUnit | None = None) -> Schema:
        """The schema of a coded table: integer codes 0..size-1, exact, never missing."""
        return cls(
            tuple(Integer(name, (0, size - 1)) for name, size in sizes.items()),
            unit or PrivacyUnit(),
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The attributes' names, in order."""
        return tuple(a.name for a in self.attributes)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Attribute -> number of codes, a missing value being a code of its own (the last)."""
        return {a.name: a.size for a in self.attributes}

    def __getitem__(self, name: str) -> Integer:
        return self.attributes[self.names.index(name)]

    def __iter__(self) -> Iterator[Integer]:
        return iter(self.attributes)

    def require_confirmed(self) -> None:
        """Raise unless every fact has been declared public."""

    def encode(self, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        """Codes of every attribute, in the smallest unsigned type that holds them."""
        columns = {}
        for attribute in self.attributes:
            index = batch.schema.get_field_index(attribute.name)
            if index < 0:
                raise DataError(f"column {attribute.name!r} is missing")
            columns[attribute.name] = attribute.encode(batch.column(index))
        return columns

    def decode(self, codes: Mapping[str, np.ndarray], rng: np.random.Generator) -> pa.Table:
        """A table whose values are drawn inside their codes' bins."""
        import pyarrow as pa

        return pa.table({a.name: a.decode(codes[a.name], rng) for a in self.attributes})

    def zeros(self) -> list[tuple[tuple[str, ...], np.ndarray]]:
        """Cells that no row can occupy: clique and mask, True meaning impossible."""
        return []
