"""Where the generator begins: DP-PCA and one Gaussian a class, from two one-shot releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.data import ImageFacts
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.gaussians import Basis, ClassMoments


@dataclass(frozen=True)
class Start:
    """A Gaussian a class on the principal components. Public: it rests on releases.

    Attributes:
        mean: float32 of shape (canvas size,), in units of white.
        axes: float32 of shape (canvas size, k), orthonormal columns.
        centres: float32 of shape (classes, k).
        factors: float32 of shape (classes, k, k), roots of the covariances.
        counts: float64 of shape (classes,), noisy.
    """

    mean: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    factors: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, basis: Basis, moments: ClassMoments) -> Self:
        """From the two releases."""
        return cls(
            np.asarray(basis.mean, np.float32),
            np.asarray(basis.axes, np.float32),
            np.asarray(moments.centres, np.float32),
            np.asarray(moments.factors, np.float32),
            moments.counts,
        )

    @property
    def latents(self) -> int:
        """How many numbers stand for an image (k)."""
        return self.axes.shape[1]

    def arrays(self) -> dict[str, np.ndarray]:
        """By name."""
        return {name: getattr(self, name) for name in ("mean", "axes", "centres", "factors")}

    @classmethod
    def restore(cls, facts: ImageFacts, latents: int, arrays: Mapping[str, np.ndarray]) -> Self:
        """The inverse of `arrays`; raises ValueError or KeyError on a wrong shape or name."""
        size, classes = Canvas.of(facts).size, len(facts.classes)
        shapes = {
            "mean": (size,),
            "axes": (size, latents),
            "centres": (classes, latents),
            "factors": (classes, latents, latents),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
        mean, axes, centres, factors = (np.asarray(arrays[name], np.float32) for name in shapes)
        return cls(mean, axes, centres, factors, counts=np.ones(classes))


class Painter(nn.Module):
    """Latents to images and back, along the released axes; nothing in it is trained."""

    mean: Tensor
    axes: Tensor
    centres: Tensor
    factors: Tensor
    inverse: Tensor

    def __init__(self, start: Start, canvas: Canvas) -> None:
        super().__init__()
        self.canvas = canvas
        inverse = np.linalg.inv(start.factors.astype(np.float64)).astype(np.float32)
        for name, value in {**start.arrays(), "inverse": inverse}.items():
            self.register_buffer(name, torch.from_numpy(np.array(value)), persistent=False)

    def paint(self, z: Tensor, y: Tensor) -> Tensor:
        """Latents (n, k), standard normal in a class, as images (n, channels, h, w) near 0..1."""
        coordinates = self.centres[y] + torch.bmm(self.factors[y], z.unsqueeze(2)).squeeze(2)
        height, width, channels = self.canvas.shape
        flat = self.mean + coordinates @ self.axes.T
        x = flat.view(-1, height, width, channels).permute(0, 3, 1, 2)
        if self.canvas.factor > 1:
            x = functional.interpolate(x, scale_factor=self.canvas.factor, mode="bilinear")
        return x[:, :, : self.canvas.height, : self.canvas.width].contiguous()

    def strayed(self, x: Tensor, painted: Tensor) -> Tensor:
        """Squared distance along the axes of images from what was painted, (n,)."""
        return (self._flat(x - painted) @ self.axes).square().sum(1)

    def read(self, x: Tensor, y: Tensor) -> Tensor:
        """The inverse, for images (n, channels, h, w) in 0..1; latents (n, k)."""
        centred = (self._flat(x) - self.mean) @ self.axes - self.centres[y]
        return torch.bmm(self.inverse[y], centred.unsqueeze(2)).squeeze(2)

    def _flat(self, x: Tensor) -> Tensor:
        """Images as canvases, (n, size)."""
        canvas = self.canvas
        height, width, _ = canvas.shape
        missing = (0, width * canvas.factor - x.shape[3], 0, height * canvas.factor - x.shape[2])
        x = functional.pad(x, missing, mode="replicate") if any(missing) else x
        x = functional.avg_pool2d(x, canvas.factor) if canvas.factor > 1 else x
        return x.permute(0, 2, 3, 1).flatten(1)
