"""DP latent diffusion, with the budget composed as the theory says."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import (
    Block,
    Checkpoints,
    Draws,
    PrivateTraining,
    settings_digest,
    train,
)
from mezzotint.images.integers import release
from mezzotint.images.latent_diffusion.denoiser import Denoiser, Gaussians, Network
from mezzotint.images.latent_diffusion.generator import DiffusionGenerator
from mezzotint.images.latent_diffusion.latents import Latents
from mezzotint.images.latent_diffusion.moments import (
    Moments,
    blocks,
    frame_of,
    integer_sums,
    moments,
)
from mezzotint.images.latent_diffusion.teaching import taught
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.oneshot.judge import Judge
from mezzotint.images.plan import Estimate
from mezzotint.images.work import Work
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run

if TYPE_CHECKING:
    from mezzotint.images.generator import Generator

_RATE = 1 / 30
_LARGEST_BATCH = 2048
# Noise multipliers in units of the training's: the classes' moments, the features' sum and second
# moments, and all of the teacher's steps together.
_MOMENTS_NOISE, _SUM_NOISE, _SECOND_NOISE, _TEACHER_NOISE = 1.5, 6.0, 2.5, 2.0
_LEVEL_MEAN, _LEVEL_SPREAD = -1.0, 1.2
_AVERAGE = 0.99


@dataclass(frozen=True)
class Released:
    """What became public: the classes' moments, the teacher, and the trained network."""

    latents: Latents
    counts: np.ndarray
    judge: Judge | None
    network: Network


