"""The curator over ciphertexts: what a mechanism sees when nobody near it can count.

It answers `measure` through the provider's desk (`Measuring`): noise is added under encryption, the
key holder decrypts the sum and adds its own. It answers `choose` from noisy copies, in the clear,
at no cost beyond the copies', or where the job says so from squared distances that are computed and
made noisy in the same way. The mechanism is the same code as over plain counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from mezzotint.encrypted.copies import NoisyCopies
from mezzotint.encrypted.job import Job
from mezzotint.errors import ParameterError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.tables.curator import Candidate
from mezzotint.tables.domain import Domain
from mezzotint.tables.graphical import Measurement, Query


class Measuring(Protocol):
    """Where noisy answers come from."""

    @property
    def remaining_rho(self) -> float:
        """The zCDP that the key holder has not recorded yet."""
        ...

    def measure(self, queries: Sequence[Query], sigma: float) -> tuple[list[np.ndarray], float]:
        """Noisy answers, all at one scale, and that scale: it may be a little larger."""
        ...

    def choose(self, candidates: Sequence[Candidate], epsilon: float) -> int:
        """The index of a candidate with a high score by squared distances."""
        ...


class EncryptedCurator:
    """Implements `mezzotint.tables.curator.Curator` over a job's ciphertexts."""

    def __init__(self, job: Job, desk: Measuring) -> None:
        self.choices_are_free = not job.scored
        self._job = job
        self._desk = desk
        self._copies: NoisyCopies | None = None
        if job.copies:
            queries = [Query(clique) for clique in job.copies]
            answers, sigma = desk.measure(queries, job.copies_sigma)
            held = dict(zip(job.copies, answers, strict=True))
            self._copies = NoisyCopies(job.domain, held, sigma)
        self._rho = desk.remaining_rho

    @property
    def domain(self) -> Domain:
        """The public shape of the table."""
        return self._job.domain

    @property
    def unit(self) -> PrivacyUnit:
        """Whose contribution is hidden."""
        return self._job.budget.unit

    @property
    def total_rho(self) -> float:
        """The zCDP that a mechanism may spend in all: what the copies have left."""
        return self._rho

    @property
    def remaining_rho(self) -> float:
        """The zCDP that is left."""
        return self._desk.remaining_rho

    def measure(self, query: Query, sigma: float) -> Measurement:
        """Counts plus noise of all parties; with the copy of the same marginal, if there is one.

        Where the key holder must not see cells, a coarse query is measured cell by cell.

        Guarantee: l2_squared / (2 sigma^2) zCDP, up to `mezzotint.privacy.shared.excess`.
        Private and public: all of it is public.
        """
        asked = query if self._job.keyholder == "holder" else Query(query.clique)
        (values,), sigma = self._desk.measure([asked], sigma)
        measurement = Measurement(query.clique, values, sigma, asked.groups)
        return measurement if self._copies is None else self._copies.merge(measurement)

    def choose(self, candidates: Iterable[Candidate], epsilon: float) -> int:
        """The candidate with the highest score.

        By the noisy copies it is post-processing, and free. By squared distances it is asked of
        the key holder, at ``epsilon^2 / 8`` zCDP or less.
        """
        if self._job.scored:
            return self._desk.choose(list(candidates), epsilon)
        if self._copies is None:
            raise ParameterError(
                f"selection {self._job.selection!r} has no noisy copies to choose from"
            )
        return self._copies.choose(candidates)
