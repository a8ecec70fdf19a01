"""AIM: an adaptive and iterative mechanism for synthetic data, as published.

AIM measures all one-way marginals; then, round after round, it chooses the marginal on which the
model is furthest from the data beyond what noise would explain, measures it and refits. When a
round no longer teaches anything it spends more on the next ones. It ends when the budget does.

Formal guarantees:
    * rho-zCDP for the rho of the budget, hence (epsilon, delta)-DP, for the stated privacy unit:
      a round costs l2_squared / (2 sigma^2) + epsilon^2 / 8, rounds add up, and the last round
      takes what is left.
    * The number of rounds, the scales and the size of the model depend on the data only through
      released values.

With up to 25 attributes and 500 candidates the loop is as published. Wider tables plan for fewer
and larger rounds (`planned_rounds`) and refit only the neighbourhood of each new measurement; more
candidates have their expectations renewed in turns (`Outlook`), and of those too near to the size
limit to be priced in time some count as too large (`SizeOracle`).

Two readings where the paper leaves room. The row count is not public under add/remove adjacency:
it is estimated from the measurements. The model is fitted by our estimator
(`mezzotint.tables.graphical.estimation`), which is post-processing.

References:
    McKenna, Mullins, Sheldon, Miklau. AIM: An Adaptive and Iterative Mechanism for Differentially
    Private Synthetic Data. VLDB 2022. Algorithms 1 to 4.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from mezzotint.privacy.accounting import DEFAULT_DELTA, Budget
from mezzotint.tables.curator import Candidate, Curator
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import (
    GraphicalModel,
    Measurement,
    Query,
)
from mezzotint.tables.graphical.junction_tree import BYTES_PER_CELL
from mezzotint.tables.graphical.loglinear import Zeros
from mezzotint.tables.mechanism import ModelLimit, Progress, silent
from mezzotint.tables.outlook import Outlook
from mezzotint.tables.plan import Plan, Step, one_way_step
from mezzotint.tables.synthesizer import Synthesizer
from mezzotint.tables.workload import Wanted, Workload

ROUNDS_PER_ATTRIBUTE = 16
MEASURING = 0.9
"""alpha: the share of a round that is spent on measuring; choosing takes the rest, if it costs."""
MAX_MODEL_MB = 2.0


class AIM(Synthesizer):
    """Marginals chosen one at a time, where the model is worst.

    Args:
        epsilon: privacy loss.
        delta: its failure probability.
        workload: all marginals of this many attributes, or the cliques that matter.
        max_model_mb: the most that the model may take, in units of 2**20 bytes.
    """

    name = "aim"

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        delta: float = DEFAULT_DELTA,
        workload: Wanted = 2,
        max_model_mb: float = MAX_MODEL_MB,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.workload = workload
        self.max_model_mb = max_model_mb

    def queries(self, domain: Domain) -> list[Clique]:
        """Every attribute, and all candidates that a model could hold."""
        limit = self.max_model_mb * 2**20 / BYTES_PER_CELL
        candidates = Workload.of(domain, self.workload).importance()
        affordable = (c for c in candidates if domain.cells(c) <= limit)
        return list(dict.fromkeys([*((a,) for a in domain), *affordable]))

    def release(
        self, curator: Curator, zeros: Zeros = (), progress: Progress = silent
    ) -> GraphicalModel:
        """Algorithm 4 of McKenna et al. 2022.

        Guarantee: rho-zCDP for the curator's ``total_rho``, under its privacy unit.
        Private and public: only the curator sees private rows; all else is public.
        """
        domain, rho = curator.domain, curator.total_rho
        limit = ModelLimit(domain, zeros, self.max_model_mb)
        unit = sqrt(curator.unit.l2_squared)
        rounds = planned_rounds(domain)
        measuring = 1.0 if curator.choices_are_free else MEASURING
        sigma = unit * sqrt(rounds / (2 * measuring * rho))
        epsilon = sqrt(8 * (1 - measuring) * rho / rounds)

        measurements = self._first_measurements(curator, sigma)
        model = self._estimate(domain, measurements, zeros=zeros)
        weights = self._candidates(model)
        outlook = Outlook(model)
        last = False
        while not last:
            left = curator.remaining_rho
            progress(1 - left / rho)
            if left < 2 * ((unit / sigma) ** 2 / 2 + epsilon**2 / 8):
                sigma = unit * sqrt(1 / (2 * measuring * left))
                epsilon = sqrt(8 * (1 - measuring) * left)
                last = True
            left -= (unit / sigma) ** 2 / 2 + epsilon**2 / 8
            queries = limit.affordable(weights, measurements, share=1 - left / rho)
            outlook.renew(model, queries)
            # The penalty is the error that measuring would leave.
            candidates = (
                Candidate(q, weights[q], expected := outlook[q], _noise(sigma, expected))
                for q in queries
            )
            chosen = queries[curator.choose(candidates, epsilon)]
            before = model.answer(chosen)
            measurements.append(curator.measure(chosen, sigma))
            model = self._estimate(domain, measurements, zeros=zeros, start=model, near=chosen)
            if np.abs(model.answer(chosen) - before).sum() <= _noise(sigma, before):
                sigma, epsilon = sigma / 2, epsilon * 2
        progress(1.0)
        return self._estimate_in_stages(domain, measurements, zeros=zeros)

    def _first_measurements(self, curator: Curator, sigma: float) -> list[Measurement]:
        """All one-way marginals, each with the noise of a round."""
        return [curator.measure(Query((a,)), sigma) for a in curator.domain]

    def _candidates(self, model: GraphicalModel) -> dict[Query, int]:
        """The workload's marginals and all their subsets, with their weights."""
        importance = Workload.of(model.domain, self.workload).importance()
        return {Query(clique): weight for clique, weight in importance.items()}

    def plan(self, domain: Domain, budget: Budget, rho: float) -> Plan:
        """The first measurements, and the most rounds that could follow them."""
        unit = sqrt(budget.unit.l2_squared)
        rounds = planned_rounds(domain)
        sigma = unit * sqrt(rounds / (2 * MEASURING * rho))
        first = MEASURING * len(domain) / rounds
        steps = [
            one_way_step(domain, first, dict.fromkeys(domain, sigma)),
            Step("choosing a marginal, each round", (1 - first) * (1 - MEASURING), rounds),
            Step("the chosen marginals, at first", (1 - first) * MEASURING, rounds, sigma),
        ]
        return Plan.of(
            self.name,
            budget,
            rho,
            domain,
            self.queries(domain),
            steps,
            rounds=2 * len(domain),
            max_model_mb=self.max_model_mb,
        )


def planned_rounds(domain: Domain) -> int:
    """The paper's 16 rounds an attribute; over 25 attributes 400 in all, but 4 an attribute."""
    return min(ROUNDS_PER_ATTRIBUTE * len(domain), max(400, 4 * len(domain)))


def _noise(sigma: float, answer: np.ndarray) -> float:
    """The expected L1 norm of the noise in a measurement of this shape."""
    return sqrt(2 / pi) * sigma * answer.size
