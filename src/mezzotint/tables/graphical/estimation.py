"""From noisy marginals to a graphical model: accelerated mirror descent, stopped by its risk.

Private-PGM (McKenna, Sheldon and Miklau 2019) fits the model whose marginals are nearest to the
measurements, in units of each measurement's noise:

    L(mu) = 1/2 sum over cells of ((mu - y) / sigma)^2,

by mirror descent on the potentials, theta <- theta - step * dL/dmu, which keeps every iterate a
graphical model. We add Nesterov's momentum with restarts.

Run to the minimum, the fit reproduces noise: most cells of a large marginal hold less than one
sigma of signal. Mirror descent meets the large counts first, so stopping early is a regulariser,
and when to stop can be read off the measurements alone. Stein's unbiased estimate of the risk
sum((mu - truth)^2 / sigma^2) is

    SURE = 2 L(mu) - n + 2 sum(d mu / d y).

For a cell on its own the descent is a linear recursion: the distance to its target shrinks by
(1 - step * mu / sigma^2) each time, momentum included. We follow this factor for every cell
(``unfitted``) and take d mu / d y to be one minus it. The descent stops where SURE is least.
Everything here is post-processing of released values; it spends nothing.

Sources: McKenna, Sheldon, Miklau, "Graphical-model based estimation and inference for differential
privacy" (2019); Stein, "Estimation of the mean of a multivariate normal distribution" (1981);
O'Donoghue and Candes, "Adaptive restart for accelerated gradient schemes" (2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical.loglinear import LogLinear, Zeros
from mezzotint.tables.graphical.measurement import Measurement, Query
from mezzotint.tables.graphical.model import GraphicalModel, Potential
from mezzotint.tables.graphical.propagation import Array

MAX_PASSES = 10_000
NEIGHBOURHOOD = 15
"""Cliques that a local refit is about; models of up to twice as many are refitted whole."""
# How long to look for a lower risk than the lowest so far: a tenth of the passes that led there.
_PATIENCE = 1.1
_SPARE_PASSES = 10
_LONGEST_MOVE = 50.0
"""The most that one step may change a log potential."""


def estimate_total(measurements: Iterable[Measurement]) -> float:
    """The number of rows, by inverse-variance weighting of every measurement's sum; at least 1."""
    pairs = [(float(m.values.sum()), m.values.size * m.sigma**2) for m in measurements]
    weight = sum(1 / variance for _, variance in pairs)
    return max(1.0, sum(value / variance for value, variance in pairs) / weight)


def estimate(
    domain: Domain,
    measurements: Sequence[Measurement],
    *,
    zeros: Zeros = (),
    start: GraphicalModel | None = None,
    near: Query | None = None,
) -> GraphicalModel:
    """Fit a graphical model to noisy marginals.

    Args:
        domain: attributes and sizes.
        measurements: at least one; repeated queries are merged by inverse variance.
        zeros: cells that no row can occupy; the model gives them exactly nothing.
        start: an earlier fit to some of the measurements, to go on from.
        near: in a model of many cliques, refit only the neighbourhood of this measured query.

    Returns:
        The model at the iterate of least estimated risk.
    """
    problem = _Problem.of(domain, measurements, zeros)
    warm = start.potentials if start is not None else {}
    iterate = _Iterate(
        problem.flat({q: p.theta for q, p in warm.items()}, default=0.0),
        problem.flat({q: p.unfitted for q, p in warm.items()}, default=1.0),
    )
    if near is not None and len(problem.family.tree.cliques) > 2 * NEIGHBOURHOOD:
        part, where = problem.around(near, iterate.theta)
        best = _descend(part, _Iterate(iterate.theta[where], iterate.unfitted[where]))
        iterate.theta[where], iterate.unfitted[where] = best.theta, best.unfitted
    else:
        iterate = _descend(problem, iterate)
    potentials = {
        q: Potential(theta, unfitted)
        for q, theta, unfitted in zip(
            problem.family.queries,
            problem.split(iterate.theta),
            problem.split(iterate.unfitted),
            strict=True,
        )
    }
    return GraphicalModel(domain, potentials, problem.total, tuple(measurements), tuple(zeros))


def estimate_in_stages(
    domain: Domain, measurements: Sequence[Measurement], *, zeros: Zeros = ()
) -> GraphicalModel:
    """Fit to all measurements: single attributes first, then the noisier ones before the finer.

    Early stopping keeps a fit near where it started, so it matters to start near the truth. For
    measurements that came over many rounds this ends nearer to it than going on from round to
    round did: what was fitted under the early rounds' large noise is left behind.
    """
    model = None
    for noise in sorted({_stage(m) for m in measurements}, reverse=True):
        known = [m for m in measurements if _stage(m) >= noise]
        model = estimate(domain, known, zeros=zeros, start=model)
    assert model is not None
    return model


def _stage(measurement: Measurement) -> float:
    return inf if len(measurement.clique) == 1 else measurement.sigma


