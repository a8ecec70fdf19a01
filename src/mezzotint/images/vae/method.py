"""The Lipschitz VAE: every image answers once, through noise; the answers make the generator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from mezzotint.errors import BudgetError, ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.integers import BALL
from mezzotint.images.method import ASSUMED_POPULATION, DEFAULT_DELTA, ImageMethod, Trained
from mezzotint.images.plan import Estimate
from mezzotint.images.vae.deconvolution import CodeModel, channel, deconvolve
from mezzotint.images.vae.encoder import (
    CODE_STEPS,
    CODES_L2,
    Encoder,
    Frame,
    LinearEncoder,
    Moments,
    code_rounding,
    release_moments,
    whole_codes,
)
from mezzotint.images.vae.generator import VaeGenerator, decoder_constant, forward
from mezzotint.images.vae.harmonic import Certificate
from mezzotint.images.work import Work
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.checks import check_count, check_positive
from mezzotint.privacy.events import Gaussian, PureDP, Shuffled
from mezzotint.privacy.programme import Event, Programme
from mezzotint.privacy.run import Run
from mezzotint.privacy.shuffling import local_epsilon, shuffled_epsilon

ENCODERS = ("components", "frequencies", "network")
_SHORTENED = 0.6
_DELTA_SHARE = 0.9
_LARGEST_MULTIPLIER = 250.0
_ANSWERS = (0.05, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0)


@dataclass(frozen=True)
class Answers:
    """What was released, and what is public about it.

    Attributes:
        codes: noisy codes, shape (n, d).
        labels: noisy labels, shape (n,).
        keep: the probability with which a label was kept.
        certificate: what one image's answer guarantees.
        encoder: how codes were made.
        moments: of all images; None where none were released.
        layers: of the decoder, if it is a network.
    """

    codes: np.ndarray
    labels: np.ndarray
    keep: float
    certificate: Certificate
    encoder: Encoder
    moments: Moments | None
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]


class LipschitzVae(ImageMethod):
    """A variational autoencoder with certified Lipschitz constants; each image answers once.

    Theorem: an image's answer is its code, shortened to norm R, plus Gaussian noise of fixed scale
        s, and its label through randomised response. By the L_E-Lipschitz encoder it is
        a L_E^2 d^2 / (2 s^2) in Renyi divergence of order a from that of an image d away
        (`harmonic`, which also holds the bound for published decodings), and by R it is
        (epsilon0, delta0)-DP for replacing the image by any other. Shuffled, n answers are
        (epsilon, delta)-DP with much less noise (`mezzotint.privacy.shuffling`, after Feldman,
        McMillan, Talwar 2021). What is drawn comes from the answers and the moments alone: EM
        finds the codes' distribution behind the known noise.
    Neighbours: one image and its label replaced by any others (replace-one); the number of images
        is public.
    Releases: mean and covariance of all images with Gaussian noise, from which directions, radius
        and decoder come (not with encoder="frequencies"); and the answers. Both are accounted
        together.
    Departures from Gross and Wunder (arXiv 2304.11336), whose full text was not to be had:
        the constants are certified from the weights (exact singular values), where a gradient
        penalty certifies nothing; the encoder's variance is a constant; labels are protected too;
        the decoder is not applied to a prior, but to the deconvolved distribution of codes; encoder
        and decoder are never trained on the images themselves, only on released moments. By default
        both are linear, the best there is for what moments say; encoder="network" trains
        a convolution and dense layers instead, and did worse in our trials.
    What it costs: every image hides by itself, so at equal epsilon it needs far more noise than a
        method that adds noise to sums, and its images show classes only roughly. Its merit is that,
        given the encoder, an image's answer needs nobody's trust but its owner's.

    Args:
        epsilon: of the whole fit, at
        delta: for one image.
        latent: numbers in a code.
        encoder: "components", "frequencies" (data-independent) or "network".
        shuffle: whether the answers are shuffled; without, epsilon is what a single image's own
            answer guarantees, whoever sees it.
        effort: scales the steps of EM and of the networks' training.
    """

    name: ClassVar[str] = "lipschitz-vae"
    adjacency: ClassVar[Adjacency] = Adjacency.REPLACE_ONE

    def __init__(
        self,
        epsilon: float,
        delta: float = DEFAULT_DELTA,
        *,
        latent: int = 32,
        encoder: str = "components",
        shuffle: bool = True,
        effort: float = 1.0,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.latent = check_count(latent, 1, "latent", "how many numbers a code has, such as 32")
        if encoder not in ENCODERS:
            raise ParameterError(f"encoder = {encoder!r} is unknown: give one of {ENCODERS}")
        self.encoder = encoder
        self.shuffle = bool(shuffle)
        self.effort = check_positive(effort, "effort", "a share of the usual work such as 1.0")

    def programme(self, facts: ImageFacts, budget: Budget) -> Programme:
        """The moments, if any, and the answers; calibrated together."""
        # A fit always knows the number, which neighbours share; a plan may not.
        n = facts.population or ASSUMED_POPULATION
        most = 2**24 // self._latent(facts)
        if n > most:
            raise ParameterError(
                f"{n:,} images with {self._latent(facts)} numbers a code are more "
                f"than one release holds: take latent = {2**24 // n} or less"
            )
        return _programme(
            budget,
            n,
            len(facts.classes),
            self.encoder != "frequencies",
            self.shuffle,
        )

    def steps(self, facts: ImageFacts) -> tuple[str, ...]:
        """What the events are."""
        first = () if self.encoder == "frequencies" else ("mean and covariance of all images",)
        if self.shuffle:
            return (*first, "every image's noisy code and label, shuffled")
        return (*first, "every image's noisy code", "every image's label, by randomised response")

    def release(
        self, data: ImageData, facts: ImageFacts, programme: Programme, run: Run, work: Work
    ) -> Answers:
        """Moments, then every image's answer.

        Guarantee: the programme's, for replacing one image. Sensitivity: `release_moments`, and
            `CODES_L2` between any two codes; a label is one value.
        """
        if len(data) != facts.population:
            raise ParameterError(
                f"{data.name}: {len(data):,} images, and {facts.population:,} were declared: the "
                "number is public under replace-one adjacency, so give the true one or none"
            )
        frame, steps = Frame.of(facts), self.steps(facts)
        place = len(steps) - (1 if self.shuffle else 2)
        multiplier, answer = _noise_of(programme)
        moments = None
        if place:
            moments = release_moments(data.x, frame, run, 0, steps[0])
        encoder, layers = self._encoder(moments, frame, facts, multiplier, work)
        codes = whole_codes(encoder, data.x)
        classes = len(facts.classes)
        if self.shuffle:
            spend = run.shuffled(place, steps[place], CODES_L2, max(classes, 2))
            noisy, labels = noise.shuffled(spend, codes, data.y)
        else:
            spend = run.vector(place, steps[place], CODES_L2)
            drawn = noise.integer_gaussian(spend, codes.size)
            noisy = codes + drawn.reshape(codes.shape)
            spend = run.randomised_response(
                steps[place + 1], answer, max(classes, 2), event=place + 1
            )
            labels = noise.randomised_response(spend, data.y)
        unit = encoder.radius / (BALL * CODE_STEPS)
        certificate = Certificate(
            encoder.constant,
            encoder.radius,
            2 * multiplier * encoder.radius,
            rounding=code_rounding(encoder, codes.shape[1]),
        )
        keep = _keep(answer, max(classes, 2))
        return Answers(noisy * unit, labels, keep, certificate, encoder, moments, layers)

    def train(self, released: Answers, facts: ImageFacts, work: Work) -> Trained:
        """Deconvolve the codes; the decoder is there already."""
        classes = len(facts.classes)
        labels = released.labels if classes > 1 else np.zeros_like(released.labels)
        steps = max(1, round(12 * self.effort))
        work.progress("deconvolving the codes", 0.0)
        model = deconvolve(
            released.codes,
            labels,
            released.certificate.code_noise,
            channel(released.keep, classes),
            steps=steps,
        )
        work.progress("deconvolving the codes", 1.0)
        frame = Frame.of(facts)
        weights = self._weights(released, model, frame)
        certificate = replace(released.certificate, decoder=decoder_constant(weights))
        guarantee = certificate.sentence(self.delta)
        return Trained(VaeGenerator(facts, frame.side, guarantee, weights), model.shares)

    def estimate(self, facts: ImageFacts, device: str) -> Estimate:
        """Roughly; from public facts only."""
        n = facts.population or 10_000
        d, classes = self._latent(facts), len(facts.classes)
        training = 60.0 * self.effort if self.encoder == "network" else 0.0
        seconds = 2.0 + n * (1e-4 + 12 * self.effort * classes * d * 1e-8) + training
        return Estimate(seconds, 300 + n * (d * 40 + classes * 24) / 1e6)

    def _latent(self, facts: ImageFacts) -> int:
        return min(self.latent, Frame.of(facts).size)

    def _encoder(
        self,
        moments: Moments | None,
        frame: Frame,
        facts: ImageFacts,
        multiplier: float,
        work: Work,
    ) -> tuple[Encoder, tuple[tuple[np.ndarray, np.ndarray], ...]]:
        """The encoder, and the decoder's layers if it is a network."""
        d = self._latent(facts)
        if moments is None:
            lowest = np.eye(frame.size)[:, :d]
            return LinearEncoder(frame, np.zeros(frame.size), lowest, frame.radius), ()
        if self.encoder == "network":
            from mezzotint.images.vae import network

            relative = 2 * multiplier * _SHORTENED
            made = network.train(moments, frame, d, relative, self.effort, work)
            shorter = network.NetworkEncoder(
                made.encoder.net,
                made.encoder.centre,
                made.encoder.constant,
                _SHORTENED * made.encoder.radius,
            )
            return shorter, made.layers
        radius = _SHORTENED * math.sqrt(float(moments.values[:d].sum()))
        radius = min(max(radius, 1e-3 * frame.radius), frame.radius)
        return LinearEncoder(frame, moments.mean, moments.directions[:, :d], radius), ()

    def _weights(self, released: Answers, model: CodeModel, frame: Frame) -> dict[str, np.ndarray]:
        moments, encoder = released.moments, released.encoder
        weights = {"means": model.means, "roots": np.linalg.cholesky(model.covariances)}
        if moments is None:
            assert isinstance(encoder, LinearEncoder)
            rest = {"centre": np.zeros(frame.size), "texture": np.zeros((frame.size, 0))}
            return weights | rest | {"directions": encoder.directions}
        weights["centre"] = moments.mean
        if released.layers:
            values = self._network(released, model)
            weights |= values
            weights["texture"] = np.zeros((frame.size, 0))
            return weights
        assert isinstance(encoder, LinearEncoder)
        d = encoder.directions.shape[1]
        # Codes were shortened: make up for it, so that codes and moments have the same variance.
        spread = model.shares @ np.trace(model.covariances, axis1=1, axis2=2)
        offset = model.means - model.shares @ model.means
        spread += model.shares @ np.square(offset).sum(axis=1)
        stretch = math.sqrt(float(moments.values[:d].sum()) / max(float(spread), 1e-12))
        weights["means"] = model.means * stretch
        weights["roots"] = weights["roots"] * stretch
        noise_level = float(np.median(moments.values))
        rest = np.maximum(moments.values[d:] - noise_level, 0.0)
        used = rest > 0
        texture = moments.directions[:, d:][:, used] * np.sqrt(rest[used])
        return weights | {"directions": encoder.directions, "texture": texture}

    def _network(self, released: Answers, model: CodeModel) -> dict[str, np.ndarray]:
        """The network's layers; their last one stretched to the variance of the moments."""
        assert released.moments is not None
        scale = np.array([released.certificate.radius / _SHORTENED])
        arrays = {"scale": scale}
        for i, (weight, bias) in enumerate(released.layers):
            arrays |= {f"layer{i}": weight, f"bias{i}": bias}
        rng = np.random.default_rng(0)
        labels = rng.choice(len(model.shares), 2000, p=model.shares)
        roots = np.linalg.cholesky(model.covariances)
        fresh = rng.standard_normal((2000, model.means.shape[1]))
        codes = model.means[labels] + np.einsum("nij,nj->ni", roots[labels], fresh)
        rows = forward(arrays, codes)
        spread = float(np.square(rows - rows.mean(axis=0)).sum(axis=1).mean())
        stretch = math.sqrt(float(released.moments.values.sum()) / max(spread, 1e-12))
        last = len(released.layers) - 1
        shift = rows.mean(axis=0) / scale[0]
        arrays[f"layer{last}"] = arrays[f"layer{last}"] * stretch
        arrays[f"bias{last}"] = (arrays[f"bias{last}"] - shift) * stretch
        return arrays


