"""The refiner learns on, against a critic that is trained on the private images by DP-SGD.

It begins where matching the releases has brought it, and the releases stay in its loss, so that it
cannot forget them: what the critic adds is what moments, embeddings and teacher do not show.
"""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mezzotint.images.adversary import (
    Critic,
    Pace,
    clip_of,
    doubts,
    follow,
    play,
    real_loss,
    released_shares,
    schedule,
)
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import Block, Checkpoints, ErrorFeedback
from mezzotint.images.dpsgd.saving import Saved
from mezzotint.images.oneshot.refiner import Refiner
from mezzotint.images.oneshot.releases import Released
from mezzotint.images.oneshot.training import Matching, draws_from, judge_from, refined
from mezzotint.images.work import Work
from mezzotint.privacy.events import SubsampledGaussian

if TYPE_CHECKING:
    from mezzotint.privacy.run import Run

STEP = "training of the critic"
_STAGE = "training against the critic"
_BATCH, _FAKES, _PROBES = 256, 128, 64
_CRITIC_WIDTH, _CRITIC_STEPS, _HEAD_START = 16, 3, 0.1
_CRITIC_RATE, _REFINER_RATE, _BETAS = 1e-3, 5e-4, (0.5, 0.99)
_AVERAGE = 0.99


@dataclass(frozen=True)
class FineTuned:
    """What became public: the one-shot releases, and the refiner that learned on. Public."""

    released: Released
    refiner: Refiner


def training_event(facts: ImageFacts, epochs: float, precision: float) -> SubsampledGaussian:
    """The training that costs about as much as one Gaussian of this precision.

    About: by the central limit theorem, T steps of rate q have precision q^2 T (exp(1/sigma^2) - 1)
    (Bu, Dong, Long, Su. Deep Learning with Gaussian Differential Privacy. 2020, Corollary 5.4).
    It divides the budget; what is spent is the exact composition (`Programme.epsilon`).

    Args:
        facts: with a population.
        epochs: how often each image is sampled, on average.
        precision: 1 / multiplier^2 of the Gaussian.
    """
    rate, steps = schedule(facts, batch=_BATCH, epochs=epochs)
    return SubsampledGaussian(math.log1p(precision / (rate**2 * steps)) ** -0.5, rate, steps)


def generator_steps(event: SubsampledGaussian) -> int:
    """How many steps the refiner makes."""
    return (event.steps - _head_start(event)) // _CRITIC_STEPS


