"""Junction trees: which cliques a model holds, and how they hang together.

A set of measured cliques is triangulated by greedy elimination; the maximal cliques of the
triangulated graph, joined by a maximum spanning tree over their separators, form the forest on
which belief propagation is exact. Attributes that no clique mentions stand alone as one-attribute
cliques. The cost of a model is the sum of its clique sizes, in cells of eight bytes.

Attribute sets are bit masks (bit ``i`` is the domain's ``i``-th attribute): a triangulation of a
hundred attributes takes about a millisecond, so that AIM can price every candidate of every round.

Source: Koller and Friedman, Probabilistic Graphical Models (2009), chapters 9 and 10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mezzotint.tables.domain import Clique, Domain

BYTES_PER_CELL = 8
RETRIANGULATIONS = 500


@dataclass(frozen=True)
class JunctionTree:
    """A forest of cliques with the running-intersection property.

    Attributes:
        domain: the attributes and their sizes.
        cliques: maximal cliques; every parent stands before its children.
        parents: index of each clique's parent, -1 for the root of a component.
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]

    @classmethod
    def of(cls, domain: Domain, cliques: Iterable[Iterable[str]]) -> JunctionTree:
        """The junction tree of a graph in which every given clique is complete."""
        masks = _Masks(domain)
        maximal = masks.triangulate(masks.graph(cliques))
        return cls(domain, *_spanning_forest(masks, maximal))

    @cached_property
    def cells(self) -> int:
        """Total number of cells over all cliques."""
        return sum(self.domain.cells(c) for c in self.cliques)

    @property
    def megabytes(self) -> float:
        """Size of the model in units of 2**20 bytes, as the AIM literature counts it."""
        return self.cells * BYTES_PER_CELL / 2**20

    @cached_property
    def separators(self) -> tuple[Clique, ...]:
        """What each clique shares with its parent; empty for roots."""
        return tuple(
            () if p < 0 else tuple(a for a in c if a in set(self.cliques[p]))
            for c, p in zip(self.cliques, self.parents, strict=True)
        )

    @cached_property
    def components(self) -> tuple[int, ...]:
        """For each clique the index of its component's root."""
        roots: list[int] = []
        for i, p in enumerate(self.parents):
            roots.append(i if p < 0 else roots[p])
        return tuple(roots)

    @cached_property
    def homes(self) -> Mapping[str, int]:
        """For each attribute the topmost clique that holds it."""
        homes: dict[str, int] = {}
        for i, clique in enumerate(self.cliques):
            for a in clique:
                homes.setdefault(a, i)
        return homes

    @cached_property
    def _clique_sets(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(c) for c in self.cliques)

    def host(self, clique: Iterable[str]) -> int | None:
        """Index of the smallest clique that holds all the given attributes, or None."""
        wanted = frozenset(clique)
        hosts = [i for i, c in enumerate(self._clique_sets) if wanted <= c]
        return min(hosts, key=lambda i: self.domain.cells(self.cliques[i]), default=None)


class SizeOracle:
    """Prices candidate cliques: how many cells would the model have with one clique more?

    A candidate inside a clique of the tree is free. Otherwise the first price is an upper bound
    read off the present tree: the candidate's attributes are carried along the tree's paths.
    The tree will be triangulated afresh, and greedy triangulation may end above that bound, so
    candidates over half the limit are priced by doing it, cheapest first, up to
    ``RETRIANGULATIONS`` of them; those left over are taken by their bound.
    """

    def __init__(self, domain: Domain, cliques: Iterable[Iterable[str]]) -> None:
        self._masks = _Masks(domain)
        self._graph = self._masks.graph(cliques)
        tree = self._masks.triangulate(self._graph)
        self._cliques, self._parents = _spanning_forest_masks(self._masks, tree)
        self._cells = [self._masks.cells(c) for c in self._cliques]
        self._neighbours = _adjacency_lists(self._parents)
        self.cells = sum(self._cells)

    def affordable(self, limits: Mapping[Clique, float]) -> list[Clique]:
        """The candidates that the model already holds, or holds within their limit, in cells."""
        prices: dict[Clique, float] = {}
        unsure = []
        for candidate, limit in limits.items():
            mask = self._masks.mask(candidate)
            held = any(mask & c == mask for c in self._cliques)
            prices[candidate] = 0.0 if held else self._carried(mask)
            if 2 * prices[candidate] > limit >= self._masks.cells(mask):
                unsure.append(candidate)
        unsure.sort(key=prices.__getitem__)
        for candidate in unsure[:RETRIANGULATIONS]:
            prices[candidate] = self._retriangulated(self._masks.mask(candidate))
        return [c for c, limit in limits.items() if prices[c] <= limit]

    def _carried(self, mask: int) -> float:
        """Cells after carrying the first attributes along the tree to where the others live."""
        if mask.bit_count() != 2:
            return float("inf")
        a, b = mask & -mask, mask & (mask - 1)
        path = self._path(a, b)
        if path is None:
            return self.cells + self._masks.cells(mask)
        best = float("inf")
        for carried in (a, b):
            size = self._masks.cells(carried)
            extra = sum(self._cells[i] * (size - 1) for i in path if not self._cliques[i] & carried)
            best = min(best, self.cells + extra)
        return best

    def _path(self, a: int, b: int) -> list[int] | None:
        """A shortest path in the tree from a clique with ``a`` to one with ``b``."""
        frontier = [i for i, c in enumerate(self._cliques) if c & a]
        back = dict.fromkeys(frontier, -1)
        while frontier:
            following = []
            for i in frontier:
                if self._cliques[i] & b:
                    path = [i]
                    while back[path[-1]] >= 0:
                        path.append(back[path[-1]])
                    return path
                for j in self._neighbours[i]:
                    if j not in back:
                        back[j] = i
                        following.append(j)
            frontier = following
        return None

    def _retriangulated(self, mask: int) -> int:
        graph = list(self._graph)
        self._masks.complete(graph, mask)
        return sum(self._masks.cells(c) for c in self._masks.triangulate(graph))


