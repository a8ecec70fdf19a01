"""Draws from the class Gaussians, as images of full size."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.images.oneshot.canvas import Canvas

_RAISED = 2.0
_NAMES = "mean", "axes", "centres", "factors"


class Draws:
    """The class Gaussians of one data set, ready to draw from. Public.

    Attributes:
        canvas: how their pixels relate to the images'.
        mean: float32 of shape (size,); axes: (size, k); centres: (K, k); factors: (K, k, k).
    """

    def __init__(
        self,
        canvas: Canvas,
        mean: np.ndarray,
        axes: np.ndarray,
        centres: np.ndarray,
        factors: np.ndarray,
    ) -> None:
        self.canvas = canvas
        k, classes = axes.shape[1], len(centres)
        shapes = (canvas.size,), (canvas.size, k), (classes, k), (classes, k, k)
        arrays = mean, axes, centres, factors
        if any(a.shape != s for a, s in zip(arrays, shapes, strict=True)):
            raise ValueError("class Gaussians: arrays of wrong shapes")
        self.mean, self.axes, self.centres, self.factors = (
            torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in arrays
        )

    def to(self, device: str) -> Draws:
        """The same on another device."""
        other = copy.copy(self)
        for name in _NAMES:
            setattr(other, name, getattr(self, name).to(device))
        return other

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.centres)

    def __call__(self, labels: Tensor, source: torch.Generator) -> Tensor:
        """One blurred image a label: float32 of shape (n, channels, height, width) in [0, 1]."""
        noise = torch.randn(
            len(labels), self.axes.shape[1], generator=source, device=self.mean.device
        )
        spread = torch.einsum("nij,nj->ni", self.factors[labels], noise)
        pixels = self.mean + (self.centres[labels] + spread) @ self.axes.T
        return self.expand(pixels.clamp(0.0, 1.0))

    def expand(self, canvases: Tensor) -> Tensor:
        """Canvases as images of full size, smoothly."""
        height, width, channels = self.canvas.shape
        images = canvases.reshape(-1, height, width, channels).movedim(3, 1)
        if self.canvas.factor > 1:
            images = functional.interpolate(
                images, scale_factor=self.canvas.factor, mode="bilinear", align_corners=False
            )
            images = images[:, :, : self.canvas.height, : self.canvas.width]
        return images

    def shrink(self, images: Tensor) -> Tensor:
        """Images as canvases, as `Canvas.sums` makes them, in units of white: (n, size)."""
        factor, (height, width, _) = self.canvas.factor, self.canvas.shape
        if factor > 1:
            right = width * factor - self.canvas.width
            below = height * factor - self.canvas.height
            if right or below:
                images = functional.pad(images, (0, right, 0, below), mode="replicate")
            images = functional.avg_pool2d(images, factor)
        return images.movedim(1, 3).flatten(1)

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name."""
        return {name: getattr(self, name).numpy() for name in _NAMES}


def sharpened(images: Tensor, shares: Tensor) -> Tensor:
    """Images with their edges raised (unsharp masking); knows no data.

    Args:
        images: shape (n, channels, height, width) in [0, 1].
        shares: how much of it each image gets, shape (n, 1, 1, 1) in [0, 1].
    """
    channels = images.shape[1]
    hill = torch.tensor([1.0, 2.0, 1.0], device=images.device) / 4
    kernel = torch.outer(hill, hill).expand(channels, 1, 3, 3)
    padded = functional.pad(images, (1,) * 4, mode="replicate")
    blurred = functional.conv2d(padded, kernel, groups=channels)
    return (images + _RAISED * shares * (images - blurred)).clamp(0.0, 1.0)


def arcsine_shares(n: int, source: torch.Generator) -> Tensor:
    """A share for every image, most near 0 or near 1: shape (n, 1, 1, 1).

    Images that all have one look teach a classifier to rely on it, and real ones do not have it.
    """
    angle = torch.rand(n, 1, 1, 1, generator=source) * (math.pi / 2)
    return torch.sin(angle).square()


def as_pixels(images: Tensor) -> np.ndarray:
    """Images in [0, 1] as uint8 of shape (n, height, width, channels)."""
    whole = (images.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
    return whole.movedim(1, 3).contiguous().numpy()
