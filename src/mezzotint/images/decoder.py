"""A small class-conditional generator, as the baselines use it: noise and a class in, image out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.data import ImageFacts

_MOST_WIDTH = 256
_MOST_NOISE = 1024


class Decoder(nn.Module):
    """Two doublings of size, each followed by a convolution; GroupNorm; a sigmoid at the end.

    Args:
        facts: shape and classes of the images.
        noise: dimensions of the noise.
        width: channels of the last hidden layer.
    """

    def __init__(self, facts: ImageFacts, noise: int, width: int) -> None:
        super().__init__()
        self.noise, self.classes = noise, len(facts.classes)
        self.sides = (facts.height, facts.width)
        self.low = (-(-facts.height // 4), -(-facts.width // 4))
        self.enter = nn.Linear(noise + self.classes, 4 * width * self.low[0] * self.low[1])
        self.first = nn.Conv2d(4 * width, 2 * width, 5, padding=2)
        self.first_norm = nn.GroupNorm(4, 2 * width)
        self.second = nn.Conv2d(2 * width, width, 5, padding=2)
        self.second_norm = nn.GroupNorm(4, width)
        self.out = nn.Conv2d(width, facts.channels, 3, padding=1)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Images in [0, 1].

        Args:
            noise: float32 of shape (n, noise).
            labels: int64 of shape (n,).

        Returns:
            float32 of shape (n, channels, height, width).
        """
        one_hot = functional.one_hot(labels, self.classes).float()
        low = functional.relu(self.enter(torch.cat([noise, one_hot], 1)))
        low = low.reshape(len(low), -1, *self.low)
        half = functional.interpolate(low, scale_factor=2, mode="nearest")
        half = functional.relu(self.first_norm(self.first(half)))
        full = functional.interpolate(half, size=self.sides, mode="nearest")
        full = functional.relu(self.second_norm(self.second(full)))
        return torch.sigmoid(self.out(full))


class DecoderGenerator:
    """A trained decoder that draws images; subclasses name its kind."""

    kind: ClassVar[str]

    def __init__(self, decoder: Decoder, width: int) -> None:
        self._decoder, self._width = decoder.eval(), width

    @torch.no_grad()
    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label."""
        from mezzotint.images.oneshot.draws import as_pixels

        source = torch.Generator().manual_seed(seed)
        wanted = torch.from_numpy(np.asarray(labels, np.int64))
        noise = torch.randn(len(wanted), self._decoder.noise, generator=source)
        return as_pixels(self._decoder(noise, wanted))

    def config(self) -> Mapping[str, Any]:
        """Sizes."""
        return {"noise": self._decoder.noise, "width": self._width}

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The weights."""
        return {name: value.numpy() for name, value in self._decoder.state_dict().items()}

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse."""
        noise, width = int(config["noise"]), int(config["width"])
        if not (0 < noise <= _MOST_NOISE and 0 < width <= _MOST_WIDTH and width % 4 == 0):
            raise ValueError("sizes out of range")
        decoder = Decoder(facts, noise, width)
        state = {}
        for name, tensor in decoder.state_dict().items():
            if arrays[name].shape != tuple(tensor.shape):
                raise ValueError(f"{name}: shape {arrays[name].shape}")
            state[name] = torch.from_numpy(np.array(arrays[name], np.float32))
        decoder.load_state_dict(state)
        return cls(decoder, width)


def fresh_decoder(facts: ImageFacts, noise: int, width: int, seed: int) -> Decoder:
    """A decoder with initial weights of a seed."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return Decoder(facts, noise, width)