@dataclass(frozen=True)
class _Iterate:
    theta: Array
    """parameters of all queries, concatenated"""
    unfitted: Array
    """for each cell the share of its first distance to the measurement that is left"""

    def ahead(self, previous: _Iterate, momentum: float) -> _Iterate:
        return _Iterate(
            self.theta + momentum * (self.theta - previous.theta),
            self.unfitted + momentum * (self.unfitted - previous.unfitted),
        )


class _Problem:
    """The merged measurements as flat vectors, and the map from parameters to expected counts."""

    def __init__(
        self, family: LogLinear, total: float, targets: Sequence[Array], weights: Sequence[float]
    ) -> None:
        self.family = family
        self.total = total
        self._targets = targets
        self._weights = weights
        self._shapes = [t.shape for t in targets]
        self._ends = np.cumsum([t.size for t in targets])
        self.target = np.concatenate([t.ravel() for t in targets])
        self.weight = np.repeat(weights, [t.size for t in targets])
        self.passes = 0

    @classmethod
    def of(cls, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros) -> _Problem:
        merged: dict[Query, list[Measurement]] = {}
        for m in measurements:
            merged.setdefault(m.query, []).append(m)
        weights = [sum(m.sigma**-2 for m in repeats) for repeats in merged.values()]
        targets = [
            np.asarray(sum(m.values * m.sigma**-2 for m in repeats) / weight)
            for repeats, weight in zip(merged.values(), weights, strict=True)
        ]
        family = LogLinear.of(domain, tuple(merged), zeros)
        return cls(family, estimate_total(measurements), targets, weights)

    def around(self, query: Query, theta: Array) -> tuple[_Problem, Array]:
        """The problem near a query, all else held fast; and where its parameters stand here."""
        family, here = self.family.around(query, self.split(theta), self.total, NEIGHBOURHOOD)
        ends = [0, *self._ends]
        where = np.concatenate([np.arange(ends[k], ends[k + 1]) for k in here])
        targets = [self._targets[k] for k in here]
        return _Problem(family, self.total, targets, [self._weights[k] for k in here]), where

    def split(self, flat: Array) -> list[Array]:
        parts = np.split(flat, self._ends[:-1])
        return [part.reshape(s) for part, s in zip(parts, self._shapes, strict=True)]

    def flat(self, known: Mapping[Query, Array], default: float) -> Array:
        parts = [
            np.ravel(known[q]) if q in known else np.full(int(np.prod(s)), default)
            for q, s in zip(self.family.queries, self._shapes, strict=True)
        ]
        return np.concatenate(parts)

    def answers(self, theta: Array) -> Array:
        self.passes += 1
        beliefs, _ = self.family.calibrate(self.split(theta), self.total)
        return np.concatenate([a.ravel() for a in self.family.answers(beliefs)])


def _descend(problem: _Problem, iterate: _Iterate) -> _Iterate:
    """Accelerated mirror descent; returns the iterate with the least estimated risk."""
    y, w = problem.target, problem.weight
    step = 1.0 / (problem.total * float(w.max()))
    mu = problem.answers(iterate.theta)
    loss = 0.5 * float(w @ (mu - y) ** 2)
    previous, age = iterate, 0
    best, least_risk, best_pass = iterate, np.inf, problem.passes
    while problem.passes < min(MAX_PASSES, best_pass * _PATIENCE + _SPARE_PASSES):
        age += 1
        if age > 1:
            point = iterate.ahead(previous, (age - 1) / (age + 2))
            mu_point = problem.answers(point.theta)
        else:
            point, mu_point = iterate, mu
        gradient = w * (mu_point - y)
        loss_point = 0.5 * float(gradient @ (mu_point - y))
        # Where the marginals no longer answer, steps would grow for ever.
        step = min(step, _LONGEST_MOVE / max(float(np.abs(gradient).max()), 1e-300))
        while True:
            theta = point.theta - step * gradient
            mu_next = problem.answers(theta)
            loss_next = 0.5 * float(w @ (mu_next - y) ** 2)
            promised = loss_point - 0.5 * float(gradient @ (mu_point - mu_next))
            # The slack: where nothing is left to gain, rounding must not halve the step for ever.
            if loss_next <= promised + 1e-12 * loss_point:
                break
            step /= 2
            if problem.passes >= MAX_PASSES:
                return best
        if loss_next > loss and age > 1:
            age, previous = 0, iterate
            continue
        shrink = 1 - np.minimum(step * w * mu_point, 1)
        previous, iterate = iterate, _Iterate(theta, shrink * point.unfitted)
        mu, loss = mu_next, loss_next
        step *= 1.2
        fitted = len(y) - float(np.abs(iterate.unfitted).sum())
        risk = 2 * loss - len(y) + 2 * fitted
        if risk < least_risk:
            best, least_risk, best_pass = iterate, risk, problem.passes
    return best
