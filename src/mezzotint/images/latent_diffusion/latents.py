"""Desensitised latents: principal components of the released moments, and the Gaussians in them.

The components come from released moments only, so the encoder is public. An image's latent is not:
it is the image itself, seen through a public lens, and whoever touches it pays for it again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.images.frequencies import Frequencies
from mezzotint.images.latent_diffusion.moments import Moments

_FLOOR = 1e-4


@dataclass(frozen=True)
class Latents:
    """A linear encoder and decoder, and every class as a Gaussian in latent space. Public.

    Attributes:
        frame: the frequencies beneath.
        centre: float64 (size,): the mean code.
        components: float64 (size, k), orthonormal.
        scale: divides latents, so that the widest has unit variance.
        means: float64 (classes, k).
        axes: float64 (classes, k, k): each class's principal axes, in columns.
        variances: float64 (classes, k): along them.
        spread: float64 (k,): the mean variance of each latent within classes.
    """

    frame: Frequencies
    centre: np.ndarray
    components: np.ndarray
    scale: float
    means: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, moments: Moments, frame: Frequencies, k: int) -> Latents:
        """The k widest directions of all classes together."""
        shares = moments.counts / moments.counts.sum()
        centre = shares @ moments.means
        apart = moments.means - centre
        total = np.einsum("k,kij->ij", shares, moments.covariances)
        total += np.einsum("k,ki,kj->ij", shares, apart, apart)
        values, vectors = np.linalg.eigh(total)
        components = vectors[:, ::-1][:, :k]
        scale = float(np.sqrt(max(values[-1], 1e-12)))
        means = apart @ components / scale
        within = np.einsum("ia,kij,jb->kab", components, moments.covariances, components)
        within = shrunk(within, moments.counts, moments.noise)
        widths, axes = np.linalg.eigh(within / scale**2)
        widths = np.maximum(widths, _FLOOR)
        spread = np.einsum("k,kia,ka,kia->i", shares, axes, widths, axes)
        return cls(frame, centre, components, scale, means, axes, widths, spread)

    @property
    def size(self) -> int:
        """How many latents an image has."""
        return self.components.shape[1]

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Images (n, h, w, c) to float32 latents (n, k); as private as the images."""
        parts = [
            (self.frame.encode(part) - self.centre) @ self.components / self.scale
            for part in np.array_split(x, max(1, len(x) // 2000))
        ]
        return np.concatenate(parts).astype(np.float32)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Latents (n, k) to images: float32 (n, h, w, c) in 0 to 1."""
        codes = latents.astype(np.float64) @ self.components.T * self.scale + self.centre
        return self.frame.decode(codes).astype(np.float32)


def shrunk(covariances: np.ndarray, counts: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Every class's covariance, drawn towards the pooled one as far as it is noise.

    Args:
        covariances: noisy, shape (classes, d, d).
        counts: images of each class.
        noise: the standard deviation of the noise in an entry, per class; in orthonormal
            coordinates the noise of a symmetric matrix has the same law in all of them.
    """
    d = covariances.shape[1]
    shares = counts / counts.sum()
    pooled = np.einsum("k,kij->ij", shares, covariances)
    found = []
    for covariance, level in zip(covariances, noise, strict=True):
        spread = float(((covariance - pooled) ** 2).sum())
        share = min(1.0, d * d * level**2 / max(spread, 1e-300))
        mixed = (1 - share) * covariance + share * pooled
        values, vectors = np.linalg.eigh(mixed)
        found.append((vectors * np.maximum(values, 0.0)) @ vectors.T)
    return np.stack(found)
