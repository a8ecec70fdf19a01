"""What our own method leaves behind: class Gaussians, a refiner, and a teacher that picks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from mezzotint.images.data import ImageFacts
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.draws import Draws, arcsine_shares, as_pixels, sharpened
from mezzotint.images.oneshot.judge import Judge, persuaded
from mezzotint.images.oneshot.refiner import NOISE, Refiner

_GAUSSIANS = "mean", "axes", "centres", "factors"
_MOST_WIDTH = 256


class OneShotGenerator:
    """Refines draws from class Gaussians; where the teacher disagrees, it draws again.

    Args:
        facts: shape and classes of the images.
        draws: the class Gaussians.
        refiner: the network.
        judge: the teacher.
        width: of the refiner.
        tries: how often it draws at most for one image; the best one is kept.
        varied: whether images are refined by a share of their own, or all wholly.
    """

    kind: ClassVar[str] = "mezzotint"

    def __init__(
        self,
        facts: ImageFacts,
        draws: Draws,
        refiner: Refiner,
        judge: Judge,
        *,
        width: int,
        tries: int,
        varied: bool,
    ) -> None:
        self._shape = facts.height, facts.width
        self._draws, self._refiner, self._judge = draws, refiner.eval(), judge
        self._width, self._tries, self._varied = width, tries, varied

    @torch.no_grad()
    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label; of several tries the first that the teacher takes for its label."""
        source = torch.Generator().manual_seed(seed)
        wanted = torch.from_numpy(np.asarray(labels, np.int64))
        return as_pixels(
            persuaded(self._judge, wanted, self._tries, lambda y: self._refined(y, source))
        )

    def _refined(self, labels: Tensor, source: torch.Generator) -> Tensor:
        """Draws, refined by a share that differs from image to image, if so wished.

        What is not refined has its edges raised, by another such share.
        """
        blurred = self._draws(labels, source)
        noise = torch.randn(len(labels), NOISE, *self._shape, generator=source)
        refined = self._refiner(blurred, labels, noise)
        if not self._varied:
            return refined
        plain = sharpened(blurred, arcsine_shares(len(labels), source))
        mixed = torch.lerp(plain, refined, arcsine_shares(len(labels), source))
        return self._draws.grained(mixed, arcsine_shares(len(labels), source), source)

    def config(self) -> Mapping[str, Any]:
        """Sizes."""
        return {"width": self._width, "tries": self._tries, "varied": self._varied}

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Gaussians, teacher and network."""
        arrays = {f"gaussians.{name}": array for name, array in self._draws.arrays().items()}
        arrays |= {f"teacher.{name}": array for name, array in self._judge.arrays().items()}
        for name, tensor in self._refiner.state_dict().items():
            arrays[f"refiner.{name}"] = np.ascontiguousarray(tensor.numpy())
        return arrays

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse."""
        width, tries = int(config["width"]), int(config["tries"])
        if not (0 < width <= _MOST_WIDTH and width % 4 == 0 and 0 < tries <= 1000):
            raise ValueError("sizes out of range")
        draws = Draws(
            Canvas.of(facts),
            *(arrays[f"gaussians.{name}"] for name in _GAUSSIANS),
            shares=arrays["gaussians.shares"],
            grain=arrays["gaussians.grain"],
        )
        if draws.classes != len(facts.classes):
            raise ValueError("class Gaussians: another number of classes")
        refiner = Refiner(facts, width)
        state = {}
        for name, tensor in refiner.state_dict().items():
            array = arrays[f"refiner.{name}"]
            if array.shape != tuple(tensor.shape):
                raise ValueError(f"refiner.{name}: shape {array.shape}")
            state[name] = torch.from_numpy(np.array(array, np.float32))
        refiner.load_state_dict(state)
        judge = Judge(facts, arrays["teacher.mean"], arrays["teacher.weights"])
        varied = bool(config["varied"])
        return cls(facts, draws, refiner, judge, width=width, tries=tries, varied=varied)
