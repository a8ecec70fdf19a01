"""DP-Sinkhorn: a generator trained by the Sinkhorn divergence, its gradients privatised."""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.errors import ParameterError
from mezzotint.images.adversary import follow
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.decoder import Decoder, DecoderGenerator, fresh_decoder
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.plan import Estimate
from mezzotint.images.work import Work
from mezzotint.privacy import noise as private_noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run
from mezzotint.privacy.training import TrainingNoise

_STAGE = "training the generator"
_NOISE, _WIDTH = 16, 16
_SWEEPS = 30
_LEARNING_RATE, _BETAS, _AVERAGE = 2e-3, (0.5, 0.99), 0.998

Labelled = tuple[Tensor, Tensor]
"""Images in [0, 1], shape (n, channels, height, width), and their labels, shape (n,)."""


class SinkhornGenerator(DecoderGenerator):
    """A decoder trained by DP-Sinkhorn."""

    kind: ClassVar[str] = "dp-sinkhorn"


class DpSinkhorn(ImageMethod):
    """DP-Sinkhorn (Cao, Bie, Vahdat, Fidler, Kreis, NeurIPS 2021), with sound accounting.

    Every step draws synthetic images, transports them to a Poisson sample of the private images at
    least entropic cost (squared distance of pixels, plus a cost where labels differ), and moves
    them along the gradient. The semi-debiased part, transport to other synthetic images, is public.

    Theorem. Given the synthetic images, a step's private gradient is a function g of the sample
    alone. One record's presence in the sample may move all of g, since it changes the whole
    transport plan; g is clipped as a whole, as one vector over all synthetic images, to norm C, so
    that g changes by at most 2 C. With noise of 2 C sigma, a record that joins with probability q
    gives the mixture (1 - q) N(g) + q N(g') against N(g), |g - g'| <= 2 C: the Poisson-subsampled
    Gaussian with multiplier sigma. Steps compose adaptively, by privacy loss distributions.

    Neighbouring relation: one image with its label is added or removed.

    Departures: the paper clips at the generator's output and counts the sensitivity of the clipped
    gradient; clipping each of m synthetic images by itself would have joint sensitivity
    2 C sqrt(m), which a guarantee must not overlook. The self-transport term is not privatised, for
    it does not touch private data. The mean of the plan's target is clipped around the synthetic
    image itself, which is the same gradient where the plan's marginals are met. An empty sample
    gives the gradient zero, with noise as ever. Clipped gradients are rounded in floating point
    before the noise is added. The learning rate falls and weights are averaged, both for the noise.
    The paper trains far longer, on a GPU, and reports more than is reached here in minutes.

    Args:
        epsilon, delta: the budget.
        batch: private images in an average sample. Small samples need hardly more noise, and leave
            time for more steps.
        synthetic: synthetic images in a step.
        steps_of_training: steps.
        clip: C, of the gradient of the mean transport cost, whose norm is the root mean square
            distance to the targets, divided by the root of `synthetic`.
        effort: multiplies the steps.
    """

    name: ClassVar[str] = "dp-sinkhorn"
    needs_population: bool = True

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        batch: int = 50,
        synthetic: int = 64,
        steps_of_training: int = 3000,
        clip: float = 0.5,
        effort: float = 1.0,
    ) -> None:
        if min(batch, synthetic, steps_of_training) < 1:
            raise ParameterError(
                f"batch = {batch}, synthetic = {synthetic}, steps_of_training = "
                f"{steps_of_training}: give at least 1 of each"
            )
        if not (0 < clip < 1e6 and 0 < effort < 1e4):
            raise ParameterError(
                f"clip = {clip!r}, effort = {effort!r}: give positive numbers such as 0.5 and 1.0"
            )
        self.epsilon = epsilon
        self.delta = delta
        self.batch = batch
        self.synthetic = synthetic
        self.steps_of_training = steps_of_training
        self.clip = clip
        self.effort = effort

    @property
    def _steps(self) -> int:
        return max(1, round(self.steps_of_training * self.effort))

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """One training of Poisson samples."""
        assert facts.population is not None
        rate = min(1.0, self.batch / facts.population)
        return Programme.calibrated(
            budget, lambda scale: Programme((SubsampledGaussian(scale, rate, self._steps),))
        )

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What the event is."""
        return (f"{self._steps} gradients of transport to samples",)

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Decoder:
        """The private training.

        Guarantee: the subsampled Gaussian of the programme: see the class. Sensitivity: 2 C a step,
        in L2, over all synthetic images together. Private and public: the data, samples and plans
        are private; noised gradients are public, and so is the decoder after every step. Units:
        pixels in [0, 1].
        """
        source = private_noise.training(run.training(0, self.steps(facts)[0]))
        draws = torch.Generator().manual_seed(work.seed)
        decoder = fresh_decoder(facts, _NOISE, _WIDTH, work.seed)
        average = copy.deepcopy(decoder)
        optimiser = torch.optim.Adam(decoder.parameters(), _LEARNING_RATE, _BETAS)
        labels_all = torch.from_numpy(data.y)
        for step in range(source.steps):
            fall = 0.5 * (1 + math.cos(math.pi * step / source.steps))
            for group in optimiser.param_groups:
                group["lr"] = _LEARNING_RATE * (0.02 + 0.98 * fall)
            labels = torch.randint(len(facts.classes), (2 * self.synthetic,), generator=draws)
            latent = torch.randn(len(labels), _NOISE, generator=draws)
            images = decoder(latent, labels)
            m = self.synthetic
            ours = images[:m].detach(), labels[:m]
            others = images[m:].detach(), labels[m:]
            coins = torch.from_numpy(source.coins(step, len(data)))
            pixels = torch.from_numpy(data.x[coins.numpy()].astype(np.float32) / 255.0)
            sample = pixels.movedim(3, 1), labels_all[coins]
            gradient = noised_gradient(ours, sample, source, step, self.clip)
            own = transport_gradient(ours, others)
            optimiser.zero_grad()
            # Transport to private images counts twice, to synthetic ones once and backwards.
            images[:m].backward(2 * gradient - own)
            optimiser.step()
            follow(average, decoder, step, _AVERAGE)
            finite = float(gradient.square().sum())
            work.require_finite(_STAGE, finite)
            work.progress(_STAGE, (step + 1) / source.steps)
        return average

    def train(self, released: Any, facts: ImageFacts, work: Work) -> Trained:
        """Nothing is left to train."""
        return Trained(SinkhornGenerator(released, _WIDTH))

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Roughly a step at a time."""
        n = facts.population or 10_000
        step = 0.02 + facts.pixels * self.synthetic * 1e-6 + n * 1e-7
        return Estimate(5 + self._steps * step, 400 + n * facts.pixels * 1e-6)


