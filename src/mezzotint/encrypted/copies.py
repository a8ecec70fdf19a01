"""Choosing from noisy copies: one noisy copy of every candidate, then scores in the clear.

All candidates are measured once, at a scale that costs a share of the budget together. What is
chosen from the copies afterwards is post-processing: it leaks nothing more, to nobody, however many
scores are looked at. A copy also improves the measurement of its own marginal, by its weight.

A candidate's score is how far the model is from the counts, in rows; a copy's noise adds about
sigma sqrt(2 / pi) a cell to that distance, which is taken off again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import pi, sqrt

import numpy as np

from mezzotint.tables.curator import Candidate
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import Measurement, Query


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
        distance = float(np.abs(values - candidate.estimate).sum())
        noise = sqrt(2 / pi) * sigma * values.size
        return candidate.weight * (distance - noise - candidate.penalty)

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
