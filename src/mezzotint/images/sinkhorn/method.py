"""DP-Sinkhorn: a generator trained by the Sinkhorn divergence, its gradients privatised."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mezzotint.errors import ParameterError
from mezzotint.images.adversary import expected_batch, follow, released_shares
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.decoder import Decoder, DecoderGenerator, fresh_decoder
from mezzotint.images.frequencies import Frequencies
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.plan import Estimate
from mezzotint.images.sinkhorn.transport import Sources, clipped_pull, joint_bound
from mezzotint.images.work import Work
from mezzotint.privacy import noise as private_noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run
from mezzotint.privacy.training import TrainingNoise

_STAGE = "training the generator"
_NOISE, _WIDTH = 32, 16
_LEARNING_RATE, _BETAS, _AVERAGE = 1e-3, (0.5, 0.99), 0.996
_COUNT = 0.25
"""What a record adds to its class's number, in units of the clip."""
_RAREST = 0.25
"""Classes down to this part of an equal share are learnt at the same speed."""
_REMEMBERED = 20
"""What was drawn in so many steps stands for what the generator draws."""


class SinkhornGenerator(DecoderGenerator):
    """A decoder trained by DP-Sinkhorn."""

    kind: ClassVar[str] = "dp-sinkhorn"


@dataclass(frozen=True)
class Pulled:
    """What the private training gives. Public.

    Attributes:
        decoder: averaged over the last steps.
        shares: noisy shares of the classes, float64 of shape (classes,).
    """

    decoder: Decoder
    shares: np.ndarray


