"""Where each cell of each marginal sits in a vector of encrypted cells. All of it is public.

Cells are numbered by *positions*; ciphertext ``position // width`` holds a cell in its
coefficient ``position % width``. The marginals layout numbers the cells that a holder counted,
clique by clique. (Where cells sit that are computed from records: `record_layout`.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Protocol

import numpy as np

from mezzotint.encrypted.presets import Fit, Preset, fit_marginals
from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Clique, Domain


class Layout(Protocol):
    """Positions of cells: what all roles of a job agree upon."""

    @property
    def domain(self) -> Domain:
        """The public shape of the table."""
        ...

    @property
    def preset(self) -> Preset:
        """The encryption parameters."""
        ...

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The marginals that have a place."""
        ...

    @property
    def positions(self) -> int:
        """How many positions there are, unused ones included."""
        ...

    @property
    def ciphertexts(self) -> int:
        """How many ciphertexts of cells."""
        ...

    def place(self, clique: Clique) -> np.ndarray:
        """The positions of a marginal's cells, int64[shape of the marginal]."""
        ...

    def fit(self, noise: int) -> Fit:
        """The proof that the preset serves, for noise up to a bound in each cell."""
        ...


class MarginalsLayout:
    """Counted marginals, packed densely, one cell after another.

    Args:
        domain: the table's shape.
        cliques: the marginals, each of any size; empty cliques are left out.
        rows: the public bound on rows of all holders together.
        holders: whose counts are added up.

    Raises:
        ParameterError: An attribute is unknown, or no parameters serve so many rows.
    """

    def __init__(
        self, domain: Domain, cliques: Iterable[Clique], *, rows: int, holders: int = 1
    ) -> None:
        self.domain = domain
        self.rows = rows
        self.holders = holders
        self.preset = self.fit(0).preset
        seen = {_checked(domain, clique): None for clique in cliques}
        self.cliques: tuple[Clique, ...] = tuple(clique for clique in seen if clique)
        starts = np.cumsum([0, *(domain.cells(clique) for clique in self.cliques)])
        self._start = dict(zip(self.cliques, starts.tolist(), strict=False))
        self.positions = int(starts[-1])

    @property
    def ciphertexts(self) -> int:
        """How many ciphertexts of cells."""
        return -(-self.positions // self.preset.width)

    def place(self, clique: Clique) -> np.ndarray:
        """The positions of a marginal's cells, int64[shape of the marginal]."""
        _require(clique, self._start)
        start = self._start[clique]
        cells = self.domain.cells(clique)
        return np.arange(start, start + cells).reshape(self.domain.shape(clique))

    def fit(self, noise: int) -> Fit:
        """The proof that the preset serves, for noise up to a bound in each cell."""
        return fit_marginals(rows=self.rows, noise=noise, holders=self.holders)

    def flatten(self, marginals: Mapping[Clique, np.ndarray]) -> np.ndarray:
        """Counts as a vector of cells, int64[positions].

        Private and public: the counts are private; cliques and shapes are public.

        Raises:
            ParameterError: A marginal is missing, has another shape, or counts more rows than
                the public bound.
        """
        cells = np.zeros(self.positions, dtype=np.int64)
        for clique in self.cliques:
            counts = marginals.get(clique)
            if counts is None or counts.shape != self.domain.shape(clique):
                raise ParameterError(
                    f"marginal {clique}: expected counts of shape {self.domain.shape(clique)}."
                )
            if counts.min(initial=0) < 0 or int(counts.sum()) > self.rows:
                raise ParameterError(
                    f"marginal {clique}: more rows than the public maximum of {self.rows}. Raise "
                    "the maximum (it is public: it must not follow from the data)."
                )
            cells[self.place(clique).ravel()] = counts.ravel()
        return cells

    @cached_property
    def placed(self) -> np.ndarray:
        """The positions that hold a cell, ascending, int64[cells]."""
        return np.arange(self.positions)


def _checked(domain: Domain, clique: Clique) -> Clique:
    unknown = [attribute for attribute in clique if attribute not in domain]
    if unknown:
        raise ParameterError(f"marginal {clique}: no attribute {unknown[0]!r} in the domain.")
    return domain.clique(clique)


def _require(clique: Clique, known: Mapping[Clique, int]) -> None:
    if clique not in known:
        raise ParameterError(
            f"marginal {clique}: not part of this job's encrypted cells. Ask for one of its "
            f"{len(known)} marginals, with attributes in the domain's order."
        )
