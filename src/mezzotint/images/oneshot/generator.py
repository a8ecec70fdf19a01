"""What our own method leaves behind: class Gaussians, a refiner, and a teacher that picks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.images.data import ImageFacts
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.draws import Draws, as_pixels
from mezzotint.images.oneshot.refiner import NOISE, Refiner
from mezzotint.images.oneshot.scattering import Scattering

_GAUSSIANS = "mean", "axes", "centres", "factors"
_MOST_WIDTH = 256


class Judge:
    """The teacher on public images: how likely it takes an image to be of each class.

    Attributes:
        mean: float32 of shape (features,), taken off the scattering features.
        weights: float32 of shape (features, K): whitening and classifier in one.
    """

    def __init__(self, facts: ImageFacts, mean: np.ndarray, weights: np.ndarray) -> None:
        self._scattering = Scattering(facts)
        size, classes = self._scattering.size, len(facts.classes)
        if mean.shape != (size,) or weights.shape != (size, classes):
            raise ValueError("the teacher's arrays have wrong shapes")
        self.mean = torch.from_numpy(np.ascontiguousarray(mean, np.float32))
        self.weights = torch.from_numpy(np.ascontiguousarray(weights, np.float32))

    def to(self, device: str) -> Judge:
        """The same on another device."""
        other = copy.copy(self)
        other._scattering = copy.deepcopy(self._scattering).to(device)
        other.mean, other.weights = self.mean.to(device), self.weights.to(device)
        return other

    def features(self, images: Tensor) -> Tensor:
        """Centred features of norm 1: shape (n, features)."""
        return functional.normalize(self._scattering(images) - self.mean, dim=1)

    def margins(self, images: Tensor, labels: Tensor) -> Tensor:
        """By how much each image's own class is ahead of the next: shape (n,)."""
        logits = self.features(images) @ self.weights
        own = functional.one_hot(labels, logits.shape[1]).bool()
        if logits.shape[1] == 1:
            return logits[:, 0]
        return logits[own] - logits.masked_fill(own, -torch.inf).amax(dim=1)


class OneShotGenerator:
    """Refines draws from class Gaussians; where the teacher disagrees, it draws again.

    Args:
        facts: shape and classes of the images.
        draws: the class Gaussians.
        refiner: the network.
        judge: the teacher.
        width: of the refiner.
        tries: how often it draws at most for one image; the best one is kept.
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
    ) -> None:
        self._shape = facts.height, facts.width
        self._draws, self._refiner, self._judge = draws, refiner.eval(), judge
        self._width, self._tries = width, tries

    @torch.no_grad()
    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label; of several tries the first that the teacher takes for its label."""
        source = torch.Generator().manual_seed(seed)
        wanted = torch.from_numpy(np.asarray(labels, np.int64))
        images = self._refined(wanted, source)
        if self._tries == 1:
            return as_pixels(images)
        margins = self._judge.margins(images, wanted)
        for _ in range(self._tries - 1):
            again = torch.nonzero(margins.le(0.0)).flatten()
            if not len(again):
                break
            fresh = self._refined(wanted[again], source)
            better = self._judge.margins(fresh, wanted[again])
            won = better > margins[again]
            images[again[won]], margins[again[won]] = fresh[won], better[won]
        return as_pixels(images)

    def _refined(self, labels: Tensor, source: torch.Generator) -> Tensor:
        blurred = self._draws(labels, source)
        noise = torch.randn(len(labels), NOISE, *self._shape, generator=source)
        return self._refiner(blurred, labels, noise)

    def config(self) -> Mapping[str, Any]:
        """Sizes."""
        return {"width": self._width, "tries": self._tries}

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Gaussians, teacher and network."""
        arrays = {f"gaussians.{name}": array for name, array in self._draws.arrays().items()}
        arrays["teacher.mean"] = self._judge.mean.numpy()
        arrays["teacher.weights"] = self._judge.weights.numpy()
        for name, tensor in self._refiner.state_dict().items():
            arrays[f"refiner.{name}"] = tensor.numpy()
        return arrays

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse."""
        width, tries = int(config["width"]), int(config["tries"])
        if not (0 < width <= _MOST_WIDTH and width % 4 == 0 and 0 < tries <= 1000):
            raise ValueError("sizes out of range")
        draws = Draws(Canvas.of(facts), *(arrays[f"gaussians.{name}"] for name in _GAUSSIANS))
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
        return cls(facts, draws, refiner, judge, width=width, tries=tries)
