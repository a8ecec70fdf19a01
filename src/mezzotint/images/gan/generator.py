"""What an adversarial training leaves behind: painter and refiner. Public."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch

from mezzotint.images.data import ImageFacts
from mezzotint.images.gan.networks import Refiner, map_shapes
from mezzotint.images.gan.start import Painter, Start
from mezzotint.images.oneshot.canvas import Canvas


class GanGenerator:
    """Draws latents of a class, paints and refines them."""

    kind: ClassVar[str] = "ef-gan"

    def __init__(self, facts: ImageFacts, start: Start, refiner: Refiner, width: int) -> None:
        self.start = start
        self.refiner = refiner.cpu().eval()
        self.width = width
        self._shape = facts.height, facts.width
        self._painter = Painter(start, Canvas.of(facts))

    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label, uint8 (n, h, w, c)."""
        random = torch.Generator().manual_seed(seed)
        n, (height, width) = len(labels), self._shape
        y = torch.from_numpy(labels)
        z = torch.randn(n, self.start.latents, generator=random)
        noise = noise_maps(n, height, width, random)
        with torch.no_grad():
            x = self.refiner(self._painter.paint(z, y), noise).clamp(0, 1)
        return (255 * x).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    def config(self) -> Mapping[str, Any]:
        """Sizes."""
        return {
            "latents": self.start.latents,
            "width": self.width,
            "injection": self.refiner.injection,
        }

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The painter's Gaussians and the refiner's weights."""
        weights = self.refiner.state_dict().items()
        return self.start.arrays() | {f"refiner.{name}": value.numpy() for name, value in weights}

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse of `config` and `arrays`."""
        start = Start.restore(facts, int(config["latents"]), arrays)
        width = int(config["width"])
        refiner = Refiner(facts.channels, width, injection=bool(config["injection"]))
        state = {}
        for name, value in refiner.state_dict().items():
            array = arrays[f"refiner.{name}"]
            if array.shape != tuple(value.shape):
                raise ValueError(f"refiner.{name} has shape {array.shape}, not {value.shape}")
            state[name] = torch.from_numpy(np.array(array, np.float32))
        refiner.load_state_dict(state)
        return cls(facts, start, refiner, width)


def noise_maps(
    n: int, height: int, width: int, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps for the refiner, for n images."""
    low, high = (
        torch.randn(n, *shape, generator=random, device=random.device)
        for shape in map_shapes(height, width)
    )
    return low, high
