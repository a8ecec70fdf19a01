"""The adversarial training: critic and reconstruction by DP-SGD, the generator for free."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import (
    Block,
    Checkpoints,
    Clipper,
    Draws,
    ErrorFeedback,
    PrivateTraining,
    settings_digest,
    train,
)
from mezzotint.images.gan.generator import noise_maps
from mezzotint.images.gan.networks import Branch, Critic, Refiner, map_shapes
from mezzotint.images.gan.start import Painter, Start
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.work import Work
from mezzotint.privacy import noise
from mezzotint.privacy.events import SubsampledGaussian

if TYPE_CHECKING:
    from mezzotint.privacy.run import Run

EVENT = 2
"""The training's place in the programme."""
_PROBES = 64
_BETAS = (0.5, 0.99)


@dataclass(frozen=True)
class Settings:
    """How the adversaries are trained; see `method.EfGan`."""

    width: int
    critic_width: int
    feedback: ErrorFeedback | None
    injection: bool
    reconstruction: bool
    reconstruct_every: int
    critic_steps: int
    fakes: int
    learning_rate: float
    average: float
    spread: float
    fidelity: float


class Adversaries:
    """Critic, refiner and branch, with everything that a checkpoint must hold.

    Attributes:
        average: the refiner with averaged weights, which is what is released.
    """

    def __init__(self, settings: Settings, facts: ImageFacts, start: Start, work: Work) -> None:
        self.settings = settings
        self.facts = facts
        device = torch.device(work.device)
        # The same start whatever ran before in this process.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(work.seed)
            classes = len(facts.classes)
            self.critic = Critic(facts.shape, classes, settings.critic_width).to(device)
            self.refiner = Refiner(facts.channels, settings.width, injection=settings.injection).to(
                device
            )
        self.painter = Painter(start, Canvas.of(facts)).to(device)
        self.branch = Branch(self.painter, self.refiner, settings.spread)
        self.branch.to(device)
        self.average = copy.deepcopy(self.refiner)
        rate = settings.learning_rate
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), rate, _BETAS)
        self.branch_optimiser = torch.optim.Adam(self.branch.parameters(), rate, _BETAS)
        self.refiner_optimiser = torch.optim.Adam(self.refiner.parameters(), rate / 4, _BETAS)
        self.shares = torch.from_numpy(_shares(start.counts)).float().to(device)
        self._device = device

    def blocks(self) -> tuple[Block, ...]:
        """What is trained on private images, and the clips: medians over public fakes."""
        feedback = self.settings.feedback
        clip = self._median_norm(self.critic, _real_loss)
        blocks = [Block("critic", self.critic, _real_loss, clip, feedback=feedback)]
        if self.settings.reconstruction:
            clip = self._median_norm(self.branch, self._reconstruction_loss)
            loss = self._reconstruction_loss
            blocks.append(Block("branch", self.branch, loss, clip, feedback=feedback))
        return tuple(blocks)

    def active(self, step: int) -> tuple[str, ...]:
        """Which blocks take part in a step: known beforehand."""
        if self.settings.reconstruction and step % self.settings.reconstruct_every == 0:
            return ("critic", "branch")
        return ("critic",)

    def fakes(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Fake images (n, channels, h, w) and their classes (n,)."""
        painted, y = self._painted(n, random)
        maps = noise_maps(n, self.facts.height, self.facts.width, random)
        return self.refiner(painted, maps), y

    def _painted(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        y = torch.multinomial(self.shares, n, replacement=True, generator=random)
        z = torch.randn(n, self.painter.axes.shape[1], generator=random, device=self._device)
        return self.painter.paint(z, y), y

    def add_fakes(self, clipper: Clipper, step: int, random: torch.Generator) -> None:
        """Adds the fakes' half of the critic's loss: clipped alike, and exact, for they are free.

        Fakes are functions of what was released before, so no noise is due.
        """
        with torch.no_grad():
            x, y = self.fakes(self.settings.fakes, random)
        n = len(x)
        draws = Draws(0, step, np.arange(n), 1, self._device)
        sums = clipper((x, y), draws).sums
        for name, parameter in self.critic.named_parameters():
            assert parameter.grad is not None
            parameter.grad += sums[name] / n

    def improve(self, random: torch.Generator) -> None:
        """One step of the generator against the critic; post-processing.

        What it changes along the released axes costs it: there the painter is right on average, as
        far as first and second moments go.
        """
        painted, y = self._painted(self.settings.fakes, random)
        maps = noise_maps(len(y), self.facts.height, self.facts.width, random)
        x = self.refiner(painted, maps)
        loss = functional.softplus(-self.critic(x, y)).mean()
        loss = loss + self.settings.fidelity * self.painter.strayed(x, painted).mean()
        gradients = torch.autograd.grad(loss, list(self.refiner.parameters()))
        for parameter, gradient in zip(self.refiner.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.refiner_optimiser.step()

    def keep(self, step: int) -> None:
        """Averages the refiner's weights; early ones are forgotten faster."""
        keep = min(self.settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, now in zip(self.average.parameters(), self.refiner.parameters(), strict=True):
                mine.lerp_(now, 1 - keep)

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds beside the blocks and their optimisers."""
        return {
            "refiner": self.refiner,
            "refiner's optimiser": self.refiner_optimiser,
            "average": self.average,
        }

    def _reconstruction_loss(
        self, model: nn.Module, records: tuple[Tensor, ...], draws: Draws
    ) -> Tensor:
        x, y = _images(records[0]), records[1]
        maps = tuple(
            draws.normal(*shape) for shape in map_shapes(self.facts.height, self.facts.width)
        )
        blur = draws.normal(self.painter.axes.shape[1])
        return (model(x, y, blur, maps) - x).square().flatten(1).mean(1)

    def _median_norm(self, model: nn.Module, loss: Any) -> float:
        """Of per-record gradients at the start, over images from the released Gaussians."""
        random = torch.Generator(self._device).manual_seed(0)
        with torch.no_grad():
            x, y = self.fakes(_PROBES, random)
        x = (255 * x.clamp(0, 1)).to(torch.uint8)
        draws = Draws(0, 0, np.arange(len(x)), 1, self._device)
        norms = Clipper(model, loss, 1.0)((x, y), draws).norms
        return max(float(norms.median()), 1e-6)


def trained(
    settings: Settings, data: ImageData, facts: ImageFacts, start: Start, *, run: Run, work: Work
) -> Refiner:
    """The refiner, trained against a critic and by reconstruction.

    Guarantee: that of `PrivateTraining` for the event; the generator's own steps are
        post-processing.
    Private and public: images and labels are private; the refiner is public.
    """
    assert run.programme is not None
    event = run.programme.events[EVENT]
    assert isinstance(event, SubsampledGaussian)
    adversaries = Adversaries(settings, facts, start, work)
    blocks = adversaries.blocks()
    assert facts.population is not None
    batch = event.rate * facts.population
    digest = settings_digest(blocks, event, batch, work.seed)
    source = noise.training(run.training(EVENT, f"critic and reconstruction, settings {digest}"))
    training = PrivateTraining(
        blocks,
        (torch.from_numpy(data.x).permute(0, 3, 1, 2), torch.from_numpy(data.y)),
        source,
        event,
        batch=batch,
        micro_batch=work.micro_batch or 512,
        seed=work.seed,
        device=work.device,
    )
    fake = Clipper(
        adversaries.critic, _fake_loss, blocks[0].clip, methods=training.methods["critic"]
    )

    def before(step: int) -> None:
        adversaries.add_fakes(fake, step, training.generator(step, "fakes"))

    def after(step: int) -> None:
        if step % settings.critic_steps == settings.critic_steps - 1:
            adversaries.improve(training.generator(step, "generator"))
            adversaries.keep(step // settings.critic_steps)

    optimisers = {"critic": adversaries.critic_optimiser}
    if settings.reconstruction:
        optimisers["branch"] = adversaries.branch_optimiser
    checkpoints = None
    if work.checkpoint is not None:
        identity = {"data": data.fingerprint().hex(), "settings": digest}
        checkpoints = Checkpoints(work.checkpoint / "training", identity, every=50)
    train(
        training,
        optimisers,
        before=before,
        after=after,
        active=adversaries.active,
        parts=adversaries.parts(),
        checkpoints=checkpoints,
        progress=lambda done, total: work.progress("training the adversaries", done / total),
    )
    if checkpoints is not None:
        checkpoints.clear()
    return adversaries.average.cpu()


def _real_loss(model: nn.Module, records: tuple[Tensor, ...], _: Draws) -> Tensor:
    return functional.softplus(-model(_images(records[0]), records[1]))


def _fake_loss(model: nn.Module, records: tuple[Tensor, ...], _: Draws) -> Tensor:
    return functional.softplus(model(*records))


def _images(x: Tensor) -> Tensor:
    """Bytes to 0..1."""
    return x.float() / 255


def _shares(counts: np.ndarray) -> np.ndarray:
    """Noisy counts as a distribution."""
    positive = np.maximum(counts, 0)
    return positive / positive.sum() if positive.sum() > 0 else np.full(len(counts), 1.0)
