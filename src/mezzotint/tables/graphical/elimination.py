"""Any marginal of a calibrated tree, also of attributes that no clique holds together.

A marginal over attributes from several cliques is gathered by variable elimination along the
tree's paths. What a neighbouring subtree contributes is the conditional table P(kept | separator);
these tables are shared between queries, so that all pairs of a model cost little more than one
matrix product per edge and attribute.

Source: Koller and Friedman, Probabilistic Graphical Models (2009), section 10.3.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import prod

import numpy as np

from mezzotint.tables.domain import Clique
from mezzotint.tables.graphical.junction_tree import JunctionTree
from mezzotint.tables.graphical.propagation import Array, reduction_axes

CACHE_BYTES = 2**25


class CalibratedTree:
    """Consistent clique marginals on a junction tree.

    Args:
        tree: the junction tree.
        beliefs: one array per clique, each summing to ``total``, consistent on separators.
        total: number of rows that the model stands for; > 0.
    """

    def __init__(self, tree: JunctionTree, beliefs: Sequence[Array], total: float) -> None:
        self.tree = tree
        self.beliefs = beliefs
        self.total = total
        self._sets = [frozenset(c) for c in tree.cliques]
        self._next: dict[tuple[int, str], int] = {}
        self._cache: dict[tuple[int, int, Clique], Array] = {}
        self._cached_bytes = 0

    def marginal(self, clique: Clique) -> Array:
        """Expected counts over a clique in the domain's order, shape ``domain.shape(clique)``."""
        host = self.tree.host(clique)
        if host is not None:
            return self._within(host, clique)
        result: Array = np.ones(())
        labels: Clique = ()
        parts = self._by_component(clique)
        for part in parts:
            result = np.multiply.outer(result, self._gather(self.tree.members[part[0]][0], part))
            labels += part
        result = result / self.total ** (len(parts) - 1)
        return result.transpose([labels.index(a) for a in clique])

    def _within(self, i: int, clique: Clique) -> Array:
        axes = reduction_axes(self.tree.cliques[i], clique)
        return self.beliefs[i].sum(axis=axes) if axes else self.beliefs[i]

    def _by_component(self, clique: Clique) -> list[Clique]:
        parts: dict[int, Clique] = defaultdict(tuple)
        for a in clique:
            parts[self.tree.components[self.tree.members[a][0]]] += (a,)
        return list(parts.values())

    def _gather(self, i: int, wanted: Clique) -> Array:
        """Expected counts over the wanted attributes, in the order wanted.

        Attributes that clique ``i`` lacks are fetched from the neighbours that lead to them.
        """
        beyond: dict[int, Clique] = defaultdict(tuple)
        for a in wanted:
            if a not in self._sets[i]:
                beyond[self._towards(i, a)] += (a,)
        separators = {j: self._separator(i, j) for j in beyond}
        domain = self.tree.domain
        labels = domain.clique(self._sets[i].intersection(wanted).union(*separators.values()))
        table = self._within(i, labels)
        for j, kept in beyond.items():
            separator = separators.pop(j)
            needed = set(wanted).union(*separators.values())
            conditional = self._conditional(j, i, kept).reshape(domain.shape(kept + separator))
            out = tuple(a for a in labels + kept if a in needed)
            table = contract(table, labels, conditional, kept + separator, out)
            labels = out
        return table.transpose([labels.index(a) for a in wanted])

    def _conditional(self, i: int, j: int, kept: Clique) -> Array:
        """P(kept | separator of i and j) as seen from clique ``i``: shape (kept, separator)."""
        key = (i, j, kept)
        if key not in self._cache:
            separator = self._separator(i, j)
            joint = self._gather(i, kept + separator)
            joint = joint.reshape(-1, prod(self.tree.domain.shape(separator)))
            mass = self._within(i, separator).ravel()
            table = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
            if self._cached_bytes + table.nbytes > CACHE_BYTES:
                self._cache.clear()
                self._cached_bytes = 0
            self._cache[key] = table
            self._cached_bytes += table.nbytes
            return table
        return self._cache[key]

    def _separator(self, i: int, j: int) -> Clique:
        return self.tree.separators[i if self.tree.parents[i] == j else j]

    def _towards(self, i: int, attribute: str) -> int:
        """The neighbour of clique ``i`` on the way to the attribute, which ``i`` lacks.

        The cliques with the attribute form a subtree: the way leads
        down if its top lies below ``i``, and up otherwise.
        """
        key = (i, attribute)
        if key not in self._next:
            parents = self.tree.parents
            below = self.tree.members[attribute][0]
            while below >= 0 and parents[below] != i:
                below = parents[below]
            self._next[key] = below if below >= 0 else parents[i]
        return self._next[key]


def contract(left: Array, in_left: Clique, right: Array, in_right: Clique, out: Clique) -> Array:
    """Product of two labelled tables, summed over shared labels that ``out`` does not name.

    Every label that stands in one table only must stand in ``out``. One batched matrix product.
    """
    shared = [a for a in in_left if a in in_right]
    batch = [a for a in shared if a in out]
    summed = [a for a in shared if a not in out]
    left_only = [a for a in in_left if a not in shared]
    right_only = [a for a in in_right if a not in shared]
    size = {
        **dict(zip(in_left, left.shape, strict=True)),
        **dict(zip(in_right, right.shape, strict=True)),
    }
    dims = [prod(size[a] for a in group) for group in (batch, left_only, summed, right_only)]
    a = left.transpose([in_left.index(x) for x in batch + left_only + summed])
    b = right.transpose([in_right.index(x) for x in batch + summed + right_only])
    product = a.reshape(dims[0], dims[1], dims[2]) @ b.reshape(dims[0], dims[2], dims[3])
    labels = batch + left_only + right_only
    return product.reshape([size[x] for x in labels]).transpose([labels.index(x) for x in out])
