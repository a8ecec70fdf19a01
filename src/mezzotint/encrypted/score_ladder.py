"""What choosing by squared distances costs, and which stocks of noise it needs; public facts only.

One row more or less changes a count by one, where count and estimate lie between 0 and N, the
public maximum of rows: the square changes by at most 2 N + 1. All K distances may change so, for
every row that a unit adds or removes: squared L2 sensitivity K (l1 (2 N + 1))^2. K is the number of
marginals that may ever be candidates, so that one ladder of scales serves all rounds.
"""

from __future__ import annotations

from math import ceil, log, sqrt
from typing import TYPE_CHECKING

from mezzotint.encrypted.marks import BLOCK, blocks
from mezzotint.encrypted.pool import Level

if TYPE_CHECKING:
    from mezzotint.encrypted.job import Job

_BELOW_HALF = 0.94
"""Entries have a little less than half of the planned variance: rounding cannot matter."""
_SLACK = 1 + 1e-6


def l2_squared(job: Job) -> int:
    """Squared L2 sensitivity of the distances of all marginals that may be candidates."""
    return len(job.scored) * (job.budget.unit.l1 * (2 * job.rows_at_most + 1)) ** 2


def sigma_of(job: Job, rho: float) -> float:
    """The scale of noise at which the distances of a choice cost at most ``rho``."""
    return _SLACK * sqrt(l2_squared(job) / (2 * rho))


def score_ladder(job: Job) -> tuple[Level, ...]:
    """The stocks for choices: the planned scale and its halves, for every choice that is planned.

    Later choices cost more and are fewer, and their stocks fill up earlier ones.
    """
    plan = job.synthesizer.plan(job.domain, job.budget, job.mechanism_rho)
    steps = [step for step in plan.steps if step.sigma is None and step.releases]
    if not steps or not job.scored:
        return ()
    share = min(step.share / step.releases for step in steps)
    releases = sum(step.releases for step in steps)
    first = sigma_of(job, share * job.mechanism_rho)
    halvings = max(1, ceil(log(1 / share, 4)))
    entries = releases * BLOCK * blocks(len(job.scored))
    return tuple(
        Level(_BELOW_HALF * first / sqrt(2) / 2**step, entries) for step in range(halvings + 1)
    )
