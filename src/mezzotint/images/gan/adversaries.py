"""The adversarial training: critic and reconstruction by DP-SGD, the generator for free."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mezzotint.images.adversary import (
    Critic,
    Pace,
    as_images,
    clip_of,
    doubts,
    follow,
    play,
    real_loss,
    released_shares,
)
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import Block, Draws, ErrorFeedback
from mezzotint.images.gan.generator import noise_maps
from mezzotint.images.gan.networks import Branch, Refiner, map_shapes
from mezzotint.images.gan.start import Painter, Start
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.work import Work

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
        self.shares = torch.from_numpy(released_shares(start.counts)).float().to(device)
        self._device = device

    def blocks(self) -> tuple[Block, ...]:
        """What is trained on private images, and the clips: medians over public fakes."""
        feedback = self.settings.feedback
        probes = self._probes()
        clip = clip_of(self.critic, real_loss, *probes)
        blocks = [Block("critic", self.critic, real_loss, clip, feedback=feedback)]
        if self.settings.reconstruction:
            loss = self._reconstruction_loss
            clip = clip_of(self.branch, loss, *probes)
            blocks.append(Block("branch", self.branch, loss, clip, feedback=feedback))
        return tuple(blocks)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Of the blocks."""
        optimisers: dict[str, torch.optim.Optimizer] = {"critic": self.critic_optimiser}
        if self.settings.reconstruction:
            optimisers["branch"] = self.branch_optimiser
        return optimisers

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

    def improve(self, random: torch.Generator) -> None:
        """One step of the generator against the critic; post-processing.

        What it changes along the released axes costs it: there the painter is right on average, as
        far as first and second moments go.
        """
        painted, y = self._painted(self.settings.fakes, random)
        maps = noise_maps(len(y), self.facts.height, self.facts.width, random)
        x = self.refiner(painted, maps)
        loss = doubts(self.critic, x, y).mean()
        loss = loss + self.settings.fidelity * self.painter.strayed(x, painted).mean()
        gradients = torch.autograd.grad(loss, list(self.refiner.parameters()))
        for parameter, gradient in zip(self.refiner.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.refiner_optimiser.step()

    def keep(self, step: int) -> None:
        """Averages the refiner's weights; early ones are forgotten faster."""
        follow(self.average, self.refiner, step, self.settings.average)

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
        x, y = as_images(records[0]), records[1]
        maps = tuple(
            draws.normal(*shape) for shape in map_shapes(self.facts.height, self.facts.width)
        )
        blur = draws.normal(self.painter.axes.shape[1])
        return (model(x, y, blur, maps) - x).square().flatten(1).mean(1)

    def _probes(self) -> tuple[Tensor, Tensor]:
        """Images from the released Gaussians."""
        random = torch.Generator(self._device).manual_seed(0)
        with torch.no_grad():
            return self.fakes(_PROBES, random)


def trained(
    settings: Settings, data: ImageData, facts: ImageFacts, start: Start, *, run: Run, work: Work
) -> Refiner:
    """The refiner, trained against a critic and by reconstruction.

    Guarantee: that of `PrivateTraining` for the event; the generator's own steps are
        post-processing.
    Private and public: images and labels are private; the refiner is public.
    """
    adversaries = Adversaries(settings, facts, start, work)
    play(
        adversaries,
        Pace(settings.fakes, settings.critic_steps),
        data,
        facts,
        run=run,
        place=EVENT,
        about="critic and reconstruction",
        stage="training the adversaries",
        work=work,
    )
    return adversaries.average.cpu()
