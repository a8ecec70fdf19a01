"""The family of models: log-linear in the cells of a set of queries, on their junction tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical.junction_tree import JunctionTree
from mezzotint.tables.graphical.measurement import Query
from mezzotint.tables.graphical.propagation import (
    Array,
    Propagator,
    broadcast_shape,
    reduction_axes,
)
from mezzotint.tables.graphical.resolution import Resolution

Zeros = Sequence[tuple[Clique, np.ndarray]]
"""Structural zeros: cliques and masks over them, True where no row can be."""


class LogLinear:
    """Models with density proportional to exp(sum of the queries' parameters), zero on ``zeros``.

    Args:
        domain: attributes and sizes.
        queries: whose cells carry one parameter each.
        zeros: structural zeros.
    """

    def __init__(self, domain: Domain, queries: Sequence[Query], zeros: Zeros) -> None:
        self.queries = tuple(queries)
        resolution = Resolution(domain, queries)
        self.domain = resolution.domain
        self._cliques = [resolution.clique(q) for q in queries]
        zeros = [*zeros, *resolution.ties.values()]
        self.tree = JunctionTree.of(self.domain, self._cliques + [c for c, _ in zeros])
        self._propagator = Propagator(self.tree)
        self._base = [np.zeros(shape) for shape in self._propagator.shapes]
        for clique, mask in zeros:
            host, shape, _ = self._place(clique)
            self._base[host] = self._base[host] + np.where(mask, -np.inf, 0.0).reshape(shape)
        self._places = [self._place(clique) for clique in self._cliques]

    def _place(self, clique: Clique) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        host = self.tree.host(clique)
        assert host is not None
        outer = self.tree.cliques[host]
        return host, broadcast_shape(self.domain, outer, clique), reduction_axes(outer, clique)

    def calibrate(self, thetas: Sequence[Array], total: float) -> tuple[list[Array], float]:
        """Clique marginals for one parameter array per query, and the log partition function."""
        psi = list(self._base)
        owned = [False] * len(psi)
        for theta, (host, shape, _) in zip(thetas, self._places, strict=True):
            term = theta.reshape(shape)
            if owned[host]:
                psi[host] += term
            else:
                psi[host] = psi[host] + term
                owned[host] = True
        return self._propagator.beliefs(psi, total)

    def answers(self, beliefs: Sequence[Array]) -> list[Array]:
        """Each query's expected counts under the beliefs."""
        return [
            beliefs[host].sum(axis=axes) if axes else beliefs[host]
            for host, _, axes in self._places
        ]
