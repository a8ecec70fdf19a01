"""A small convolutional network that turns a blurred draw from a class Gaussian into an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.data import ImageFacts

NOISE = 2
_CONTRAST = 6.0
_EMBEDDING = 32


class Refiner(nn.Module):
    """Draw, class and two channels of noise in; image out, in [0, 1].

    It starts as a little more contrast and nothing else: the last layer is zero.
    """

    def __init__(self, facts: ImageFacts, width: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(len(facts.classes), _EMBEDDING)
        self.enter = _convolution(facts.channels + NOISE, width)
        self.down = _convolution(width, 2 * width)
        self.bottom = _convolution(2 * width, 4 * width)
        self.middle = _convolution(4 * width, 4 * width)
        self.up = _convolution(6 * width, 2 * width)
        self.leave = _convolution(3 * width, width)
        self.out = _convolution(width, facts.channels)
        self.down_norm = nn.GroupNorm(4, 2 * width)
        self.bottom_norm = nn.GroupNorm(8, 4 * width)
        self.up_norm = nn.GroupNorm(4, 2 * width)
        self.down_style = nn.Linear(_EMBEDDING, 4 * width)
        self.bottom_style = nn.Linear(_EMBEDDING, 8 * width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(_bias(self.out))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, draws: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Refine draws.

        Args:
            draws: float32 of shape (n, channels, height, width), about in [0, 1].
            labels: int64 of shape (n,).
            noise: float32 of shape (n, NOISE, height, width).
        """
        style = self.classes(labels)
        full = _leaky(self.enter(torch.cat([draws, noise], 1)))
        half = self.down_norm(self.down(functional.avg_pool2d(full, 2, ceil_mode=True)))
        half = _leaky(_styled(half, self.down_style(style)))
        low = self.bottom_norm(self.bottom(functional.avg_pool2d(half, 2, ceil_mode=True)))
        low = _leaky(_styled(low, self.bottom_style(style)))
        low = low + _leaky(self.middle(low))
        back = _leaky(self.up_norm(self.up(torch.cat([_like(low, half), half], 1))))
        back = _leaky(self.leave(torch.cat([_like(back, full), full], 1)))
        return torch.sigmoid(_CONTRAST * (draws - 0.5) + self.out(back))


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _leaky(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, 0.1)


def _styled(values: Tensor, style: Tensor) -> Tensor:
    scale, shift = style[:, :, None, None].chunk(2, 1)
    return values * (1 + scale) + shift


def _like(values: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(values, size=other.shape[-2:], mode="nearest")
