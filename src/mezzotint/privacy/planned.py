"""What the ledger records when an event of a programme is released, and whether a record fits.

Every event becomes at most one row: a Gaussian a "vector" of integers, a subsampled Gaussian a
"training", an epsilon-DP event a "randomised-response", shuffled answers are "shuffled". The row's
parameters follow from the event and, for vectors, from the L2 sensitivity in grid steps that the
caller states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf, nextafter

from mezzotint.errors import LedgerError, ParameterError
from mezzotint.privacy.checks import check_count
from mezzotint.privacy.events import Gaussian, PureDP, Shuffled, SubsampledGaussian
from mezzotint.privacy.gaussian_table import LARGEST_SIGMA
from mezzotint.privacy.programme import LEAST_SIGMA, Event, Programme
from mezzotint.privacy.releases import Release

Parameters = dict[str, float | int]
_KINDS: Mapping[type, str] = {
    Gaussian: "vector",
    SubsampledGaussian: "training",
    PureDP: "randomised-response",
    Shuffled: "shuffled",
}


def kind_of(event: Event) -> str:
    """The kind of an event's row."""
    return _KINDS[type(event)]


def require_event(programme: Programme, place: int, kind: str, about: str) -> Event:
    """The event at a place of the programme, if it is one of that kind."""
    known = isinstance(place, int) and not isinstance(place, bool)
    if not known or not 0 <= place < len(programme.events):
        raise LedgerError(
            f"{about}: the programme has no event {place!r}, only 0 to "
            f"{len(programme.events) - 1}; nothing was released. "
            "Release what was planned, or plan it before the run begins"
        )
    event = programme.events[place]
    if kind_of(event) != kind:
        raise LedgerError(
            f"{about}: event {place} of the programme is {event!r}, recorded as "
            f"{kind_of(event)!r} and not as {kind!r}; nothing was released. "
            "Release what was planned"
        )
    return event


def vector(event: Gaussian | Shuffled, about: str, l2: int) -> Parameters:
    """The row of a vector of integers whose L2 sensitivity is at most `l2`."""
    l2 = check_count(l2, 1, f"{about}: l2", "an integer bound that holds for every data set")
    sigma = _sigma(event.noise_multiplier, l2)
    if not LEAST_SIGMA <= sigma <= LARGEST_SIGMA:
        raise ParameterError(
            f"{about}: l2 = {l2} with noise multiplier {event.noise_multiplier:g} is a noise of "
            f"{sigma:.3g} grid steps, outside of 2^24 to 2^40: choose the grid so that the "
            "sensitivity is about 2^30 steps"
        )
    return {"l2": l2, "noise_multiplier": event.noise_multiplier, "sigma": sigma}


def training(event: SubsampledGaussian) -> Parameters:
    """The row of a whole training."""
    return {
        "noise_multiplier": event.noise_multiplier,
        "rate": event.rate,
        "steps": event.steps,
    }


def response(event: PureDP, about: str, epsilon: float, categories: int) -> Parameters:
    """The row of randomised response."""
    if epsilon != event.epsilon:
        raise LedgerError(
            f"{about}: epsilon = {epsilon!r} is asked for, and the programme's event has "
            f"{event.epsilon!r}; nothing was released. Release what was planned"
        )
    categories = check_count(categories, 2, f"{about}: categories", "the number of answers")
    return {"epsilon": event.epsilon, "categories": categories}


def shuffled(event: Shuffled, about: str, l2: int, categories: int) -> Parameters:
    """The row of shuffled answers, whose vectors differ by at most `l2` grid steps."""
    categories = check_count(categories, 2, f"{about}: categories", "the number of labels")
    return {
        **vector(event, about, l2),
        "epsilon": event.epsilon,
        "categories": categories,
        "rows": event.rows,
    }


def find_response(programme: Programme, about: str, epsilon: float) -> int:
    """The place of the one randomised response with this epsilon."""
    places = [
        place
        for place, event in enumerate(programme.events)
        if isinstance(event, PureDP) and event.epsilon == epsilon
    ]
    if len(places) != 1:
        raise LedgerError(
            f"{about}: {len(places)} events of the programme are randomised response with epsilon "
            f"{epsilon!r}; nothing was released. "
            + ("Give event = its number" if places else "Release what was planned")
        )
    return places[0]


def require_planned(programme: Programme, releases: Sequence[Release]) -> None:
    """Raises ValueError unless the releases are events of the programme, each at most once."""
    places = [release.event for release in releases]
    if len(set(places)) != len(places):
        raise ValueError("an event of its programme was released twice")
    for release in releases:
        place, given = release.event, dict(release.parameters)
        if place is None or not 0 <= place < len(programme.events):
            raise ValueError(f"release {release.seq} is no event of its programme")
        event = programme.events[place]
        if isinstance(event, Gaussian):
            planned = vector(event, release.about, int(given["l2"]))
        elif isinstance(event, SubsampledGaussian):
            planned = training(event)
        elif isinstance(event, Shuffled):
            planned = shuffled(event, release.about, int(given["l2"]), int(given["categories"]))
        else:
            planned = {"epsilon": event.epsilon, "categories": int(given["categories"])}
        if release.kind != kind_of(event) or given != planned:
            raise ValueError(f"release {release.seq} is not as its programme planned it")
        if release.units or release.delta_units:
            raise ValueError(f"release {release.seq} costs rho beside its programme")


def _sigma(noise_multiplier: float, l2: int) -> float:
    exact = Fraction(noise_multiplier) * l2
    sigma = float(exact)
    return sigma if Fraction(sigma) >= exact else nextafter(sigma, inf)
