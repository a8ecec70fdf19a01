"""What every mechanism for tables is: a release over a curator, and a plan for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from mezzotint.errors import ParameterError
from mezzotint.privacy.accounting import Budget
from mezzotint.tables.curator import Curator
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import (
    GraphicalModel,
    JunctionTree,
    Measurement,
    Query,
    SizeOracle,
    estimate,
    estimate_in_stages,
)
from mezzotint.tables.graphical.junction_tree import BYTES_PER_CELL
from mezzotint.tables.graphical.loglinear import Zeros
from mezzotint.tables.graphical.resolution import Resolution
from mezzotint.tables.plan import Plan

Progress = Callable[[float], None]
"""Called with the share of the budget that is spent, 0 to 1. Public: the ledger shows the same."""


def silent(share: float) -> None:
    """No progress is shown."""


class Mechanism(ABC):
    """A differentially private way from counts to a graphical model.

    Attributes:
        name: as the command line and the ledger call it.
    """

    name: ClassVar[str]

    # How measurements become a model. It sees released values only, so the guarantee does not
    # rest on it; the referee, who asks for 100,000 releases, takes something quicker.
    _estimate = staticmethod(estimate)
    _estimate_in_stages = staticmethod(estimate_in_stages)

    @abstractmethod
    def queries(self, domain: Domain) -> list[Clique]:
        """The cliques on which the curator must be able to answer; smaller ones are included."""

    @abstractmethod
    def release(
        self, curator: Curator, zeros: Zeros = (), progress: Progress = silent
    ) -> GraphicalModel:
        """Spend the curator's budget; returns the model.

        Guarantee: rho-zCDP for the curator's ``total_rho``, under its privacy unit.
        Private and public: only the curator sees private rows; all else is public.
        """

    @abstractmethod
    def plan(self, domain: Domain, budget: Budget, rho: float) -> Plan:
        """What ``release`` would spend with ``rho`` of the budget, from public facts only."""


class ModelLimit:
    """The size that a model may grow to, as its budget is spent.

    Raises:
        ParameterError: if the limit is not positive, or below the smallest possible model.
    """

    def __init__(self, domain: Domain, zeros: Zeros, max_model_mb: float) -> None:
        if not max_model_mb > 0:
            raise ParameterError(
                f"max_model_mb = {max_model_mb!r}: give a positive number of megabytes, such as 20."
            )
        self._domain = domain
        self._fixed = [clique for clique, _ in zeros]
        self._cells = max_model_mb * 2**20 / BYTES_PER_CELL
        smallest = JunctionTree.of(domain, self._fixed)
        if smallest.cells > self._cells:
            raise ParameterError(
                f"max_model_mb = {max_model_mb:g}: the attributes and constraints alone take "
                f"{smallest.megabytes:.3g} MB. Allow more, give attributes fewer bins, "
                "or drop a constraint that ties many attributes."
            )

    def affordable(
        self, candidates: Iterable[Query], measured: Sequence[Measurement], share: float
    ) -> list[Query]:
        """Queries that keep the model under this share of the limit, or that it holds."""
        asked = list(candidates)
        done = list(dict.fromkeys(m.query for m in measured))
        resolution = Resolution(self._domain, asked + done)
        held = [resolution.clique(q) for q in done]
        ties = [clique for clique, _ in resolution.ties.values()]
        oracle = SizeOracle(resolution.domain, [*self._fixed, *held, *ties])
        # The oracle counts every tie; the model will have only those that are in use.
        idle = {h: resolution.domain.cells(tie) for h, (tie, _) in resolution.ties.items()}
        for clique in held:
            for name in clique:
                idle.pop(name, None)
        limit = self._cells * share + sum(idle.values())
        cliques = {resolution.clique(q): q for q in asked}
        limits = {c: limit - sum(idle.get(name, 0) for name in c) for c in cliques}
        return [cliques[c] for c in oracle.affordable(limits)]
