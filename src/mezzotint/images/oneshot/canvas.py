"""Images made small enough that second moments of all their pixels can be released.

A canvas is the image averaged over squares of pixels: at most 32 x 32 for grey images, 16 x 16 for
colours. Its size follows from the image's shape alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.data import ImageFacts

_LARGEST = {1: 32, 3: 16}


@dataclass(frozen=True)
class Canvas:
    """How images of one shape are averaged. Public.

    Attributes:
        height, width, channels: of the images.
        factor: how many pixels a side become one.
    """

    height: int
    width: int
    channels: int
    factor: int

    @classmethod
    def of(cls, facts: ImageFacts) -> Canvas:
        """The canvas for images of this shape."""
        factor = -(-max(facts.height, facts.width) // _LARGEST[facts.channels])
        return cls(facts.height, facts.width, facts.channels, factor)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of the canvas."""
        return -(-self.height // self.factor), -(-self.width // self.factor), self.channels

    @property
    def size(self) -> int:
        """Numbers on a canvas."""
        height, width, channels = self.shape
        return height * width * channels

    @property
    def white(self) -> int:
        """What a white square sums to."""
        return 255 * self.factor**2

    def sums(self, x: np.ndarray) -> np.ndarray:
        """Pixel sums over squares: whole numbers, exact.

        Args:
            x: uint8, shape (n, height, width, channels). The last rows and columns are repeated
                where a side is no multiple of the factor.

        Returns:
            float64 of shape (n, size), in [0, white].
        """
        height, width, channels = self.shape
        missing = (height * self.factor - self.height, width * self.factor - self.width)
        x = np.pad(x, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        x = x.reshape(len(x), height, self.factor, width, self.factor, channels)
        return x.sum(axis=(2, 4), dtype=np.int64).reshape(len(x), self.size).astype(np.float64)

    @property
    def radius(self) -> float:
        """The norm to which canvases are shortened, in units of white: public, by rule of thumb.

        Half of the longest possible: few natural images are brighter on average (root mean square).
        """
        return 0.5 * self.size**0.5
