"""Polynomials with real coefficients <-> the complex slots that the CKKS encoder takes.

Slot j of a polynomial m of degree < N is m(zeta^(3^j)) with zeta = exp(i pi / N) (Cheon, Kim, Kim
and Song, ASIACRYPT 2017, in the ordering of the SEAL library). Evaluating at all odd powers of
zeta is a Fourier transform of m twisted by powers of zeta.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def to_slots(coefficients: np.ndarray) -> list[complex]:
    """The N/2 slots of a polynomial given by its N real coefficients."""
    twist, order = _tables(len(coefficients))
    values = np.fft.ifft(coefficients * twist) * len(coefficients)
    return values[order].tolist()


def to_coefficients(slots: list[complex]) -> np.ndarray:
    """The N real coefficients, float64[N], of a polynomial given by its N/2 slots."""
    degree = 2 * len(slots)
    twist, order = _tables(degree)
    half = np.array(slots)
    values = np.empty(degree, dtype=np.complex128)
    values[order] = half
    values[degree - 1 - order] = half.conj()
    return (np.fft.fft(values) / degree * twist.conj()).real


@lru_cache(maxsize=4)
def _tables(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of zeta; for each slot j the k with 3^j = 2k + 1 modulo 2N."""
    twist = np.exp(1j * np.pi * np.arange(degree) / degree)
    order = np.empty(degree // 2, dtype=np.int64)
    power = 1
    for j in range(degree // 2):
        order[j] = power // 2
        power = power * 3 % (2 * degree)
    return twist, order
