"""What is computed for a request: which encrypted numbers add up to which answer.

Provider and key holder derive a circuit from the job and the request alone. Its wires are
coefficients of the holders' streams (cells, their marks, stocks of noise, their marks), each of
which counts towards one output; a term is what one ciphertext contributes. An output is the sum of
its wires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mezzotint.encrypted.job import Job
from mezzotint.encrypted.marks import BLOCK, MARKS, blocks
from mezzotint.encrypted.pool import Draw
from mezzotint.tables.domain import Clique

Ints = NDArray[np.int64]
CELLS, CELL_MARKS = "cells", "cell-marks"


def noise_stream(level: int) -> str:
    """The name of a stock's stream of entries."""
    return f"noise-{level}"


def noise_marks(level: int) -> str:
    """The name of a stock's stream of marks."""
    return f"noise-{level}-marks"


@dataclass(frozen=True)
class Term:
    """Coefficients of one ciphertext, and the outputs that they count towards.

    Attributes:
        stream: which stream of the holders.
        ciphertext: its number in the stream.
        coefficients: int64[k].
        outputs: int64[k].
    """

    stream: str
    ciphertext: int
    coefficients: Ints
    outputs: Ints


@dataclass(frozen=True)
class Part:
    """One marginal of a request: where its cells and marks are among the outputs.

    Attributes:
        clique: its attributes.
        cells: how many it has.
        start: its first output; whole blocks follow.
        marks: its first mark's output; 0 where there are none.
        draws: the entries of noise that were added.
    """

    clique: Clique
    cells: int
    start: int
    marks: int
    draws: tuple[Draw, ...]

    @property
    def whole(self) -> int:
        """Outputs in whole blocks."""
        return BLOCK * blocks(self.cells)


@dataclass(frozen=True)
class Circuit:
    """All sums of a request.

    Attributes:
        terms: by ciphertext; the provider sends one ciphertext for each, in this order.
        parts: the marginals.
        size: how many outputs there are.
    """

    terms: tuple[Term, ...]
    parts: tuple[Part, ...]
    size: int

    @classmethod
    def of(cls, job: Job, cliques: Sequence[Clique], draws: Sequence[tuple[Draw, ...]]) -> Circuit:
        """The circuit of a request.

        Args:
            job: the job.
            cliques: the marginals.
            draws: for each of them, the entries of noise.
        """
        wires: dict[str, list[tuple[Ints, Ints]]] = {}
        parts, size = [], 0

        def wire(stream: str, positions: Ints, outputs: Ints) -> None:
            wires.setdefault(stream, []).append((positions, outputs))

        for clique, drawn in zip(cliques, draws, strict=True):
            cells = job.domain.cells(clique)
            whole = BLOCK * blocks(cells)
            part = Part(clique, cells, size, size + whole if job.integral else 0, drawn)
            parts.append(part)
            outputs = np.arange(size, size + whole)
            wire(CELLS, job.cells.place(clique).ravel(), outputs[:cells])
            for draw in drawn:
                entries = np.arange(draw.start, draw.start + whole)
                wire(noise_stream(draw.level), entries, outputs)
            size += whole
            if job.integral:
                count = MARKS * blocks(cells)
                marks = np.arange(size, size + count)
                first = MARKS * block_start(job, clique)
                wire(CELL_MARKS, np.arange(first, first + count), marks)
                for draw in drawn:
                    first = MARKS * (draw.start // BLOCK)
                    wire(noise_marks(draw.level), np.arange(first, first + count), marks)
                size += count
        return cls(tuple(_terms(wires, job.cells.preset.width)), tuple(parts), size)

    @cached_property
    def shape(self) -> list[tuple[str, int, int]]:
        """What the terms are, in short: stream, ciphertext, number of coefficients."""
        return [(t.stream, t.ciphertext, len(t.coefficients)) for t in self.terms]


def block_start(job: Job, clique: Clique) -> int:
    """The number of a marginal's first block among all blocks of cells."""
    return block_starts(job.cells.domain, job.cells.cliques)[clique]


def block_starts(domain: object, cliques: Sequence[Clique]) -> dict[Clique, int]:
    """The number of every marginal's first block, marginal by marginal."""
    sizes = [blocks(domain.cells(clique)) for clique in cliques]  # type: ignore[attr-defined]
    starts = np.cumsum([0, *sizes]).tolist()
    return dict(zip(cliques, starts, strict=False))


def _terms(wires: dict[str, list[tuple[Ints, Ints]]], width: int) -> list[Term]:
    terms = []
    for stream in sorted(wires):
        positions = np.concatenate([p for p, _ in wires[stream]])
        outputs = np.concatenate([o for _, o in wires[stream]])
        numbers = positions // width
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            terms.append(Term(stream, number, positions[mine] % width, outputs[mine]))
    return terms
