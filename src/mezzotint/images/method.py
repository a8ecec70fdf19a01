"""The face that users see: ``MezzotintImages(epsilon=1).fit(images).sample(1000)``.

A method is three steps, and only the second sees private images:

    programme   which releases there will be, fixed from public facts before the data is touched
    release     the private images through the programme's events, one ledger row each
    train       whatever can be learnt from what was released: post-processing, free
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.images.checkpoint import request_in
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.fitted import FittedImages, Labels
from mezzotint.images.generator import Generator
from mezzotint.images.plan import Estimate, ImagePlan
from mezzotint.images.population import buy_population, count_budget, main_budget
from mezzotint.images.work import Progress, Work, enough_memory, silent
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.run import Run
from mezzotint.privacy.statement import Statement

if TYPE_CHECKING:
    from mezzotint.privacy.programme import Programme

DEFAULT_DELTA = 1e-5
ASSUMED_POPULATION = 10_000
"""What a plan assumes about the number of images where nobody has declared it."""


@dataclass(frozen=True)
class Trained:
    """What `train` gives back. Public.

    Attributes:
        generator: draws images.
        shares: float64 of shape (classes,): how frequent each class is, from a noisy release; None
            where no release tells (classes are then drawn equally often).
    """

    generator: Generator
    shares: np.ndarray | None = None


class ImageMethod(ABC):
    """A differentially private way from images to a generator of images.

    A subclass's constructor takes ``epsilon``, ``delta=1e-5`` and keyword settings (plain numbers,
    booleans, texts or None), and keeps each as an attribute of the same name. What a fit learns
    ends in an underscore.

    Attributes:
        name: as the command line and the ledger call it.
        adjacency: what neighbouring means; add-remove unless the method says otherwise.
        needs_population: whether `programme` needs to know about how many images there are
            (sampling rates do). Where the user has not declared it, it is bought first, with a
            fiftieth of epsilon and a tenth of delta (`population`).
        fitted_: the generator with its facts and its privacy statement.
    """

    name: ClassVar[str]
    adjacency: ClassVar[Adjacency] = Adjacency.ADD_REMOVE
    needs_population: bool = False
    epsilon: float
    delta: float
    fitted_: FittedImages

    @abstractmethod
    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """Every release, calibrated to the budget; from public facts only."""

    @abstractmethod
    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What each event of the programme is, in words, in the same order."""

    @abstractmethod
    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Any:
        """Spend the programme on the private images; returns what became public.

        Guarantee: that of the programme, by the theorem that the method's docstring states.
        Private and public: ``data`` is private, its length included (under add/remove); all else
            is public, and so is the result, which must hold nothing that was not released.
        """

    @abstractmethod
    def train(self, released: Any, facts: ImageFacts, work: Work) -> Trained:
        """Make the generator from what was released: post-processing, no private data."""

    @abstractmethod
    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Roughly how long a fit takes and how much memory; from public facts only."""

    @property
    def unit(self) -> PrivacyUnit:
        """Whose contribution is hidden: one image."""
        return PrivacyUnit(self.adjacency, 1, "image")

    @property
    def budget(self) -> Budget:
        """Epsilon and delta of the whole fit, per image."""
        return Budget(self.epsilon, self.delta, self.unit)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments beside epsilon and delta."""
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names if name not in ("epsilon", "delta")}

    def fit(
        self,
        data: ImageData,
        *,
        ledger: Ledger | str | Path | None = None,
        dataset: str | None = None,
        population: int | None = None,
        progress: Progress = silent,
        device: str = "cpu",
        checkpoint: str | Path | None = None,
        micro_batch: int | None = None,
        random_state: int = 0,
    ) -> Self:
        """Learn a generator of images like these, spending epsilon and delta once.

        Guarantee: (epsilon, delta)-DP for one image under ``adjacency``.
        Private and public: pixels, labels and the number of images are private; everything else
            is public (the images' shape, the list of classes, the parameters here), and so is
            everything that this learns.

        Args:
            data: the images (`read_images` reads them from files).
            ledger: where spending is recorded, in a file if it is to bind later runs; by default
                in memory, for the model's statement only.
            dataset: the name under which the ledger keeps the images' budget; by default their own.
            population: about how many images there are, if that is public. Where a method needs it
                and it is not declared, a fiftieth of epsilon buys it.
            progress: told what is going on.
            device: "cpu", "cuda", "cuda:1".
            checkpoint: a folder to keep what is needed to resume a training after a crash without
                spending twice; it goes with a ledger in a file. A fit with the same folder, data
                and settings goes on where the last one stopped.
            micro_batch: the most images whose gradients are in memory at once.
            random_state: seeds initial weights and the like; never the noise.

        Raises:
            DataError, ParameterError: before anything is spent.
            BudgetError: if the ledger's cap forbids it; nothing is spent.
        """
        folder = None if checkpoint is None else Path(checkpoint)
        work = Work(device, random_state, progress, folder, micro_batch)
        if not len(data):
            raise ParameterError(f"{data.name}: there are no images; give at least one")
        name = dataset or data.name
        facts = self._facts(data, population)
        with enough_memory(micro_batch):
            self.plan(facts)  # refuses what cannot be done before anything is opened or booked
        with enough_memory(micro_batch), _opened(ledger) as book:
            fingerprint = data.fingerprint() if book.path or folder else None
            request = request_in(
                folder, self, facts, dataset=name, seed=random_state, ledger=book.path
            )
            bought, budget = None, self.budget
            if facts.population is None and self.needs_population:
                facts, bought = buy_population(
                    facts,
                    data,
                    book,
                    budget=self.budget,
                    mechanism=self.name,
                    dataset=name,
                    fingerprint=fingerprint,
                    request=request,
                )
                budget = main_budget(self.budget)
            programme = self.programme(facts, budget)
            with book.begin(
                budget,
                mechanism=self.name,
                dataset=name,
                fingerprint=fingerprint,
                request=request,
                programme=programme,
            ) as run:
                released = self.release(data, facts, programme, run, work)
                statement = Statement.of(run)
            trained = self.train(released, facts, work)
        self.fitted_ = FittedImages(
            facts,
            trained.generator,
            statement,
            _proper_shares(trained.shares, len(facts.classes)),
            self.settings,
            bought,
        )
        return self

    def sample(
        self, n: int | None = None, labels: Labels = None, *, random_state: int | None = None
    ) -> ImageData:
        """Draw synthetic images (`FittedImages.sample`)."""
        return self.fitted_.sample(n, labels, random_state=random_state)

    def save(self, path: str | Path) -> None:
        """Write a model file; ``mezzotint.load`` reads it."""
        self.fitted_.save(path)

    @property
    def privacy_(self) -> Statement:
        """What is guaranteed, and the releases it rests on."""
        return self.fitted_.privacy

    def plan_for(
        self,
        shape: Sequence[int],
        classes: int | Sequence[str],
        n_public: int | None = None,
        *,
        device: str = "cpu",
    ) -> ImagePlan:
        """What ``fit`` would spend on such images; looks at none.

        Args:
            shape: (height, width), or (height, width, channels).
            classes: how many, or their names.
            n_public: about how many images there are, if that is public.
            device: where it would run.
        """
        names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
        if len(shape) not in (2, 3):
            raise ParameterError(
                f"shape = {tuple(shape)!r}: give (height, width) or (height, width, channels)"
            )
        height, width, channels = (*shape, 1)[:3]
        return self.plan(ImageFacts(height, width, channels, names, n_public), device=device)

    def plan(self, facts: ImageFacts, *, device: str = "cpu") -> ImagePlan:
        """What ``fit`` would spend on images with these facts."""
        buys = facts.population is None and self.needs_population
        budget = main_budget(self.budget) if buys else self.budget
        assumed = replace(facts, population=facts.population or ASSUMED_POPULATION)
        programme = self.programme(assumed if self.needs_population else facts, budget)
        return ImagePlan(
            method=self.name,
            budget=self.budget,
            facts=assumed,
            assumed=facts.population is None,
            count_budget=count_budget(self.budget) if buys else None,
            programme=programme,
            steps=self.steps(assumed if self.needs_population else facts),
            estimate=self.estimate(assumed, device),
        )

    def _facts(self, data: ImageData, population: int | None) -> ImageFacts:
        declared = data.population if population is None else population
        if declared is None and self.adjacency is Adjacency.REPLACE_ONE:
            declared = len(data)  # neighbours share it, so it is public
        return replace(data.facts, population=declared)


def _proper_shares(shares: np.ndarray | None, classes: int) -> np.ndarray:
    """Noisy shares as a distribution; uniform where there are none."""
    if shares is None:
        return np.full(classes, 1 / classes)
    positive = np.maximum(np.asarray(shares, np.float64), 0.0)
    total = positive.sum()
    if positive.shape != (classes,) or not np.isfinite(total):
        raise ValueError(f"shares of shape {positive.shape} for {classes} classes")
    return positive / total if total > 0 else np.full(classes, 1 / classes)


def _opened(ledger: Ledger | str | Path | None) -> AbstractContextManager[Ledger]:
    """The ledger to write to; one that the caller opened stays open."""
    if isinstance(ledger, Ledger):
        return nullcontext(ledger)
    return Ledger.memory() if ledger is None else Ledger.open(ledger)
