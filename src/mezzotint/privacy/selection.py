"""Exact keyed selection: the exponential mechanism and randomised response.

Both invert a cumulative sum of weights at a uniform integer U of 256 bits. Doubles decide when U
lies farther from every edge than their proven error; otherwise (about one call in 10^7) the edges
are recomputed as integers of 256 bits. Laziness changes the cost and never the result.

The law differs from the true one by less than 2^-200 in total variation for up to 2^40
candidates: weights below exp(-230) < 2^-331 of the largest are taken as zero, and the integer
edges are off by 2^-256 a candidate.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mezzotint.privacy.fixed_point import exp_minus
from mezzotint.privacy.keyed_bits import KeyedBits

_EDGE_BITS = 256
_WORK_BITS = 384
_NEGLIGIBLE = 230.0


def keyed_exponential(key: bytes, rate: Fraction, scores: NDArray[np.int64]) -> int:
    """An index i with probability proportional to exp(rate * scores[i]).

    Args:
        key: 32 secret bytes, used for nothing else.
        rate: epsilon / (2 sensitivity), exactly.
        scores: int64 array of shape (candidates,).
    """
    bits = KeyedBits(key, "exponential")
    # Modulo 2^64 the difference of two int64 is exact, however far apart they are.
    gaps = scores.max().astype(np.uint64) - scores.astype(np.uint64)
    exponents = gaps * float(rate)
    weights = np.exp(-exponents)
    weights[exponents > _NEGLIGIBLE] = 0.0
    edges = np.cumsum(weights)
    edges /= edges[-1]
    word = bits.integer(64)
    uniform = word * 2.0**-64
    index = int(np.searchsorted(edges[:-1], uniform, side="right"))
    # Relative errors: exponent 4 * 230 * 2^-53, exponential 2^-51, sum n 2^-53, division 2^-53.
    margin = (len(gaps) + 2**13) * 2.0**-52
    if np.abs(edges[:-1] - uniform).min(initial=1.0) > margin:
        return index
    full = (word << (_EDGE_BITS - 64)) | bits.integer(_EDGE_BITS - 64)
    return bisect_right(_exact_edges(rate, gaps, exponents), full)


def _exact_edges(
    rate: Fraction, gaps: NDArray[np.uint64], exponents: NDArray[np.float64]
) -> list[int]:
    """Inner edges of the candidates' intervals, as integers of 256 bits."""
    sums = list(
        accumulate(
            exp_minus(rate * int(gap), _WORK_BITS) if exponent <= _NEGLIGIBLE else 0
            for gap, exponent in zip(gaps, exponents, strict=True)
        )
    )
    total = sums.pop()
    return [(s << _EDGE_BITS) // total for s in sums]


def keyed_randomised_response(
    key: bytes, epsilon: Fraction, categories: int, values: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Keeps each value with probability e^eps / (e^eps + k - 1), else draws another uniformly.

    Args:
        key: 32 secret bytes, used for nothing else.
        epsilon: The pure DP parameter of one value, exactly.
        categories: k, the number of possible values, 2 to 2^32.
        values: int64 array of shape (n,), each below k.
    """
    coins = KeyedBits(key, "randomised response coins")
    lies = KeyedBits(key, "randomised response lies")
    # P(lie) = (k - 1) e^-eps / (1 + (k - 1) e^-eps)
    odds = (categories - 1) * exp_minus(epsilon, _WORK_BITS)
    threshold = (odds << _EDGE_BITS) // (odds + (1 << _WORK_BITS))
    first = threshold >> (_EDGE_BITS - 64)
    words = coins.words(len(values))
    lying = words < np.uint64(first)
    for i in np.flatnonzero(words == np.uint64(first)):
        rest = coins.integer(_EDGE_BITS - 64)
        lying[i] = rest < threshold & ((1 << (_EDGE_BITS - 64)) - 1)
    out = values.copy()
    shift = _uniform_below(lies, categories - 1, int(lying.sum())) + 1
    out[lying] = (out[lying] + shift) % categories
    return out


def _uniform_below(bits: KeyedBits, bound: int, size: int) -> NDArray[np.int64]:
    """Exactly uniform integers in [0, bound), by rejection."""
    mask = np.uint64((1 << (bound - 1).bit_length()) - 1)
    out = np.empty(0, np.int64)
    while len(out) < size:
        candidates = (bits.words(2 * (size - len(out)) + 16) & mask).astype(np.int64)
        out = np.concatenate([out, candidates[candidates < bound]])
    return out[:size]
