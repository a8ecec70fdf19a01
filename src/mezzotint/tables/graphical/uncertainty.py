"""Error bars for any marginal, by parametric bootstrap.

The fitted model is taken for the truth: its answers to the measured queries, with fresh noise of
each measurement's scale, are fitted again, and what comes out is compared with the model. That
shows how far the noise, and the shrinkage of early stopping, can move an answer. It cannot show
dependence that no measurement holds: for attributes that were never measured together the bars
say how well the model's answer is determined, not how well the model fits.

Post-processing: it reads the model only. The noise is simulated, protects nothing and so does not
come from `privacy.noise`.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Clique
from mezzotint.tables.graphical.estimation import estimate_in_stages
from mezzotint.tables.graphical.model import GraphicalModel

REPLICATES = 10


class Bootstrap:
    """Refits of one model, from which the error of any of its marginals is read.

    Args:
        model: the fitted model.
        replicates: how many refits; each takes about as long as the last fit of the model did.
        random_state: makes the error bars repeatable.
    """

    def __init__(
        self,
        model: GraphicalModel,
        *,
        replicates: int = REPLICATES,
        random_state: int | None = None,
    ) -> None:
        if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
            raise ParameterError(f"replicates = {replicates!r}: give a whole number >= 2.")
        self.model = model
        rng = np.random.default_rng(random_state)
        self._refits = [_refit(model, rng) for _ in range(replicates)]

    def standard_error(self, clique: Clique) -> np.ndarray:
        """Root mean square error of each cell, in rows; shape of the clique's marginal."""
        truth = self.model.marginal(clique)
        squares = [(refit.marginal(clique) - truth) ** 2 for refit in self._refits]
        return np.sqrt(np.mean(squares, axis=0))


def _refit(model: GraphicalModel, rng: np.random.Generator) -> GraphicalModel:
    again = []
    for m in model.measurements:
        truth = model.answer(m.query)
        noisy = np.rint(truth + rng.normal(0, m.sigma, truth.shape))
        again.append(replace(m, values=noisy))
    return estimate_in_stages(model.domain, again, zeros=model.zeros)
