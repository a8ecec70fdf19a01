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
    """Models with density proportional to exp(base + sum of the queries' parameters).

    Args:
        tree: a junction tree that holds every query.
        base: for each of its cliques a fixed log potential.
        queries: whose cells carry one parameter each.
        cliques: for each query its clique in the tree.
    """

    def __init__(
        self,
        tree: JunctionTree,
        base: Sequence[Array],
        queries: Sequence[Query],
        cliques: Sequence[Clique],
    ) -> None:
        self.tree = tree
        self.queries = tuple(queries)
        self._base = base
        self._cliques = cliques
        self._propagator = Propagator(tree)
        self._places = [_place(tree, clique) for clique in cliques]

    @classmethod
    def of(cls, domain: Domain, queries: Sequence[Query], zeros: Zeros) -> LogLinear:
        """The family over some queries, with structural zeros."""
        resolution = Resolution(domain, queries)
        cliques = [resolution.clique(q) for q in queries]
        zeros = [*zeros, *resolution.ties.values()]
        tree = JunctionTree.of(resolution.domain, cliques + [c for c, _ in zeros])
        base = [np.zeros(resolution.domain.shape(c)) for c in tree.cliques]
        for clique, mask in zeros:
            host, shape, _ = _place(tree, clique)
            base[host] = base[host] + np.where(mask, -np.inf, 0.0).reshape(shape)
        return cls(tree, base, queries, cliques)

    def around(
        self, query: Query, thetas: Sequence[Array], total: float, cliques: int
    ) -> tuple[LogLinear, list[int]]:
        """The family in which only queries near this one still vary.

        The neighbourhood is the ``cliques`` cliques of the tree nearest to the query's; what the
        others say to them is taken at the given parameters and becomes part of the base.

        Returns:
            The smaller family, and which of this one's queries it has.
        """
        beliefs, _ = self.calibrate(thetas, total)
        center = self._places[self.queries.index(query)][0]
        chosen = self.tree.neighbourhood(center, cliques)
        here = [k for k, (host, _, _) in enumerate(self._places) if host in set(chosen)]
        base = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for i in chosen:
                table = np.log(beliefs[i])
                if self.tree.parents[i] in chosen:
                    _, shape, axes = _place_in(self.tree, i, self.tree.separators[i])
                    table = table - np.log(beliefs[i].sum(axis=axes)).reshape(shape)
                    table[np.isnan(table)] = -np.inf
                base.append(table)
        for k in here:
            host, shape, _ = self._places[k]
            base[chosen.index(host)] -= thetas[k].reshape(shape)
        tree = self.tree.part(chosen)
        queries = [self.queries[k] for k in here]
        return LogLinear(tree, base, queries, [self._cliques[k] for k in here]), here

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


Place = tuple[int, tuple[int, ...], tuple[int, ...]]


def _place(tree: JunctionTree, clique: Clique) -> Place:
    """Where a clique is hosted, its shape for broadcasting there, and the axes to sum out."""
    host = tree.host(clique)
    assert host is not None
    return _place_in(tree, host, clique)


def _place_in(tree: JunctionTree, host: int, clique: Clique) -> Place:
    """The same for a given host."""
    outer = tree.cliques[host]
    return host, broadcast_shape(tree.domain, outer, clique), reduction_axes(outer, clique)
