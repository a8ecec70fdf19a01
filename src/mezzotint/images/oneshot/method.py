"""Our own method, `mezzotint`: a few one-shot releases, then a generator trained on them alone."""

from __future__ import annotations

import math
from typing import ClassVar

from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import ErrorFeedback
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.fine_tuning import (
    STEP,
    FineTuned,
    fine_tuned,
    generator_steps,
    training_event,
)
from mezzotint.images.oneshot.gaussians import MOST_COMPONENTS
from mezzotint.images.oneshot.releases import BEFORE_TEACHER, Released, release_all, steps
from mezzotint.images.oneshot.scattering import Scattering
from mezzotint.images.oneshot.training import assembled, train
from mezzotint.images.plan import Estimate
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run

# Shares of the precision: where images are, pixels' moments, classes, parts of classes, features'
# moments, embeddings; the teacher's steps have the rest.
SHARES = 0.02, 0.12, 0.10, 0.18, 0.10, 0.10

_MOST_EPOCHS = 1000


class MezzotintImages(ImageMethod):
    """One-shot releases of moments, embeddings and a linear teacher; the rest is post-processing.

    Released are: principal axes of the pixels (`axes`), and on them a mixture of Gaussians a class
    (`gaussians`, `parts`); mean and second moments of scattering features, which do not depend on
    data (`scattering`, `features`); mean embeddings by class in random Fourier features of pixels
    and of scattering (`embedding`); gradient steps of a linear classifier on whitened scattering
    features (`teacher`). From then on the private images are not needed: a small network refines
    draws from the mixtures until their embeddings match and the teacher takes them for what they
    are to be (`training`). Every image is refined by a share of its own, grain as wide as what the
    axes do not show is laid over it, and one that the teacher takes for another class is drawn
    again (`generator`). If so wished, the network goes on against a critic that is trained on the
    private images by DP-SGD, and still has to match the releases (`fine_tuning`).

    Theorem. Every release adds discrete Gaussian noise to a sum, over records, of integer vectors.
    The vector of one record depends on that record and on earlier releases only, and its L2 norm is
    at most a public bound for every possible record; so adding or removing a record changes the
    sum by at most that, exactly (`integers`). Releases are adaptive, their noise multipliers fixed
    beforehand. By adaptive composition the fit costs what `Programme.epsilon` says, by privacy
    loss distributions: Gaussians compose to one Gaussian whose precision (1 / multiplier^2) is the
    sum of theirs. Training and drawing are post-processing. With `fine_tune` one more event ends
    the programme, a Poisson-subsampled Gaussian on the critic's clipped gradients, which
    depend on the batch and on earlier results only (Abadi et al. 2016; `dpsgd`); it is composed
    with the others in the same way, and the network's steps are functions of what it released.

    Neighbouring relation: one image with its label is added or removed. The number of images, in
    all and by class, is private and enters by noisy counts; shape and list of classes are public.
    The sampling rate of `fine_tune` needs to know about how many images there are: declared
    public, or bought (`population`).

    Sources and departures: DP-PCA (Dwork et al. 2014), here of centred images and within clear
    frequencies; DP-MERF (Harder et al. 2021), whose
    embeddings also have the label, while ours are one mean a class; the teacher follows Tramer and
    Boneh 2021, with first-order scattering, released whitening, and full batches in place of
    samples; matching embeddings in fixed features of images is NDPDC's idea (Zheng, Li 2023), who
    optimise a few images a class where we train a generator.

    Args:
        epsilon, delta: the budget.
        components: axes of the Gaussians; by default as many as stand out of the noise.
        frequencies: random frequencies of each embedding.
        teacher_steps: releases that the teacher gets; by default 20 for small epsilon, up to 40.
        width: channels of the refiner's first layer; a multiple of 4.
        steps_of_training: batches of 256 that the refiner is trained on; by default 700, and 120
            for images of at most 16 pixels a side.
        tries: how often an image is drawn at most until the teacher agrees.
        varied: whether every image is refined by a share of its own. It teaches classifiers
            better; images that are all refined wholly look better.
        effort: multiplies the training.
        fine_tune: how often each image is sampled, on average, by the critic's DP-SGD; 0 for no
            critic.
        fine_tune_share: the part of the precision (1 / multiplier^2) that the critic's training
            costs; the one-shot releases have the rest.
        fine_tune_weight: of the critic in the refiner's loss, beside what was released.
        fine_tune_feedback: whether the critic has error feedback (`dpsgd.memory`).
    """

    name: ClassVar[str] = "mezzotint"

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        components: int | None = None,
        frequencies: int = 1000,
        teacher_steps: int | None = None,
        width: int = 12,
        steps_of_training: int | None = None,
        tries: int = 4,
        varied: bool = True,
        effort: float = 1.0,
        fine_tune: float = 0.0,
        fine_tune_share: float = 0.25,
        fine_tune_weight: float = 0.1,
        fine_tune_feedback: bool = False,
    ) -> None:
        _require(components, "components", 1, MOST_COMPONENTS)
        _require(frequencies, "frequencies", 1, 4000)
        _require(teacher_steps, "teacher_steps", 1, 200)
        _require(width, "width", 4, 256)
        _require(steps_of_training, "steps_of_training", 0, 10**7)
        _require(tries, "tries", 1, 1000)
        if width % 4:
            raise ParameterError(f"width = {width}: give a multiple of 4")
        if not 0 < effort < 1e4:
            raise ParameterError(f"effort = {effort!r}: give a factor such as 0.1 or 2.0")
        if not (_is_number(fine_tune) and 0 <= fine_tune <= _MOST_EPOCHS):
            raise ParameterError(
                f"fine_tune = {fine_tune!r}: give the epochs of the critic's training, such as "
                f"5.0, at most {_MOST_EPOCHS}, or 0 for none"
            )
        if not (_is_number(fine_tune_share) and 0 < fine_tune_share < 1):
            raise ParameterError(
                f"fine_tune_share = {fine_tune_share!r}: give a part of the budget above 0 and "
                "below 1, such as 0.25"
            )
        if not (_is_number(fine_tune_weight) and 0 <= fine_tune_weight < math.inf):
            raise ParameterError(
                f"fine_tune_weight = {fine_tune_weight!r}: give 0 or more, such as 0.1"
            )
        self.epsilon = epsilon
        self.delta = delta
        self.components = components
        self.frequencies = frequencies
        self.teacher_steps = teacher_steps
        self.width = width
        self.steps_of_training = steps_of_training
        self.tries = tries
        self.varied = varied
        self.effort = effort
        self.fine_tune = fine_tune
        self.fine_tune_share = fine_tune_share
        self.fine_tune_weight = fine_tune_weight
        self.fine_tune_feedback = fine_tune_feedback
        self.needs_population = fine_tune > 0

    @property
    def _descent(self) -> int:
        if self.teacher_steps is not None:
            return self.teacher_steps
        return round(min(40.0, max(20.0, 20.0 * self.epsilon**0.3)))

    def _batches(self, facts: ImageFacts) -> int:
        count = self.steps_of_training
        if count is None:
            count = 120 if max(facts.height, facts.width) <= 16 else 700
        return round(count * self.effort)

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """Gaussians whose precisions stand in fixed proportion, and the critic's training."""
        count = self._descent
        shares = (*SHARES, *[(1 - sum(SHARES)) / count] * count)
        kept = 1 - self.fine_tune_share if self.fine_tune else 1.0

        def build(scale: float) -> Programme:
            gaussians = tuple(Gaussian(scale / (kept * share) ** 0.5) for share in shares)
            if not self.fine_tune:
                return Programme(gaussians)
            return Programme((*gaussians, self._training(facts, scale)))

        return Programme.calibrated(budget, build)

    def _training(self, facts: ImageFacts, scale: float) -> SubsampledGaussian:
        """The critic's, where the whole programme is about one Gaussian of this scale."""
        epochs = self.effort * self.fine_tune
        return training_event(facts, epochs, self.fine_tune_share / scale**2)

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What the releases are."""
        return (*steps(self._descent), *((STEP,) if self.fine_tune else ()))

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Released | FineTuned:
        """All releases, and the critic's training if there is one.

        Guarantee, sensitivity, private and public: see `releases.release_all` and
        `fine_tuning.fine_tuned`.
        """
        released = release_all(
            data,
            facts,
            programme,
            run,
            work,
            components=self.components,
            frequencies=self.frequencies,
        )
        if not self.fine_tune:
            return released
        return fine_tuned(
            released,
            data,
            facts,
            run=run,
            work=work,
            steps=self._batches(facts),
            width=self.width,
            weight=self.fine_tune_weight,
            feedback=ErrorFeedback() if self.fine_tune_feedback else None,
        )

    def train(self, released: Released | FineTuned, facts: ImageFacts, work: Work) -> Trained:
        """Train the refiner on what was released, if the critic's training has not done so."""
        if isinstance(released, FineTuned):
            first = released.released
            tuned = assembled(
                first,
                facts,
                released.refiner,
                width=self.width,
                tries=self.tries,
                varied=self.varied,
            )
            return Trained(tuned, first.moments.counts)
        generator = train(
            released,
            facts,
            work,
            steps=self._batches(facts),
            width=self.width,
            tries=self.tries,
            varied=self.varied,
        )
        return Trained(generator, released.moments.counts)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Roughly: features and gradient steps a record, and the training."""
        n, size, canvas = facts.population or 10_000, Scattering(facts).size, Canvas.of(facts).size
        releases = n * (size * self._descent * 2e-8 + (canvas**2 + size**2) * 3e-10 + 1e-3)
        pixels = facts.height * facts.width
        batches, critic = self._batches(facts), 0.0
        if self.fine_tune:
            event = self._training(facts, 1.0)
            batches += generator_steps(event)
            critic = event.steps * event.rate * n * pixels * facts.channels * 8e-7
        training = critic + batches * (0.02 + pixels * (self.width / 16) ** 1.5 * 6e-4)
        memory = 400 + (n * size * 2 + (canvas**2 + size**2) * 40) * 1e-6 + pixels * self.width / 20
        return Estimate(releases + (canvas**3 + size**3) * 1e-9 + training, memory)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(value: int | None, name: str, least: int, most: int) -> None:
    if value is not None and not (isinstance(value, int) and least <= value <= most):
        raise ParameterError(f"{name} = {value!r}: give a whole number from {least} to {most}")


assert len(SHARES) == BEFORE_TEACHER
