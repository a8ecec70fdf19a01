"""What makes a hundred thousand releases affordable, and what is left out for it.

`BriefRun` counts rows instead of writing them: costs, refusals and the secret half of a row are
those of the real `Run`; SQLite, the hash chain and the time stamp are not. `coarse_estimate` stands
for the estimator between two releases; the guarantee does not rest on it, since it sees released
values only. All else in a white-box audit is the mechanism's own code: its loop, its scales, the
curator, the scores, the samplers. The scale tests (ledger against drawn noise) go through the real
ledger, and the black-box audits through the real estimator as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np

from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.releases import Release, units_rounded_up
from mezzotint.privacy.run import Run
from mezzotint.privacy.spend import Backend, Spend
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import GraphicalModel, Measurement, Query

# Noise is not to be followed far: the mechanism would think that every round had taught it much.
_STEP = 0.25


class BriefRun(Run):
    """A run that refuses and charges like any other, and whose rows nobody keeps.

    For audits only: what it released is recorded nowhere, so it takes made-up data alone.
    """

    @classmethod
    def factory(cls, budget: Budget, backend: Backend = Backend.KEYED) -> BriefRuns:
        """A maker of such runs, all with the same budget."""
        return BriefRuns(budget, backend)

    def _spend(
        self,
        kind: str,
        about: str,
        parameters: Mapping[str, float | int],
        cost: Fraction,
        delta_units: int = 0,
    ) -> Spend:
        units = units_rounded_up(cost)
        self._require_units(about, units, self._spent)
        self._require_delta(about, delta_units, self._delta_spent)
        release = Release(self._next, kind, about, parameters, units, delta_units, "", 0, "")
        self._next += 1
        self._spent += units
        self._delta_spent += delta_units
        return Spend(release, self._source(release, None))

    def _release(
        self, place: int, kind: str, about: str, parameters: Mapping[str, float | int]
    ) -> Spend:
        if place in self._handed:
            self._refuse_twice(place, about)
        self._handed.add(place)
        release = Release(self._next, kind, about, parameters, 0, 0, "", 0, "", event=place)
        self._next += 1
        return Spend(release, self._source(release, None))


class BriefRuns:
    """Makes brief runs with one budget or, within it, one programme."""

    def __init__(
        self,
        budget: Budget,
        backend: Backend = Backend.KEYED,
        programme: Programme | None = None,
    ) -> None:
        self._ledger = Ledger.memory(backend=backend)
        with self._ledger.begin(
            budget, mechanism="audit", dataset="made up", programme=programme
        ) as run:
            self._record = run._record

    def begin(self) -> BriefRun:
        """A fresh run."""
        return BriefRun(self._ledger, self._record)


@dataclass(frozen=True)
class CoarseModel:
    """A dense table of expected counts; answers as a graphical model does.

    Attributes:
        domain: Attributes and sizes.
        joint: Expected counts, one axis per attribute.
    """

    domain: Domain
    joint: np.ndarray

    def marginal(self, attributes: Iterable[str]) -> np.ndarray:
        """Expected counts over some attributes."""
        kept = set(attributes)
        axes = tuple(i for i, a in enumerate(self.domain) if a not in kept)
        return self.joint.sum(axis=axes)

    def answer(self, query: Query) -> np.ndarray:
        """Expected counts of a query's cells."""
        return query.project(self.marginal(query.clique))


def coarse_estimate(
    domain: Domain,
    measurements: Sequence[Measurement],
    *,
    start: Any = None,
    **ignored: object,
) -> GraphicalModel:
    """Independent attributes; from a model to start from, a short step towards what is new."""
    if start is None:
        joint = np.ones(())
        rows = 1.0
        for m in measurements:
            if len(m.clique) == 1 and joint.ndim < len(domain):
                positive = m.values.clip(0.5)
                rows = float(positive.sum())
                joint = np.multiply.outer(joint, positive / rows)
        joint = joint * rows
    else:
        latest, joint = measurements[-1], start.joint
        if not latest.groups:
            expected = start.marginal(latest.clique)
            factor = latest.values.clip(0.5) / expected.clip(1e-3)
            joint = joint * (factor**_STEP).reshape(
                [s if a in latest.clique else 1 for a, s in domain.sizes.items()]
            )
    return cast("GraphicalModel", CoarseModel(domain, joint))
