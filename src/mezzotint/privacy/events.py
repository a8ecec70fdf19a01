"""What can be released, as Renyi DP and as privacy loss distributions know it.

An event whose exact distribution a method does not know enters by one that dominates it. Neighbours
differ by one unit's presence; a noise multiplier is the noise's standard deviation divided by the
L2 sensitivity. dp-accounting takes a second to import, so every event imports its part when asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mezzotint.errors import ParameterError
from mezzotint.privacy.checks import (
    check_count,
    check_delta,
    check_epsilon,
    check_positive,
    check_rho,
)

if TYPE_CHECKING:
    from dp_accounting.dp_event import DpEvent
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

INTERVAL = 1e-4


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise on a vector, `count` times.

    It stands for the discrete Gaussian on vectors too, whose zCDP and Renyi DP are the same
    (Canonne, Kamath, Steinke 2020, Corollary 16); for its privacy loss distribution on counts
    use `DiscreteGaussian`.
    """

    noise_multiplier: float
    count: int = 1

    def __post_init__(self) -> None:
        _check_multiplier(self.noise_multiplier)
        _check_count(self.count, "count")

    def rdp(self) -> DpEvent:
        """As an event of dp-accounting's RDP accountant."""
        from dp_accounting.dp_event import GaussianDpEvent, SelfComposedDpEvent

        return SelfComposedDpEvent(GaussianDpEvent(self.noise_multiplier), self.count)

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """As a privacy loss distribution; `count` Gaussians are one with less noise."""
        from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

        return from_gaussian_mechanism(
            self.noise_multiplier / self.count**0.5, value_discretization_interval=interval
        )


@dataclass(frozen=True)
class DiscreteGaussian:
    """Discrete Gaussian noise where a unit changes one count by at most `sensitivity`."""

    sigma: float
    sensitivity: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        check_positive(self.sigma, "sigma", "a noise scale such as 10.0")
        _check_count(self.sensitivity, "sensitivity")
        _check_count(self.count, "count")

    def rdp(self) -> DpEvent:
        """As an event of dp-accounting's RDP accountant."""
        return Gaussian(self.sigma / self.sensitivity, self.count).rdp()

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """As a privacy loss distribution."""
        from dp_accounting.pld.privacy_loss_distribution import from_discrete_gaussian_mechanism

        return from_discrete_gaussian_mechanism(
            self.sigma, self.sensitivity, value_discretization_interval=interval
        ).self_compose(self.count)


@dataclass(frozen=True)
class SubsampledGaussian:
    """Steps of Gaussian noise, each on a Poisson sample: every unit joins with probability `rate`.

    It does not describe batches of a shuffled data set, which leak more.
    """

    noise_multiplier: float
    rate: float
    steps: int

    def __post_init__(self) -> None:
        _check_multiplier(self.noise_multiplier)
        if check_positive(self.rate, "rate", "a sampling probability such as 0.01") > 1:
            raise ParameterError(
                f"rate = {self.rate!r} is above 1: give the probability with which a unit joins"
            )
        _check_count(self.steps, "steps")

    def rdp(self) -> DpEvent:
        """As an event of dp-accounting's RDP accountant."""
        from dp_accounting.dp_event import (
            GaussianDpEvent,
            PoissonSampledDpEvent,
            SelfComposedDpEvent,
        )

        step = PoissonSampledDpEvent(self.rate, GaussianDpEvent(self.noise_multiplier))
        return SelfComposedDpEvent(step, self.steps)

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """As a privacy loss distribution."""
        from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

        return from_gaussian_mechanism(
            self.noise_multiplier,
            sampling_prob=self.rate,
            value_discretization_interval=interval,
        ).self_compose(self.steps)


