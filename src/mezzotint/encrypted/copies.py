"""Choosing from noisy copies: one noisy copy of every candidate, then scores in the clear.

All candidates are measured once, at a scale that costs a share of the budget together. What is
chosen from the copies afterwards is post-processing: it leaks nothing more, to nobody, however many
scores are looked at. A copy also improves the measurement of its own marginal, by its weight.

A candidate's score is how far the model is from the counts, in rows. A copy's noise makes it look
further, by an amount that depends on the true distance: sigma sqrt(2 / pi) for a cell where the
model is right, nothing for one where it is far off. So cells are taken in bins of similar expected
counts. Where a bin's sum of squares, less the noise's, stands out, its cells are taken for Gaussian
with that variance, and their distance is its square root times sqrt(2 / pi) a cell; elsewhere it is
the sum of distances less what noise alone would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import pi, sqrt

import numpy as np

from mezzotint.tables.curator import Candidate
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import Measurement, Query

FIRST_BIN = 8
STANDING_OUT = 2.0
"""Standard deviations by which a bin's sum of squares must exceed the noise's."""


class NoisyCopies:
    """Noisy copies of marginals; everything here is public.

    Args:
        domain: the table's shape.
        values: clique -> noisy counts.
        sigma: the scale of their noise.
    """

    def __init__(self, domain: Domain, values: Mapping[Clique, np.ndarray], sigma: float) -> None:
        self._domain = domain
        self._values = dict(values)
        self._sigma = sigma
        self._seen: dict[Query, tuple[np.ndarray, float]] = {}
        self._free = set(values)

    def choose(self, candidates: Iterable[Candidate]) -> int:
        """The index of the candidate with the highest score."""
        return int(np.argmax([self.score(candidate) for candidate in candidates]))

    def score(self, candidate: Candidate) -> float:
        """Weight * (distance between copy and estimate, less what noise explains, - penalty)."""
        values, sigma = self.answer(candidate.query)
        distance = distance_without_noise(values, candidate.estimate, sigma)
        return candidate.weight * (distance - candidate.penalty)

    def answer(self, query: Query) -> tuple[np.ndarray, float]:
        """The copies' best answer to a query, and the scale of its noise.

        A query that has no copy of its own is answered by all copies that hold it, summed up and
        weighed by the inverse of their variance.
        """
        if query not in self._seen:
            self._seen[query] = self._answer(query)
        return self._seen[query]

    def merge(self, measurement: Measurement) -> Measurement:
        """A measurement together with the copy of its marginal, once for each copy."""
        if measurement.groups or measurement.clique not in self._free:
            return measurement
        self._free.remove(measurement.clique)
        fresh, copy = 1 / measurement.sigma**2, 1 / self._sigma**2
        values = measurement.values * fresh + self._values[measurement.clique] * copy
        return Measurement(measurement.clique, values / (fresh + copy), 1 / sqrt(fresh + copy))

    def _answer(self, query: Query) -> tuple[np.ndarray, float]:
        if query.clique in self._values:
            values = query.project(self._values[query.clique])
            return values, self._sigma * sqrt(self._grouped(query))
        total, weights = np.zeros(query.shape(self._domain)), 0.0
        cells = self._domain.cells(query.clique)
        for clique, values in self._values.items():
            if set(query.clique) <= set(clique):
                axes = tuple(i for i, a in enumerate(clique) if a not in query.clique)
                weight = cells / self._domain.cells(clique)
                total += weight * query.project(values.sum(axis=axes))
                weights += weight
        return total / weights, self._sigma * sqrt(self._grouped(query) / weights)

    def _grouped(self, query: Query) -> float:
        """How many cells are summed into one of the query's, on average."""
        return self._domain.cells(query.clique) / int(np.prod(query.shape(self._domain)))


def distance_without_noise(values: np.ndarray, estimate: np.ndarray, sigma: float) -> float:
    """An estimate of sum |count - estimate| from counts with noise; see the module.

    Args:
        values: noisy counts.
        estimate: expected counts, same shape.
        sigma: the noise's scale.
    """
    order = np.argsort(-estimate, axis=None, kind="stable")
    away = (values - estimate).ravel()[order]
    starts = _bins(away.size)
    sizes = np.diff(starts, append=away.size)
    plain = np.add.reduceat(np.abs(away), starts) - sizes * sqrt(2 / pi) * sigma
    squares = np.add.reduceat(away * away, starts) - sizes * sigma**2
    spread = np.sqrt(np.maximum(squares, 0) * sizes) * sqrt(2 / pi)
    stands_out = squares > STANDING_OUT * sigma**2 * np.sqrt(2 * sizes)
    return float(np.where(stands_out, np.maximum(spread, plain), plain).sum())


@lru_cache(maxsize=1024)
def _bins(cells: int) -> np.ndarray:
    """Where bins of 8, 16, 32, ... cells begin."""
    starts, size = [0], FIRST_BIN
    while starts[-1] + size < cells:
        starts.append(starts[-1] + size)
        size *= 2
    return np.array(starts)
