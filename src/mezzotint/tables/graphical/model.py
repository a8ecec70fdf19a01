"""The graphical model: what is sampled, queried, saved and sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical.elimination import CalibratedTree
from mezzotint.tables.graphical.junction_tree import JunctionTree
from mezzotint.tables.graphical.loglinear import LogLinear, Zeros
from mezzotint.tables.graphical.measurement import Measurement, Query
from mezzotint.tables.graphical.propagation import Array


@dataclass(frozen=True)
class Potential:
    """One query's parameters and how far each has been fitted."""

    theta: Array
    unfitted: Array


@dataclass(frozen=True)
class GraphicalModel:
    """A distribution over rows, with an estimated number of them. Everything here is public.

    Attributes:
        domain: attributes and sizes.
        potentials: the log-linear parameters of each measured query.
        total: the estimated number of rows.
        measurements: the noisy marginals it was fitted to.
        zeros: cells that no row can occupy.
    """

    domain: Domain
    potentials: Mapping[Query, Potential]
    total: float
    measurements: tuple[Measurement, ...]
    zeros: Zeros = ()

    @cached_property
    def _all_rows(self) -> tuple[CalibratedTree, float]:
        return self._calibrate({q: p.theta for q, p in self.potentials.items()})

    @property
    def calibrated(self) -> CalibratedTree:
        """The calibrated junction tree."""
        return self._all_rows[0]

    def _calibrate(self, thetas: Mapping[Query, Array]) -> tuple[CalibratedTree, float]:
        family = LogLinear.of(self.domain, tuple(thetas), self.zeros)
        beliefs, log_partition = family.calibrate(list(thetas.values()), self.total)
        return CalibratedTree(family.tree, beliefs, self.total), log_partition

    def given(self, shares: Mapping[str, np.ndarray]) -> CalibratedTree:
        """The rows that meet a condition: their distribution and expected number.

        Args:
            shares: attribute -> for each code which share of its rows meets the condition: 0 for
                none, 1 (or True) for all of them, less where the condition cuts a bin.

        Raises:
            ParameterError: if the model holds such rows to be impossible.
        """
        thetas = {q: p.theta for q, p in self.potentials.items()}
        for a, share in shares.items():
            with np.errstate(divide="ignore"):
                thetas[Query((a,))] = thetas.get(Query((a,)), 0.0) + np.log(share, dtype=float)
        restricted, log_partition = self._calibrate(thetas)
        share = np.exp(log_partition - self._all_rows[1])
        if not share > 0:
            raise ParameterError(
                f"where: the model holds no rows with this combination of {', '.join(shares)}; "
                "ask for a wider one."
            )
        beliefs = [b * share for b in restricted.beliefs]
        return CalibratedTree(restricted.tree, beliefs, self.total * share)

    @property
    def tree(self) -> JunctionTree:
        """The junction tree of the measured cliques."""
        return self.calibrated.tree

    def marginal(self, attributes: Iterable[str]) -> np.ndarray:
        """Expected counts over some attributes, axes in the domain's order."""
        return self.calibrated.marginal(self.domain.clique(attributes))

    def answer(self, query: Query) -> np.ndarray:
        """Expected counts of a query's cells."""
        return query.project(self.calibrated.marginal(query.clique))
