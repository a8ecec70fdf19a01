"""What a mechanism learns about the data: noisy marginals. Everything here is public."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mezzotint.tables.domain import Clique, Domain


@dataclass(frozen=True)
class Measurement:
    """Noisy counts over a clique, at full or at coarser resolution.

    Attributes:
        clique: the attributes, in the domain's order.
        values: counts plus noise, one axis per attribute of the clique.
        sigma: standard deviation of the noise in each cell, in rows.
        groups: for attributes measured at coarser resolution, the group of every code (whole
            numbers 0..g-1, each used); the others are measured code by code.
    """

    clique: Clique
    values: np.ndarray
    sigma: float
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def query(self) -> Query:
        """What was asked, without the answer."""
        return Query(self.clique, self.groups)


class Query:
    """A linear map from a clique's marginal to (possibly coarser) counts.

    Two queries are equal if they ask for the same cells.
    """

    def __init__(self, clique: Clique, groups: Mapping[str, np.ndarray] | None = None) -> None:
        self.clique = clique
        self.groups = {a: np.asarray(groups[a]) for a in clique if groups and a in groups}
        self._key = (clique, tuple((a, g.tobytes()) for a, g in self.groups.items()))
        self._axes = [(clique.index(a), g, *_runs(g)) for a, g in self.groups.items()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        names = [
            f"{a} in {int(self.groups[a].max()) + 1} groups" if a in self.groups else a
            for a in self.clique
        ]
        return " x ".join(names) or "all rows"

    def __repr__(self) -> str:
        return f"Query({self})"

    def shape(self, domain: Domain) -> tuple[int, ...]:
        """The shape of the answer."""
        return tuple(
            int(self.groups[a].max()) + 1 if a in self.groups else domain.sizes[a]
            for a in self.clique
        )

    def project(self, marginal: np.ndarray) -> np.ndarray:
        """Sum a full-resolution marginal of the clique into the query's cells."""
        for axis, _, order, starts in self._axes:
            ordered = marginal if order is None else marginal.take(order, axis=axis)
            marginal = np.add.reduceat(ordered, starts, axis=axis)
        return marginal


def _runs(group: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """An order that brings each group's codes together (None: it is so already), and its starts."""
    order = None if np.all(np.diff(group) >= 0) else np.argsort(group, kind="stable")
    ordered = group if order is None else group[order]
    return order, np.searchsorted(ordered, np.arange(ordered[-1] + 1))
