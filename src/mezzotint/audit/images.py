"""Attacks on the one-shot releases of image methods: every released sum, and one image more.

The methods' own `release` runs three times on made-up images: once for a history of noisy sums, and
then under that history in either world. So the exact sums of both worlds are known, later ones in
knowledge of earlier results, as the theorem has it: sensitivities must hold for every history. What
remains is done afresh in every run, by the code that the methods use: the ledger's charge, one draw
of noise for each event, and the sum (`integers.release`). Training comes after all that and is not
part of it.

The worlds are images of stripes, and one white image more with the wrong label, which is longer
than every radius to which records are shortened. The score is the logarithm of the likelihood ratio
of all released numbers; as in `tables` it is a normal law, and what it can show is Gaussian DP with
mu^2 = sum |change|^2 / sigma^2, from the scales in the ledger's rows.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mezzotint.audit.attack import ScoredAttack
from mezzotint.audit.bounds import Scores
from mezzotint.audit.brief import BriefRuns
from mezzotint.audit.claims import GaussianClaim
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run
from mezzotint.privacy.spend import Spend

if TYPE_CHECKING:
    from mezzotint.images.data import ImageData
    from mezzotint.images.integers import Block
    from mezzotint.images.method import ImageMethod

SIDE, CLASSES, CROWD = 8, ("0", "1"), 4000
TITLES = {
    "class-gaussians": "Class Gaussians, all releases",
    "dp-merf": "DP-MERF, all releases",
    "mezzotint": "Our own image method, all releases",
}


@dataclass(frozen=True)
class Event:
    """One release of a method, under a fixed history.

    Attributes:
        about: What is released, in words.
        blocks: Its parts.
        sums: The exact sums of world 0 and of world 1.
    """

    about: str
    blocks: tuple[Block, ...]
    sums: tuple[list[np.ndarray], list[np.ndarray]]

    @property
    def change(self) -> np.ndarray:
        """What the one image adds, float64 of shape (numbers,)."""
        without, with_one = (np.concatenate([s.ravel() for s in world]) for world in self.sums)
        return (with_one - without).astype(np.float64)


def world_images(world: int) -> ImageData:
    """Striped images of two classes, brighter in class 0; in world 1 a white one, of class 1."""
    from mezzotint.images.data import ImageData

    rng = np.random.default_rng(7)
    labels = np.arange(CROWD) % len(CLASSES)
    levels = np.where(labels == 0, 40, 0) + rng.integers(0, 60, CROWD)
    pixels = levels[:, None, None, None] + rng.integers(0, 30, (CROWD, SIDE, SIDE, 1))
    pixels[labels == 0, : SIDE // 2] += 60
    pixels[labels == 1, SIDE // 2 :] += 60
    if world:
        pixels = np.concatenate([pixels, np.full((1, SIDE, SIDE, 1), 255)])
        labels = np.append(labels, 1)
    return ImageData(pixels.astype(np.uint8), labels.astype(np.int64), CLASSES, "made up")


def method_of(name: str, epsilon: float, delta: float) -> ImageMethod:
    """The method, with small settings: there are fewer numbers, and the same releases."""
    from mezzotint.images.class_gaussians import ClassGaussians
    from mezzotint.images.dp_merf import DpMerf
    from mezzotint.images.oneshot.method import MezzotintImages

    if name == "class-gaussians":
        return ClassGaussians(epsilon, delta, components=8)
    if name == "dp-merf":
        return DpMerf(epsilon, delta, features=8)
    return MezzotintImages(epsilon, delta, components=8, frequencies=8, teacher_steps=4)


Answer = Callable[..., list[np.ndarray]]


@contextmanager
def answered_by(answer: Answer) -> Iterator[None]:
    """Calls of `integers.release`, in whatever module of a method, go to `answer` instead.

    For audits, on made-up images alone: here the referee learns the exact sums.
    """
    home = "mezzotint.images.integers"
    held = [
        (module, function)
        for name, module in list(sys.modules.items())
        if name.startswith("mezzotint.images.") and name != home
        for function in [vars(module).get("release")]
        if isinstance(function, FunctionType) and function.__module__ == home
    ]
    for module, _ in held:
        vars(module)["release"] = answer
    try:
        yield
    finally:
        for module, function in held:
            vars(module)["release"] = function


@dataclass(frozen=True)
class Transcript:
    """All that the audit of a method repeats.

    Attributes:
        programme: The method's.
        events: Its releases, in their order.
    """

    programme: Programme
    events: tuple[Event, ...]

    @classmethod
    def of(cls, method: ImageMethod) -> Transcript:
        """One run in world 0 for the history, and both worlds under it."""
        from mezzotint.images import integers
        from mezzotint.images.work import Work

        heard: list[list[np.ndarray]] = []
        held: tuple[list[tuple[Any, ...]], ...] = ([], [])

        def first(run: Run, event: int, about: str, *parts: Any) -> list[np.ndarray]:
            heard.append(integers.release(run, event, about, *parts))
            return [part.copy() for part in heard[-1]]

        def replayed(world: int) -> Answer:
            def answer(
                run: Run, event: int, about: str, blocks: Sequence[Block], sums: Sequence[Any]
            ) -> list[np.ndarray]:
                held[world].append((about, tuple(blocks), [total.copy() for total in sums]))
                return [part.copy() for part in heard[event]]

            return answer

        facts = world_images(0).facts
        programme = method.programme(facts, method.budget)
        work = Work()
        for world, answer in ((0, first), (0, replayed(0)), (1, replayed(1))):
            with (
                answered_by(answer),
                # Any history will do: a fixed one is the same in all processes of an audit.
                Ledger.memory(insecure_noise=7).begin(
                    method.budget, mechanism="audit", dataset="made up", programme=programme
                ) as run,
            ):
                method.release(world_images(world), facts, programme, run, work)
        events = tuple(
            Event(one[0], one[1], (one[2], two[2])) for one, two in zip(*held, strict=True)
        )
        return cls(programme, events)


@cache
def transcript(name: str, epsilon: float, delta: float) -> Transcript:
    """The transcript of a method, once a process."""
    return Transcript.of(method_of(name, epsilon, delta))


@dataclass(frozen=True)
class OneShotAttack(ScoredAttack):
    """Every number that an image method releases.

    Attributes:
        method: "class-gaussians", "dp-merf" or "mezzotint".
    """

    method: str
    epsilon: float
    delta: float
    left_out: ClassVar[str] = (
        "the exact sums are computed once, under one fixed history of noisy results, and the "
        "ledger's file (rows are charged, not written)"
    )

    @property
    def name(self) -> str:
        """The method's."""
        return f"image-{self.method}"

    @property
    def title(self) -> str:
        """In words."""
        return TITLES[self.method]

    @property
    def attacker(self) -> str:
        """One who knows both worlds."""
        return f"sees every noisy sum; {CROWD:,} striped images with or without a white one"

    def visible(self) -> GaussianClaim:
        """Changes against the scales in the ledger's rows."""
        run = self._runs().begin()
        variance = 0.0
        for place, event in enumerate(self._transcript.events):
            sigma = float(_row(run, place, event).release.parameters["sigma"])
            variance += float(np.square(event.change / sigma).sum())
        return GaussianClaim(math.sqrt(variance), self.delta)

    def scores(self, world: int, runs: int) -> Scores:
        """Log likelihood ratios."""
        from mezzotint.images import integers

        known = []
        run = self._runs().begin()
        for place, event in enumerate(self._transcript.events):
            sigma = float(_row(run, place, event).release.parameters["sigma"])
            weights = event.change / sigma**2
            offset = sum(
                float((total * part).sum())
                for total, part in zip(event.sums[0], _split(weights, event.blocks), strict=True)
            )
            known.append((_split(weights, event.blocks), offset))
        make, scores = self._runs(), np.empty(runs)
        for i in range(runs):
            run, score = make.begin(), 0.0
            for place, (event, (parts, offset)) in enumerate(
                zip(self._transcript.events, known, strict=True)
            ):
                noised = integers.release(run, place, event.about, event.blocks, event.sums[world])
                score -= offset
                for values, part in zip(noised, parts, strict=True):
                    score += float(np.vdot(values, part))
            scores[i] = score
        return scores

    @property
    def _transcript(self) -> Transcript:
        return transcript(self.method, self.epsilon, self.delta)

    def _runs(self) -> BriefRuns:
        budget = method_of(self.method, self.epsilon, self.delta).budget
        return BriefRuns(budget, programme=self._transcript.programme)


def _row(run: Run, place: int, event: Event) -> Spend:
    from mezzotint.images.integers import l2_bound

    return run.vector(place, event.about, l2=l2_bound(event.blocks))


def _split(values: np.ndarray, blocks: Sequence[Block]) -> list[np.ndarray]:
    parts, start = [], 0
    for block in blocks:
        parts.append(values[start : start + block.size].reshape(block.shape))
        start += block.size
    return parts
