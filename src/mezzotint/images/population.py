"""How many images there are: declared by the user, or bought first with a little of the budget.

Under add/remove adjacency the number of images is private, and a sampling rate that is computed
from it would depend on private data. Where a method needs it and nobody has declared it, a first
run releases it with Gaussian noise for a fiftieth of epsilon and a tenth of delta; the rest is
the method's own budget. Whatever the first run gave, the second keeps to its own (epsilon, delta),
so basic composition gives the whole (Dwork, Kenthapadi, McSherry, Mironov, Naor 2006, Theorem 1).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.statement import Statement

EPSILON_SHARE = 0.02
DELTA_SHARE = 0.1
LEAST = 100
"""The smallest number that is believed: below it noise is most of the count."""
_GRID = 1 << 24


def count_budget(budget: Budget) -> Budget:
    """What buys the number of images."""
    return replace(budget, epsilon=budget.epsilon * EPSILON_SHARE, delta=budget.delta * DELTA_SHARE)


def main_budget(budget: Budget) -> Budget:
    """What is left for the method where the number of images is bought."""
    return replace(
        budget,
        epsilon=budget.epsilon * (1 - EPSILON_SHARE),
        delta=budget.delta * (1 - DELTA_SHARE),
    )


def buy_population(
    facts: ImageFacts,
    data: ImageData,
    ledger: Ledger,
    *,
    budget: Budget,
    mechanism: str,
    dataset: str,
    fingerprint: bytes | None,
    request: str | None,
) -> tuple[ImageFacts, Statement]:
    """Release the number of images; the facts with it, and the statement of the run.

    Guarantee: `count_budget(budget)`, by the programme of one Gaussian.
    Sensitivity: one image changes the number by one: `_GRID` units of the grid.
    Private and public: the number of images is private; everything else, and what this returns,
        is public.
    Units: images.
    """
    from mezzotint.privacy.noise import integer_gaussian
    from mezzotint.privacy.programme import Programme

    share = count_budget(budget)
    programme = Programme.calibrated(
        share, lambda scale: Programme((Gaussian(scale),)), low=1e-2, high=1e6
    )
    with ledger.begin(
        share,
        mechanism=f"{mechanism}: number of images",
        dataset=dataset,
        fingerprint=fingerprint,
        request=None if request is None else f"{request} population",
        programme=programme,
    ) as run:
        spend = run.vector(0, "number of images", l2=_GRID)
        noisy = len(data) * _GRID + integer_gaussian(spend, 1)
        statement = Statement.of(run)
    number = max(LEAST, int(np.rint(noisy[0] / _GRID)))
    return replace(facts, population=number), statement
