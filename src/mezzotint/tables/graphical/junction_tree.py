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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_

from mezzotint.tables.domain import Clique, Domain

BYTES_PER_CELL = 8
RETRIANGULATIONS = 20_000_000
"""How many triangulations a pricing may take, times the cube of the number of attributes: all that
could be wanted for twenty attributes, and a tenth of a second's worth for a hundred."""


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
    def members(self) -> Mapping[str, tuple[int, ...]]:
        """For each attribute the cliques that hold it; the first is the topmost."""
        members: dict[str, tuple[int, ...]] = {}
        for i, clique in enumerate(self.cliques):
            for a in clique:
                members[a] = (*members.get(a, ()), i)
        return members

    def host(self, clique: Clique) -> int | None:
        """Index of the smallest clique that holds all the given attributes, or None."""
        shared = set(self.members[clique[0]]) if clique else set(range(len(self.cliques)))
        for a in clique[1:]:
            shared.intersection_update(self.members[a])
        return min(shared, key=lambda i: self.domain.cells(self.cliques[i]), default=None)

    def neighbourhood(self, center: int, cliques: int) -> tuple[int, ...]:
        """The clique ``center`` and those nearest to it along the tree, in the tree's order."""
        neighbours = _adjacency_lists(self.parents)
        found = {center: None}
        waiting = [center]
        while waiting and len(found) < cliques:
            for j in neighbours[waiting.pop(0)]:
                if j not in found and len(found) < cliques:
                    found[j] = None
                    waiting.append(j)
        return tuple(sorted(found))

    def part(self, cliques: Sequence[int]) -> JunctionTree:
        """The tree of some connected cliques, in the tree's order."""
        place = {i: k for k, i in enumerate(cliques)}
        return JunctionTree(
            self.domain,
            tuple(self.cliques[i] for i in cliques),
            tuple(place.get(self.parents[i], -1) for i in cliques),
        )


class SizeOracle:
    """Prices candidate cliques: how many cells would the model have with one clique more?

    A candidate inside a clique of the tree is free. Otherwise the first price is an upper bound
    read off the present tree: the candidate's attributes are carried along the tree's paths.
    The tree will be triangulated afresh, and greedy triangulation may end above that bound, so
    candidates over half the limit are priced by doing it, cheapest first, as far as
    ``RETRIANGULATIONS`` goes; those left over are taken by their bound.
    """

    def __init__(self, domain: Domain, cliques: Iterable[Iterable[str]]) -> None:
        self._masks = _Masks(domain)
        self._graph = self._masks.graph(cliques)
        tree = self._masks.triangulate(self._graph)
        self._cliques, self._parents = _spanning_forest_masks(self._masks, tree)
        self._cells = [self._masks.cells(c) for c in self._cliques]
        self._neighbours = _adjacency_lists(self._parents)
        self.cells = sum(self._cells)
        self._lone = {c for c in self._cliques if c.bit_count() == 1}
        self._holders = dict.fromkeys(domain, 0)
        self._component: dict[str, int] = {}
        roots: list[int] = []
        for i, (mask, parent) in enumerate(zip(self._cliques, self._parents, strict=True)):
            roots.append(i if parent < 0 else roots[parent])
            for a in self._masks.clique(mask):
                self._holders[a] |= 1 << i
                self._component[a] = roots[i]

    def affordable(self, limits: Mapping[Clique, float]) -> list[Clique]:
        """The candidates that the model already holds, or holds within their limit, in cells."""
        prices: dict[Clique, float] = {}
        unsure = []
        for candidate, limit in limits.items():
            prices[candidate], sure = self._price(candidate)
            if not sure and 2 * prices[candidate] > limit:
                unsure.append(candidate)
        # Larger candidates have no bound read off the tree: of those the smallest come first.
        unsure.sort(key=lambda c: (prices[c], self._masks.cells(self._masks.mask(c))))
        for candidate in unsure[: RETRIANGULATIONS // len(self._graph) ** 3]:
            prices[candidate] = self._retriangulated(self._masks.mask(candidate))
        return [c for c, limit in limits.items() if prices[c] <= limit]

    def _price(self, candidate: Clique) -> tuple[float, bool]:
        """Cells with the candidate, read off the tree; and whether that is exact, or a bound."""
        holders = [self._holders[a] for a in candidate]
        if len(candidate) < 2 or reduce(and_, holders):
            return 0.0, True
        own = self._masks.cells(self._masks.mask(candidate))
        if len({self._component[a] for a in candidate}) == len(candidate):
            alone = (self._masks.bit[a] for a in candidate if self._masks.bit[a] in self._lone)
            return self.cells + own - sum(map(self._masks.cells, alone)), True
        if len(candidate) > 2:
            return float("inf"), False
        path = self._path(*candidate)
        best = float("inf")
        for carried in candidate:
            size, bit = self._masks.cells(self._masks.bit[carried]), self._masks.bit[carried]
            extra = sum(self._cells[i] * (size - 1) for i in path if not self._cliques[i] & bit)
            best = min(best, self.cells + extra)
        return best, False

    def _path(self, start: str, end: str) -> list[int]:
        """A shortest path in the tree from a clique with ``start`` to one with ``end``."""
        frontier = list(_bits(self._holders[start]))
        back = dict.fromkeys(frontier, -1)
        while True:
            following = []
            for i in frontier:
                if self._holders[end] >> i & 1:
                    path = [i]
                    while back[path[-1]] >= 0:
                        path.append(back[path[-1]])
                    return path
                for j in self._neighbours[i]:
                    if j not in back:
                        back[j] = i
                        following.append(j)
            frontier = following

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


def _adjacency_lists(parents: Sequence[int]) -> list[list[int]]:
    neighbours: list[list[int]] = [[] for _ in parents]
    for i, p in enumerate(parents):
        if p >= 0:
            neighbours[i].append(p)
            neighbours[p].append(i)
    return neighbours
