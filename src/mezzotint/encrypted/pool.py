"""The data holders' noise under encryption: stocks of several scales, each entry used once.

A measurement of scale sigma takes, for every cell, one entry each from up to four stocks. Their
variances add up to at most half of sigma^2, as near to half as the stocks allow; the key holder
draws the rest. So whoever gets the answer sees the whole variance, a key holder who knows its own
share sees at least what the entries give, and a provider that leaves them out sees at least half.

Both provider and key holder keep the book, from the same requests in the same order, so neither can
be told that an entry is fresh when it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations_with_replacement
from math import nextafter, sqrt
from typing import Any

from mezzotint.encrypted.marks import BLOCK, blocks
from mezzotint.errors import BudgetError

MOST_SUMMANDS = 4
NEAR = Fraction(95, 100)
"""Entries whose variances add up to this share of what is wanted are not topped up."""


@dataclass(frozen=True)
class Level:
    """A stock of noise of one scale. Public.

    Attributes:
        sigma: the scale of an entry, all holders' shares together.
        entries: how many there are; whole blocks.
    """

    sigma: float
    entries: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"sigma": self.sigma, "entries": self.entries}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Level:
        """The inverse of `to_json`."""
        return cls(float(data["sigma"]), int(data["entries"]))


@dataclass(frozen=True)
class Draw:
    """Entries that one measurement takes from one stock.

    Attributes:
        level: the stock's number.
        start: the first entry.
        entries: how many; whole blocks.
    """

    level: int
    start: int
    entries: int


class Book:
    """Which entries are used."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = tuple(levels)
        self._next = [0] * len(levels)
        self._sums = _sums(self.levels)

    def copy(self) -> Book:
        """The same book, to be written on apart."""
        other = Book(self.levels)
        other._next = self._next.copy()
        return other

    def left(self, level: int) -> int:
        """Entries of a stock that are not used yet."""
        return self.levels[level].entries - self._next[level]

    def choose(self, sigma: float, cells: int) -> tuple[int, ...]:
        """The stocks whose entries shall be added to each of so many cells; public facts only.

        Raises:
            BudgetError: if no stock has enough entries of a scale that is small enough.
        """
        whole = BLOCK * blocks(cells)
        half = Fraction(sigma) ** 2 / 2
        best: tuple[int, ...] | None = None
        for variance, taken in self._sums:
            if best is not None and variance < NEAR * half:
                break
            # Near enough is as good as nearest: what is left over serves small scales.
            fewer = best is None or len(taken) < len(best)
            enough = all(self.left(n) >= whole * taken.count(n) for n in taken)
            if fewer and enough and variance <= half:
                best = taken
        if best is not None:
            return best
        raise BudgetError(
            f"the pool of encrypted noise is exhausted: no stock has {whole} entries left for "
            f"noise of scale {sigma:.4g}. Make the job with a larger pool (pool_cells)"
        )

    def take(self, sigma: float, cells: int) -> tuple[Draw, ...]:
        """Use up the entries that `choose` names."""
        whole = BLOCK * blocks(cells)
        draws = []
        for level in self.choose(sigma, cells):
            draws.append(Draw(level, self._next[level], whole))
            self._next[level] += whole
        return tuple(draws)

    def scales(self, draws: Sequence[Draw]) -> tuple[float, ...]:
        """The scales of the entries that were drawn."""
        return tuple(self.levels[draw.level].sigma for draw in draws)


@lru_cache(maxsize=16)
def _sums(levels: tuple[Level, ...]) -> tuple[tuple[Fraction, tuple[int, ...]], ...]:
    """Every sum of a few entries: its variance and the stocks, the largest first."""
    sums = [
        (sum((Fraction(levels[n].sigma) ** 2 for n in taken), Fraction(0)), taken)
        for size in range(1, MOST_SUMMANDS + 1)
        for taken in combinations_with_replacement(range(len(levels)), size)
    ]
    # Of equal variances the one of fewest entries.
    return tuple(sorted(sums, key=lambda entry: (-entry[0], len(entry[1]), entry[1])))


def own_scale(sigma: float, others: Sequence[float]) -> float:
    """The key holder's share, so that all variances add up to at least sigma^2."""
    return nextafter(sqrt(sigma * sigma - sum(scale * scale for scale in others)), float("inf"))
