"""Choosing by squared distances, as FHAIM does: requests, circuit, price and stocks of noise.

A candidate's score is weight * (sum over cells of (count - estimate)^2 - offset). The provider
computes the distances under encryption (`scores`). The data holders' noise is added there, the key
holder adds its own, weighs, and tells the index of the highest score. FHAIM charges for the choice
alone, and its key holder sees every score. Here the noisy distances are charged for as the vector
that the key holder sees; the weights and the choice are post-processing.

`score_ladder` has the sensitivity.

References:
    FHAIM, arXiv 2602.05838 (the scores). Kairouz, Liu, Steinke 2021 for shares of noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.encrypted.circuit import Circuit, Term
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.pool import Draw
from mezzotint.encrypted.refusal import Refusal
from mezzotint.tables.domain import Clique

if TYPE_CHECKING:
    from mezzotint.tables.curator import Candidate

CHOOSE = "choose"
SCORES = "scores"
_MOST_WEIGHT = 1 << 20
_MOST_OFFSET = 1 << 48


@dataclass(frozen=True)
class Choice:
    """A request to choose one of several marginals.

    Attributes:
        number: of the request, among all of the job's.
        cliques: the candidates.
        weights: what each distance is multiplied by.
        offsets: what is taken off each distance first.
        sigma: the scale of all noise together, in squared rows.
    """

    number: int
    cliques: tuple[Clique, ...]
    weights: tuple[int, ...]
    offsets: tuple[int, ...]
    sigma: float

    @classmethod
    def of(cls, number: int, candidates: Sequence[Candidate], sigma: float) -> Choice:
        """The request for a mechanism's candidates."""
        cliques = tuple(candidate.query.clique for candidate in candidates)
        offsets = tuple(offset(candidate) for candidate in candidates)
        return cls(number, cliques, tuple(c.weight for c in candidates), offsets, sigma)

    def to_fields(self, job: Job) -> dict[str, Any]:
        """As a message's fields."""
        return {
            "job": job.id,
            "number": self.number,
            "sigma": self.sigma,
            "cliques": [list(clique) for clique in self.cliques],
            "weights": list(self.weights),
            "offsets": list(self.offsets),
        }

    @classmethod
    def from_fields(cls, job: Job, fields: Mapping[str, Any]) -> Choice:
        """The inverse of `to_fields`, for fields that came from elsewhere.

        Raises:
            Refusal: if they cannot be meant.
        """
        try:
            number, sigma = fields["number"], fields["sigma"]
            if type(number) is not int or not 0 <= number < job.requests_at_most:
                raise ValueError("number")
            if type(sigma) is not float or not 0 < sigma < 2.0**50:
                raise ValueError("sigma")
            cliques = tuple(tuple(map(str, clique)) for clique in fields["cliques"])
            if not cliques or len(set(cliques)) < len(cliques) or set(cliques) - set(job.scored):
                raise ValueError("candidates")
            weights, offsets = tuple(fields["weights"]), tuple(fields["offsets"])
            if not len(weights) == len(offsets) == len(cliques):
                raise ValueError("as many weights and offsets as candidates")
            if any(type(w) is not int or not 1 <= w <= _MOST_WEIGHT for w in weights):
                raise ValueError("weights")
            if any(type(o) is not int or abs(o) > _MOST_OFFSET for o in offsets):
                raise ValueError("offsets")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refusal(f"a choice cannot be meant ({str(error)[:40]})") from None
        return cls(number, cliques, weights, offsets, sigma)

    def best(self, distances: np.ndarray) -> int:
        """The index of the highest score, by noisy distances: post-processing."""
        scores = [
            weight * (int(distance) - taken)
            for weight, distance, taken in zip(
                self.weights, distances.tolist(), self.offsets, strict=True
            )
        ]
        return scores.index(max(scores))


def offset(candidate: Candidate) -> int:
    """What noise alone adds to a squared distance: cells * sigma^2, by the candidate's penalty.

    The penalty is the expected L1 norm of the noise, cells * sigma * sqrt(2 / pi).
    """
    squares = candidate.penalty**2 * pi / (2 * max(1, candidate.estimate.size))
    return min(_MOST_OFFSET, round(squares))


def circuit_of(job: Job, cliques: Sequence[Clique], draws: Sequence[Draw]) -> Circuit:
    """The sums of a choice: for each candidate its distance, and one entry of each draw.

    Args:
        job: the job.
        cliques: the candidates.
        draws: the entries of noise.
    """
    width = job.scores.preset.width
    order = np.arange(len(cliques))
    terms = [
        Term(f"{SCORES} {'x'.join(clique)}", 0, np.array([0]), order[i : i + 1])
        for i, clique in enumerate(cliques)
    ]
    for draw in draws:
        places = draw.start + order
        for number in np.unique(places // width).tolist():
            mine = places // width == number
            stream = score_noise(draw.level)
            terms.append(Term(stream, number, places[mine] % width, order[mine]))
    return Circuit(tuple(terms), (), len(cliques))


def score_noise(level: int) -> str:
    """The name of a stock's stream of entries for scores."""
    return f"noise-{SCORES}-{level}"
