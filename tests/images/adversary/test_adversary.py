"""The game against a critic: its length, its turns, and the fakes' half of the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mezzotint.images.adversary import (
    Critic,
    Pace,
    clip_of,
    follow,
    play,
    real_loss,
    released_shares,
    schedule,
)
from mezzotint.images.data import ImageFacts
from mezzotint.images.dpsgd import Block
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from tests.images.oneshot.worlds import striped

CLASSES = ("a", "b", "c")


class Recorder:
    """A player whose generator only takes notes."""

    def __init__(self, rate: float) -> None:
        torch.manual_seed(0)
        self.critic = Critic((8, 8, 1), 3, 2)
        self.heard: list[str] = []
        self.optimiser = torch.optim.SGD(self.critic.parameters(), rate)

    def blocks(self):
        return (Block("critic", self.critic, real_loss, 0.5),)

    def optimisers(self):
        return {"critic": self.optimiser}

    def active(self, step):
        self.heard.append("critic")
        return ("critic",)

    def fakes(self, n, random):
        y = torch.arange(n) % 3
        return torch.rand(n, 1, 8, 8, generator=random), y

    def improve(self, random):
        self.heard.append("generator")

    def keep(self, step):
        self.heard.append(str(step))

    def parts(self):
        return {}


def played(pace: Pace, steps: int, *, rate: float = 0.0, images: int = 40) -> Recorder:
    programme = Programme((SubsampledGaussian(4.0, 0.5, steps),))
    budget = Budget(programme.epsilon(1e-5) * 1.001, 1e-5)
    player = Recorder(rate)
    with (
        Ledger.memory(insecure_noise="off") as ledger,
        ledger.begin(budget, mechanism="m", dataset="d", programme=programme) as run,
    ):
        facts = ImageFacts(8, 8, 1, CLASSES, population=40)
        data = striped(images, (8, 8, 1), 3)
        play(player, pace, data, facts, run=run, place=0, about="c", stage="s", work=Work())
        (release,) = ledger.releases(1)
        assert release.about.startswith("c, settings ")
    return player


def test_the_sides_take_turns_after_a_head_start():
    heard = played(Pace(fakes=4, critic_steps=2, head_start=1), 6).heard
    turn = ["critic", "critic", "generator"]
    assert heard == ["critic", *turn, "0", *turn, "1", "critic"]


def test_fakes_push_their_scores_down_and_real_images_are_pushed_up():
    def scores(player):
        real = striped(40, (8, 8, 1), 3)
        x = torch.from_numpy(real.x).movedim(3, 1) / 255
        with torch.no_grad():
            fake = player.critic(*player.fakes(90, torch.Generator().manual_seed(5))).mean()
            return float(player.critic(x, torch.from_numpy(real.y)).mean()), float(fake)

    before = scores(Recorder(0.0))
    after = scores(played(Pace(fakes=30, critic_steps=1), 40, rate=0.3))
    assert after[0] - after[1] > before[0] - before[1] + 0.2


@pytest.mark.parametrize(
    ("population", "rate"), [(60_000, 256 / 60_000), (1000, 0.1), (100, 0.32), (10, 1.0), (1, 1.0)]
)
def test_the_schedule_rests_on_the_public_number_of_images(population, rate):
    facts = ImageFacts(8, 8, 1, CLASSES, population=population)
    found, steps = schedule(facts, batch=256, epochs=3.0)
    assert found == pytest.approx(rate)
    assert steps == max(1, round(3.0 / rate))
    assert schedule(facts, batch=256, epochs=1e-6)[1] == 1


def test_a_clip_is_the_median_norm_over_fakes():
    torch.manual_seed(0)
    critic = Critic((8, 8, 1), 3, 2)
    x, y = torch.rand(9, 1, 8, 8), torch.arange(9) % 3
    norms = []
    for image, label in zip((255 * x).to(torch.uint8), y, strict=True):
        loss = nn.functional.softplus(-critic(image[None] / 255, label[None])).sum()
        grads = torch.autograd.grad(loss, list(critic.parameters()))
        norms.append(float(torch.cat([g.flatten() for g in grads]).norm()))
    assert clip_of(critic, real_loss, x, y) == pytest.approx(np.median(norms), rel=1e-3)


def test_shares_and_averages():
    assert released_shares(np.array([3.0, -2.0, 1.0])) == pytest.approx([0.75, 0.0, 0.25])
    assert len(set(released_shares(np.array([-1.0, -2.0])))) == 1
    slow, fast = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.zeros_(slow.weight)
    nn.init.ones_(fast.weight)
    follow(slow, fast, 0, 0.9)
    assert slow.weight.item() == pytest.approx(0.9)
    follow(slow, fast, 10_000, 0.9)
    assert slow.weight.item() == pytest.approx(0.91)
