"""The refiner learns to match what was released: post-processing, no private data.

The loss has two parts. One is the squared distance between the synthetic images' mean embeddings by
class and the released ones (a maximum mean discrepancy, for pixels, for scattering, and linear in
scattering); the other asks that the released teacher takes an image for its class.

The square of a batch's own mean would reward images that are all alike: its diagonal terms, every
image with itself, are taken out, which makes the estimate unbiased.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.images.data import ImageFacts
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.draws import Draws
from mezzotint.images.oneshot.generator import OneShotGenerator
from mezzotint.images.oneshot.judge import Judge
from mezzotint.images.oneshot.refiner import NOISE, Refiner
from mezzotint.images.oneshot.releases import Released
from mezzotint.images.work import Work

_STAGE = "training the generator"
_BATCH = 256
_MOST_CLASSES = 32
_LEARNING_RATE = 4e-3
_AVERAGE = 0.98
_TEACHER_WEIGHT = 0.1


def train(
    released: Released,
    facts: ImageFacts,
    work: Work,
    *,
    steps: int,
    width: int,
    tries: int,
    varied: bool,
) -> OneShotGenerator:
    """Train a refiner.

    Args:
        released: what it is to match.
        facts: shape and classes.
        work: seed, device, progress.
        steps: how many batches.
        width: channels of the refiner's first layer.
        tries: see `OneShotGenerator`.
        varied: likewise.
    """
    refiner = refined(released, facts, work, steps=steps, width=width)
    return assembled(released, facts, refiner, width=width, tries=tries, varied=varied)


def assembled(
    released: Released, facts: ImageFacts, refiner: Refiner, *, width: int, tries: int, varied: bool
) -> OneShotGenerator:
    """The generator of a trained refiner."""
    draws, judge = draws_from(released, facts), judge_from(released, facts)
    return OneShotGenerator(
        facts, draws, refiner.cpu(), judge, width=width, tries=tries, varied=varied
    )


def draws_from(released: Released, facts: ImageFacts) -> Draws:
    """The released mixtures of Gaussians, ready to draw from."""
    basis, mixture = released.basis, released.mixture
    return Draws(
        Canvas.of(facts),
        basis.mean,
        basis.axes,
        mixture.centres,
        mixture.factors,
        shares=mixture.shares,
        grain=released.grain,
    )


def judge_from(released: Released, facts: ImageFacts) -> Judge:
    """The released teacher."""
    return Judge(facts, released.whitening.mean, released.whitening.matrix @ released.weights)


def refined(
    released: Released, facts: ImageFacts, work: Work, *, steps: int, width: int
) -> Refiner:
    """A refiner trained on what was released, on the device; its weights are averaged."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(work.seed)
        refiner = Refiner(facts, width).to(work.device)
    averaged = copy.deepcopy(refiner)
    if steps:
        Matching(released, facts, work, refiner).run(steps, averaged)
    return averaged


class Matching:
    """A refiner and what it is to match: tensors, the loss, and the loop."""

    def __init__(self, released: Released, facts: ImageFacts, work: Work, refiner: Refiner) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(work.device)

        self.work, self.refiner = work, refiner
        self.draws = draws_from(released, facts).to(work.device)
        self.judge = judge_from(released, facts).to(work.device)
        self.shape = facts.height, facts.width
        self.pixels = tensor(released.frequencies.pixels)
        self.features = tensor(released.frequencies.features)
        self.whitening = tensor(released.whitening.matrix)
        self.weights = tensor(released.weights)
        self.targets = [tensor(target) for target in released.targets]
        self.classes = len(facts.classes)

    def run(self, steps: int, averaged: Refiner) -> None:
        """Adam with a warm-up and a cosine; `averaged` follows the weights."""
        source = torch.Generator(self.work.device).manual_seed(self.work.seed)
        optimiser = torch.optim.Adam(self.refiner.parameters(), _LEARNING_RATE, betas=(0.5, 0.99))
        warm = max(1, min(50, steps // 10))
        for step in range(steps):
            rise = min(1.0, (step + 1) / warm)
            fall = 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = _LEARNING_RATE * rise * (0.02 + 0.98 * fall)
            optimiser.zero_grad()
            labels = self.labels(source)
            loss, distance = self.loss(self.images(labels.flatten(), source), labels)
            loss.backward()
            optimiser.step()
            keep = min(_AVERAGE, step / (step + 10))
            with torch.no_grad():
                for slow, fast in zip(
                    averaged.parameters(), self.refiner.parameters(), strict=True
                ):
                    slow.lerp_(fast, 1 - keep)
            self.work.require_finite(_STAGE, distance)
            self.work.progress(_STAGE, (step + 1) / steps, loss=distance)

    def labels(self, source: torch.Generator) -> Tensor:
        """A batch's labels, a row a class: int64 of shape (at most `_MOST_CLASSES`, each)."""
        place = self.weights.device
        chosen = torch.randperm(self.classes, generator=source, device=place)[:_MOST_CLASSES]
        return chosen[:, None].repeat(1, max(2, _BATCH // len(chosen)))

    def images(self, labels: Tensor, source: torch.Generator) -> Tensor:
        """One refined image a label: float32 of shape (n, channels, height, width) in [0, 1]."""
        place = self.weights.device
        noise = torch.randn(len(labels), NOISE, *self.shape, generator=source, device=place)
        return self.refiner(self.draws(labels, source), labels, noise)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """What to descend, and the embeddings' distance as far as it is known.

        Args:
            images: refined ones, class by class.
            labels: as `labels` gives them.
        """
        place, (chosen, each) = self.weights.device, (labels[:, 0], labels.shape[1])
        features = self.judge.features(images)
        parts = (
            _waves(self.draws.shrink(images), self.pixels),
            _waves(features, self.features),
            features,
        )
        loss, distance = torch.zeros((), device=place), 0.0
        for part, target in zip(parts, self.targets, strict=True):
            now = part.reshape(len(chosen), each, -1).mean(dim=1)
            # Rows have norm 1, so this is an unbiased estimate of the squared distance, save for
            # the target's own norm.
            square = (each * now.square().sum(dim=1) - 1) / (each - 1)
            wanted = target[chosen]
            loss = loss + (square - 2 * (now * wanted).sum(dim=1)).mean()
            distance += float((square.detach() - 2 * (now.detach() * wanted).sum(dim=1)).mean())
            distance += float(wanted.square().sum(dim=1).mean())
        logits = functional.normalize(features @ self.whitening, dim=1) @ self.weights
        doubt = functional.cross_entropy(logits, labels.flatten())
        return loss + _TEACHER_WEIGHT * doubt, distance


def _waves(rows: Tensor, frequencies: Tensor) -> Tensor:
    """Random Fourier features: shape (n, 2 m), norm 1."""
    phases = rows @ frequencies
    return torch.cat([torch.cos(phases), torch.sin(phases)], dim=1) / frequencies.shape[1] ** 0.5
