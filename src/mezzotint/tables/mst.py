"""MST: a maximum spanning tree of noisy pairs.

Three equal shares of the budget: all one-way marginals; a spanning tree of the attributes, edge
by edge, each chosen by the exponential mechanism among the pairs that join two components, for
how far the pair is from independence; the counts of the chosen pairs. Values that the first step
could not tell from noise (below three sigma) are measured as one in the third.

Formal guarantees:
    * rho-zCDP: d Gaussian measurements for rho/3 in all, d - 1 choices for rho/3 in all, and
      d - 1 Gaussian measurements for rho/3 in all.

References:
    McKenna, Miklau, Sheldon. Winning the NIST Contest: A scalable and general approach to
    differentially private synthetic data. Journal of Privacy and Confidentiality 2021.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from mezzotint.privacy.accounting import DEFAULT_DELTA, Budget
from mezzotint.tables.curator import Candidate, Curator
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import (
    GraphicalModel,
    Measurement,
    Query,
)
from mezzotint.tables.graphical.loglinear import Zeros
from mezzotint.tables.mechanism import Progress, silent
from mezzotint.tables.plan import Plan, Step, one_way_step
from mezzotint.tables.synthesizer import Synthesizer
from mezzotint.tables.workload import Workload

TELLING = 3.0
"""Counts below this many sigma are not told apart from noise."""


class MST(Synthesizer):
    """A tree of pairs: fast, and the strongest dependencies only.

    Args:
        epsilon: privacy loss.
        delta: its failure probability.
    """

    name = "mst"

    def __init__(self, *, epsilon: float = 1.0, delta: float = DEFAULT_DELTA) -> None:
        self.epsilon = epsilon
        self.delta = delta

    def queries(self, domain: Domain) -> list[Clique]:
        """All pairs."""
        return list(Workload.of(domain, 2).weights)

    def release(
        self, curator: Curator, zeros: Zeros = (), progress: Progress = silent
    ) -> GraphicalModel:
        """Algorithm 1 of McKenna et al. 2021, with selection by MST.

        Guarantee: rho-zCDP for the curator's ``total_rho``, under its privacy unit.
        Private and public: only the curator sees private rows; all else is public.
        """
        domain, rho = curator.domain, curator.total_rho
        unit = sqrt(curator.unit.l2_squared)
        edges = len(domain) - 1
        # Thirds for the attributes, the choices and the pairs; halves, if choices cost nothing.
        parts = (2 if curator.choices_are_free else 3) if edges else 1
        sigma = unit * sqrt(len(domain) / (2 * rho / parts))
        measurements = [curator.measure(Query((a,)), sigma) for a in domain]
        model = self._estimate(domain, measurements, zeros=zeros)
        progress(1 / 3)
        if not edges:
            return model
        tree = self._choose_tree(curator, model, epsilon=sqrt(8 * rho / 3 / edges))
        progress(2 / 3)
        common = {m.clique[0]: _common_values(m) for m in measurements}
        sigma = unit * sqrt(edges / (2 * rho / parts))
        measurements += [curator.measure(Query(pair, common), sigma) for pair in tree]
        progress(1.0)
        return self._estimate_in_stages(domain, measurements, zeros=zeros)

    def _choose_tree(self, curator: Curator, model: GraphicalModel, epsilon: float) -> list[Clique]:
        """Kruskal's algorithm with noisy choices: d - 1 pairs without a cycle."""
        component = {a: {a} for a in curator.domain}
        tree: list[Clique] = []
        joining = self.queries(curator.domain)
        while joining:
            candidates = (Candidate(Query(pair), 1, model.marginal(pair)) for pair in joining)
            a, b = joining[curator.choose(candidates, epsilon)]
            tree.append((a, b))
            merged = component[a] | component[b]
            component.update(dict.fromkeys(merged, merged))
            joining = [(a, b) for a, b in joining if component[a] is not component[b]]
        return tree

    def plan(self, domain: Domain, budget: Budget, rho: float) -> Plan:
        """Three steps of equal cost."""
        unit = sqrt(budget.unit.l2_squared)
        d = len(domain)
        if d == 1:
            sigma = unit * sqrt(1 / (2 * rho))
            steps = [one_way_step(domain, 1.0, dict.fromkeys(domain, sigma))]
        else:
            first = unit * sqrt(d / (2 * rho / 3))
            pairs = unit * sqrt((d - 1) / (2 * rho / 3))
            steps = [
                one_way_step(domain, 1 / 3, dict.fromkeys(domain, first)),
                Step("choosing the pairs", 1 / 3, d - 1),
                Step("the chosen pairs", 1 / 3, d - 1, pairs),
            ]
        return Plan.of(self.name, budget, rho, domain, self.queries(domain), steps, rounds=2)


def _common_values(measurement: Measurement) -> np.ndarray:
    """Groups of values: each that stands out from the noise on its own, the others together."""
    common = measurement.values >= TELLING * measurement.sigma
    return np.where(common, np.cumsum(common) - 1, common.sum())
