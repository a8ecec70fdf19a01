"""Arrow batches to integer marginals: the one counting kernel.

Rows become codes, the codes of a clique one number in mixed radix, and numbers are counted. A
table whose codes are small is kept coded, and marginals are counted when they are asked for; a
larger one is counted as it streams past, into few joint tables that hold all the cliques. Either
way the rows are read once, and memory does not grow with them, unless the joint tables would take
more than ``MEMORY_BYTES``: then the codes are kept, a byte or two for each value.

Counts of disjoint sets of rows add up. An engine that scans on many machines runs a `Tally` on
each and merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.schema import Schema
from mezzotint.schema.contribution import ContributionBound
from mezzotint.sources import Source
from mezzotint.tables.covering import cover
from mezzotint.tables.domain import Clique, Domain

KEEP_BYTES = 64 << 20
"""Tables whose codes take no more than this are kept coded."""

MEMORY_BYTES = 1 << 30
"""A marginal that would take more than this is refused."""

_BLOCK_CELLS = 1 << 16
_CHUNK = 1 << 17
_CACHE_CELLS = 1 << 22

Codes = dict[str, np.ndarray]


def count(
    source: Source,
    schema: Schema,
    cliques: Iterable[Iterable[str]],
    *,
    keep_bytes: int = KEEP_BYTES,
    memory_bytes: int = MEMORY_BYTES,
    progress: Callable[[int], None] | None = None,
) -> Counts:
    """Count every clique in one pass over the rows.

    Guarantee: none yet; these are the exact counts that noise is added to.
    Sensitivity: `schema.unit.l1` and `schema.unit.l2_squared` per marginal, if no unit contributes
        more than `schema.unit.rows` rows. With `schema.unit_column` that is enforced here; without
        it, it is the schema's declaration.
    Private and public: rows and counts are private; the cliques and the marginals' shapes, which
        follow from the schema alone, are public.

    Args:
        source: The table.
        schema: What is public about it.
        cliques: The marginals that may be asked for; their subsets are included.
        keep_bytes: Up to how many bytes of codes are kept.
        memory_bytes: The most memory that one marginal, or all joint tables, may take.
        progress: Called with the number of rows of each batch.
    """
    schema.require_columns(source.columns, source.name)
    domain = Domain(schema.sizes)
    wanted = [domain.clique(c) for c in cliques]
    # What is refused follows from public sizes alone, never from the number of rows.
    for clique in wanted:
        _check_memory(domain.cells(clique), f"the marginal of {clique}", memory_bytes)
    streamable = True
    kept: list[Codes] = []
    held = 0
    tally: Tally | None = None
    for codes in coded(source, schema):
        rows = len(codes[schema.names[0]])
        if tally is None:
            kept.append(codes)
            held += sum(c.nbytes for c in codes.values())
            if held > keep_bytes and streamable:
                blocks = Tally.blocks(domain, wanted)
                streamable = 8 * sum(map(domain.cells, blocks)) <= memory_bytes
                if streamable:
                    tally = Tally(domain, wanted, memory_bytes=memory_bytes)
                    for part in kept:
                        tally.add(part)
                    kept.clear()
        else:
            tally.add(codes)
        if progress is not None:
            progress(rows)
    if tally is not None:
        return Counts(domain, wanted, tally.joint)
    columns: Codes = {}
    for attribute in schema:
        parts = [codes.pop(attribute.name) for codes in kept]
        columns[attribute.name] = np.concatenate([np.empty(0, attribute.dtype), *parts])

    def joint(clique: Clique) -> np.ndarray:
        return joint_counts([columns[a] for a in clique], domain.shape(clique), held_rows(columns))

    return Counts(domain, wanted, joint)


def held_rows(columns: Codes) -> int:
    """How many rows there are."""
    return len(next(iter(columns.values())))


def coded(source: Source, schema: Schema) -> Iterator[Codes]:
    """The rows as codes, batch by batch, each unit's contribution bounded."""
    bound = ContributionBound(schema) if schema.unit_column else None
    for batch in source.batches(schema.columns):
        yield schema.encode(bound(batch) if bound else batch)


