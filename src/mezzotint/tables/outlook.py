"""What a model expects of many candidates, renewed in turns.

A round of AIM compares every candidate with the model. With a hundred attributes that is thousands
of marginals, of which one measurement moves few. So where there are many candidates only a share of
the expectations is renewed in each round, with those that the last measurement is about, and the
others stand for a few rounds more. A score is as private with a slightly older expectation: any
public table may stand in its place. With up to ``AT_ONCE`` candidates all are renewed in every
round, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from mezzotint.tables.graphical import GraphicalModel, Query

AT_ONCE = 500


class Outlook:
    """Expected counts of queries under the latest model, or one of the last few."""

    def __init__(self, model: GraphicalModel) -> None:
        self._model = model
        self._kept: dict[Query, np.ndarray] = {}
        self._round = 0

    def renew(self, model: GraphicalModel, queries: Sequence[Query]) -> None:
        """Take up a new model: one share of the expectations, and those it has just learnt."""
        self._model = model
        turns = ceil(len(queries) / AT_ONCE)
        if turns <= 1:
            self._kept.clear()
            return
        self._round += 1
        learnt = set(model.measurements[-1].clique)
        for i, query in enumerate(queries):
            due = (i + self._round) % turns == 0 or query not in self._kept
            if due or learnt.issuperset(query.clique) or learnt.issubset(query.clique):
                self._kept[query] = model.answer(query)

    def __getitem__(self, query: Query) -> np.ndarray:
        return self._kept[query] if query in self._kept else self._model.answer(query)