class LatentDiffusion(ImageMethod):
    """Moments released once give the latents; a diffusion model is trained on them by DP-SGD.

    Theorem: the moments of the classes, of the teacher's features, and the teacher's gradient
    steps are Gaussian releases of sums of bounded integer vectors (`integers`); the training is a
    Poisson-subsampled Gaussian of T steps on the same images. Each depends on the images and on
    earlier results only, and their privacy loss distributions are composed (Koskela, Jälkö,
    Honkela 2020), so the whole is (epsilon, delta)-DP. Neighbours: one image more or less.

    The encoder is a low-pass cosine transform, which is public, and the principal components of
    the released moments, which have been paid for. That makes the *encoder* public and not the
    latents: an image's latent is a function of the image, so every step on it is paid for again.
    A drawn image that the teacher, a linear classifier on scattering features (`oneshot.teacher`),
    takes for another class is drawn again.

    Departures from the paper (Ge, Zhang, Sun. Computer Science 51(3), 2024), of which the text is
    not to be had: what is known is stage 1, "privacy-aware information compression" to
    "desensitised latent vectors", and stage 2, a diffusion model on them. Here stage 1 is linear;
    stage 2 begins at the classes' Gaussians in closed form (`denoiser`) and learns the rest; both
    stages are charged, which reading "the encoder was trained privately, so the latents are
    private" does not do. The teacher is ours. Sampler and preconditioning follow Karras et al.
    2022; several draws of an image are averaged before clipping (Dockhorn et al. 2023).

    Args:
        epsilon, delta: the budget.
        latents: how many numbers stand for an image.
        width: of the denoiser's hidden layers.
        epochs: how often each image is sampled by the training, on average.
        multiplicity: draws of noise and level that are averaged before an image is clipped.
        learning_rate: of Adam.
        levels: noise levels of the sampler.
        teacher_steps: releases that the teacher gets; 0 for none.
        tries: how often an image is drawn at most until the teacher agrees.
        effort: scales the length of the training.
    """

    name: ClassVar[str] = "latent-diffusion"
    needs_population: bool = True

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        latents: int = 48,
        width: int = 256,
        epochs: float = 20.0,
        multiplicity: int = 8,
        learning_rate: float = 3e-4,
        levels: int = 24,
        teacher_steps: int = 20,
        tries: int = 8,
        effort: float = 1.0,
    ) -> None:
        for setting, value, least in (
            ("latents", latents, 1),
            ("width", width, 1),
            ("multiplicity", multiplicity, 1),
            ("levels", levels, 1),
            ("teacher_steps", teacher_steps, 0),
            ("tries", tries, 1),
        ):
            if value < least:
                raise ParameterError(f"{setting} = {value!r}: give at least {least}")
        self.epsilon = epsilon
        self.delta = delta
        self.latents = latents
        self.width = width
        self.epochs = epochs
        self.multiplicity = multiplicity
        self.learning_rate = learning_rate
        self.levels = levels
        self.teacher_steps = teacher_steps
        self.tries = tries
        self.effort = effort

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """Gaussian releases and one training; the noise of all is scaled to the budget."""
        rate, steps = self._schedule(facts)
        count = self.teacher_steps
        noises = [_MOMENTS_NOISE]
        if count:
            noises += [_SUM_NOISE, _SECOND_NOISE, *[_TEACHER_NOISE * count**0.5] * count]

        def build(scale: float) -> Programme:
            releases = (Gaussian(noise * scale) for noise in noises)
            return Programme((*releases, SubsampledGaussian(scale, rate, steps)))

        return Programme.calibrated(budget, build)

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """In words."""
        taught = ()
        if self.teacher_steps:
            taught = (
                "sum of scattering features",
                "second moments of scattering features",
                *(f"gradient step {step + 1} of the teacher" for step in range(self.teacher_steps)),
            )
        return ("counts and moments of every class", *taught, "training of the denoiser")

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Released:
        """The moments, the teacher, then the training.

        Guarantee: see the class.
        Sensitivity: `integers.l2_bound` of each release's blocks, and the clip of the training.
        Private and public: the data is private; the result is public.
        """
        frame, classes = frame_of(facts), len(facts.classes)
        about, sigmas = self.steps(facts), _multipliers(programme)
        work.progress("measuring", 0.0)
        noised = release(run, 0, about[0], blocks(frame, classes), integer_sums(data, frame))
        released = moments(noised, sigmas[0], frame)
        latents = Latents.of(released, frame, min(self.latents, frame.size))
        judge = None
        if self.teacher_steps:
            total = max(1.0, float(released.counts.sum()))
            judge = taught(data, facts, run, work, about=about, sigmas=sigmas, total=total)
        network = self._trained(data, facts, latents, run, work)
        return Released(latents, released.counts, judge, network)

    def train(self, released: Released, facts: ImageFacts, work: Work) -> Trained:
        """Nothing is left to be trained."""
        generator: Generator = DiffusionGenerator(
            released.latents,
            released.network,
            released.judge,
            width=self.width,
            levels=self.levels,
            tries=self.tries,
        )
        return Trained(generator, released.counts)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """From the rows that go through the network."""
        _, steps = self._schedule(facts)
        rows = steps * self._batch(facts) * self.multiplicity
        work = rows * self.width * (3 * self.width + 2 * self.latents)
        return Estimate(seconds=10 + work / (2e9 if device == "cpu" else 5e11), memory_mb=1000)

    def _schedule(self, facts: ImageFacts) -> tuple[float, int]:
        """Sampling rate and steps, from the public number of images."""
        assert facts.population is not None
        rate = self._batch(facts) / facts.population
        return rate, max(1, round(self.effort * self.epochs / rate))

    def _batch(self, facts: ImageFacts) -> float:
        assert facts.population is not None
        return min(_LARGEST_BATCH, max(_RATE * facts.population, min(64, facts.population)))

    def _trained(
        self, data: ImageData, facts: ImageFacts, latents: Latents, run: Run, work: Work
    ) -> Network:
        """The denoiser's network, trained on the images' latents by DP-SGD."""
        assert run.programme is not None
        place = len(run.programme.events) - 1
        event = run.programme.events[place]
        assert isinstance(event, SubsampledGaussian)
        # The same start whatever ran before in this process.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(work.seed)
            network = Network(latents.size, len(facts.classes), self.width)
        device = torch.device(work.device)
        network.to(device)
        gaussians = Gaussians(latents).to(device)
        denoiser = Denoiser(gaussians, network)

        def loss(model: nn.Module, records: tuple[Tensor, ...], draws: Draws) -> Tensor:
            clean, y = (draws.repeat(record) for record in records)
            sigma = (_LEVEL_MEAN + _LEVEL_SPREAD * draws.normal(1)).exp()
            return denoiser.loss(model, clean, draws.normal(latents.size), sigma, y)

        clip = public_clip(network, denoiser, latents, self.multiplicity, work.seed)
        block = Block("denoiser", network, loss, clip=clip, multiplicity=self.multiplicity)
        batch = self._batch(facts)
        digest = settings_digest((block,), event, batch, work.seed)
        source = noise.training(run.training(place, f"training of the denoiser, settings {digest}"))
        z = torch.from_numpy(latents.encode(data.x))
        training = PrivateTraining(
            (block,),
            (z, torch.from_numpy(data.y)),
            source,
            event,
            batch=batch,
            micro_batch=work.micro_batch or 512,
            seed=work.seed,
            device=work.device,
        )
        average = Average(network)
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        rates = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / 20) * (1 - 0.9 * step / event.steps)
        )

        def after(step: int) -> None:
            rates.step()
            average.update(network, step)

        checkpoints = None
        if work.checkpoint is not None:
            facts_of = {"data": data.fingerprint().hex(), "settings": digest}
            checkpoints = Checkpoints(work.checkpoint / "training", facts_of, every=50)
        train(
            training,
            {"denoiser": optimizer},
            after=after,
            parts={"average": average, "rates": rates},
            checkpoints=checkpoints,
            progress=lambda done, total: work.progress("training the denoiser", done / total),
        )
        if checkpoints is not None:
            checkpoints.clear()
        return average.model.cpu()


