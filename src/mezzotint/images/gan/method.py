"""The method: two one-shot releases to begin with, then an adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mezzotint.errors import ParameterError
from mezzotint.images.adversary import schedule
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import ErrorFeedback
from mezzotint.images.gan.adversaries import Settings, trained
from mezzotint.images.gan.generator import GanGenerator
from mezzotint.images.gan.networks import Refiner
from mezzotint.images.gan.start import Start
from mezzotint.images.integers import release
from mezzotint.images.method import DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.oneshot import gaussians
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.plan import Estimate
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.run import Run


@dataclass(frozen=True)
class Released:
    """What became public: where the generator began, and what it learned."""

    start: Start
    refiner: Refiner


class EfGan(ImageMethod):
    """A class-conditional GAN; critic and reconstruction learn by DP-SGD with error feedback.

    Theorem. The axes and the classes' moments are two Gaussian releases. Each step of the training
    releases the critic's and, at every few steps, the reconstruction branch's clipped gradients
    side by side over one Poisson sample, scaled so that a record adds at most 1 to both together:
    one subsampled Gaussian a step. Error feedback does not change that, because every record has a
    memory of its own that only its own steps read and write (proof: `dpsgd.memory`). All of it is
    composed by privacy loss distributions. The generator's steps against the critic, the fakes
    and the injected noise are functions of what was released: free. Only the generator is kept.

    Neighbouring relation: one image with its label is added or removed.

    Departures from the paper (Ma, Zhang. EFSGD GAN. arXiv 2601.15061, 2026), of which the text is
    not to be had: known are clipped error feedback, noise injection in the upsampling and an L2
    reconstruction loss. Here each record has its own memory, in a subspace fixed beforehand: one
    memory for all, as in DiceSGD, is fed by unclipped gradients and does not have the claimed
    epsilon. The reconstruction has its own clip and noise, and is charged. Accounting is by privacy
    loss distributions. The generator does not begin at random but at the classes' Gaussians, from
    releases that are charged too, learns what they lack (`networks.Refiner`), and pays for
    leaving them along the released axes; these are also the encoder's. Images that are faked are
    clipped like real ones, and get no noise.

    Args:
        epsilon, delta: the budget.
        error_feedback: whether what clipping takes is given back.
        noise_injection: whether the generator has noise in its upsampling.
        reconstruction: whether the reconstruction branch is trained.
        decay: how much of a record's memory comes back.
        memory: the longest memory, in clips.
        epochs: how often each image is sampled, on average.
        batch: images a step, expected.
        critic_steps: steps of the critic for one of the generator.
        reconstruct_every: steps of the critic for one of the reconstruction.
        learning_rate: of critic and branch; the generator's is a quarter of it.
        fidelity: what it costs the generator to leave the released moments, in the critic's units.
        width: channels inside the generator.
        critic_width: channels of the critic's first layer.
        start_noise: noise multiplier of the two releases, in units of the training's.
        effort: scales the length of the training.
    """

    name: ClassVar[str] = "ef-gan"
    needs_population: bool = True

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        error_feedback: bool = True,
        noise_injection: bool = True,
        reconstruction: bool = True,
        decay: float = 0.7,
        memory: float = 3.0,
        epochs: float = 1.5,
        batch: int = 256,
        critic_steps: int = 3,
        reconstruct_every: int = 4,
        learning_rate: float = 1e-3,
        fidelity: float = 0.1,
        width: int = 24,
        critic_width: int = 16,
        start_noise: float = 4.0,
        effort: float = 1.0,
    ) -> None:
        for setting, value in (("critic_steps", critic_steps), ("batch", batch)):
            if value < 1:
                raise ParameterError(f"{setting} = {value!r}: give a whole number of at least 1")
        if reconstruct_every < 1 or min(epochs, start_noise, learning_rate, effort) <= 0:
            raise ParameterError(
                f"epochs = {epochs!r}, start_noise = {start_noise!r}, learning_rate = "
                f"{learning_rate!r}, effort = {effort!r}, reconstruct_every = "
                f"{reconstruct_every!r}: give numbers above 0"
            )
        if not 0 <= fidelity < float("inf"):
            raise ParameterError(f"fidelity = {fidelity!r}: give 0 or more")
        if width < 2 or critic_width < 1:
            raise ParameterError(
                f"width = {width!r}, critic_width = {critic_width!r}: give at least 2 and 1"
            )
        self.epsilon = epsilon
        self.delta = delta
        self.error_feedback = error_feedback
        self.noise_injection = noise_injection
        self.reconstruction = reconstruction
        self.decay = decay
        self.memory = memory
        self.epochs = epochs
        self.batch = batch
        self.critic_steps = critic_steps
        self.reconstruct_every = reconstruct_every
        self.learning_rate = learning_rate
        self.fidelity = fidelity
        self.width = width
        self.critic_width = critic_width
        self.start_noise = start_noise
        self.effort = effort
        self._feedback = ErrorFeedback(decay, memory)

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """Two Gaussian releases and a training; the noise of all is scaled to the budget."""
        rate, steps = self._schedule(facts)

        def build(scale: float) -> Programme:
            first = Gaussian(self.start_noise * scale)
            return Programme((first, first, SubsampledGaussian(scale, rate, steps)))

        return Programme.calibrated(budget, build)

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """In words."""
        return (
            "pixels: number, sum, second moments",
            "coordinates by class: the same",
            "training of critic and reconstruction" if self.reconstruction else "critic's training",
        )

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Released:
        """The two releases and the training.

        Guarantee: see the class. Sensitivity: `integers.l2_bound` of the blocks, and the clips.
        Private and public: the data is private; the result is public.
        """
        canvas, about, classes = Canvas.of(facts), self.steps(facts), len(facts.classes)
        second = programme.events[1]
        assert isinstance(second, Gaussian)
        work.progress("measuring", 0.0)
        blocks = gaussians.pixel_blocks(canvas.size)
        noised = release(run, 0, about[0], blocks, gaussians.pixel_sums(canvas, data))
        sigma = second.noise_multiplier
        basis = gaussians.basis_from(canvas, noised, classes, sigma, components=None, clear=_CLEAR)
        work.progress("measuring", 0.5)
        blocks = gaussians.class_blocks(classes, basis.axes.shape[1])
        noised = release(run, 1, about[1], blocks, gaussians.class_moment_sums(canvas, basis, data))
        start = Start.of(basis, gaussians.moments_from(basis, noised, sigma))
        refiner = trained(self._settings(), data, facts, start, run=run, work=work)
        return Released(start, refiner)

    def train(self, released: Released, facts: ImageFacts, work: Work) -> Trained:
        """Nothing is left to be trained."""
        generator = GanGenerator(facts, released.start, released.refiner, self.width)
        return Trained(generator, released.start.counts)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """From the images that go through the networks."""
        rate, steps = self._schedule(facts)
        each = (
            facts.height * facts.width * facts.channels / 784 * (0.15 if device == "cpu" else 0.02)
        )
        population = facts.population or 0
        seconds = 5 + steps * each * rate * population / 256
        return Estimate(seconds=seconds, memory_mb=600 + 2e-3 * population)

    def _settings(self) -> Settings:
        return Settings(
            width=self.width,
            critic_width=self.critic_width,
            feedback=self._feedback if self.error_feedback else None,
            injection=self.noise_injection,
            reconstruction=self.reconstruction,
            reconstruct_every=self.reconstruct_every,
            critic_steps=self.critic_steps,
            fakes=max(1, self.batch // 2),
            learning_rate=self.learning_rate,
            average=_AVERAGE,
            spread=_SPREAD,
            fidelity=self.fidelity,
        )

    def _schedule(self, facts: ImageFacts) -> tuple[float, int]:
        """Sampling rate and steps, from the public number of images."""
        return schedule(facts, batch=self.batch, epochs=self.effort * self.epochs)


_AVERAGE = 0.99
_CLEAR = 0.5
_SPREAD = 0.1
