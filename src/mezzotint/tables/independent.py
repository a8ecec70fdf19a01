"""Independent: every attribute on its own. The baseline that others must beat.

Formal guarantees:
    * rho-zCDP: one discrete Gaussian measurement per attribute, whose costs add up to rho.

The budget is divided so that the expected L1 errors of all attributes together are least: with
costs proportional to size^(2/3), since sum(size * sigma) is to be minimised under a bound on
sum(1 / sigma^2).
"""

from __future__ import annotations

from math import sqrt

from mezzotint.privacy.accounting import DEFAULT_DELTA, Budget
from mezzotint.tables.curator import Curator
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import GraphicalModel, Measurement, Query
from mezzotint.tables.graphical.loglinear import Zeros
from mezzotint.tables.mechanism import Progress, silent
from mezzotint.tables.plan import Plan, one_way_step
from mezzotint.tables.synthesizer import Synthesizer


def one_way_sigmas(domain: Domain, rho: float, unit: float) -> dict[str, float]:
    """Noise scales for all attributes that cost ``rho`` together and err least in L1.

    Args:
        domain: attributes and sizes.
        rho: what they may cost together.
        unit: L2 sensitivity of one marginal, in rows.
    """
    wants = {a: size ** (2 / 3) for a, size in domain.sizes.items()}
    every = sum(wants.values())
    return {a: unit / sqrt(2 * rho * want / every) for a, want in wants.items()}


def measure_one_way(curator: Curator, rho: float) -> list[Measurement]:
    """Every attribute's counts, for ``rho`` in all."""
    sigmas = one_way_sigmas(curator.domain, rho, sqrt(curator.unit.l2_squared))
    return [curator.measure(Query((a,)), sigma) for a, sigma in sigmas.items()]


class Independent(Synthesizer):
    """All one-way marginals, and nothing about how attributes hang together.

    Args:
        epsilon: privacy loss.
        delta: its failure probability.
    """

    name = "independent"

    def __init__(self, *, epsilon: float = 1.0, delta: float = DEFAULT_DELTA) -> None:
        self.epsilon = epsilon
        self.delta = delta

    def queries(self, domain: Domain) -> list[Clique]:
        """Single attributes."""
        return [(a,) for a in domain]

    def release(
        self, curator: Curator, zeros: Zeros = (), progress: Progress = silent
    ) -> GraphicalModel:
        """Measure every attribute with the whole budget.

        Guarantee: rho-zCDP for the curator's ``total_rho``, under its privacy unit.
        Private and public: only the curator sees private rows; all else is public.
        """
        measurements = measure_one_way(curator, curator.total_rho)
        progress(1.0)
        return self._estimate(curator.domain, measurements, zeros=zeros)

    def plan(self, domain: Domain, budget: Budget, rho: float) -> Plan:
        """One step: every attribute on its own."""
        sigmas = one_way_sigmas(domain, rho, sqrt(budget.unit.l2_squared))
        steps = [one_way_step(domain, 1.0, sigmas)]
        return Plan.of(self.name, budget, rho, domain, self.queries(domain), steps, rounds=1)