def _multipliers(programme: Programme) -> list[float]:
    """Of the Gaussian releases, in order."""
    return [event.noise_multiplier for event in programme.events if isinstance(event, Gaussian)]


class Average:
    """The exponential average of a network's weights; post-processing."""

    def __init__(self, network: Network) -> None:
        self.model = copy.deepcopy(network)

    def update(self, network: Network, step: int) -> None:
        """Take in the weights after a step; early ones are forgotten faster."""
        keep = min(_AVERAGE, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, now in zip(self.model.parameters(), network.parameters(), strict=True):
                mine.lerp_(now, 1 - keep)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self.model.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """The inverse."""
        return self.model.load_state_dict(state_dict)


def public_clip(
    network: Network, denoiser: Denoiser, latents: Latents, multiplicity: int, seed: int
) -> float:
    """The median gradient norm at the start, of records drawn from the released Gaussians.

    It looks at no private record: what it needs to know of them was released.
    """
    rng = np.random.default_rng(_seed("clip", seed))
    device = next(network.parameters()).device
    y = rng.integers(len(latents.means), size=32)
    wide = rng.normal(size=(32, latents.size)) * np.sqrt(latents.variances[y])
    clean = latents.means[y] + np.einsum("nka,na->nk", latents.axes[y], wide)
    norms = []
    for record, label in zip(clean, y, strict=True):
        rows = torch.from_numpy(np.tile(record, (multiplicity, 1))).float().to(device)
        drawn = torch.from_numpy(rng.normal(size=rows.shape)).float().to(device)
        level = torch.from_numpy(rng.normal(size=(multiplicity, 1))).float().to(device)
        sigma = (_LEVEL_MEAN + _LEVEL_SPREAD * level).exp()
        labels = torch.full((multiplicity,), int(label), device=device)
        value = denoiser.loss(network, rows, drawn, sigma, labels).mean()
        gradients = torch.autograd.grad(value, list(network.parameters()))
        norms.append(float(torch.sqrt(sum((g**2).sum() for g in gradients))))  # type: ignore[arg-type]
    return max(float(np.median(norms)), 1e-6)


def _seed(purpose: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose} {seed}".encode()).digest()[:8], "big")


__all__ = ["LatentDiffusion", "Moments", "Released"]
