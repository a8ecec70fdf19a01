"""Attacks on DP-SGD: canaries in the real engine, with coins and noise from a real ledger row.

Many canaries share one training and stay apart: each is a record whose input is a coordinate of its
own, so its gradient has that one coordinate, and no other record touches it. Half of them are in
the data (world 1), half are not (world 0); the noise of different coordinates is independent. So
every coordinate of a training is one run of the attack. Canaries are large: what arrives is what
the clipping leaves of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mezzotint.audit.attack import OneRunAttack, ScoredAttack
from mezzotint.audit.bounds import Scores
from mezzotint.audit.claims import Claim, GaussianClaim, gaussian_mu
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mezzotint.images.dpsgd import ErrorFeedback
    from mezzotint.privacy.training import TrainingNoise

CANARIES = 1000
"""How many there are in one training; half of them are in its data."""
_CLIP = 0.5
_LARGE = 20.0


def training_noise(event: SubsampledGaussian) -> TrainingNoise:
    """Coins and noise from a row of the real ledger."""
    programme = Programme((event,))
    # The row is real; what it may cost is not the question here, but what it lets through.
    budget = Budget(1000.0, 1e-9)
    run = Ledger.memory().begin(budget, mechanism="audit", dataset="made up", programme=programme)
    return noise.training(run.training(0, "canaries"))


def released_sums(
    event: SubsampledGaussian, canaries: int, feedback: ErrorFeedback | None
) -> Iterator[np.ndarray]:
    """The noisy sums of a training's steps, each of shape (canaries,), in units of the clip.

    The first half of the canaries is in the data. The weights stay as they are: the gradient of a
    canary does not depend on them.
    """
    import torch
    from torch import nn

    from mezzotint.images.dpsgd import Block, PrivateTraining

    torch.set_num_threads(1)
    records = _LARGE * torch.eye(canaries)[: canaries // 2]
    net = nn.Linear(canaries, 1, bias=False)
    block = Block("net", net, lambda m, r, d: m(r[0]).sum(1), _CLIP, feedback=feedback)
    training = PrivateTraining(
        (block,), (records,), training_noise(event), event, batch=1.0, methods={"net": {}}
    )
    for step in training.remaining():
        training.gradients(step)
        assert net.weight.grad is not None
        yield net.weight.grad.detach().double().numpy().ravel() / _CLIP


@cache
def calibrated(epsilon: float, delta: float, rate: float, steps: int) -> SubsampledGaussian:
    """The training of least noise within (epsilon, delta), to a thousandth, by the accountant."""
    # Near the central limit (Bu, Dong, Long, Su 2020): mu = rate sqrt(steps (e^(1/sigma^2) - 1)).
    mu = gaussian_mu(epsilon, delta)
    about = 1 / math.sqrt(math.log1p((mu / rate) ** 2 / steps))
    short, enough = 0.7 * about, 1.8 * about
    while enough > short * 1.001:
        middle = math.sqrt(enough * short)
        event = SubsampledGaussian(middle, rate=rate, steps=steps)
        if Programme((event,)).epsilon(delta) <= epsilon:
            enough = middle
        else:
            short = middle
    event = SubsampledGaussian(enough, rate=rate, steps=steps)
    Programme((event,)).require_within(Budget(epsilon, delta))
    return event


@dataclass(frozen=True)
class TrainingAttack(ScoredAttack):
    """Steps of DP-SGD in which every record takes part; the attacker adds up what is released.

    Attributes:
        steps: How many steps the claim is about.
        remember: Whether what clipping takes is given back later (error feedback).
    """

    epsilon: float
    delta: float
    steps: int = 1
    remember: bool = False
    runs: ClassVar[int] = 200_000

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return "error-feedback" if self.remember else "dp-sgd"

    @property
    def title(self) -> str:
        """In words."""
        if self.remember:
            return f"Error feedback, {self.steps} steps"
        return "DP-SGD step" if self.steps == 1 else f"DP-SGD, {self.steps} steps"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees the noisy gradients; one record whose gradient is forty times the clip, or not"

    def visible(self) -> GaussianClaim:
        """The noise of the ledger's row: each step is a Gaussian of sensitivity 1."""
        source = training_noise(self._event())
        return GaussianClaim(math.sqrt(source.steps) / source.noise_multiplier, self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """Sums over the steps, a canary each."""
        from mezzotint.images.dpsgd import ErrorFeedback

        feedback = ErrorFeedback(decay=1.0, bound=50.0, layers=1, rank=None)
        kept = []
        half = CANARIES // 2
        for _ in range(0, runs, half):
            sums = released_sums(self._event(), CANARIES, feedback if self.remember else None)
            total = np.sum(list(sums), axis=0)
            kept.append(total[:half] if world else total[half:])
        return np.concatenate(kept)[:runs]

    def _event(self) -> SubsampledGaussian:
        sigma = math.sqrt(self.steps) / gaussian_mu(self.epsilon, self.delta)
        return SubsampledGaussian(sigma, rate=1.0, steps=self.steps)


@dataclass(frozen=True)
class SampledStepAttack(ScoredAttack):
    """One step of DP-SGD on a Poisson sample.

    Attributes:
        rate: The probability with which a record joins.
    """

    epsilon: float
    delta: float
    rate: float = 0.25
    runs: ClassVar[int] = 200_000

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return "dp-sgd-sampled"

    @property
    def title(self) -> str:
        """In words."""
        return f"DP-SGD step on a Poisson sample of {self.rate:.0%}"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees the noisy gradient; one record whose gradient is forty times the clip, or not"

    def visible(self) -> Claim:
        """The claim: far out in the tail the score shows all of it."""
        return self.claim

    def scores(self, world: int, runs: int) -> Scores:
        """A step's sum, a canary each."""
        event = calibrated(self.epsilon, self.delta, self.rate, 1)
        half = CANARIES // 2
        kept = []
        for _ in range(0, runs, half):
            (total,) = released_sums(event, CANARIES, None)
            kept.append(total[:half] if world else total[half:])
        return np.concatenate(kept)[:runs]


@dataclass(frozen=True)
class OneTrainingAttack(OneRunAttack):
    """A whole training on small images, with canaries each in by a coin.

    Attributes:
        steps: How many steps it has.
        rate: The probability with which an image joins a step.
    """

    epsilon: float
    delta: float
    steps: int = 60
    rate: float = 0.2
    runs: ClassVar[int] = 400

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return "image-training"

    @property
    def title(self) -> str:
        """In words."""
        return f"A whole training on images, {self.steps} steps, one run"

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return "sees the weights of every step; mislabelled noise images, each in or out by a coin"

    @property
    def alarm_claim(self) -> Claim:
        """The same training's epsilon at a delta that a strict bound can use."""
        event = calibrated(self.epsilon, self.delta, self.rate, self.steps)
        delta = 1e-13
        return Claim(Programme((event,)).epsilon(delta), delta)

    def suspicions(self, canaries: int) -> tuple[np.ndarray, np.ndarray]:
        """How much of each canary's gradient there is in what every step released."""
        import torch
        from torch import nn
        from torch.nn import functional

        from mezzotint.images.dpsgd import Block, Draws, PrivateTraining

        torch.set_num_threads(1)
        torch.manual_seed(0)
        event = calibrated(self.epsilon, self.delta, self.rate, self.steps)
        images, labels = torch.randn(canaries, 1, 8, 8), torch.randint(0, 8, (canaries,))
        inside = np.random.default_rng().random(canaries) < 0.5
        rows = torch.from_numpy(np.flatnonzero(inside))
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(128, 8)
        )

        def loss(model: nn.Module, records: tuple[torch.Tensor, ...], draws: Draws) -> torch.Tensor:
            return functional.cross_entropy(model(records[0]), records[1], reduction="none")

        batch = max(1.0, self.rate * canaries / 2)
        training = PrivateTraining(
            (Block("net", net, loss, _CLIP),),
            (images[rows], labels[rows]),
            training_noise(event),
            event,
            batch=batch,
            methods={"net": {}},
        )
        optimiser = torch.optim.SGD(net.parameters(), 0.1)
        suspicion = np.zeros(canaries)
        for step in training.remaining():
            directions = _gradients(net, images, labels)
            training.gradients(step)
            parts = [p.grad.flatten() for p in net.parameters() if p.grad is not None]
            released = torch.cat(parts) * (batch / _CLIP)
            suspicion += _presence(directions, released, self.rate / 2, event.noise_multiplier)
            optimiser.step()
        return inside, suspicion


def _presence(
    directions: torch.Tensor, released: torch.Tensor, chance: float, sigma: float
) -> np.ndarray:
    """The best linear estimate of who took part in a step, up to a factor; shape (canaries,).

    Canaries are not orthogonal: what others add is noise to each, of known covariance.

    Args:
        directions: Gradients of norm 1, shape (canaries, parameters).
        released: The step's noisy sum, in units of the clip.
        chance: With which a canary takes part.
        sigma: The noise multiplier.
    """
    import torch

    g = directions.double()
    aligned = g @ (released.double() - chance * g.sum(0))
    spread = chance * (1 - chance) * (g @ g.T)
    spread.diagonal().add_(sigma**2)
    return torch.linalg.solve(spread, aligned).numpy()


def _gradients(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Every canary's gradient at the present weights, of norm 1; shape (canaries, parameters)."""
    import torch
    from torch.func import functional_call, grad, vmap
    from torch.nn import functional

    weights = {name: value.detach() for name, value in net.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(functional_call(net, weights, (x[None],)), y[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(weights, images, labels)
    flat = torch.cat([part.flatten(1) for part in each.values()], 1)
    return flat / flat.norm(dim=1, keepdim=True)
