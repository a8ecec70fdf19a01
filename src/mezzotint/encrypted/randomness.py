"""Random numbers that hide: one-time pads and flooding noise, from the operating system.

This is no differential privacy noise (that is `mezzotint.privacy.noise`, drawn against a ledger
row): it never reaches a released number. It covers what must not be decryptable.
"""

from __future__ import annotations

import os

import numpy as np

_SUMMANDS = 8
_LOW_BITS = 30


def residues(size: int, bits: int) -> np.ndarray:
    """Uniform integers 0 .. 2^bits - 1, int64[size]; at most 62 bits."""
    words = np.frombuffer(os.urandom(8 * size), dtype=np.uint64)
    return (words >> np.uint64(64 - bits)).astype(np.int64)


def one_time_pad(size: int, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uniform integers of ``bits`` bits as low + middle + 8 * high, float64[size] each.

    The encoder takes coefficients well below the modulus only and works in double precision, so a
    residue goes in parts: each is small enough, and the lowest 30 bits are encoded exactly, so
    that rounding errors in the others (below 2^8) shift a uniform number by far less than its
    range.
    """
    low = residues(size, _LOW_BITS) - 2 ** (_LOW_BITS - 1)
    middle = residues(size, bits - 3 - _LOW_BITS) * 2.0**_LOW_BITS
    high = residues(size, 3) * 2.0 ** (bits - 6)
    return low.astype(np.float64), middle, high


def small_sums(size: int, bound: float) -> np.ndarray:
    """Sums of 8 uniforms, at most ``bound`` in absolute value, float64[size], whole numbers.

    Nearly Gaussian with standard deviation bound / sqrt(24), and bounded.
    """
    step = int(bound) // _SUMMANDS
    bits = max(step, 1).bit_length() - 1
    draws = residues(size * _SUMMANDS, bits + 1) - 2**bits
    return draws.reshape(_SUMMANDS, size).sum(axis=0).astype(np.float64)
