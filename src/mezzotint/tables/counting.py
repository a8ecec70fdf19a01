"""One pass over the rows: integer counts of every clique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mezzotint.schema import Schema
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.sources import Source, open_source


class Counts:
    """Exact integer marginals of private rows."""

    def __init__(self, sizes: Mapping[str, int], codes: dict[str, np.ndarray]) -> None:
        self.domain = Domain(sizes)
        self._codes = codes

    def marginal(self, clique: Iterable[str]) -> np.ndarray:
        """Counts over a clique, one axis per attribute, in the clique's (schema) order."""
        clique = self.domain.clique(clique)
        shape = self.domain.shape(clique)
        packed = np.zeros(len(next(iter(self._codes.values()))), dtype=np.int64)
        for attribute, size in zip(clique, shape, strict=True):
            packed *= size
            packed += self._codes[attribute]
        return np.bincount(packed, minlength=self.domain.cells(clique)).reshape(shape)


def count(source: Source, schema: Schema, cliques: Iterable[Clique]) -> Counts:
    """Count every clique in one pass."""
    parts = [schema.encode(batch) for batch in open_source(source).batches(schema.names)]
    codes = {a: np.concatenate([p[a] for p in parts]) for a in schema.names}
    return Counts(schema.sizes, codes)
