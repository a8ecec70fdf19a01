"""The released teacher on synthetic images: it judges them, and has them drawn again."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.images.data import ImageFacts
from mezzotint.images.oneshot.scattering import Scattering


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

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name."""
        return {"mean": self.mean.numpy(), "weights": self.weights.numpy()}

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


@torch.no_grad()
def persuaded(judge: Judge, labels: Tensor, tries: int, draw: Callable[[Tensor], Tensor]) -> Tensor:
    """Images that the teacher takes for their labels, as far as few tries bring them.

    Post-processing: rejection sampling by a classifier (Azadi et al. Discriminator rejection
    sampling. ICLR 2019), here by a released one.

    Args:
        judge: the teacher.
        labels: what each image is to be, int64 of shape (n,).
        tries: how often an image is drawn at most; of those that failed the best is kept.
        draw: from labels to images (n, channels, height, width) in [0, 1].
    """
    images = draw(labels)
    if tries == 1:
        return images
    margins = judge.margins(images, labels)
    for _ in range(tries - 1):
        again = torch.nonzero(margins.le(0.0)).flatten()
        if not len(again):
            break
        fresh = draw(labels[again])
        better = judge.margins(fresh, labels[again])
        won = better > margins[again]
        images[again[won]], margins[again[won]] = fresh[won], better[won]
    return images