class Rivals:
    """Critic and refiner, with everything that a checkpoint must hold (`adversary.Player`).

    Args:
        released: what the refiner is to match beside.
        facts: shape and classes.
        work: seed, device.
        refiner: where it begins; trained in place.
        weight: of the critic in the refiner's loss.
        feedback: error feedback of the critic, or None.

    Attributes:
        average: the refiner with averaged weights, which is what is kept.
    """

    def __init__(
        self,
        released: Released,
        facts: ImageFacts,
        work: Work,
        refiner: Refiner,
        *,
        weight: float,
        feedback: ErrorFeedback | None,
    ) -> None:
        self.work, self.refiner = work, refiner
        self.average = copy.deepcopy(refiner)
        # The same start whatever ran before in this process.
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(work.seed)
            critic = Critic(facts.shape, len(facts.classes), _CRITIC_WIDTH)
        self.critic = critic.to(work.device)
        self.matching = Matching(released, facts, work, refiner)
        shares = released_shares(released.moments.counts)
        self.shares = torch.from_numpy(shares).float().to(work.device)
        self._weight, self._feedback = weight, feedback
        self._critic_optimiser = torch.optim.Adam(self.critic.parameters(), _CRITIC_RATE, _BETAS)
        self._optimiser = torch.optim.Adam(refiner.parameters(), _REFINER_RATE, _BETAS)

    def blocks(self) -> tuple[Block, ...]:
        """The critic; its clip is a median over public fakes."""
        random = torch.Generator(self.work.device).manual_seed(0)
        with torch.no_grad():
            probes = self.fakes(_PROBES, random)
        clip = clip_of(self.critic, real_loss, *probes)
        return (Block("critic", self.critic, real_loss, clip, feedback=self._feedback),)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """The critic's."""
        return {"critic": self._critic_optimiser}

    def active(self, step: int) -> tuple[str, ...]:
        """Always the critic."""
        return ("critic",)

    def fakes(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Refined images (n, channels, h, w) and classes as frequent as was released (n,)."""
        y = torch.multinomial(self.shares, n, replacement=True, generator=random)
        return self.matching.images(y, random), y

    def improve(self, random: torch.Generator) -> None:
        """One step of the refiner: towards the releases, and against the critic.

        The batch has all classes alike; the critic's word counts by how frequent a class is, so
        that it has none on classes that it has not seen.
        """
        labels = self.matching.labels(random)
        y = labels.flatten()
        images = self.matching.images(y, random)
        loss, distance = self.matching.loss(images, labels)
        often = self.shares[y] / self.shares.mean()
        loss = loss + self._weight * (often * doubts(self.critic, images, y)).mean()
        gradients = torch.autograd.grad(loss, list(self.refiner.parameters()))
        for parameter, gradient in zip(self.refiner.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self._optimiser.step()
        self.work.require_finite(_STAGE, distance)

    def keep(self, step: int) -> None:
        """Averages the refiner's weights."""
        follow(self.average, self.refiner, step, _AVERAGE)

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds beside the critic and its optimiser."""
        return {
            "refiner": self.refiner,
            "refiner's optimiser": self._optimiser,
            "average": self.average,
        }


def fine_tuned(
    released: Released,
    data: ImageData,
    facts: ImageFacts,
    *,
    run: Run,
    work: Work,
    steps: int,
    width: int,
    weight: float,
    feedback: ErrorFeedback | None,
) -> FineTuned:
    """Match the releases, then go on against the critic: the programme's last event.

    Guarantee: that of `PrivateTraining` for the event; matching and the refiner's own steps are
        post-processing.
    Sensitivity: the critic's clip.
    Private and public: images and labels are private, and only the engine sees them (`play`);
        all else is public, and so is the result.

    Args:
        released: the one-shot releases.
        data: the private images.
        facts: shape, classes, population.
        run: where the training is booked.
        work: seed, device, progress, checkpoint.
        steps: batches of the matching that comes first.
        width: of the refiner.
        weight: of the critic in the refiner's loss.
        feedback: error feedback of the critic, or None.
    """
    assert run.programme is not None
    place = len(run.programme.events) - 1
    event = run.programme.events[place]
    assert isinstance(event, SubsampledGaussian)
    refiner = warm_start(released, facts, work, steps=steps, width=width)
    rivals = Rivals(released, facts, work, refiner, weight=weight, feedback=feedback)
    pace = Pace(_FAKES, _CRITIC_STEPS, _head_start(event))
    play(rivals, pace, data, facts, run=run, place=place, about=STEP, stage=_STAGE, work=work)
    return FineTuned(released, rivals.average.cpu())


def warm_start(
    released: Released, facts: ImageFacts, work: Work, *, steps: int, width: int
) -> Refiner:
    """The refiner that has learned to match the releases: post-processing.

    A checkpoint folder keeps it, so that a fit that is resumed has the very same one, and the
    same clip, also where training twice would round otherwise.
    """
    if work.checkpoint is None:
        return refined(released, facts, work, steps=steps, width=width)
    identity = {"releases": _digest(released, facts), "steps": steps, "width": width}
    kept = Checkpoints(work.checkpoint / "warm start", identity | {"seed": work.seed})
    saved = kept.load()
    if saved is None:
        refiner = refined(released, facts, work, steps=steps, width=width)
        kept.save(Saved(steps, {"refiner": refiner.state_dict()}, {}, {}))
        return refiner
    refiner = Refiner(facts, width).to(work.device)
    refiner.load_state_dict(saved.states["refiner"])
    return refiner


def _head_start(event: SubsampledGaussian) -> int:
    """A critic that knows nothing yet would lead the refiner away from where it begins."""
    return int(_HEAD_START * event.steps)


def _digest(released: Released, facts: ImageFacts) -> str:
    """Names what the refiner is to match."""
    arrays = [
        *draws_from(released, facts).arrays().values(),
        *judge_from(released, facts).arrays().values(),
        *released.targets,
    ]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
