"""The curator: the only one who sees counts.

A mechanism asks two things of a curator: a noisy marginal, and a noisy choice among candidate
queries. Each is written to the ledger before it is drawn. Where the counts come from (memory, a
file, another engine, ciphertexts) is the curator's business.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.privacy.noise import discrete_gaussian, exponential_mechanism
from mezzotint.privacy.run import Run
from mezzotint.tables.counting import Counts
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Measurement, Query

_FRACTION_BITS = 10
_LARGEST_SCORE = 2**60
_MOST_ROWS = 2.0**50


@dataclass(frozen=True)
class Candidate:
    """A query that might be measured next, and how far a model may be from the data on it.

    Its score is weight * (sum over cells of |count - estimate| - penalty). All of it is public.

    Attributes:
        query: which cells.
        weight: how much the query matters; a whole number >= 1.
        estimate: expected counts under the present model, shape of the query's answer.
        penalty: rows taken off the sum.
    """

    query: Query
    weight: int
    estimate: np.ndarray
    penalty: float = 0.0

    def __post_init__(self) -> None:
        # A curator may remember how far an estimate was from the counts: it must not change.
        self.estimate.flags.writeable = False


class Curator(Protocol):
    """What a mechanism sees of the private data."""

    @property
    def domain(self) -> Domain:
        """The public shape of the table."""
        ...

    @property
    def unit(self) -> PrivacyUnit:
        """Whose contribution is hidden."""
        ...

    @property
    def total_rho(self) -> float:
        """The zCDP that a mechanism may spend in all."""
        ...

    @property
    def remaining_rho(self) -> float:
        """The zCDP that is left."""
        ...

    @property
    def choices_are_free(self) -> bool:
        """Whether ``choose`` costs nothing, so that a mechanism need not set budget aside for it.

        A curator that has paid for noisy copies beforehand chooses from them in the clear.
        """
        ...

    def measure(self, query: Query, sigma: float) -> Measurement:
        """A noisy answer; costs ``unit.l2_squared / (2 sigma^2)``."""
        ...

    def choose(self, candidates: Iterable[Candidate], epsilon: float) -> int:
        """The index of a candidate with a high score; costs ``epsilon^2 / 8``, or nothing."""
        ...


class TrustedCurator:
    """The curator who holds the exact counts in the clear, and a run to spend from."""

    choices_are_free = False

    def __init__(self, counts: Counts, run: Run) -> None:
        self._counts = counts
        self._run = run
        self._rho = run.remaining_rho
        self.domain = counts.domain
        self.unit = run.budget.unit
        self._distances: dict[Query, tuple[weakref.ref[np.ndarray], int]] = {}

    @property
    def total_rho(self) -> float:
        """The zCDP that a mechanism may spend in all: what was left when the curator began."""
        return self._rho

    @property
    def remaining_rho(self) -> float:
        """The zCDP that is left."""
        return self._run.remaining_rho

    def measure(self, query: Query, sigma: float) -> Measurement:
        """Counts plus discrete Gaussian noise.

        Guarantee: l2_squared / (2 sigma^2) zCDP (Canonne, Kamath and Steinke 2020, Theorem 4).
        Sensitivity: squared L2 ``unit.l2_squared``: summing cells into groups does not raise it.
        Private and public: the counts are private; query, sigma and the answer are public.
        Units: rows.
        """
        spend = self._run.gaussian(f"counts of {query}", sigma)
        counts = query.project(self._counts.marginal(query.clique))
        noise = discrete_gaussian(spend, counts.size).reshape(counts.shape)
        return Measurement(query.clique, counts + noise, sigma, query.groups)

    def choose(self, candidates: Iterable[Candidate], epsilon: float) -> int:
        """The exponential mechanism over the candidates' scores.

        Scores are computed in whole numbers of 2^-10 rows: the estimates are rounded to that
        grid first, so the sums are exact and the sensitivity is met to the last bit.

        Guarantee: epsilon^2 / 8 zCDP (bounded range; Cesar and Rogers 2021, Lemma 3.2).
        Sensitivity: the largest weight times ``unit.l1``; the scores are not monotone.
        Private and public: the counts and scores are private; candidates and the index public.
        """
        scores, largest = [], 1
        for candidate in candidates:
            scores.append(self._score(candidate))
            largest = max(largest, candidate.weight)
        spend = self._run.exponential(
            f"choice of one of {len(scores)} queries",
            epsilon,
            (largest * self.unit.l1) << _FRACTION_BITS,
        )
        return exponential_mechanism(spend, np.array(scores, dtype=np.int64))

    def _score(self, candidate: Candidate) -> int:
        """The candidate's score; its distance is remembered while its estimate stays the same."""
        seen = self._distances.get(candidate.query)
        if seen is None or seen[0]() is not candidate.estimate:
            seen = weakref.ref(candidate.estimate), self._distance(candidate)
            self._distances[candidate.query] = seen
        penalty = round(candidate.penalty * (1 << _FRACTION_BITS))
        score = candidate.weight * (seen[1] - penalty)
        # Clamping moves no two scores further apart, so the sensitivity stands.
        return max(-_LARGEST_SCORE, min(_LARGEST_SCORE, score))

    def _distance(self, candidate: Candidate) -> int:
        counts = candidate.query.project(self._counts.marginal(candidate.query.clique))
        grid = 1 << _FRACTION_BITS
        estimate = np.rint(candidate.estimate.clip(-_MOST_ROWS, _MOST_ROWS) * grid)
        distances = np.abs(counts * grid - estimate.astype(np.int64))
        # Clamping moves no two distances further apart, so the sensitivity stands.
        np.minimum(distances, _LARGEST_SCORE // distances.size, out=distances)
        return int(distances.sum())
