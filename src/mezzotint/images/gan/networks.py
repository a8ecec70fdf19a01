"""Generator and reconstruction branch; both are small, and keep records apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.dpsgd import Scale
from mezzotint.images.gan.start import Painter

_LEAK = 0.05


class Refiner(nn.Module):
    """Sharpens what the painter paints: down to half the size, and up again.

    It begins as the identity, and is the same for all classes: the painter knows them. Noise is
    injected before and after the upsampling, a map of its own for every image, with a learned
    strength for every channel; it has nothing to do with the data, and neither costs nor gives
    any privacy.

    Args:
        channels: of the images.
        width: channels inside.
        injection: whether noise is injected.
    """

    def __init__(self, channels: int, width: int, *, injection: bool) -> None:
        super().__init__()
        self.injection = injection
        self.enter = nn.Conv2d(channels, width, 4, 2, 1)
        self.inside = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ConvTranspose2d(width, width // 2, 4, 2, 1)
        self.leave = nn.Conv2d(width // 2 + channels, channels, 3, padding=1)
        _begin_at_nought(self.leave)
        if injection:
            self.low, self.high = Scale(width, 1, 1), Scale(width // 2, 1, 1)
            nn.init.constant_(self.low.value, 0.1)
            nn.init.constant_(self.high.value, 0.1)

    def forward(self, x: Tensor, noise: tuple[Tensor, Tensor]) -> Tensor:
        """Images (n, channels, h, w), about 0..1, to the same, hardly outside of 0..1.

        Args:
            x: What was painted.
            noise: Normal numbers, as `map_shapes` says.
        """
        height, width = x.shape[2:]
        # Odd sides become even ones, and are cut again.
        x = functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        h = self.enter(x)
        if self.injection:
            h = h + self.low(noise[0].expand_as(h))
        h = functional.silu(h)
        h = functional.silu(self.inside(h) + h)
        h = self.up(h)
        if self.injection:
            h = h + self.high(noise[1].expand_as(h))
        out = x + self.leave(torch.cat([functional.silu(h), x], 1))
        out = out[:, :, :height, :width]
        inside = out.clamp(0, 1)
        return inside + _LEAK * (out - inside)


def map_shapes(height: int, width: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Shapes of the refiner's noise, without the dimension of the records."""
    low = (height + 1) // 2, (width + 1) // 2
    return (1, *low), (1, 2 * low[0], 2 * low[1])


class Branch(nn.Module):
    """The reconstruction branch: an image's latents, a little blurred, painted and refined.

    The encoder reads the latents along the released axes and corrects them by a trained layer,
    which begins at nought; its posterior's spread is fixed.
    """

    def __init__(self, painter: Painter, refiner: Refiner, spread: float) -> None:
        super().__init__()
        k = painter.axes.shape[1]
        self.painter = painter
        self.refiner = refiner
        self.spread = spread
        self.encoder = nn.Linear(k, k)
        _begin_at_nought(self.encoder)

    def forward(self, x: Tensor, y: Tensor, blur: Tensor, noise: tuple[Tensor, Tensor]) -> Tensor:
        """Images (n, channels, h, w) to their reconstructions; `blur` is normal, (n, k)."""
        z = self.painter.read(x, y)
        z = z + self.encoder(z) + self.spread * blur
        return self.refiner(self.painter.paint(z, y), noise)


def _begin_at_nought(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