class _Masks:
    """Attribute sets as bit masks over one domain."""

    def __init__(self, domain: Domain) -> None:
        self.attributes = domain.attributes
        self.sizes = tuple(domain.sizes.values())
        self.bit = {a: 1 << i for i, a in enumerate(self.attributes)}

    def mask(self, clique: Iterable[str]) -> int:
        mask = 0
        for a in clique:
            mask |= self.bit[a]
        return mask

    def clique(self, mask: int) -> Clique:
        return tuple(self.attributes[i] for i in _bits(mask))

    def cells(self, mask: int) -> int:
        cells = 1
        for i in _bits(mask):
            cells *= self.sizes[i]
        return cells

    def graph(self, cliques: Iterable[Iterable[str]]) -> list[int]:
        """Neighbour masks of the graph in which every clique is complete."""
        graph = [0] * len(self.attributes)
        for clique in cliques:
            self.complete(graph, self.mask(clique))
        return graph

    @staticmethod
    def complete(graph: list[int], mask: int) -> None:
        """Join all pairs of the mask, in place."""
        for i in _bits(mask):
            graph[i] |= mask & ~(1 << i)

    def triangulate(self, graph: list[int]) -> list[int]:
        """Maximal cliques after greedy elimination (fewest fill-ins, then the smallest clique).

        A fill-in counts as the cells of its pair: the plain number of fill-ins ends in trees up
        to ten times larger where attributes differ in size.
        """
        graph = list(graph)
        left = (1 << len(graph)) - 1
        maximal: list[int] = []
        price = {i: self._price(graph, i) for i in range(len(graph))}
        while left:
            i = min(price, key=price.__getitem__)
            around = graph[i]
            clique = around | 1 << i
            if not any(clique & m == clique for m in maximal):
                maximal.append(clique)
            self.complete(graph, around)
            left &= ~(1 << i)
            del price[i]
            touched = around
            for j in _bits(around):
                graph[j] &= ~(1 << i)
                touched |= graph[j]
            for j in _bits(touched):
                price[j] = self._price(graph, j)
        return maximal

    def _price(self, graph: list[int], i: int) -> tuple[int, int]:
        around = graph[i]
        fill = 0
        for j in _bits(around):
            for k in _bits(around & ~graph[j] & -(2 << j)):
                fill += self.sizes[j] * self.sizes[k]
        return fill, self.cells(around | 1 << i)


def _bits(mask: int) -> Iterable[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _spanning_forest_masks(masks: _Masks, cliques: list[int]) -> tuple[list[int], list[int]]:
    """Order cliques so that each follows its parent, joined by the heaviest separators."""
    cliques = sorted(cliques, key=masks.cells, reverse=True)
    ordered: list[int] = []
    parents: list[int] = []
    waiting = dict(enumerate(cliques))
    # Prim's algorithm: for each waiting clique the best link into the forest built so far.
    link: dict[int, tuple[int, int]] = dict.fromkeys(waiting, (0, -1))
    while waiting:
        i = max(waiting, key=lambda j: link[j][0])
        clique = waiting.pop(i)
        weight, parent = link.pop(i)
        ordered.append(clique)
        parents.append(parent if weight else -1)
        here = len(ordered) - 1
        for j, other in waiting.items():
            shared = (clique & other).bit_count()
            if shared > link[j][0]:
                link[j] = (shared, here)
    return ordered, parents


def _spanning_forest(
    masks: _Masks, maximal: list[int]
) -> tuple[tuple[Clique, ...], tuple[int, ...]]:
    ordered, parents = _spanning_forest_masks(masks, maximal)
    return tuple(masks.clique(c) for c in ordered), tuple(parents)


def _adjacency_lists(parents: list[int]) -> list[list[int]]:
    neighbours: list[list[int]] = [[] for _ in parents]
    for i, p in enumerate(parents):
        if p >= 0:
            neighbours[i].append(p)
            neighbours[p].append(i)
    return neighbours
