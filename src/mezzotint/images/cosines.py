"""The discrete cosine transform as a matrix: a public frame for images."""

from __future__ import annotations

import numpy as np


def cosines(side: int, length: int) -> np.ndarray:
    """The first rows of the orthonormal DCT-II matrix, shape (side, length), lowest first."""
    place = (np.arange(length) + 0.5) * np.pi / length
    basis = np.cos(np.arange(side)[:, None] * place) * np.sqrt(2 / length)
    basis[0] /= np.sqrt(2)
    return basis
