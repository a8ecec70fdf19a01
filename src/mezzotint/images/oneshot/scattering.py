"""First-order wavelet scattering: where in the image there are edges, and which way they run.

Features are the grey image and the moduli of its oriented wavelets at two scales, smoothed by a
tent over 7 pixels and read every fourth, logarithmic, without their mean, of norm 1. They depend on
no data.

There are two ways to compute them: `exact` works on a record at a time and in whole numbers where
numbers are added, so that a record's features are the same bits in any company; `forward` is the
same function, differentiable, for images that are public. They agree to about 1e-3.

References:
    Bruna, Mallat. Invariant Scattering Convolution Networks. PAMI 2013.
    Tramer, Boneh. Differentially Private Learning Needs Better Features. ICLR 2021.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.data import ImageFacts

ANGLES = 8
_SHARPNESS = 100.0
_TENT = np.array([1, 2, 3, 4, 3, 2, 1], np.float32)
# Pixels are at most 255 and a filter's steps sum to less than 2^16: sums stay below 2^24, exact
# in single precision. Moduli lose 9 bits so that the tent's 2^8 keeps them exact too.
_FILTER_STEPS = 60_000
_DROPPED = 2.0**9
_TENT_SUM = 256.0
_REACH = len(_TENT) // 2
_STEP = _DROPPED / (_FILTER_STEPS * 255.0 * _TENT_SUM)
_GREY = (77, 150, 29)


class Scattering(nn.Module):
    """Features of images of one shape.

    Attributes:
        factor: images above 40 pixels are averaged over squares of this side first, and
        repeat: those below 16 have every pixel repeated so often.
        size: how many features an image has.
    """

    fine: Tensor
    coarse: Tensor

    def __init__(self, facts: ImageFacts) -> None:
        super().__init__()
        longest, shortest = max(facts.height, facts.width), min(facts.height, facts.width)
        self.factor = 2 if longest > 40 and shortest > 16 else 1
        self.repeat = 2 if longest < 16 else 1
        self.channels = facts.channels
        self.register_buffer("fine", _wavelets(7, 0.8, 3 * np.pi / 4))
        self.register_buffer("coarse", _wavelets(11, 1.6, 3 * np.pi / 8))
        blank = torch.zeros(1, facts.channels, facts.height, facts.width)
        self.size = self._stack(blank, exact=False).shape[1]

    def exact(self, x: np.ndarray) -> np.ndarray:
        """Features of private images.

        Args:
            x: uint8, shape (n, height, width, channels).

        Returns:
            float64 of shape (n, size), rows of norm 1 or 0; a row depends on its image only.
        """
        with torch.no_grad():
            pixels = torch.from_numpy(np.moveaxis(x, 3, 1).astype(np.float32))
            stack = self._stack(pixels, exact=True).numpy()
        logs = np.log1p(stack.astype(np.float64) * (_STEP * _SHARPNESS))
        # As whole numbers, the sums below are exact.
        logs = np.rint(logs * 2.0**20)
        logs -= np.rint(logs.sum(axis=1, keepdims=True) / self.size)
        norms = np.sqrt(np.square(logs).sum(axis=1, keepdims=True))
        return logs / np.maximum(norms, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Features of public images: shape (n, channels, height, width) in [0, 1] to (n, size)."""
        logs = torch.log1p(self._stack(x * 255.0, exact=False) * (_STEP * _SHARPNESS))
        return functional.normalize(logs - logs.mean(dim=1, keepdim=True), dim=1)

    def _stack(self, x: Tensor, *, exact: bool) -> Tensor:
        """Smoothed moduli in steps of `_STEP`: shape (n, size)."""
        if self.channels == 3:
            red, green, blue = _GREY
            grey = (red * x[:, 0] + green * x[:, 1] + blue * x[:, 2]) / 256.0
            x = (torch.floor(grey) if exact else grey)[:, None]
        if self.factor > 1:
            x = functional.avg_pool2d(x, self.factor, ceil_mode=True, count_include_pad=False)
            x = torch.floor(x) if exact else x
        if self.repeat > 1:
            x = x.repeat_interleave(self.repeat, 2).repeat_interleave(self.repeat, 3)
        grey = _smoothed(x, 4)
        parts = [grey * (_FILTER_STEPS / _DROPPED)]
        for filters, stride in ((self.fine, 1), (self.coarse, 2)):
            padding = filters.shape[-1] // 2
            waves = functional.conv2d(x, filters, stride=stride, padding=padding)
            real, imaginary = waves[:, :ANGLES], waves[:, ANGLES:]
            if exact:
                squares = real.double().square() + imaginary.double().square()
                moduli = torch.floor(squares.sqrt() / _DROPPED).float()
            else:
                moduli = ((real.square() + imaginary.square() + 1.0).sqrt() - 1.0) / _DROPPED
            parts.append(_smoothed(moduli, 4 // stride))
        return torch.cat([part.flatten(1) for part in parts], 1)


def _smoothed(maps: Tensor, stride: int) -> Tensor:
    """Maps (n, c, height, width) smoothed by a tent, read at every `stride`-th pixel.

    As products with two small matrices: the tent of the plane is one along each side.
    """
    rows, columns = (_tents(side, stride).to(maps) for side in maps.shape[2:])
    return rows @ maps @ columns.T


@cache
def _tents(side: int, stride: int) -> Tensor:
    """What a row of `side` pixels becomes: (ceil(side / stride), side), zeros beyond its ends."""
    count = -(-side // stride)
    found = torch.zeros(count, side + 2 * _REACH)
    for i in range(count):
        found[i, i * stride : i * stride + len(_TENT)] = torch.from_numpy(_TENT)
    return found[:, _REACH:-_REACH].contiguous()


def _wavelets(side: int, width: float, frequency: float) -> Tensor:
    """Real, then imaginary parts of Morlet wavelets in whole steps: (2 ANGLES, 1, side, side)."""
    at = np.arange(side) - side // 2
    column, row = np.meshgrid(at, at)
    waves = []
    for angle in np.pi * np.arange(ANGLES) / ANGLES:
        along = column * np.cos(angle) + row * np.sin(angle)
        across = row * np.cos(angle) - column * np.sin(angle)
        hill = np.exp(-(along**2 + across**2 / 4) / (2 * width**2))
        wave = np.exp(1j * frequency * along) * hill
        wave -= hill * (wave.sum() / hill.sum())
        waves.append(wave / np.abs(wave).sum())
    parts = np.concatenate([np.real(waves), np.imag(waves)])
    return torch.from_numpy(np.rint(parts * _FILTER_STEPS).astype(np.float32))[:, None]