def joint_counts(columns: Sequence[np.ndarray], shape: Sequence[int], rows: int) -> np.ndarray:
    """Counts of every combination of codes, one axis per column.

    Args:
        columns: Codes, each shape [rows], of any unsigned type.
        shape: How many codes each column has.
        rows: How many rows there are.
    """
    cells = prod(shape)
    total = np.zeros(cells, dtype=np.int64)
    # Packing in two bytes instead of eight halves the memory traffic.
    packed = np.zeros(
        min(rows, max(_CHUNK, cells)),
        np.int64 if cells > 1 << 32 else np.min_scalar_type(max(cells - 1, 0)),
    )
    for start in range(0, rows, max(len(packed), 1)):
        part = packed[: rows - start]
        for i, (codes, size) in enumerate(zip(columns, shape, strict=True)):
            chunk = codes[start : start + len(part)]
            if i == 0:
                np.copyto(part, chunk)
            else:
                np.multiply(part, part.dtype.type(size), out=part)
                np.add(part, chunk, out=part, casting="unsafe")
        total += np.bincount(part, minlength=cells)
    return total.reshape(tuple(shape))


class Tally:
    """Joint counts that grow with every batch; those of two tallies add up."""

    def __init__(
        self, domain: Domain, cliques: Sequence[Clique], *, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.domain = domain
        self._blocks = self.blocks(domain, cliques)
        cells = sum(domain.cells(block) for block in self._blocks)
        _check_memory(cells, f"counting {len(cliques):,} marginals", memory_bytes)
        self._counts = {block: np.zeros(domain.shape(block), np.int64) for block in self._blocks}
        self._waiting: list[Codes] = []
        self._rows = 0

    @staticmethod
    def blocks(domain: Domain, cliques: Sequence[Clique]) -> list[Clique]:
        """The joint tables in which all the cliques are counted."""
        return cover(domain, [*cliques, ()], _BLOCK_CELLS)

    def add(self, codes: Codes) -> None:
        """Count a batch of coded rows."""
        self._waiting.append(codes)
        self._rows += held_rows(codes)
        if self._rows >= _CHUNK:
            self._flush()

    def merge(self, other: Tally) -> None:
        """Add another tally's counts of the same cliques."""
        other._flush()
        for block, counts in other._counts.items():
            self._counts[block] += counts

    def joint(self, clique: Clique) -> np.ndarray:
        """The counts of a clique, from the smallest joint table that holds it."""
        self._flush()
        blocks = (b for b in self._blocks if set(clique) <= set(b))
        block = min(blocks, key=self.domain.cells)
        axes = tuple(i for i, a in enumerate(block) if a not in clique)
        return self._counts[block].sum(axis=axes)

    def _flush(self) -> None:
        if not self._rows:
            return
        parts, self._waiting, rows, self._rows = self._waiting, [], self._rows, 0
        columns = {a: np.concatenate([p[a] for p in parts]) for a in self.domain}
        for block, total in self._counts.items():
            np.add(total, joint_counts([columns[a] for a in block], total.shape, rows), out=total)


class Counts:
    """Exact marginals of private rows; whoever holds one is the curator.

    Attributes:
        domain: The public shape.
    """

    def __init__(
        self, domain: Domain, cliques: Sequence[Clique], joint: Callable[[Clique], np.ndarray]
    ) -> None:
        self.domain = domain
        self._cliques = {frozenset(c) for c in cliques}
        self._joint = joint
        self._cache: dict[Clique, np.ndarray] = {}
        self._cached_cells = 0

    def marginal(self, clique: Iterable[str]) -> np.ndarray:
        """Counts over a clique that was counted, or a subset of one.

        Returns:
            Read-only int64, one axis per attribute in the domain's order.
        """
        clique = self.domain.clique(clique)
        if clique in self._cache:
            return self._cache[clique]
        asked = frozenset(clique)
        if clique and asked not in self._cliques and not any(c >= asked for c in self._cliques):
            raise ParameterError(
                f"the marginal of {clique} was not counted; name it, or a clique that contains it, "
                "when counting"
            )
        counts = np.asarray(self._joint(clique))
        counts.flags.writeable = False
        if self._cached_cells + counts.size <= _CACHE_CELLS:
            self._cache[clique] = counts
            self._cached_cells += counts.size
        return counts


def _check_memory(cells: int, what: str, limit: int) -> None:
    if 8 * cells > limit:
        raise ParameterError(
            f"{what} takes {8 * cells / 2**20:,.0f} MiB, more than the limit of "
            f"{limit / 2**20:,.0f} MiB; give the attributes fewer bins, or ask for marginals of "
            "fewer attributes"
        )
