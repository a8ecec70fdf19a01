"""A programme: everything that a run will release, fixed before the data is touched.

zCDP adds up as it goes, and is loose for one Gaussian and useless for subsampled training. A
programme is the other way to spend a budget: the whole list of events is known at the start, and
its epsilon is that of one composition of privacy loss distributions (pessimistic, dp-accounting):

>>> from mezzotint.privacy.events import Gaussian, SubsampledGaussian
>>> programme = Programme((Gaussian(8.0), SubsampledGaussian(1.1, rate=0.004, steps=500)))
>>> 0.6 < programme.epsilon(1e-5) < 0.8
True

Guarantee: (epsilon, delta)-DP of all events together, released in any order, each at most once, and
    each in knowledge of what came before. The order is free because the parameters are fixed: a
    composition of dominating pairs does not depend on it.
Adjacency: a noise multiplier is the noise's scale divided by the L2 sensitivity under the run's
    own privacy unit. Subsampled events protect a unit's presence, so they need add/remove adjacency
    and one row a unit; a `PureDP` event is randomised response and needs replace-one; so does a
    `Shuffled` one, with one row a unit.
Units: epsilon. Source: Doroshenko et al. 2022 (connect the dots); Zhu, Dong, Wang 2022 (dominating
    pairs, their adaptive composition, and Poisson samples of them).

What is charged for the samplers. The distributions above are of continuous Gaussians B, rounded to
the nearest integer (which only helps); what is drawn is a discrete Gaussian A on that grid, with
the same sigma >= 2^24 grid steps. By Poisson summation A's normaliser is sqrt(2 pi) sigma (1 + r),
0 <= r <= 3 exp(-2 pi^2 sigma^2), so A(k) = phi(k) / (1 + r), and

    B(k) / phi(k) = integral over |t| < 1/2 of exp(-t^2 / (2 sigma^2)) cosh(k t / sigma^2) dt

lies between 1 - 1 / (24 sigma^2) and sinh(a) / a <= exp(a^2 / 6), a = |k| / (2 sigma^2). So
|log(A(k) / B(k))| <= T^2 / (24 sigma^2) + 1 / (24 sigma^2 - 1) + r for |k| <= T sigma; with T = 17
this is below eta = 13 / sigma^2, and beyond T sigma both have mass below 3 exp(-T^2 / 2) < 2^-199
(the samplers' own distance, 2^-200, included). If the mechanism with B is (epsilon, delta)-DP,
then n draws from A make it (epsilon + 2 n eta, exp(n eta) delta + (1 + e^epsilon) n 2^-198)-DP:
pass from A to B on one side, and back on the other. n is the most that an event may draw
(`MOST_VALUES`, `MOST_DRAWS`), so that 2 n eta is below 10^-5 an event; the rest is paid from
`SAMPLER_SHARE` of delta, or the programme's epsilon is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self

from mezzotint.errors import BudgetError, ParameterError
from mezzotint.privacy import renyi
from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
from mezzotint.privacy.checks import check_delta, check_positive
from mezzotint.privacy.events import INTERVAL, Gaussian, PureDP, Shuffled, SubsampledGaussian
from mezzotint.privacy.releases import SAMPLER_SHARE

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

Event = Gaussian | SubsampledGaussian | PureDP | Shuffled

# One Gaussian release has at least so many grid steps a sigma, and at most so many numbers.
LEAST_SIGMA = 2.0**24
MOST_VALUES = 2**24
# Training draws on a grid of 2^34 to 2^35 steps a sigma, at most so many numbers in all.
TRAINING_SIGMA = 2.0**34
MOST_DRAWS = 2**46
_ETA = 13.0
_TAIL = 2.0**-198
_TOLERANCE = 1e-3
_MOST_EVENTS = 10_000
# By Renyi DP this is hopeless: no epsilon above about 65 is ever stated (`with_samplers`), and a
# loss distribution as wide as this would take gigabytes.
_HOPELESS = 5000.0


@dataclass(frozen=True)
class Programme:
    """What a run will release: Gaussians, subsampled ones, epsilon-DP or shuffled answers.

    Attributes:
        events: At least one event; its place in the list is its number. A Gaussian is one release
            (`count` 1); a PureDP event's `count` is the privacy unit's number of rows.
    """

    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", tuple(self.events))
        if not 0 < len(self.events) <= _MOST_EVENTS:
            raise ParameterError(
                f"a programme of {len(self.events)} events: give 1 to {_MOST_EVENTS} of them"
            )
        for place, event in enumerate(self.events):
            if not isinstance(event, Event):
                raise ParameterError(
                    f"event {place} of the programme is {event!r}: "
                    "give Gaussian, SubsampledGaussian, PureDP or Shuffled"
                )
            if isinstance(event, Gaussian) and event.count != 1:
                raise ParameterError(
                    f"event {place} of the programme is {event!r}: every Gaussian is one release, "
                    "so list it as often as it happens"
                )

    def epsilon(self, delta: float) -> float:
        """What all events cost together at `delta`; never below the truth.

        Args:
            delta: Where epsilon is stated. Some of it, and some epsilon, pays for the samplers.
        """
        return _epsilon(self.events, check_delta(delta))

    @cached_property
    def curve(self) -> renyi.Curve:
        """The programme's Renyi curve, by which it adds up with other runs."""
        return renyi.add(renyi.curve_of(event) for event in self.events)

    @cached_property
    def slack(self) -> int:
        """What the noise's grids cost: pico-epsilon to be added to an epsilon, rounded up."""
        return math.ceil(sum(_grid_cost(event) for event in self.events) * renyi.UNITS)

    def shares(self, delta: float) -> tuple[float, ...]:
        """What part of the whole cost each event makes up, by Renyi DP at its best order."""
        place = renyi.best_order(self.curve, delta)
        total = max(self.curve[place], 1)
        return tuple(renyi.curve_of(event)[place] / total for event in self.events)

    def require_unit(self, unit: PrivacyUnit) -> None:
        """Refuses a privacy unit for which an event does not say what is released."""
        for place, event in enumerate(self.events):
            if isinstance(event, SubsampledGaussian) and (
                unit.adjacency is not Adjacency.ADD_REMOVE or unit.rows != 1
            ):
                raise ParameterError(
                    f"event {place} of the programme samples rows, which protects the presence of "
                    f"a unit with one row, and the privacy unit is {unit}: use add-remove "
                    "adjacency with one row a unit, or events that do not sample"
                )
            if isinstance(event, PureDP) and unit.adjacency is not Adjacency.REPLACE_ONE:
                raise ParameterError(
                    f"event {place} of the programme is randomised response, which publishes the "
                    f"number of rows, and the privacy unit is {unit}: use replace-one adjacency, "
                    "or a Gaussian on the counts"
                )
            if isinstance(event, Shuffled) and (
                unit.adjacency is not Adjacency.REPLACE_ONE or unit.rows != 1
            ):
                raise ParameterError(
                    f"event {place} of the programme shuffles one answer a row, whose number it "
                    f"publishes, and the privacy unit is {unit}: use replace-one adjacency with "
                    "one row a unit"
                )
            if isinstance(event, PureDP) and event.count != unit.rows:
                raise ParameterError(
                    f"event {place} of the programme is {event!r}, and the privacy unit is {unit}: "
                    f"give count = {unit.rows}, one answer a row"
                )

    def require_within(self, budget: Budget) -> float:
        """The programme's epsilon at the budget's delta; refuses one that the budget lacks."""
        epsilon = self.epsilon(budget.delta)
        if not epsilon <= budget.epsilon:
            raise BudgetError(
                f"the programme's {len(self.events)} events cost epsilon {epsilon:.6g} together at "
                f"delta {budget.delta:g}, and the budget is {budget}; nothing was released. "
                "Add more noise, plan fewer steps, or ask for a larger epsilon"
            )
        return epsilon

    @classmethod
    def calibrated(
        cls,
        budget: Budget,
        build: Callable[[float], Programme],
        low: float = 1e-3,
        high: float = 1e3,
    ) -> Programme:
        """The programme of the least noise, to a thousandth of its scale, within a budget.

        Args:
            budget: What the programme may cost; the result never exceeds it.
            build: The programme at a scale; more scale must not cost more.
            low: The least scale to try, and
            high: the largest.
        """
        low = check_positive(low, "low", "a scale of the noise such as 0.001")
        high = check_positive(high, "high", "a scale of the noise such as 1000.0")
        if low >= high:
            raise ParameterError(f"low = {low!r} is not below high = {high!r}: exchange them")

        def by_rdp(scale: float) -> bool:
            return renyi.rough_epsilon(build(scale).events, budget.delta) <= budget.epsilon

        def by_pld(scale: float) -> bool:
            return build(scale).epsilon(budget.delta) <= budget.epsilon

        # Renyi DP is quick and needs more noise: roughly, it gives a first guess from above.
        guess = _least(by_rdp, low, high, 1.05) if by_rdp(high) else high
        while not by_pld(guess):
            if guess >= high:
                raise BudgetError(
                    f"{budget} is less than the programme costs even at scale {high:g}: "
                    "plan fewer steps, allow a larger scale, or ask for a larger epsilon"
                )
            guess = min(high, guess * 1.05)
        below = guess
        while below > low:
            below = max(low, guess / 1.1)
            if not by_pld(below):
                break
            guess = below
        return build(_least(by_pld, below, guess, 1 + _TOLERANCE))

    def to_json(self) -> list[dict[str, Any]]:
        """The events as plain JSON values."""
        return [_event_to_json(event) for event in self.events]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> Self:
        """The inverse of `to_json`."""
        return cls(tuple(_event_from_json(row) for row in data))


