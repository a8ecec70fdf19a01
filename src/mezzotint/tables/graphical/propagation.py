"""Belief propagation on a junction tree: from log potentials to consistent marginals.

Potentials and messages live in log space, so that no potential can overflow and a potential of
minus infinity (a structural zero) is an ordinary value; each clique is exponentiated once per
pass, relative to its own maximum (or maxima, where values of a separator lie far apart). All axes
are precomputed from the tree's shape; nothing is compiled, so a new shape costs what an old one
costs.

Source: Koller and Friedman, Probabilistic Graphical Models (2009), chapter 10 (sum-product,
belief-update form); Shafer and Shenoy (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical.junction_tree import JunctionTree

Array = np.ndarray

_FAINT = 1e-200
"""Messages below this would lose digits, or overflow when they are divided by."""


def reduction_axes(clique: Clique, kept: Clique) -> tuple[int, ...]:
    """Axes of a clique's array to be summed out so that ``kept`` remains."""
    inside = set(kept)
    return tuple(i for i, a in enumerate(clique) if a not in inside)


def broadcast_shape(domain: Domain, clique: Clique, part: Clique) -> tuple[int, ...]:
    """The shape under which an array over ``part`` broadcasts against one over ``clique``."""
    inside = set(part)
    return tuple(domain.sizes[a] if a in inside else 1 for a in clique)


@dataclass(frozen=True)
class _Edge:
    """How one clique talks to its parent."""

    up_axes: tuple[int, ...]
    """axes of the clique's array that are summed out for the message to the parent"""
    down_axes: tuple[int, ...]
    """axes of the parent's array that are summed out for the message to the clique"""
    in_child: tuple[int, ...]
    """broadcast shape of the separator inside the clique"""
    in_parent: tuple[int, ...]
    """broadcast shape of the separator inside the parent"""


class Propagator:
    """Sum-product on one junction tree."""

    def __init__(self, tree: JunctionTree) -> None:
        self.tree = tree
        self.shapes = [tree.domain.shape(c) for c in tree.cliques]
        self._edges = [
            None if p < 0 else self._edge(tree.cliques[i], tree.cliques[p], tree.separators[i])
            for i, p in enumerate(tree.parents)
        ]

    def _edge(self, clique: Clique, parent: Clique, separator: Clique) -> _Edge:
        domain = self.tree.domain
        return _Edge(
            reduction_axes(clique, separator),
            reduction_axes(parent, separator),
            broadcast_shape(domain, clique, separator),
            broadcast_shape(domain, parent, separator),
        )

    def beliefs(self, log_potentials: Sequence[Array], total: float) -> tuple[list[Array], float]:
        """Calibrated clique marginals.

        Args:
            log_potentials: one float64 array per clique of the tree, shape of that clique;
                entries may be ``-inf``. Not modified.
            total: the mass of every marginal, in rows.

        Returns:
            One array of expected counts per clique, each summing to ``total`` and agreeing with
            its neighbours on their separators; and the log partition function (natural log of
            the sum over all cells of the product of potentials).
        """
        psi = list(log_potentials)
        edges, parents = self._edges, self.tree.parents
        local: list[Array] = [None] * len(psi)  # type: ignore[list-item]
        messages: list[Array | None] = [None] * len(psi)
        log_partition = 0.0
        for i in range(len(psi) - 1, -1, -1):
            peak = psi[i].max()
            if peak == -np.inf:
                peak = 0.0
            table = np.exp(psi[i] - peak)
            local[i] = table
            edge = edges[i]
            if edge is None:
                mass = table.sum()
                with np.errstate(divide="ignore"):
                    log_partition += float(peak + np.log(mass))
                continue
            message = table.sum(axis=edge.up_axes)
            if message.min() < _FAINT:
                # What is far below the clique's peak may be all that the parent leaves: each
                # value of the separator gets a peak of its own.
                peak = psi[i].max(axis=edge.up_axes)
                peak[peak == -np.inf] = 0.0
                local[i] = np.exp(psi[i] - peak.reshape(edge.in_child))
                message = local[i].sum(axis=edge.up_axes)
            messages[i] = message
            with np.errstate(divide="ignore"):
                incoming = np.log(message)
            incoming += peak
            p = parents[i]
            psi[p] = psi[p] + incoming.reshape(edge.in_parent)
        for i, edge in enumerate(edges):
            if edge is None:
                mass = local[i].sum()
                local[i] *= total / mass if mass > 0 else 0.0
                continue
            sent = messages[i]
            assert sent is not None
            target = local[parents[i]].sum(axis=edge.down_axes)
            ratio = np.divide(target, sent, out=np.zeros_like(target), where=sent > 0)
            local[i] *= ratio.reshape(edge.in_child)
        return local, log_partition
