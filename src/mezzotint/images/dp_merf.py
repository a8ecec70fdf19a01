"""DP-MERF: one noisy mean embedding, and a generator that matches it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.decoder import DecoderGenerator, fresh_decoder
from mezzotint.images.integers import (
    BALL,
    UNIT,
    Block,
    chunks,
    class_sums,
    release,
    rounded,
)
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.oneshot.embedding import waves
from mezzotint.images.plan import Estimate
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run

_COUNT = UNIT // 4
_STAGE = "training the generator"
_LEARNING_RATE = 5e-3
_BATCH = 300
_NOISE, _WIDTH = 16, 16


@dataclass(frozen=True)
class Embedding:
    """The noisy mean embedding. Public.

    Attributes:
        frequencies: float64 of shape (pixels, m).
        target: float64 of shape (K, 2 m): mean over all images of feature times one-hot label.
        shares: float64 of shape (K,): noisy class shares, none negative.
    """

    frequencies: np.ndarray
    target: np.ndarray
    shares: np.ndarray


class MeanEmbeddingGenerator(DecoderGenerator):
    """A decoder trained by DP-MERF."""

    kind: ClassVar[str] = "dp-merf"


class DpMerf(ImageMethod):
    """DP-MERF (Harder, Adamczewski, Park, AISTATS 2021): a mean embedding released once.

    Theorem. A record's vector is the outer product of its random Fourier features (norm 1) and its
    one-hot label, beside a count; in whole numbers its L2 norm is at most a public bound. One
    discrete Gaussian draw is added to the sum over records; the cost is that of one Gaussian, by
    privacy loss distributions. Training the generator is post-processing.

    Neighbouring relation: one image with its label is added or removed.

    Departures: the paper holds the number of images to be public and replaces a record (sensitivity
    2 / n); here records are added or removed, and the noisy counts are released in the same vector.
    Its length scale is a public constant, not the median distance of private images. The generator
    is a small convolutional one.

    Args:
        epsilon, delta: the budget.
        features: how many random frequencies; an embedding has twice as many numbers.
        length: length scale of the kernel, as the root mean square difference of a pixel.
        steps_of_training: batches of 300.
        effort: multiplies the training.
    """

    name: ClassVar[str] = "dp-merf"

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        features: int = 1000,
        length: float = 0.37,
        steps_of_training: int = 1000,
        effort: float = 1.0,
    ) -> None:
        if not 1 <= features <= 20_000:
            raise ParameterError(f"features = {features!r}: give 1 to 20,000 frequencies")
        if not 0 < length < 100:
            raise ParameterError(f"length = {length!r}: give a difference of pixels such as 0.37")
        if steps_of_training < 1 or not 0 < effort < 1e4:
            raise ParameterError(
                f"steps_of_training = {steps_of_training!r}, effort = {effort!r}: give at least "
                "one step, and a factor such as 0.1 or 2.0"
            )
        self.epsilon = epsilon
        self.delta = delta
        self.features = features
        self.length = length
        self.steps_of_training = steps_of_training
        self.effort = effort

    @property
    def _batches(self) -> int:
        return max(1, round(self.steps_of_training * self.effort))

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """One Gaussian."""
        return Programme.calibrated(budget, lambda scale: Programme((Gaussian(scale),)))

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What the release is."""
        return ("number of images by class, mean embedding by class",)

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Embedding:
        """The embedding.

        Guarantee: one Gaussian of the programme's multiplier. Sensitivity: `integers.l2_bound` of
        `embedding_blocks`. Private and public: the data is private, the result public. Units: grid
        steps on the way.
        """
        rng = np.random.default_rng((work.seed, 1))
        scale = self.length * facts.pixels**0.5
        frequencies = rng.normal(size=(facts.pixels, self.features)) / scale
        work.progress("measuring", 0.0)
        blocks = embedding_blocks(len(facts.classes), self.features)
        sums = embedding_sums(frequencies, data)
        counts, totals = release(run, 0, self.steps(facts)[0], blocks, sums)
        work.progress("measuring", 1.0)
        counts = np.maximum(counts / _COUNT, 0.0)
        n = max(1.0, float(counts.sum()))
        shares = counts / n if counts.any() else np.full(len(counts), 1 / len(counts))
        return Embedding(frequencies, totals / (UNIT * n), shares)

    def train(self, released: Embedding, facts: ImageFacts, work: Work) -> Trained:
        """Adam on the squared distance of embeddings, with the noisy class shares."""
        decoder = fresh_decoder(facts, _NOISE, _WIDTH, work.seed)
        source = torch.Generator().manual_seed(work.seed)
        frequencies = torch.from_numpy(released.frequencies.astype(np.float32))
        target = torch.from_numpy(released.target.astype(np.float32))
        shares = torch.from_numpy(released.shares.astype(np.float32))
        classes, m = len(facts.classes), self.features
        optimiser = torch.optim.Adam(decoder.parameters(), _LEARNING_RATE, betas=(0.5, 0.99))
        for step in range(self._batches):
            for group in optimiser.param_groups:
                fall = 0.5 * (1 + math.cos(math.pi * step / self._batches))
                group["lr"] = _LEARNING_RATE * (0.02 + 0.98 * fall)
            # As many of each class as of the others, weighted by the class's share.
            each = max(2, _BATCH // classes)
            labels = torch.arange(classes).repeat_interleave(each)
            noise = torch.randn(len(labels), _NOISE, generator=source)
            images = decoder(noise, labels).movedim(1, 3).flatten(1)
            phases = images @ frequencies
            rows = torch.cat([torch.cos(phases), torch.sin(phases)], 1) / m**0.5
            means = rows.reshape(classes, each, -1).mean(dim=1) * shares[:, None]
            loss = (means - target).square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            work.require_finite(_STAGE, float(loss.detach()))
            work.progress(_STAGE, (step + 1) / self._batches, loss=float(loss.detach()))
        return Trained(MeanEmbeddingGenerator(decoder, _WIDTH), released.shares)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Roughly: the embedding and the training."""
        n, pixels = facts.population or 10_000, facts.height * facts.width
        release = n * facts.pixels * self.features * 2.5e-10
        training = self._batches * (0.05 + pixels * 8e-4)
        return Estimate(5 + release + training, 400 + facts.pixels * self.features * 3e-5)


def embedding_blocks(classes: int, features: int) -> tuple[Block, ...]:
    """What one record adds."""
    return (
        Block("number of images by class", (classes,), _COUNT),
        Block("sum of random features by class", (classes, 2 * features), UNIT),
    )


def embedding_sums(frequencies: np.ndarray, data: ImageData) -> list[np.ndarray]:
    """The exact sums of `embedding_blocks` over the private images. Private."""
    classes, (pixels, m) = len(data.classes), frequencies.shape
    counts, totals = np.zeros(classes, np.int64), np.zeros((classes, 2 * m), np.int64)
    whole, step = rounded(frequencies / 255.0, int(255 * pixels**0.5) + 1)
    for part in chunks(len(data)):
        rows = data.x[part].reshape(len(data.x[part]), pixels).astype(np.float64)
        labels = data.y[part]
        counts += np.bincount(labels, minlength=classes) * _COUNT
        totals += class_sums(waves(rows, whole, step), labels, classes) * BALL
    return [counts, totals]