def noised_gradient(
    ours: Labelled, real: Labelled, source: TrainingNoise, step: int, clip: float
) -> Tensor:
    """The clipped gradient of one step with its noise: public.

    Guarantee: one step of `source`'s event. Sensitivity: 2 clip. Private and public: real images
    and labels are private, the rest and the result public. Units: pixels in [0, 1].
    """
    gradient = clipped_gradient(ours, real, clip)
    noise = source.gaussian(step, gradient.numel(), label="transport", dtype=np.float32)
    return gradient + 2 * clip * torch.from_numpy(noise).reshape(gradient.shape)


def clipped_gradient(ours: Labelled, real: Labelled, clip: float) -> Tensor:
    """The transport's gradient, clipped as one vector. Private."""
    if not len(real[0]):
        return torch.zeros_like(ours[0])
    gradient = torch.nan_to_num(transport_gradient(ours, real))
    norm = gradient.double().square().sum().sqrt()
    return (gradient.double() * min(1.0, clip / max(float(norm), 1e-30))).float()


def transport_gradient(ours: Labelled, others: Labelled) -> Tensor:
    """Gradient of the mean entropic transport cost with respect to our images.

    Args:
        ours: m images and their labels.
        others: at least one image and its label.

    Returns:
        The shape of our images: (image - barycentre of its targets) / m.
    """
    a, b = ours[0].flatten(1), others[0].flatten(1)
    pixels = a.shape[1]
    different = (ours[1][:, None] != others[1][None]).float()
    cost = torch.cdist(a, b).square() / 2 + pixels * different
    blur = 0.01 * pixels
    log_plan = -cost / blur
    # Log-domain sweeps; the last one meets the marginal of our own images.
    for _ in range(_SWEEPS):
        log_plan = functional.log_softmax(log_plan, dim=0)
        log_plan = functional.log_softmax(log_plan, dim=1)
    return (a - log_plan.exp() @ b).reshape(ours[0].shape) / len(a)
