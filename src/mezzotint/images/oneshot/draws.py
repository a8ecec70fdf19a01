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
_NAMES = "mean", "axes", "centres", "factors", "shares", "grain"


class Draws:
    """The class Gaussians of one data set, ready to draw from. Public.

    Attributes:
        canvas: how their pixels relate to the images'.
        mean: float32 of shape (size,); axes: (size, k); centres: (parts, k); factors:
            (parts, k, k).
        shares: (K, parts), how much of each class each Gaussian is; rows sum to 1. By default
            every class has one of its own.
        grain: (size,), standard deviations of what the axes do not show; by default none.
    """

    def __init__(
        self,
        canvas: Canvas,
        mean: np.ndarray,
        axes: np.ndarray,
        centres: np.ndarray,
        factors: np.ndarray,
        *,
        shares: np.ndarray | None = None,
        grain: np.ndarray | None = None,
    ) -> None:
        self.canvas = canvas
        k, parts = axes.shape[1], len(centres)
        shares = np.eye(parts) if shares is None else shares
        grain = np.zeros(canvas.size) if grain is None else grain
        sizes = (canvas.size,), (canvas.size, k), (parts, k), (parts, k, k), (len(shares), parts)
        arrays = mean, axes, centres, factors, shares, grain
        if any(a.shape != s for a, s in zip(arrays, (*sizes, (canvas.size,)), strict=True)):
            raise ValueError("class Gaussians: arrays of wrong shapes")
        if parts < len(shares):
            raise ValueError("class Gaussians: a class without any")
        if not (shares.min(initial=0.0) >= 0.0 and shares.sum(axis=1).min(initial=1.0) > 0.0):
            raise ValueError("class Gaussians: shares that are none")
        self.mean, self.axes, self.centres, self.factors, self.shares, self.grain = (
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
        return len(self.shares)

    def __call__(self, labels: Tensor, source: torch.Generator) -> Tensor:
        """One blurred image a label: float32 of shape (n, channels, height, width) in [0, 1]."""
        noise = torch.randn(
            len(labels), self.axes.shape[1], generator=source, device=self.mean.device
        )
        parts = labels
        if len(self.shares) < len(self.centres):
            parts = torch.multinomial(self.shares[labels], 1, generator=source)[:, 0]
        spread = torch.einsum("nij,nj->ni", self.factors[parts], noise)
        pixels = self.mean + (self.centres[parts] + spread) @ self.axes.T
        return self.expand(pixels.clamp(0.0, 1.0))

    def grained(self, images: Tensor, shares: Tensor, source: torch.Generator) -> Tensor:
        """Images with noise as wide as what the axes do not show, by a share of each one's own."""
        grain = self.expand(self.grain[None])
        noise = torch.randn(images.shape, generator=source, device=images.device)
        return (images + shares * grain * noise).clamp(0.0, 1.0)

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