@dataclass(frozen=True)
class Charge:
    """What a programme costs, as the ledger records it when the run begins.

    Attributes:
        programme: The events.
        epsilon: What they cost at the run's delta, and
        delta: that delta.
        curve: Their Renyi curve.
        slack: Pico-epsilon for the noise's grids.
    """

    programme: Programme
    epsilon: float
    delta: float
    curve: renyi.Curve
    slack: int

    @classmethod
    def of(cls, programme: Programme, budget: Budget) -> Charge:
        """The charge of a programme that fits a budget; refuses any other."""
        programme.require_unit(budget.unit)
        epsilon = programme.require_within(budget)
        return cls(programme, epsilon, budget.delta, programme.curve, programme.slack)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; delta stands in the run's own row."""
        return {
            "events": self.programme.to_json(),
            "epsilon": self.epsilon,
            "curve": list(self.curve),
            "slack": self.slack,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], delta: float) -> Charge:
        """The inverse of `to_json`."""
        programme = Programme.from_json(data["events"])
        curve = tuple(data["curve"])
        if len(curve) != len(renyi.ORDERS):
            raise ValueError("a programme's Renyi curve has other orders than this version knows")
        return cls(programme, data["epsilon"], delta, curve, data["slack"])


def usable_delta(delta: float, slack: int) -> float:
    """What is left of delta for continuous Gaussians when the grids' part is paid."""
    return delta * (1 - SAMPLER_SHARE) * (1 - slack / renyi.UNITS) * (1 - 1e-12)


