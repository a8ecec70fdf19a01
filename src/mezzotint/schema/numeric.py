"""Numbers on a line, cut into bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Integer:
    """Whole numbers between public bounds, each with a code of its own."""

    name: str
    bounds: tuple[int, int]
    type = "integer"

    @property
    def size(self) -> int:
        """The number of codes."""
        return self.bounds[1] - self.bounds[0] + 1

    def labels(self) -> list[str]:
        """One label per code, for reports."""
        return [str(v) for v in range(self.bounds[0], self.bounds[1] + 1)]

    def encode(self, array: pa.Array) -> np.ndarray:
        """Codes; values beyond the bounds are clamped."""
        import pyarrow as pa

        if pa.types.is_dictionary(array.type):
            lookup = self.encode(array.dictionary)
            return lookup[array.indices.to_numpy(zero_copy_only=False)]
        values = array.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return (np.clip(values, *self.bounds) - self.bounds[0]).astype(
            np.min_scalar_type(self.size - 1)
        )

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """Values."""
        import pyarrow as pa

        return pa.array(codes.astype(np.int64) + self.bounds[0])

    def numeric(self, codes: np.ndarray) -> np.ndarray:
        """Midpoints."""
        return codes.astype(float) + self.bounds[0]