def _noise_of(programme: Programme) -> tuple[float, float]:
    """The codes' noise multiplier, and epsilon of the labels' randomised response."""
    last = programme.events[-1]
    if isinstance(last, Shuffled):
        return last.noise_multiplier, last.epsilon
    codes = programme.events[-2]
    assert isinstance(codes, Gaussian)
    assert isinstance(last, PureDP)
    return codes.noise_multiplier, last.epsilon


def _keep(answer: float, classes: int) -> float:
    return 1 / (1 + (classes - 1) * math.exp(-answer))


@lru_cache(maxsize=16)
def _programme(budget: Budget, n: int, classes: int, moments: bool, shuffle: bool) -> Programme:
    """The moments take a share that shrinks with epsilon; labels the one that serves means best."""
    unit = PrivacyUnit(Adjacency.REPLACE_ONE, 1, budget.unit.name)
    share = 0.3 / math.sqrt(max(1.0, budget.epsilon)) if moments else 0.0
    first: tuple[Event, ...] = ()
    if moments:
        part = Budget(share * budget.epsilon, (1 - _DELTA_SHARE) * budget.delta, unit)
        if Programme((Gaussian(_LARGEST_MULTIPLIER),)).epsilon(part.delta) > part.epsilon:
            raise BudgetError(_too_little(budget, n))
        first = Programme.calibrated(
            part, lambda scale: Programme((Gaussian(scale),)), 0.05, _LARGEST_MULTIPLIER
        ).events
    rest, delta = (1 - share) * budget.epsilon, _DELTA_SHARE * budget.delta
    best, answer, multiplier = math.inf, 0.0, 0.0
    for candidate in _ANSWERS:
        found = _least_multiplier(rest, delta, candidate, n if shuffle else 1)
        keep = _keep(candidate, max(classes, 2))
        sharpness = (keep - (1 - keep) / (max(classes, 2) - 1)) if classes > 1 else 1.0
        if found / sharpness < best:
            best, answer, multiplier = found / sharpness, candidate, found
    if math.isinf(best):
        raise BudgetError(_too_little(budget, n))

    def build(scale: float) -> Programme:
        if shuffle:
            return Programme((*first, Shuffled(scale, answer, n, delta)))
        return Programme((*first, Gaussian(scale), PureDP(answer)))

    return Programme.calibrated(budget, build, 0.5 * multiplier, 1.05 * multiplier)


def _too_little(budget: Budget, n: int) -> str:
    return (
        f"{budget} is too little for {n:,} images that answer each for itself; nothing was "
        "released. Ask for a larger epsilon, or take a method that adds noise to sums"
    )


def _least_multiplier(epsilon: float, delta: float, answer: float, n: int) -> float:
    """The least noise multiplier, to a hundredth, whose answers are within (epsilon, delta)."""

    def fits(multiplier: float) -> bool:
        if n == 1:
            return local_epsilon(delta, multiplier, answer) <= epsilon
        return shuffled_epsilon(delta, multiplier, answer, n) <= epsilon

    low, high = 0.05, _LARGEST_MULTIPLIER
    if not fits(high):
        return math.inf
    while high > 1.01 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
