"""The discrete Gaussian of large sigma, fast: one word of 64 random bits a draw.

The law and its exactness are those of `gaussian_table`: with m = 2^s and sigma / m in [512, 1024),
|X| = m k + u, accepted with probability exp(-u (u + 2 m k) / (2 sigma^2)), and a random sign where
-0 is rejected. What differs is how bits are spent: 16 bits look k up in the guide table, s bits are
u, one is the sign, and the first 16 bits of the acceptance coin decide all but a few per cent of
the coins, because the probability is above .93 whatever k and u are. What they leave open is
decided from further streams, to the last of 256 bits where needed. A rejected draw (one in a
thousand) is replaced where it stands by an independent one, so that order says nothing.

Source: Ducas, Durmus, Lepoint, Lyubashevsky, CRYPTO 2013 (the decomposition).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mezzotint.privacy.gaussian_table import (
    CHUNK,
    GUIDE_BITS,
    LARGEST_SIGMA,
    UNDECIDED,
    Draws,
    accept,
    table_of,
)
from mezzotint.privacy.keyed_bits import KeyedBits

SMALLEST_SIGMA = 2.0**11
_SHIFT_TO_BUCKET = np.uint64(64 - GUIDE_BITS)
_SHIFT_TO_COIN = np.uint64(32)
_SHIFT_TO_SIGN = np.uint64(31)
_SIXTEEN = np.uint64(0xFFFF)


def fine_gaussian(key: bytes, sigma: float, size: int) -> NDArray[np.int64]:
    """`size` independent draws from the discrete Gaussian; a pure function of its arguments.

    Args:
        key: 32 secret bytes, used for nothing else.
        sigma: The scale, from `SMALLEST_SIGMA` to 2^40.
        size: How many draws.

    Returns:
        int64 array of shape (size,).
    """
    assert SMALLEST_SIGMA <= sigma <= LARGEST_SIGMA
    return _Fine(key, sigma, "").take(size)


class _Fine:
    """Draws of one law, one chunk after another."""

    def __init__(self, key: bytes, sigma: float, path: str) -> None:
        self._key, self._sigma, self._path = key, sigma, path
        self._variance = Fraction(sigma) ** 2
        self._shift = math.frexp(sigma)[1] - 10
        self._m = 1 << self._shift
        self._table = table_of(self._variance / (self._m * self._m), two_sided=False)
        self._words = KeyedBits(key, f"fine {path}words")
        self._magnitudes: Draws | None = None
        self._coins: KeyedBits | None = None
        self._again: _Fine | None = None
        largest = len(self._table.first_words)
        most = self._m * self._m * (1.0 + 2.0 * largest) / (2.0 * float(self._variance))
        # A coin whose first 16 bits lie below this is a yes, whatever the others are.
        self._sure = np.uint64(math.floor(65536 * math.exp(-most)) - 1)

    def take(self, size: int) -> NDArray[np.int64]:
        """The next `size` draws."""
        out = np.empty(size, np.int64)
        for start in range(0, size, CHUNK):
            self._fill(out[start : start + CHUNK])
        return out

    def _fill(self, out: NDArray[np.int64]) -> None:
        words = self._words.words(len(out))
        buckets = words >> _SHIFT_TO_BUCKET
        np.copyto(out, self._table.guide[buckets])
        undecided = np.flatnonzero(out == UNDECIDED)
        if len(undecided):
            if self._magnitudes is None:
                self._magnitudes = Draws(self._table, self._key, f"fine {self._path}k")
            out[undecided] = self._magnitudes.decide(buckets[undecided])
        open_coins = np.flatnonzero(((words >> _SHIFT_TO_COIN) & _SIXTEEN) >= self._sure)
        low = (words & np.uint64(self._m - 1)).view(np.int64)
        refused = self._toss(words, low, out, open_coins)
        out <<= self._shift
        out |= low
        negative = ((words >> _SHIFT_TO_SIGN) & np.uint64(1)).view(np.int64)
        zeros = np.flatnonzero(out == 0)
        out ^= -negative
        out += negative
        redone = np.union1d(refused, zeros[negative[zeros] == 1])
        if len(redone):
            if self._again is None:
                self._again = _Fine(self._key, self._sigma, f"{self._path}again ")
            out[redone] = self._again.take(len(redone))

    def _toss(
        self,
        words: NDArray[np.unsignedinteger],
        low: NDArray[np.int64],
        k: NDArray[np.int64],
        places: NDArray[np.intp],
    ) -> NDArray[np.intp]:
        """Those of `places` whose coin, to its last bit, says no."""
        if self._coins is None:
            self._coins = KeyedBits(self._key, f"fine {self._path}coins")
        first = (words[places] >> _SHIFT_TO_COIN) & _SIXTEEN
        rest = self._coins.words(len(places)) >> np.uint64(16)
        coins = (first << np.uint64(48)) | rest
        yes = accept(self._coins, coins, low[places], k[places], self._m, self._variance)
        return places[~yes]
