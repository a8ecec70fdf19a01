"""DP-PCA and one Gaussian a class: the baseline of three seconds.

Every other method has to justify itself against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch

from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.integers import release
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.oneshot import gaussians
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.draws import Draws, as_pixels
from mezzotint.images.oneshot.gaussians import Basis, ClassMoments
from mezzotint.images.plan import Estimate
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run

_CLEAR = 3.0
_NAMES = "mean", "axes", "centres", "factors"


class ClassGaussiansGenerator:
    """Draws blurred images from one Gaussian a class."""

    kind: ClassVar[str] = "class-gaussians"

    def __init__(self, draws: Draws) -> None:
        self.draws = draws

    @torch.no_grad()
    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label."""
        source = torch.Generator().manual_seed(seed)
        return as_pixels(self.draws(torch.from_numpy(labels), source))

    def config(self) -> Mapping[str, Any]:
        """Nothing: all of it is in the arrays."""
        return {}

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The Gaussians."""
        arrays = self.draws.arrays()
        return {name: arrays[name] for name in _NAMES}

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse."""
        draws = Draws(Canvas.of(facts), *(arrays[name] for name in _NAMES))
        if draws.classes != len(facts.classes):
            raise ValueError("class Gaussians: another number of classes")
        return cls(draws)


class ClassGaussians(ImageMethod):
    """DP-PCA of the pixels and a Gaussian a class, in two Gaussian releases.

    Theorem. Each release adds discrete Gaussian noise to a sum, over records, of integer vectors
    whose L2 norm is at most a public bound for every possible record; adding or removing a record
    changes the sum by at most that. The second release is chosen by the first one's result
    (adaptive composition). Both together cost what `Programme.epsilon` says, by privacy loss
    distributions: two Gaussians are one, the precisions add up.

    Neighbouring relation: one image with its label is added or removed; the number of images is
    private, and enters by noisy counts.

    Departures: DP-PCA as published adds a symmetric Gaussian matrix to the second moments; here
    both halves get noise of their own and are averaged, which is the same law. Axes are kept as
    long as they stand out of the noise of the second release.

    Source: Dwork, Talwar, Thakurta, Zhang. Analyze Gauss. STOC 2014.

    Args:
        epsilon, delta: the budget.
        components: how many axes; by default as many as stand out of the noise.
        basis_share: the share of the budget (in precision) that the axes get.
        effort: changes nothing here: there is nothing to train.
    """

    name: ClassVar[str] = "class-gaussians"

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        components: int | None = None,
        basis_share: float = 0.3,
        effort: float = 1.0,
    ) -> None:
        if not 0 < basis_share < 1:
            raise ParameterError(f"basis_share = {basis_share!r}: give a share between 0 and 1")
        if components is not None and not 1 <= components <= gaussians.MOST_COMPONENTS:
            raise ParameterError(
                f"components = {components!r}: give 1 to {gaussians.MOST_COMPONENTS} axes"
            )
        self.epsilon = epsilon
        self.delta = delta
        self.components = components
        self.basis_share = basis_share
        self.effort = effort

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """Two Gaussians that share the precision."""
        shares = self.basis_share, 1 - self.basis_share

        def build(scale: float) -> Programme:
            return Programme(tuple(Gaussian(scale / share**0.5) for share in shares))

        return Programme.calibrated(budget, build)

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What the releases are."""
        return "pixels: number, sum, second moments", "coordinates by class: the same"

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> tuple[Basis, ClassMoments]:
        """The two releases.

        Guarantee: see the class. Sensitivity: `integers.l2_bound` of the blocks.
        Private and public: the data is private; the result is public. Units: see `gaussians`.
        """
        canvas = Canvas.of(facts)
        about = self.steps(facts)
        work.progress("measuring", 0.0)
        blocks = gaussians.pixel_blocks(canvas.size)
        noised = release(run, 0, about[0], blocks, gaussians.pixel_sums(canvas, data))
        sigma = _multiplier(programme, 1)
        basis = gaussians.basis_from(
            canvas, noised, len(facts.classes), sigma, components=self.components, clear=_CLEAR
        )
        work.progress("measuring", 0.5)
        blocks = gaussians.class_blocks(len(facts.classes), basis.axes.shape[1])
        noised = release(run, 1, about[1], blocks, gaussians.class_moment_sums(canvas, basis, data))
        work.progress("measuring", 1.0)
        return basis, gaussians.moments_from(basis, noised, sigma)

    def train(self, released: tuple[Basis, ClassMoments], facts: ImageFacts, work: Work) -> Trained:
        """Nothing to train."""
        basis, moments = released
        draws = Draws(Canvas.of(facts), basis.mean, basis.axes, moments.centres, moments.factors)
        return Trained(ClassGaussiansGenerator(draws), moments.counts)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Seconds."""
        n, size = facts.population or 10_000, Canvas.of(facts).size
        return Estimate(1.0 + n * size**2 * 1e-10 + size**3 * 1e-9, 300 + size**2 * 5e-5)


def _multiplier(programme: Programme, place: int) -> float:
    event = programme.events[place]
    assert isinstance(event, Gaussian)
    return event.noise_multiplier
