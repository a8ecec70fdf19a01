"""The fast exact sampler of the discrete Gaussian: inversion of a table of 256-bit thresholds.

The law is P(x) ~ exp(-x^2 / (2 sigma^2)) over all integers, sigma being the exact value of a
double. A draw is a uniform integer U of 256 bits, and the result the number of thresholds
T_j = 2^256 P(X <= j - K), j = 0..2K-1, that do not exceed it, less K. The bits of U are drawn
lazily: 16 decide most draws by a guide table, 64 nearly all others by binary search, and only a
U whose first 64 bits equal those of a threshold (about one draw in 2^50) needs all 256.
Laziness changes the cost and never the result.

Distance from the true law. The tails beyond K hold at most 2^-201 of the mass; thresholds are
computed from integers of 320 bits with an error below 2^-239 in all. So the total variation
distance of one draw is below 2^-200 (`STATISTICAL_DISTANCE`), which the ledger charges to delta.

Large sigma. Above `LARGEST_TABLE` a table would cost more than it saves. There, with m = 2^s,
|X| = m k + u: k from the one-sided table of scale sigma / m, u uniform below m, accepted with
probability exp(-u (u + 2 m k) / (2 sigma^2)) > .9; then a random sign, where -0 is rejected.
The product of the two laws is exactly exp(-(m k + u)^2 / (2 sigma^2)), so this too is exact.

References:
    Canonne, Kamath, Steinke. The Discrete Gaussian for Differential Privacy. NeurIPS 2020.
    Ducas, Durmus, Lepoint, Lyubashevsky. Lattice Signatures and Bimodal Gaussians. CRYPTO 2013
    (the decomposition for large sigma).
    Chen, Asau. On Generating Random Variates from an Empirical Distribution. 1974 (guide tables).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mezzotint.privacy.fixed_point import exp_minus
from mezzotint.privacy.keyed_bits import KeyedBits

STATISTICAL_DISTANCE = 2.0**-200
LARGEST_TABLE = 1024.0
LARGEST_SIGMA = 2.0**40

_WORK_BITS = 320
_THRESHOLD_BITS = 256
_TAIL_BITS = 201
GUIDE_BITS = 16
UNDECIDED = np.iinfo(np.int32).min
CHUNK = 1 << 16


def keyed_discrete_gaussian(key: bytes, sigma: float, size: int) -> NDArray[np.int64]:
    """`size` independent draws; a pure function of its arguments.

    Args:
        key: 32 secret bytes, used for nothing else.
        sigma: The scale, at most `LARGEST_SIGMA`.
        size: How many draws.

    Returns:
        int64 array of shape (size,).
    """
    variance = Fraction(sigma) ** 2
    if sigma <= LARGEST_TABLE:
        return Draws(table_of(variance, two_sided=True), key, "table").take(size)
    return _large(key, sigma, variance, size)


@dataclass(frozen=True)
class Table:
    """Thresholds of one law; `offset` turns a count of thresholds into a value.

    Attributes:
        inverse_variance_half: 1 / (2 sigma^2), exactly.
        first_words: The first 64 bits of every threshold, sorted; shape (thresholds,).
        guide: The value that 16 bits decide, or `UNDECIDED`; shape (65536,).
    """

    inverse_variance_half: Fraction
    two_sided: bool
    offset: int
    first_words: NDArray[np.uint64]
    guide: NDArray[np.int32]

    def thresholds(self) -> list[int]:
        """All thresholds in full; recomputed, because they are asked for once in 2^50 draws."""
        return _thresholds(self.inverse_variance_half, self.two_sided)


@lru_cache(maxsize=16)
def table_of(variance: Fraction, *, two_sided: bool) -> Table:
    """The law of X, or of |X| where zero counts as often as it does in X: see `_large`."""
    exponent = 1 / (2 * variance)
    thresholds = _thresholds(exponent, two_sided)
    first_words = np.array([t >> (_THRESHOLD_BITS - 64) for t in thresholds], np.uint64)
    offset = len(thresholds) // 2 if two_sided else 0
    shift = np.uint64(64 - GUIDE_BITS)
    low = np.arange(1 << GUIDE_BITS, dtype=np.uint64) << shift
    high = low | np.uint64((1 << (64 - GUIDE_BITS)) - 1)
    below = np.searchsorted(first_words, low, side="left")
    decided = below == np.searchsorted(first_words, high, side="right")
    guide = np.where(decided, below - offset, UNDECIDED).astype(np.int32)
    return Table(exponent, two_sided, offset, first_words, guide)


def _thresholds(exponent: Fraction, two_sided: bool) -> list[int]:
    """Cumulative sums of exp(-k^2 exponent), normalised to 256 bits; the last (2^256) left out.

    With q = exp(-exponent), weight k + 1 is weight k times q^(2k+1). In units of 2^-320 the
    factor's error after k steps is at most 4 (k + 1) and the weight's at most 4 (k + 1)^2, so for
    k < 2^17 the sum of all errors stays below 2^53 units = 2^-267; rounding to 256 bits adds
    2^-256 a threshold.
    """
    one = 1 << _WORK_BITS
    factor = exp_minus(exponent, _WORK_BITS)
    square = exp_minus(2 * exponent, _WORK_BITS)
    weight = one
    weights: list[int] = []
    # The weights beyond any k sum to less than weight / (1 - factor): they fall faster than that.
    while not weights or (weight << (_TAIL_BITS + 1)) > one - factor:
        weights.append(weight)
        weight = (weight * factor) >> _WORK_BITS
        factor = (factor * square) >> _WORK_BITS
    if two_sided:
        weights = weights[:0:-1] + weights
    sums = list(accumulate(weights))
    total = sums.pop()
    half = total >> 1
    return [((s << _THRESHOLD_BITS) + half) // total for s in sums]


class Draws:
    """Draws from a table, one chunk after another."""

    def __init__(self, table: Table, key: bytes, label: str) -> None:
        self._table = table
        self._bits = KeyedBits(key, f"gaussian {label} first")
        self._more = KeyedBits(key, f"gaussian {label} more")

    def take(self, size: int) -> NDArray[np.int64]:
        """The next `size` draws."""
        out = np.empty(size, np.int64)
        for start in range(0, size, CHUNK):
            chunk = out[start : start + CHUNK]
            buckets = self._bits.words(len(chunk), "<u2")
            values = self._table.guide[buckets]
            chunk[:] = values
            undecided = np.flatnonzero(values == UNDECIDED)
            if len(undecided):
                chunk[undecided] = self.decide(buckets[undecided])
        return out

    def decide(self, buckets: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        """Draws whose first 16 bits left more than one value possible."""
        table = self._table
        rest = self._more.words(len(buckets)) >> np.uint64(GUIDE_BITS)
        words = (buckets.astype(np.uint64) << np.uint64(64 - GUIDE_BITS)) | rest
        counts = np.searchsorted(table.first_words, words, side="right")
        tied = np.flatnonzero(table.first_words[np.maximum(counts, 1) - 1] == words)
        for i in tied:
            more = self._more.integer(_THRESHOLD_BITS - 64)
            uniform = (int(words[i]) << (_THRESHOLD_BITS - 64)) | more
            counts[i] = bisect_right(table.thresholds(), uniform)
        return counts - table.offset


def _large(key: bytes, sigma: float, variance: Fraction, size: int) -> NDArray[np.int64]:
    shift = max(0, (int(sigma) // 1024).bit_length())
    m = 1 << shift
    magnitudes = Draws(table_of(variance / (m * m), two_sided=False), key, "large")
    bits = KeyedBits(key, "gaussian large accept")
    out = np.empty(size, np.int64)
    filled = 0
    while filled < size:
        # Fixed chunks keep the result a function of the arguments alone.
        k = magnitudes.take(CHUNK if size - filled > CHUNK // 2 else 1024)
        low = bits.words(len(k))
        u = (low & np.uint64(m - 1)).astype(np.int64)
        negative = (low >> np.uint64(63)).astype(bool)
        value = (k << shift) | u
        kept = accept(bits, bits.words(len(u)), u, k, m, variance) & ~(negative & (value == 0))
        signed = np.where(negative, -value, value)[kept][: size - filled]
        out[filled : filled + len(signed)] = signed
        filled += len(signed)
    return out


def accept(  # noqa: PLR0917 - two streams and one formula
    bits: KeyedBits,
    words: NDArray[np.unsignedinteger],
    u: NDArray[np.int64],
    k: NDArray[np.int64],
    m: int,
    variance: Fraction,
) -> NDArray[np.bool_]:
    """Exact coins of probability exp(-u (u + 2 m k) / (2 sigma^2)).

    In doubles the probability and the uniform number are right to 2^-48; a coin closer to the
    edge than 2^-40 is tossed again to its last bit, in integers.
    """
    exponent = u.astype(np.float64) * (u + 2.0 * m * k) / (2.0 * float(variance))
    margin = np.exp(-exponent) - words.astype(np.float64) * 2.0**-64
    accepted = margin > 0
    for i in np.flatnonzero(np.abs(margin) < 2.0**-40):
        x = Fraction(int(u[i]) * (int(u[i]) + 2 * m * int(k[i]))) / (2 * variance)
        uniform = (int(words[i]) << (_THRESHOLD_BITS - 64)) | bits.integer(_THRESHOLD_BITS - 64)
        accepted[i] = uniform < exp_minus(x, _THRESHOLD_BITS)
    return accepted
