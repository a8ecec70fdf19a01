"""The critic, the losses of both sides, and the bound on one image's gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.dpsgd import Clipper, Draws, Loss


class Critic(nn.Module):
    """How real an image of a class looks: a projection critic.

    Source: Miyato, Koyama. cGANs with projection discriminator. ICLR 2018.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int) -> None:
        super().__init__()
        height, breadth, channels = shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 3 * width, 3, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        with torch.no_grad():
            size = self.body(torch.zeros(1, channels, height, breadth)).shape[1]
        self.score = nn.Linear(size, 1)
        self.label = nn.Embedding(classes, size)
        nn.init.normal_(self.label.weight, std=size**-0.5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (n, channels, h, w) in 0..1 and classes (n,) to scores (n,)."""
        h = self.body(2 * x - 1)
        return self.score(h).squeeze(1) + (self.label(y) * h).sum(1)


def real_loss(model: nn.Module, records: tuple[Tensor, ...], _: Draws) -> Tensor:
    """The critic's loss on real images, as bytes, and their classes: (n,)."""
    return functional.softplus(-model(as_images(records[0]), records[1]))


def fake_loss(model: nn.Module, records: tuple[Tensor, ...], _: Draws) -> Tensor:
    """The critic's loss on fake images, in 0..1, and their classes: (n,)."""
    return functional.softplus(model(*records))


def doubts(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The generator's loss: by how much fakes are seen through, (n,)."""
    return functional.softplus(-critic(x, y))


def as_images(x: Tensor) -> Tensor:
    """Bytes to 0..1."""
    return x.float() / 255


def clip_of(model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> float:
    """A clip: the median norm of per-record gradients at the start, over public fakes.

    It looks at no private record.

    Args:
        model: What will be trained,
        loss: by this.
        x: Fakes, about in 0..1, shape (n, channels, h, w).
        y: Their classes, shape (n,).
    """
    x = (255 * x.clamp(0, 1)).to(torch.uint8)
    draws = Draws(0, 0, np.arange(len(x)), 1, x.device)
    norms = Clipper(model, loss, 1.0)((x, y), draws).norms
    return max(float(norms.median()), 1e-6)


def released_shares(counts: np.ndarray) -> np.ndarray:
    """Noisy counts as a distribution: float64 of shape (classes,)."""
    positive = np.maximum(counts, 0)
    return positive / positive.sum() if positive.sum() > 0 else np.full(len(counts), 1.0)
