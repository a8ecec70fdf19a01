"""Coarse attributes: how a model holds a measurement of groups of values without holding them all.

A query at coarse resolution speaks of groups of an attribute's values. In the model each such
grouping is a hidden attribute, a function of the attribute itself: a small clique ties the two by
structural zeros, and the query's clique names the hidden one. So ten groups of age by ten groups
of hours cost a hundred cells and two ties, not 85 x 99.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical.measurement import Query


class Resolution:
    """A domain with hidden attributes for all groupings that some queries speak of.

    Hidden attributes stand right behind the attribute they are made of, so that a query's axes
    keep their order.

    Attributes:
        base: the table's own domain.
        domain: the same with hidden attributes.
        ties: hidden attribute -> the clique that ties it, and the mask of impossible pairs.
    """

    def __init__(self, base: Domain, queries: Iterable[Query]) -> None:
        self.base = base
        self.ties: dict[str, tuple[Clique, np.ndarray]] = {}
        self._names: dict[tuple[str, bytes], str] = {}
        hidden: dict[str, dict[str, int]] = {a: {} for a in base}
        for query in queries:
            for a, group in query.groups.items():
                key = (a, group.tobytes())
                if key in self._names:
                    continue
                size = int(group.max()) + 1
                name = f"{a}\0{len(hidden[a])}"
                self._names[key] = name
                hidden[a][name] = size
                self.ties[name] = ((a, name), group[:, None] != np.arange(size))
        self.domain = base
        if self.ties:
            self.domain = Domain(
                {
                    name: size
                    for a in base
                    for name, size in ({a: base.sizes[a]} | hidden[a]).items()
                }
            )

    def clique(self, query: Query) -> Clique:
        """The query's clique, hidden attributes in the place of grouped ones."""
        return tuple(
            self._names[a, query.groups[a].tobytes()] if a in query.groups else a
            for a in query.clique
        )
