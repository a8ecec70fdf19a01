"""A public frame for images: the low frequencies of the discrete cosine transform.

An isometry from pictures that hold nothing finer, and a projection of all others. Nothing about it
depends on the data: it is the half of an encoder that costs no privacy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.cosines import cosines


@dataclass(frozen=True)
class Frequencies:
    """The lowest `side` x `side` frequencies of every channel. Public.

    Attributes:
        shape: height, width, channels of the images.
        side: how many frequencies in each direction.
    """

    shape: tuple[int, int, int]
    side: int

    @property
    def size(self) -> int:
        """How many numbers describe an image."""
        return self.side * self.side * self.shape[2]

    def encode(self, x: np.ndarray) -> np.ndarray:
        """uint8 images (n, h, w, c), or floats of 0 to 1, to float64 (n, size).

        The transform is orthonormal: a code is no longer than its image.
        """
        rows, columns = self._bases()
        scaled = x / 255.0 if x.dtype == np.uint8 else x
        codes = np.einsum("nhwc,ih,jw->ncij", scaled, rows, columns, optimize=True)
        return codes.reshape(len(x), self.size)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Floats (n, size) to images (n, h, w, c), clipped to 0 to 1."""
        return self.pictures(codes).clip(0.0, 1.0)

    def pictures(self, codes: np.ndarray) -> np.ndarray:
        """What has these codes and no finer frequencies, as floats (n, h, w, c): not clipped."""
        rows, columns = self._bases()
        grid = codes.reshape(-1, self.shape[2], self.side, self.side)
        return np.einsum("ncij,ih,jw->nhwc", grid, rows, columns, optimize=True)

    def axes(self) -> np.ndarray:
        """Codes as a matrix product: float64 (h * w * c, size), orthonormal columns."""
        return self.pictures(np.eye(self.size)).reshape(self.size, -1).T

    def _bases(self) -> tuple[np.ndarray, np.ndarray]:
        return cosines(self.side, self.shape[0]), cosines(self.side, self.shape[1])
