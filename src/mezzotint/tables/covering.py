"""Few joint counts that hold many marginals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mezzotint.tables.domain import Clique, Domain

_MANY = 20_000


def cover(domain: Domain, cliques: Sequence[Clique], cells: int) -> list[Clique]:
    """Cliques of at most `cells` cells that hold all the given ones (larger ones as they are).

    Counting a row into one joint table of three attributes and summing out afterwards is cheaper
    than counting it into three tables of two. Greedy: begin with the largest clique that is not
    held yet, and add the attribute that completes the most others, as long as there is room.
    """
    wanted = sorted(set(cliques), key=domain.cells, reverse=True)
    member = np.zeros((len(wanted), len(domain)), dtype=bool)
    rank = {name: i for i, name in enumerate(domain)}
    for row, clique in enumerate(wanted):
        member[row, [rank[a] for a in clique]] = True
    if len(wanted) > _MANY:
        return wanted
    sizes = np.array([domain.sizes[a] for a in domain], dtype=np.float64)
    names = domain.attributes
    blocks: list[Clique] = []
    while len(member):
        block = member[0].copy()
        room = cells / sizes[block].prod()
        while True:
            lacking = member & ~block
            gains = lacking[lacking.sum(axis=1) == 1].sum(axis=0).astype(float)
            gains[block | (sizes > room)] = 0
            best = int(np.argmax(gains / sizes))
            if not gains[best]:
                break
            block[best] = True
            room /= sizes[best]
        blocks.append(tuple(names[i] for i in np.flatnonzero(block)))
        member = member[(member & ~block).any(axis=1)]
    return blocks