def with_samplers(epsilon: float, delta: float, slack: int, events: int) -> float:
    """An epsilon for continuous Gaussians as one for the samplers: see the module's docstring.

    Args:
        epsilon: Its value at `usable_delta`.
        delta: The whole delta.
        slack: Pico-epsilon for the grids.
        events: How many events there were.
    """
    total = epsilon + slack / renyi.UNITS
    # (1 + e^epsilon) n 2^-198 <= SAMPLER_SHARE * delta
    cost = math.log(2) + max(total, 0.0) + math.log(events * MOST_DRAWS * _TAIL)
    if cost > math.log(SAMPLER_SHARE) + math.log(delta):
        return math.inf
    return math.nextafter(total, math.inf)


@lru_cache(maxsize=256)
def _epsilon(events: tuple[Event, ...], delta: float) -> float:
    slack = math.ceil(sum(_grid_cost(event) for event in events) * renyi.UNITS)
    usable = usable_delta(delta, slack)
    if renyi.rough_epsilon(events, usable) > _HOPELESS:
        return math.inf
    # A rough first figure chooses the grid: in proportion to epsilon it stays quick, and a
    # coarser grid rounds up all the same.
    rough = float(_losses(events, 1e-2).get_epsilon_for_delta(usable))
    if math.isinf(rough):
        rough = 1.0
    interval = INTERVAL * min(max(1.0, rough), 100.0)
    epsilon = float(_losses(events, interval).get_epsilon_for_delta(usable))
    return with_samplers(epsilon, delta, slack, len(events))


