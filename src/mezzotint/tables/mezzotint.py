"""Mezzotint: AIM with a better first look, and with marginals at two resolutions.

The rounds are AIM's. Two things differ, both of which pay because most cells of a large marginal
hold less than one sigma of signal:

    * A fifth of the budget goes to the one-way marginals, divided so that their expected L1
      errors are least in sum. Every marginal of the workload inherits those errors; AIM gives
      them 1/16 of its measuring budget, the same to two values as to a hundred.
    * Attributes with many values are offered in about sixteen groups of equal estimated mass as
      well, alone or with others. A pair of coarse attributes has a hundredth of the cells, and so
      of the noise, while most of what ties two such attributes together is smooth. In the model a
      grouping is a hidden attribute, so it saves memory as well
      (`mezzotint.tables.graphical.resolution`).

Formal guarantees:
    * rho-zCDP, as for AIM: the groups are made from released values, and summing cells into groups
      does not raise the sensitivity of a marginal or of a score.

References:
    McKenna, Mullins, Sheldon, Miklau. AIM. VLDB 2022: the rounds.
    The first look and the two resolutions are ours; `bench/parts.py` measures what each brings.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import sqrt

import numpy as np

from mezzotint.privacy.accounting import DEFAULT_DELTA, Budget
from mezzotint.tables.aim import AIM, MEASURING
from mezzotint.tables.curator import Curator
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import GraphicalModel, Measurement, Query
from mezzotint.tables.independent import measure_one_way, one_way_sigmas
from mezzotint.tables.plan import Plan, one_way_step
from mezzotint.tables.workload import Wanted

FIRST_LOOK = 0.2
"""The share of the budget that goes to the one-way marginals."""
GROUPS = 16
MAX_MODEL_MB = 0.5


class Mezzotint(AIM):
    """AIM with a better first look and two resolutions: our own, and the default.

    Args:
        epsilon: privacy loss.
        delta: its failure probability.
        workload: all marginals of this many attributes, or the cliques that matter.
        max_model_mb: the most that the model may take, in units of 2**20 bytes.
    """

    name = "mezzotint"

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        delta: float = DEFAULT_DELTA,
        workload: Wanted = 2,
        max_model_mb: float = MAX_MODEL_MB,
    ) -> None:
        super().__init__(epsilon=epsilon, delta=delta, workload=workload, max_model_mb=max_model_mb)

    def _first_measurements(self, curator: Curator, sigma: float) -> list[Measurement]:
        """All one-way marginals, for a fifth of the budget."""
        return measure_one_way(curator, FIRST_LOOK * curator.total_rho)

    def _candidates(self, model: GraphicalModel) -> dict[Query, int]:
        """AIM's candidates, larger marginals also with their large attributes in groups."""
        coarse = {
            a: groups_of_equal_mass(model.marginal([a]), GROUPS)
            for a, size in model.domain.sizes.items()
            if size >= 1.5 * GROUPS
        }
        candidates: dict[Query, int] = {}
        for query, weight in super()._candidates(model).items():
            large = [a for a in query.clique if a in coarse] if len(query.clique) > 1 else []
            for grouped in product([False, True], repeat=len(large)):
                groups = {a: coarse[a] for a, g in zip(large, grouped, strict=True) if g}
                candidates[Query(query.clique, groups)] = weight
        return candidates

    def plan(self, domain: Domain, budget: Budget, rho: float) -> Plan:
        """The first look, and the most rounds that could follow it."""
        base = super().plan(domain, budget, rho)
        sigmas = one_way_sigmas(domain, FIRST_LOOK * rho, sqrt(budget.unit.l2_squared))
        rest = 1 - FIRST_LOOK
        _, choosing, measuring = base.steps
        steps = (
            one_way_step(domain, FIRST_LOOK, sigmas),
            replace(choosing, share=rest * (1 - MEASURING)),
            replace(measuring, share=rest * MEASURING),
        )
        return replace(base, steps=steps)


def groups_of_equal_mass(counts: np.ndarray, groups: int) -> np.ndarray:
    """For each value its group: neighbouring values, in at most ``groups`` of about equal mass.

    Args:
        counts: expected counts of the values, in their order; public.
        groups: how many at most.
    """
    mass = np.maximum(counts, 0) + 1e-9
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    group = np.minimum((middle * groups).astype(np.int64), groups - 1)
    return np.unique(group, return_inverse=True)[1]