class DpSinkhorn(ImageMethod):
    """DP-Sinkhorn (Cao, Bie, Vahdat, Fidler, Kreis, NeurIPS 2021), with per-record clipping.

    Every step draws synthetic images, and moves them along the gradient of the entropic cost of
    transport to a Poisson sample of the private images of their class (half the squared distance),
    less that of the transport to images drawn lately, which is public (the Sinkhorn divergence).

    Theorem. Given what was released before, one private image's part of a step is a function of
    that image alone: it is spread over the synthetic images of its class by weights that follow
    from public potentials (`transport`). Its pull is clipped to norm C over all synthetic images
    together, and it adds C / 4 to its class's number, so that one image more or less moves a
    step's sum by at most C sqrt(1 + 1 / 16): with noise of sigma times that, a step is the
    Poisson-subsampled Gaussian with multiplier sigma. Steps compose adaptively, by privacy loss
    distributions.

    Neighbouring relation: one image with its label is added or removed.

    Departures. The paper computes a plan between the synthetic images and the sample, which one
    image may change as a whole: clipped to C as a whole, the gradient then moves by up to 2 C,
    however large the sample, and clipped synthetic image by synthetic image, by up to 2 C sqrt(m)
    for m of them, which a guarantee must not overlook. Here potentials come from public images, so
    that what images pull adds up as the sample grows, while the noise stays. Labels are met exactly
    instead of at a cost. The gradient is taken in the lowest frequencies of the discrete cosine
    transform, a frame that does not depend on the data, and noise in the others is not needed.
    Class shares are learnt from the same noisy sums; a class's gradient is divided by its share, as
    far as four times, so that rare classes are learnt as fast as others: post-processing.
    Sums are rounded in floating point before the noise is added.

    Args:
        epsilon, delta: the budget.
        batch: private images in an average sample; at most a tenth of all.
        synthetic: synthetic images in a step, over all classes; at least two of each.
        steps_of_training: steps.
        frequencies: how many frequencies in each direction the gradient has, at most.
        clip: C, as the root mean square difference of a pixel, values from 0 to 1.
        blur: the regularisation of transport, as the mean square difference of a pixel.
        effort: multiplies the steps.
    """

    name: ClassVar[str] = "dp-sinkhorn"
    needs_population: bool = True

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        batch: int = 4000,
        synthetic: int = 100,
        steps_of_training: int = 800,
        frequencies: int = 12,
        clip: float = 0.11,
        blur: float = 0.01,
        effort: float = 1.0,
    ) -> None:
        if min(batch, synthetic, steps_of_training, frequencies) < 1:
            raise ParameterError(
                f"batch = {batch}, synthetic = {synthetic}, steps_of_training = "
                f"{steps_of_training}, frequencies = {frequencies}: give at least 1 of each"
            )
        if not all(0 < value < 1e4 for value in (clip, blur, effort)):
            raise ParameterError(
                f"clip = {clip!r}, blur = {blur!r}, effort = {effort!r}: give positive numbers "
                "such as 0.11, 0.01 and 1.0"
            )
        self.epsilon = epsilon
        self.delta = delta
        self.batch = batch
        self.synthetic = synthetic
        self.steps_of_training = steps_of_training
        self.frequencies = frequencies
        self.clip = clip
        self.blur = blur
        self.effort = effort

    @property
    def _steps(self) -> int:
        return max(1, round(self.steps_of_training * self.effort))

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """One training on Poisson samples."""
        assert facts.population is not None
        rate = expected_batch(facts, self.batch) / facts.population
        return Programme.calibrated(
            budget, lambda scale: Programme((SubsampledGaussian(scale, rate, self._steps),))
        )

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What the event is."""
        return (f"{self._steps} gradients of transport to samples",)

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Pulled:
        """The private training.

        Guarantee: the subsampled Gaussian of the programme: see the class. Sensitivity: that of
        `noised_sums`, a step. Private and public: the data and the samples are private; noised sums
        are public, and so is the decoder after every step. Units: pixels in [0, 1].
        """
        source = private_noise.training(run.training(0, self.steps(facts)[0]))
        draws = torch.Generator().manual_seed(work.seed)
        frame = self._frame(facts)
        clip = self.clip * facts.pixels**0.5
        expected = expected_batch(facts, self.batch)
        classes, each = len(facts.classes), self._each(facts)
        labels = torch.arange(classes).repeat_interleave(each)
        decoder = fresh_decoder(facts, _NOISE, _WIDTH, work.seed)
        average = copy.deepcopy(decoder)
        optimiser = torch.optim.Adam(decoder.parameters(), _LEARNING_RATE, _BETAS)

        def drawn() -> tuple[Tensor, Tensor]:
            images = decoder(torch.randn(len(labels), _NOISE, generator=draws), labels)
            codes = images.detach().movedim(1, 3).numpy()
            return images, torch.from_numpy(frame.encode(codes)).reshape(classes, each, -1)

        with torch.no_grad():
            lately = [drawn()[1] for _ in range(_REMEMBERED)]
        numbers = torch.zeros(classes, dtype=torch.float64)
        for step in range(source.steps):
            fall = 0.5 * (1 + math.cos(math.pi * step / source.steps))
            for group in optimiser.param_groups:
                group["lr"] = _LEARNING_RATE * (0.02 + 0.98 * fall)
            images, points = drawn()
            others = torch.cat(lately, dim=1)
            sources = Sources.towards(points, others, self.blur * facts.pixels)
            coins = source.coins(step, len(data))
            records = (
                torch.from_numpy(frame.encode(data.x[coins])),
                torch.from_numpy(data.y[coins]),
            )
            towards, counts = noised_sums(sources, records, source, step, clip)
            numbers += counts
            # The generator's own images stand for as many as there seem to be of their class.
            weights = numbers.clamp(min=0) / (step + 1) / expected
            away = clipped_pull(
                sources,
                others.flatten(0, 1),
                torch.arange(classes).repeat_interleave(others.shape[1]),
                clip,
            )
            gradient = towards / expected - away * (weights / others.shape[1])[:, None, None]
            # A class is not learnt the later for being rare, up to where noise would be all.
            gradient /= (classes * weights).clamp(min=_RAREST)[:, None, None]
            pixels = torch.from_numpy(frame.pictures(gradient.numpy())).float()
            optimiser.zero_grad()
            images.backward(pixels.movedim(3, 1))
            optimiser.step()
            follow(average, decoder, step, _AVERAGE)
            lately = [*lately[1:], points]
            work.require_finite(_STAGE, float(gradient.square().sum()))
            work.progress(_STAGE, (step + 1) / source.steps)
        return Pulled(average, released_shares(numbers.numpy()))

    def train(self, released: Pulled, facts: ImageFacts, work: Work) -> Trained:
        """Nothing is left to train."""
        return Trained(SinkhornGenerator(released.decoder, _WIDTH), released.shares)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Roughly a step at a time."""
        n = facts.population or 10_000
        drawn = self._each(facts) * len(facts.classes)
        step = 0.02 + facts.height * facts.width * drawn * 1.6e-6 + n * 2e-7
        return Estimate(5 + self._steps * step, 400 + n * facts.pixels * 1e-6)

    def _each(self, facts: ImageFacts) -> int:
        return max(2, self.synthetic // len(facts.classes))

    def _frame(self, facts: ImageFacts) -> Frequencies:
        return Frequencies(facts.shape, min(self.frequencies, facts.height, facts.width))


def noised_sums(
    sources: Sources,
    records: tuple[Tensor, Tensor],
    source: TrainingNoise,
    step: int,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """What a sample pulls, and how many of each class it has, with their noise: public.

    Guarantee: one step of `source`'s event. Sensitivity: `joint_bound(clip, clip / 4)`. Private and
    public: records are private, the rest and the results public. Units: those of the points;
    records.

    Args:
        sources: our images.
        records: codes, float64 of shape (n, d), and classes, int64 of shape (n,).
        source: where the noise comes from,
        step: in this step.
        clip: the longest pull.

    Returns:
        float64 of the shape of the points, and float64 of shape (classes,).
    """
    pulled = clipped_pull(sources, *records, clip)
    counts = torch.bincount(records[1], minlength=len(pulled)).double()
    unit = _COUNT * clip
    exact = torch.cat([pulled.flatten(), counts * unit])
    drawn = torch.from_numpy(source.gaussian(step, len(exact), label="transport"))
    noised = exact + joint_bound(clip, unit) * drawn
    size = pulled.numel()
    return noised[:size].reshape(pulled.shape), noised[size:] / unit
