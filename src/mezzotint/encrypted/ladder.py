"""Which stocks of noise a job needs, from public facts."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

from mezzotint.encrypted.marks import BLOCK, blocks
from mezzotint.encrypted.pool import MOST_SUMMANDS, Level
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.encrypted.job import Job

SMALLEST_SHARE = 1.2
"""Every party's share of noise has at least this scale; below, sums are too far from Gaussian."""

_FINE = 2**0.25
"""The step of scales below four times the smallest."""

TAIL = 17
"""Noise beyond this many scales has probability below 2^-200: samplers and proofs leave it out."""

_A_LITTLE_LESS = 0.99


def tail(sigma: float) -> int:
    """A bound on discrete Gaussian noise that holds up to a probability below 2^-200."""
    return ceil(TAIL * sigma) + 1


def ladder(job: Job, pool_cells: int) -> tuple[Level, ...]:
    """The stocks: one for the copies, and scales by halves down to one measurement of everything.

    Variances are half of what a measurement has; the key holder draws the other half.

    Raises:
        ParameterError: if the budget is so large that a share of the noise would be too small.
    """
    levels = []
    if job.copies:
        cells = sum(BLOCK * blocks(job.domain.cells(q)) for q in job.copies)
        levels.append(Level(job.copies_sigma / sqrt(2), cells))
    unit = job.budget.unit.l2_squared
    plan = job.synthesizer.plan(job.domain, job.budget, job.mechanism_rho)
    # What the mechanism plans for choosing goes to measuring, where copies have paid for choosing.
    kept = sum(step.share for step in plan.steps if step.sigma is not None)
    scale = _A_LITTLE_LESS * sqrt(kept) if job.copies else 1.0
    planned = {scale * step.sigma for step in plan.steps if step.sigma is not None}
    sigmas = sorted(planned, reverse=True)
    smallest = sqrt(unit / (2 * job.mechanism_rho))
    largest = sorted((BLOCK * blocks(job.domain.cells(q)) for q in job.queries), reverse=True)
    rungs = list(sigmas)
    floor = SMALLEST_SHARE * sqrt(2 * len(job.parties))
    if min([*rungs, *(level.sigma * sqrt(2) for level in levels)]) < floor:
        raise ParameterError(
            f"epsilon = {job.epsilon:g}: the mechanism would ask for noise of scale "
            f"{rungs[-1]:.3g}, and with {len(job.parties)} data holders sums of shares are "
            f"accounted for from {floor:.3g} on. Ask for a smaller epsilon"
        )
    while rungs[-1] > max(smallest, floor):
        # A run's last measurement has the scale that its budget leaves, anywhere at the bottom.
        step = 2 if rungs[-1] > 4 * smallest else _FINE
        rungs.append(max(rungs[-1] / step, smallest, floor))
    for sigma in rungs:
        most = max(1, int(job.mechanism_rho * 2 * sigma**2 / unit * 1.01))
        wanted = sum(largest[:most]) + BLOCK * max(0, most - len(largest))
        entries = max(min(MOST_SUMMANDS * wanted, pool_cells), largest[0])
        levels.append(Level(sigma / sqrt(2), BLOCK * blocks(entries)))
    return tuple(levels)