@dataclass(frozen=True)
class PureDP:
    """Any epsilon-DP mechanism, `count` times."""

    epsilon: float
    count: int = 1

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        _check_count(self.count, "count")

    def rdp(self) -> DpEvent:
        """As zCDP of epsilon^2 / 2 (Bun, Steinke 2016, Proposition 1.4)."""
        return ZCDP(self.count * self.epsilon**2 / 2).rdp()

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """As randomised response, which dominates every epsilon-DP mechanism."""
        from dp_accounting.pld.common import DifferentialPrivacyParameters
        from dp_accounting.pld.privacy_loss_distribution import from_privacy_parameters

        return from_privacy_parameters(
            DifferentialPrivacyParameters(self.epsilon, 0.0),
            value_discretization_interval=interval,
        ).self_compose(self.count)


@dataclass(frozen=True)
class Shuffled:
    """A noisy vector and a noisy label of every row, seen in random order: see `shuffling`.

    Neighbours differ in the content of one row; the number of rows is public.

    Attributes:
        noise_multiplier: Of the Gaussian on each row's vector.
        epsilon: Of the randomised response on each row's label.
        rows: How many rows are shuffled.
        delta: Where the shuffled answers' own epsilon is stated; to be less than a budget's delta.
    """

    noise_multiplier: float
    epsilon: float
    rows: int
    delta: float

    def __post_init__(self) -> None:
        _check_multiplier(self.noise_multiplier)
        check_epsilon(self.epsilon)
        _check_count(self.rows, "rows")
        check_delta(self.delta)

    @property
    def local(self) -> tuple[Gaussian, PureDP]:
        """What one row's answer is without the shuffling, which it may be seen as as well."""
        return Gaussian(self.noise_multiplier), PureDP(self.epsilon)

    def rdp(self) -> DpEvent:
        """As the answer without the shuffling."""
        from dp_accounting.dp_event import ComposedDpEvent

        return ComposedDpEvent([part.rdp() for part in self.local])

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """As whatever is (epsilon, delta)-DP with the theorem's epsilon at `delta`."""
        from dp_accounting.pld.common import DifferentialPrivacyParameters
        from dp_accounting.pld.privacy_loss_distribution import from_privacy_parameters

        from mezzotint.privacy.shuffling import shuffled_epsilon

        epsilon = shuffled_epsilon(self.delta, self.noise_multiplier, self.epsilon, self.rows)
        return from_privacy_parameters(
            DifferentialPrivacyParameters(epsilon, self.delta),
            value_discretization_interval=interval,
        )


@dataclass(frozen=True)
class BoundedRange:
    """The exponential mechanism of parameter epsilon, `count` times."""

    epsilon: float
    count: int = 1

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        _check_count(self.count, "count")

    def rdp(self) -> DpEvent:
        """As zCDP of epsilon^2 / 8 (Cesar, Rogers 2021, Lemma 3.2)."""
        return ZCDP(self.count * self.epsilon**2 / 8).rdp()

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """As any epsilon-DP mechanism: its range does not enter a privacy loss distribution."""
        return PureDP(self.epsilon, self.count).pld(interval)


@dataclass(frozen=True)
class ZCDP:
    """Any rho-zCDP mechanism; it has Renyi DP, and no one privacy loss distribution."""

    rho: float

    def __post_init__(self) -> None:
        check_rho(self.rho)

    def rdp(self) -> DpEvent:
        """As an event of dp-accounting's RDP accountant."""
        from dp_accounting.dp_event import ZCDpEvent

        return ZCDpEvent(self.rho)

    def pld(self, interval: float = INTERVAL) -> PrivacyLossDistribution:
        """Refused."""
        raise ParameterError(
            f"zCDP (rho = {self.rho:g}) has no privacy loss distribution of its own: "
            "describe the mechanism itself, or compose by Renyi DP (rdp_epsilon)"
        )


Event = Gaussian | DiscreteGaussian | SubsampledGaussian | PureDP | Shuffled | BoundedRange | ZCDP


def _check_multiplier(value: float) -> None:
    check_positive(value, "noise_multiplier", "a noise multiplier such as 1.0")


def _check_count(value: int, place: str) -> None:
    check_count(value, 1, place, "how often it happens")
