"""All 1- and 2-way marginals of encrypted records, in numbered units that can be resumed.

A unit makes one ciphertext of cells, from nothing but uploads and public keys, and its result is
bytes: a provider that is killed goes on after its last finished unit. Units are independent, so
several processes may share them (the library's bindings hold the interpreter's lock: threads do
not help). `record_layout` explains the packing of columns into polynomials.

For each pair of column groups, products over all chunks of rows are added up before they are
brought back to two polynomials, once. Then two accumulators a, b are merged at a time,

    a + X^s b + sigma(a - X^s b),

with sigma an automorphism that changes the sign of odd multiples of s: what a and b held between
multiples of 2 s cancels, what they held there doubles, and after log2 m levels nothing is left
but cells (Chen, Dai, Kim and Song, ACNS 2021). No level of the modulus is spent on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mezzotint.encrypted.costs import Cost
from mezzotint.encrypted.library import saved, seal
from mezzotint.encrypted.record_layout import RecordFile, RecordsLayout
from mezzotint.encrypted.scheme import Ciphertext, Public


class Uploads(Protocol):
    """The ciphertexts that the holders sent."""

    def __call__(self, file: RecordFile) -> Ciphertext:
        """The checked ciphertext of a file: `Scheme.load` with the layout's scale."""
        ...


@dataclass(frozen=True)
class Unit:
    """A share of the work, and what it takes. All of it is public.

    Attributes:
        number: also the number of the ciphertext of cells that it makes.
        first: its first accumulator.
        stop: one after its last.
        cost: operations.
        memory: bytes of uploads that it touches.
        result_bytes: a bound on its result.
    """

    number: int
    first: int
    stop: int
    cost: Cost
    memory: int
    result_bytes: int


def units(layout: RecordsLayout) -> tuple[Unit, ...]:
    """All units of a job, in order."""
    return tuple(_unit(layout, number) for number in range(layout.ciphertexts))


def run_unit(
    public: Public,
    layout: RecordsLayout,
    unit: Unit,
    uploads: Uploads,
    progress: Callable[[int], None] | None = None,
) -> bytes:
    """The ciphertext of cells number ``unit.number``, as bytes.

    Args:
        public: the job's scheme with its evaluation keys.
        layout: the job's layout.
        unit: one of `units`.
        uploads: gives any file's ciphertext. It is asked for left files again and again, so it
            should keep them (`unit.memory` bytes).
        progress: told the number of accumulators that are done in this unit.

    Raises:
        DataError: An upload cannot be read.
    """
    work = _Work(public, layout, uploads)
    packer = _Packer(public, layout)
    for done, accumulator in enumerate(work.accumulators(unit.first, unit.stop), start=1):
        packer.push(accumulator)
        if progress is not None:
            progress(done)
    return saved(packer.finish())


class _Work:
    """Sums of products over all chunks."""

    def __init__(self, public: Public, layout: RecordsLayout, uploads: Uploads) -> None:
        self.public, self.layout, self.uploads = public, layout, uploads
        self.scheme, self.evaluator = public.scheme, public.scheme.evaluator
        self.chunks = range(layout.chunk_count)

    def accumulators(self, first: int, stop: int) -> Iterator[Ciphertext]:
        """Accumulators first .. stop - 1, at the level and scale of cells."""
        starts = self.layout.starts
        for left in range(first, min(stop, int(starts[0]))):
            yield self._lowered(self._one_way(left))
        begin = max(first, int(starts[0]))
        group = int(np.searchsorted(starts, begin, side="right")) - 1
        while begin < stop:
            end = min(stop, int(starts[group + 1]))
            if begin < end:
                rights = [self._right(chunk, group) for chunk in self.chunks]
                for left in range(begin - int(starts[group]), end - int(starts[group])):
                    product = self._product(left, rights)
                    self.evaluator.relinearize_inplace(product, self.public.relin)
                    yield self._lowered(product)
            begin, group = end, group + 1

    def _product(self, left: int, rights: list[Ciphertext]) -> Ciphertext:
        total, term = seal().Ciphertext(), seal().Ciphertext()
        for chunk, right in zip(self.chunks, rights, strict=True):
            factor = self.uploads(RecordFile("left", chunk, left))
            if chunk == 0:
                self.evaluator.multiply(factor, right, total)
            else:
                self.evaluator.multiply(factor, right, term)
                self.evaluator.add_inplace(total, term)
        return total

    def _one_way(self, left: int) -> Ciphertext:
        """Rows of each column of a group: a product with the public sum of X^-r, r < m."""
        if not hasattr(self, "_ones"):
            ones = np.zeros(self.layout.preset.degree)
            ones[0] = 1.0
            ones[self.layout.preset.degree - self.layout.fold + 1 :] = -1.0
            self._ones = self.scheme.plain(ones, self.layout.scale, self.scheme.top_level)
        total = seal().Ciphertext()
        files = [self.uploads(RecordFile("left", chunk, left)) for chunk in self.chunks]
        self.evaluator.add_many(files, total)
        self.evaluator.multiply_plain_inplace(total, self._ones)
        return total

    def _right(self, chunk: int, group: int) -> Ciphertext:
        if not self.layout.mirrored:
            return self.uploads(RecordFile("right", chunk, group))
        mirrored = seal().Ciphertext()
        left = self.uploads(RecordFile("left", chunk, group))
        element = 2 * self.layout.preset.degree - 1
        self.evaluator.apply_galois(left, element, self.public.galois, mirrored)
        return mirrored

    def _lowered(self, product: Ciphertext) -> Ciphertext:
        """One prime less; the scale is set to the one that cells have once they are packed."""
        self.evaluator.rescale_to_next_inplace(product)
        product.scale = self.layout.preset.cell_scale
        return product


