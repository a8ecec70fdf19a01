"""The game: private blocks by DP-SGD, fakes added for free, and the generator's steps between.

Everything but the gradients of the engine is post-processing: fakes are functions of what was
released before, and the generator learns from the critic, which is released.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.images.adversary.critic import Critic, fake_loss
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import (
    Block,
    Checkpoints,
    Clipper,
    Draws,
    PrivateTraining,
    settings_digest,
    train,
)
from mezzotint.images.work import Work
from mezzotint.privacy import noise
from mezzotint.privacy.events import SubsampledGaussian

if TYPE_CHECKING:
    from mezzotint.privacy.run import Run

_EVERY = 50


class Player(Protocol):
    """A critic, perhaps more that is trained on private images, and the generator against them.

    Attributes:
        critic: The network.
    """

    critic: Critic

    def blocks(self) -> tuple[Block, ...]:
        """What is trained on private images; the critic is the first, and called so."""
        ...

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Block name to its optimiser."""
        ...

    def active(self, step: int) -> tuple[str, ...]:
        """Which blocks take part in a step: known beforehand."""
        ...

    def fakes(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Fake images (n, channels, h, w) and their classes (n,)."""
        ...

    def improve(self, random: torch.Generator) -> None:
        """One step of the generator against the critic; post-processing."""
        ...

    def keep(self, step: int) -> None:
        """Average the generator's weights after its step of this number."""
        ...

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds beside the blocks and their optimisers."""
        ...


@dataclass(frozen=True)
class Pace:
    """How the sides take turns. Public.

    Attributes:
        fakes: images that the critic is shown a step beside the real ones.
        critic_steps: steps of the critic for one of the generator.
        head_start: steps of the critic before the generator's first.
    """

    fakes: int
    critic_steps: int
    head_start: int = 0


def play(
    player: Player,
    pace: Pace,
    data: ImageData,
    facts: ImageFacts,
    *,
    run: Run,
    place: int,
    about: str,
    stage: str,
    work: Work,
) -> None:
    """Train to the end.

    Guarantee: that of `PrivateTraining` for the event, which is all that sees the data; the
        generator's own steps are post-processing.
    Sensitivity: the blocks' clips.
    Private and public: images and labels are private; the player, before and after, is public.

    Args:
        player: Both sides; trained in place.
        pace: How they take turns.
        data: The private images.
        facts: With a population.
        run: Where the training is booked,
        place: as this event of the programme,
        about: in these words.
        stage: What progress is told.
        work: Seed, device, checkpoint.
    """
    assert run.programme is not None
    event = run.programme.events[place]
    assert isinstance(event, SubsampledGaussian)
    blocks = player.blocks()
    assert facts.population is not None
    batch = event.rate * facts.population
    digest = settings_digest(blocks, event, batch, work.seed)
    source = noise.training(run.training(place, f"{about}, settings {digest}"))
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
    name = blocks[0].name
    fake = Clipper(player.critic, fake_loss, blocks[0].clip, methods=training.methods[name])

    def before(step: int) -> None:
        with torch.no_grad():
            fakes = player.fakes(pace.fakes, training.generator(step, "fakes"))
        _add(fakes, fake, step)

    def after(step: int) -> None:
        turn, rest = divmod(step - pace.head_start, pace.critic_steps)
        if turn >= 0 and rest == pace.critic_steps - 1:
            player.improve(training.generator(step, "generator"))
            player.keep(turn)

    checkpoints = None
    if work.checkpoint is not None:
        identity = {"data": data.fingerprint().hex(), "settings": digest}
        checkpoints = Checkpoints(work.checkpoint / "training", identity, every=_EVERY)
    train(
        training,
        player.optimisers(),
        before=before,
        after=after,
        active=player.active,
        parts=player.parts(),
        checkpoints=checkpoints,
        progress=lambda done, total: work.progress(stage, done / total),
    )
    if checkpoints is not None:
        checkpoints.clear()


def follow(slow: nn.Module, fast: nn.Module, step: int, most: float) -> None:
    """Moves averaged weights towards those after a step; early ones are forgotten faster."""
    keep = min(most, (1 + step) / (10 + step))
    with torch.no_grad():
        for mine, now in zip(slow.parameters(), fast.parameters(), strict=True):
            mine.lerp_(now, 1 - keep)


def _add(fakes: tuple[Tensor, Tensor], clipper: Clipper, step: int) -> None:
    """Adds the fakes' half of the critic's loss: clipped alike, and exact, for they are free.

    Fakes are functions of what was released before, so no noise is due.
    """
    n = len(fakes[0])
    draws = Draws(0, step, np.arange(n), 1, fakes[0].device)
    sums = clipper(fakes, draws).sums
    for name, parameter in clipper.model.named_parameters():
        assert parameter.grad is not None
        parameter.grad += sums[name] / n
