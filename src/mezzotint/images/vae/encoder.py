"""From images to short codes whose distance is bounded: the public frame, moments, components.

The frame is a low-pass cosine transform, orthonormal and the same for every data set. In it an
image is a row of whole numbers, shortened to a public radius, so that everything private that is
multiplied or summed is a whole number small enough to be exact in a double (`integers`).

    Components   orthonormal directions of largest variance, from noisy moments: 1-Lipschitz
    Frequencies  the lowest frequencies themselves: 1-Lipschitz, and nothing is spent on them
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mezzotint.images.data import ImageFacts
from mezzotint.images.frequencies import Frequencies
from mezzotint.images.integers import BALL, chunks, into_ball, product, rounded
from mezzotint.privacy import noise
from mezzotint.privacy.run import Run

CODE_STEPS = 1 << 13
"""Codes are released on a grid finer by this than the one they are shortened on."""
_SIDES = {1: 14, 3: 9}
_CLIP = 0.45
_DIAGONAL, _OFF = 5, 7
_SUM = int(_DIAGONAL * BALL / 2**0.5)
MOMENTS_L2 = 2 * _DIAGONAL * BALL**2
CODES_L2 = 2 * BALL * CODE_STEPS


class Frame(Frequencies):
    """Low frequencies of every channel, lowest first. Public."""

    @classmethod
    def of(cls, facts: ImageFacts) -> Frame:
        """As fine as moments of all pairs of frequencies allow."""
        return cls(facts.shape, min(_SIDES[facts.channels], facts.height, facts.width))

    @property
    def radius(self) -> float:
        """The norm to which images are shortened; from their size alone."""
        return _CLIP * float(np.sqrt(np.prod(self.shape)))

    def encode(self, x: np.ndarray) -> np.ndarray:
        """uint8 images, or floats of 0 to 1, to float64 rows; no two get farther apart."""
        return super().encode(x)[:, self._order()]

    def whole(self, x: np.ndarray) -> np.ndarray:
        """Images as rows of whole numbers of norm at most `BALL`, which stands for `radius`."""
        return into_ball(self.encode(x), self.radius)

    def pictures(self, codes: np.ndarray) -> np.ndarray:
        """The inverse, as floats: not clipped."""
        grid = np.empty((len(codes), self.size))
        grid[:, self._order()] = codes
        return super().pictures(grid)

    def _order(self) -> np.ndarray:
        channel, down, across = np.indices((self.shape[2], self.side, self.side)).reshape(3, -1)
        return np.lexsort((channel, across, down, down + across))


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of all images in the frame, from a noisy release. Public.

    Attributes:
        mean: shape (size,), in units of pixel distance.
        values: variances along the directions, largest first, shape (size,); none negative.
        directions: orthonormal columns, shape (size, size).
    """

    mean: np.ndarray
    values: np.ndarray
    directions: np.ndarray


def moment_sums(x: np.ndarray, frame: Frame) -> np.ndarray:
    """Sums and sums of products over all images: whole numbers, exact.

    Sensitivity: `MOMENTS_L2` where one image is replaced. A row v of norm at most B = `BALL` adds
        (l v, 5 v_i^2, 7 v_i v_j for i < j) with l <= 5 B / sqrt(2). Replacing v by w changes this
        by at most the root of l^2 |v - w|^2 + 25 |v v^T - w w^T|^2, because 49 <= 2 * 25, and so of
        (25 / 2) B^2 (2 B)^2 + 25 (2 B^4) = (10 B^2)^2.
    Private and public: the images and the result are private.

    Returns:
        int64: `size` sums, `size` squares, and the products above the diagonal.
    """
    total, products = np.zeros(frame.size), np.zeros((frame.size, frame.size))
    for part in chunks(len(x)):
        rows = frame.whole(x[part])
        total += rows.sum(axis=0)
        products += rows.T @ rows
    upper = products[np.triu_indices(frame.size, 1)]
    parts = [_SUM * total, _DIAGONAL * np.diag(products), _OFF * upper]
    return np.concatenate(parts).astype(np.int64)


def release_moments(x: np.ndarray, frame: Frame, run: Run, event: int, about: str) -> Moments:
    """Mean and covariance with one draw of Gaussian noise.

    Guarantee: that of the run's Gaussian event, for replacing one image.
    Sensitivity: see `moment_sums`.
    Private and public: the images are private; their number and the result are public.
    Units: pixel distance, pixels from 0 to 1. Source: Dwork et al. 2014 ("Analyze Gauss").
    """
    exact, size = moment_sums(x, frame), frame.size
    spend = run.vector(event, about, l2=MOMENTS_L2)
    noised = (exact + noise.integer_gaussian(spend, len(exact))).astype(np.float64) / len(x)
    step = frame.radius / BALL
    mean = noised[:size] * (step / _SUM)
    second = np.zeros((size, size))
    second[np.triu_indices(size, 1)] = noised[2 * size :] * (step**2 / _OFF)
    second += second.T
    second[np.diag_indices(size)] = noised[size : 2 * size] * (step**2 / _DIAGONAL)
    values, directions = np.linalg.eigh(second - np.outer(mean, mean))
    return Moments(mean, np.maximum(values[::-1], 0.0), directions[:, ::-1].copy())


class Encoder(Protocol):
    """A fixed Lipschitz map from images to codes. Public.

    Attributes:
        constant: its certified Lipschitz constant.
        radius: codes are shortened to this norm.
    """

    @property
    def constant(self) -> float:
        """See above."""
        ...

    @property
    def radius(self) -> float:
        """See above."""
        ...

    @property
    def rounding(self) -> float:
        """How much farther than `constant` says two codes may be apart, at most."""
        ...

    def codes(self, x: np.ndarray) -> np.ndarray:
        """uint8 images (n, h, w, c) to codes (n, d); every image's own alone."""
        ...


@dataclass(frozen=True)
class LinearEncoder:
    """Orthonormal directions about a centre: 1-Lipschitz.

    Attributes:
        frame: in which the directions are.
        centre: shape (size,).
        directions: orthonormal columns, shape (size, d).
        radius: codes are shortened to this norm.
    """

    frame: Frame
    centre: np.ndarray
    directions: np.ndarray
    radius: float

    @property
    def constant(self) -> float:
        """The largest singular value, which rounding may have moved off 1."""
        from mezzotint.images.vae.spectral import dense_norm

        return dense_norm(self.directions)

    @property
    def rounding(self) -> float:
        """Images are cut to whole numbers first: below one grid step in every coordinate."""
        return self.constant * self.frame.size**0.5 * self.frame.radius / BALL

    def codes(self, x: np.ndarray) -> np.ndarray:
        """See `Encoder`; a product of whole numbers, the same in any company."""
        matrix, step = rounded(self.directions, BALL)
        scale = self.frame.radius / BALL
        return product(self.frame.whole(x), matrix, step) * scale - self.centre @ self.directions


def whole_codes(encoder: Encoder, x: np.ndarray) -> np.ndarray:
    """Codes as int64 rows of norm at most `BALL` * `CODE_STEPS`, which stands for the radius.

    Any two are at most `CODES_L2` apart, whatever the encoder did.
    """
    rows = [into_ball(encoder.codes(x[part]), encoder.radius) for part in chunks(len(x))]
    return (np.concatenate(rows) * CODE_STEPS).astype(np.int64)


def code_rounding(encoder: Encoder, latent: int) -> float:
    """How much farther apart than the encoder's constant says two whole codes may be, at most.

    Cutting two numbers towards zero moves their difference by less than one step outwards.
    """
    return encoder.rounding + latent**0.5 * encoder.radius / BALL