def _losses(events: tuple[Event, ...], interval: float) -> PrivacyLossDistribution:
    """One privacy loss distribution of everything.

    Gaussians compose to one Gaussian, exactly; equal subsampled steps are composed at once.
    """
    parts: list[Event] = []
    precision = sum(e.count / e.noise_multiplier**2 for e in events if isinstance(e, Gaussian))
    if precision:
        parts.append(Gaussian(1 / math.sqrt(precision * (1 + 1e-12))))
    steps: dict[tuple[float, float], int] = {}
    answers: dict[float, int] = {}
    for event in events:
        if isinstance(event, SubsampledGaussian):
            key = (event.noise_multiplier, event.rate)
            steps[key] = steps.get(key, 0) + event.steps
        elif isinstance(event, PureDP):
            answers[event.epsilon] = answers.get(event.epsilon, 0) + event.count
    parts += [SubsampledGaussian(sigma, rate, count) for (sigma, rate), count in steps.items()]
    parts += [PureDP(epsilon, count) for epsilon, count in answers.items()]
    parts += [event for event in events if isinstance(event, Shuffled)]
    first, *rest = (part.pld(interval) for part in parts)
    for other in rest:
        first = first.compose(other)
    return first


def _least(fits: Callable[[float], bool], below: float, above: float, ratio: float) -> float:
    """The least scale that fits, to a factor; `above` fits."""
    while above > below * ratio:
        middle = math.sqrt(above * below)
        if fits(middle):
            above = middle
        else:
            below = middle
    return above


def _grid_cost(event: Event) -> float:
    """2 n eta: epsilon for drawing on a grid."""
    if isinstance(event, Gaussian | Shuffled):
        return 2 * MOST_VALUES * _ETA / LEAST_SIGMA**2
    if isinstance(event, SubsampledGaussian):
        return 2 * MOST_DRAWS * _ETA / TRAINING_SIGMA**2
    return 0.0


def _event_to_json(event: Event) -> dict[str, Any]:
    if isinstance(event, Gaussian):
        return {"kind": "gaussian", "noise_multiplier": event.noise_multiplier}
    if isinstance(event, PureDP):
        return {"kind": "pure", "epsilon": event.epsilon, "count": event.count}
    if isinstance(event, Shuffled):
        return {
            "kind": "shuffled",
            "noise_multiplier": event.noise_multiplier,
            "epsilon": event.epsilon,
            "rows": event.rows,
            "delta": event.delta,
        }
    return {
        "kind": "subsampled-gaussian",
        "noise_multiplier": event.noise_multiplier,
        "rate": event.rate,
        "steps": event.steps,
    }


def _event_from_json(row: Mapping[str, Any]) -> Event:
    kind = row["kind"]
    if kind == "gaussian":
        return Gaussian(row["noise_multiplier"])
    if kind == "pure":
        return PureDP(row["epsilon"], row["count"])
    if kind == "subsampled-gaussian":
        return SubsampledGaussian(row["noise_multiplier"], row["rate"], row["steps"])
    if kind == "shuffled":
        return Shuffled(row["noise_multiplier"], row["epsilon"], row["rows"], row["delta"])
    raise ParameterError(f"event of kind {kind!r} is unknown to this version: update Mezzotint")