class _Packer:
    """Merges accumulators pairwise as they come, keeping one for each level."""

    def __init__(self, public: Public, layout: RecordsLayout) -> None:
        self.public, self.preset = public, layout.preset
        self.scheme, self.evaluator = public.scheme, public.scheme.evaluator
        self.levels = layout.fold.bit_length() - 1
        self.waiting: list[Ciphertext | None] = [None] * (self.levels + 1)
        self.shifts = [self._shift(layout.fold >> (level + 1)) for level in range(self.levels)]

    def push(self, accumulator: Ciphertext) -> None:
        """Take the next accumulator in."""
        level, merged = 0, accumulator
        while level < self.levels and self.waiting[level] is not None:
            merged = self._merge(self.waiting[level], merged, level)
            self.waiting[level] = None
            level += 1
        self.waiting[level] = merged

    def finish(self) -> Ciphertext:
        """All accumulators side by side; missing ones count as zeros."""
        merged: Ciphertext | None = None
        for level in range(self.levels):
            earlier = self.waiting[level]
            if earlier is not None:
                merged = self._merge(earlier, merged, level)
            elif merged is not None:
                merged = self._merge(merged, None, level)
        return merged if self.waiting[self.levels] is None else self.waiting[self.levels]

    def _merge(self, even: Ciphertext, odd: Ciphertext | None, level: int) -> Ciphertext:
        total, difference = even, even
        if odd is not None:
            bindings = seal()
            shifted, total, difference = (bindings.Ciphertext() for _ in range(3))
            self.evaluator.multiply_plain(odd, self.shifts[level], shifted)
            shifted.scale = self.preset.cell_scale
            self.evaluator.add(even, shifted, total)
            self.evaluator.sub(even, shifted, difference)
        turned = seal().Ciphertext()
        # Elements N / 2^i + 1, i = 0, 1, ...: the sign of odd multiples of 2^i changes.
        shift = self.waiting_shift(level)
        element = self.preset.degree // shift + 1
        self.evaluator.apply_galois(difference, element, self.public.galois, turned)
        merged = seal().Ciphertext()
        self.evaluator.add(total, turned, merged)
        return merged

    def waiting_shift(self, level: int) -> int:
        """How far apart two neighbours lie after this level."""
        return 1 << (self.levels - 1 - level)

    def _shift(self, power: int) -> Any:
        monomial = np.zeros(self.preset.degree)
        monomial[power] = 1.0
        return self.scheme.plain(monomial, 1.0, self.scheme.cells_level)


def _unit(layout: RecordsLayout, number: int) -> Unit:
    first = number * layout.fold
    stop = min(first + layout.fold, layout.accumulators)
    one_way = max(0, min(stop, int(layout.starts[0])) - first)
    pairs, chunks = stop - first - one_way, layout.chunk_count
    groups = np.searchsorted(layout.starts, [first, stop - 1], side="right")
    rights = int(groups[1] - max(int(groups[0]), 1)) + 1 if pairs else 0
    partners = np.diff(layout.starts)
    lefts = int(partners[: int(groups[1])].max(initial=0))
    lefts = max(lefts, int(layout.starts[0]) if one_way else 0)
    cost = Cost(
        products=pairs * chunks,
        plain_products=one_way,
        relinearisations=pairs,
        merges=stop - first + layout.fold.bit_length(),
        mirrors=rights * chunks if layout.mirrored else 0,
    )
    touched = (lefts + rights) * chunks
    memory = touched * layout.preset.record_bytes
    return Unit(number, first, stop, cost, memory, layout.preset.cells_bytes)
