"""A fitted table: the model, the schema that decodes its rows, and the privacy statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.privacy.statement import Statement
from mezzotint.schema import Schema
from mezzotint.tables.domain import Clique
from mezzotint.tables.evidence import Evidence
from mezzotint.tables.graphical import Bootstrap, GraphicalModel
from mezzotint.tables.graphical.sampling import sample_codes

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Answer:
    """Expected counts with error bars. Everything here is public.

    Attributes:
        attributes: along the axes, in the schema's order.
        counts: expected rows of each cell.
        standard_error: of each cell, in rows, from the noise of the measurements.
        measured: whether these attributes were measured together, value by value. If not, the
            error bars leave out what the model may not know of their dependence.
    """

    attributes: Clique
    counts: np.ndarray
    standard_error: np.ndarray
    measured: bool


@dataclass(frozen=True)
class FittedTable:
    """What may leave the building. Everything here is public.

    Attributes:
        schema: the table's public facts.
        model: the graphical model.
        privacy: what is guaranteed, and the releases it rests on.
    """

    schema: Schema
    model: GraphicalModel
    privacy: Statement

    def sample(
        self,
        n: int | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> pa.Table:
        """Draw synthetic rows.

        Args:
            n: how many; by default the model's own noisy estimate of the number of rows (with
                ``where``: of those rows).
            where: attribute -> a value, a list of values, a range ``(low, high)`` with both ends
                included and None for an open end, or None for missing.
            random_state: makes the rows repeatable. It touches post-processing only: the noise
                in the model was drawn when it was fitted.

        Raises:
            ParameterError: if n is negative, ``where`` names an unknown attribute or value, or no
                row can meet it.
        """
        rng = np.random.default_rng(random_state)
        calibrated = self.model.calibrated
        evidence = Evidence.of(self.schema, where or {})
        if evidence:
            calibrated = self.model.given(evidence.shares)
        if n is None:
            n = round(calibrated.total)
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 0:
            raise ParameterError(f"n = {n!r}: give a whole number of rows >= 0.")
        codes = sample_codes(calibrated, int(n), rng)
        return evidence.narrow(self.schema.decode(codes, rng), codes, rng)

    def query(self, attributes: Iterable[str], *, bootstrap: Bootstrap | None = None) -> Answer:
        """Expected counts over any attributes, with error bars.

        Args:
            attributes: one or more of the schema's.
            bootstrap: refits of this model, to be made once for many queries
                (``Bootstrap(fitted.model)``); by default they are made anew.
        """
        clique = self.model.domain.clique(self.schema[a].name for a in attributes)
        errors = (bootstrap or Bootstrap(self.model, random_state=0)).standard_error(clique)
        measured = any(
            set(clique) <= set(m.clique) - set(m.groups) for m in self.model.measurements
        )
        return Answer(clique, self.model.marginal(clique), errors, measured)

    def save(self, path: str | Path) -> None:
        """Write a model file: a zip of JSON and arrays, whole or not at all."""
        from mezzotint.tables.model_file import write_model

        write_model(self, Path(path))
