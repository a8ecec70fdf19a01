"""What a job will take, before anything is encrypted or sent: from public facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from mezzotint.encrypted.circuit import Circuit
from mezzotint.encrypted.job import (
    POOL_CELLS,
    SELECTION_SHARE,
    Job,
    KeyHolderIs,
    LayoutName,
    Selection,
)
from mezzotint.encrypted.marks import BLOCK, MARKS, blocks
from mezzotint.encrypted.pool import Book
from mezzotint.encrypted.record_layout import RecordsLayout
from mezzotint.privacy.releases import epsilon_of, rho_of, units_rounded_up, units_within
from mezzotint.privacy.views import View
from mezzotint.schema import Schema
from mezzotint.tables.synthesizer import Synthesizer, as_schema

_SECONDS_ENCRYPTING = 0.003
_SECONDS_BLINDING = 0.009
_SECONDS_DECRYPTING = 0.006
_SECONDS_SCORES = 0.01
_SECONDS_SCORING = 0.03
_ROUNDS = 40
"""Rounds of AIM that are usual; at most four times as many are planned for."""
_MEMORY = 300 << 20


@dataclass(frozen=True)
class EncryptedPlan:
    """Bytes, operations, time and everybody's budget. All of it is public.

    Attributes:
        layout: "marginals" or "records".
        holders: how many data holders.
        ciphertexts: of one holder's upload, noise included.
        upload_bytes: the same in bytes, at most.
        noise_bytes: of these, the noise.
        keys_bytes: public and evaluation keys, at most.
        exchange_bytes: between provider and key holder, roughly.
        products: ciphertext by ciphertext.
        relinearisations: products brought back to two polynomials.
        rotations: other key switchings.
        holder_seconds: CPU seconds of one data holder, roughly.
        provider_seconds: of the provider.
        keyholder_seconds: of the key holder.
        memory_bytes: of the largest process of the provider, roughly.
        upload_memory_bytes: uploads that one of its processes holds.
        copies_sigma: the noise of selection's copies, in rows; None without any.
        first_sigma: the largest noise of a measurement, in rows.
        views: what is granted against each party; a key holder's and a cheating provider's may
            differ a little, by which scales of noise the mechanism asks for.
    """

    layout: str
    holders: int
    ciphertexts: int
    upload_bytes: int
    noise_bytes: int
    keys_bytes: int
    exchange_bytes: int
    products: int
    relinearisations: int
    rotations: int
    holder_seconds: float
    provider_seconds: float
    keyholder_seconds: float
    memory_bytes: int
    upload_memory_bytes: int
    copies_sigma: float | None
    first_sigma: float
    views: tuple[View, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return vars(self) | {"views": [view.to_json() for view in self.views]}

    def lines(self) -> list[str]:
        """The plan in words."""
        lines = [
            f"each data holder sends {self.ciphertexts} ciphertexts, at most "
            f"{self.upload_bytes / 1e6:.3g} MB ({self.noise_bytes / 1e6:.3g} MB of it noise)",
            f"provider and key holder exchange about {self.exchange_bytes / 1e6:.3g} MB",
            f"the provider makes {self.products} products of ciphertexts, "
            f"{self.relinearisations} relinearisations and {self.rotations} other key switchings",
            f"CPU seconds: holder {self.holder_seconds:.3g}, provider "
            f"{self.provider_seconds:.3g}, key holder {self.keyholder_seconds:.3g}",
        ]
        for view in self.views:
            who = view.role + (f" that {view.corrupted}" if view.corrupted else "")
            told = "its own data" if view.epsilon is None else f"epsilon {view.epsilon:.4g}"
            lines.append(f"{who}: {told} at delta {view.delta:g}")
        return lines


def plan(
    schema: Schema | str,
    layout: LayoutName,
    mechanism: Synthesizer,
    *,
    rows_at_most: int | Sequence[int],
    holders: int = 1,
    shares: Sequence[Sequence[str]] | None = None,
    selection: Selection = "noisy-marginals",
    share: float = SELECTION_SHARE,
    keyholder: KeyHolderIs = "third-party",
    ways: int = 2,
    pool_cells: int = POOL_CELLS,
) -> EncryptedPlan:
    """What a job would take; looks at no rows.

    Args:
        schema: what is public about the table.
        layout: "marginals" or "records".
        mechanism: with its epsilon and delta.
        rows_at_most: the public maximum of rows, of each holder.
        holders: how many there are.
        shares: if they hold other columns of the same people, what each has.
        selection: how candidates are chosen.
        share: of the budget, for noisy copies.
        keyholder: who holds the keys.
        ways: marginals: attributes in the largest one that is encrypted.
        pool_cells: how many cells each stock of noise serves.

    Raises:
        ParameterError: if the job could not be made.
    """
    schema = as_schema(schema)
    rows = [rows_at_most] * holders if isinstance(rows_at_most, int) else list(rows_at_most)
    job = Job.draft(
        schema,
        layout,
        mechanism,
        rows,
        shares=shares,
        selection=selection,
        share=share,
        keyholder=keyholder,
        ways=ways,
        pool_cells=pool_cells,
    )
    return plan_of(job)


def plan_of(job: Job) -> EncryptedPlan:
    """What a job will take."""
    cells, width = job.cells, job.cells.preset.width
    size = cells.preset.cells_bytes
    noise = sum(_ciphertexts(level.entries, width, job.integral) for level in job.levels)
    memory = _MEMORY
    held = 0
    if isinstance(cells, RecordsLayout):
        mine = cells.alone(0, 0)
        uploads = mine.cost.uploads
        upload_bytes = uploads * cells.preset.record_bytes
        cost = cells.cost
        products, relinearised = cost.products, cost.relinearisations
        rotations, multiply = cost.merges + cost.mirrors, cost.seconds
        encrypt = mine.cost.upload_seconds
        held = cost.uploads * cells.preset.record_bytes
        keys = 12 << 20
    else:
        whole = BLOCK * sum(blocks(job.domain.cells(c)) for c in cells.cliques)
        uploads = cells.ciphertexts + -(-whole * MARKS // BLOCK // width)
        upload_bytes = uploads * size
        products = relinearised = rotations = 0
        multiply, encrypt, keys = 0.0, uploads * _SECONDS_ENCRYPTING, 1 << 17
    exchanged = _exchanged(job)
    scored = _Scored.of(job)
    return EncryptedPlan(
        layout=job.layout,
        holders=len(job.parties),
        ciphertexts=uploads + noise + scored.uploads + scored.noise,
        upload_bytes=upload_bytes + noise * size + scored.upload_bytes + scored.noise_bytes,
        noise_bytes=noise * size + scored.noise_bytes,
        keys_bytes=keys + scored.keys_bytes,
        exchange_bytes=exchanged * size + scored.exchange_bytes,
        products=products + scored.products,
        relinearisations=relinearised + scored.relinearisations,
        rotations=rotations + scored.products,
        holder_seconds=encrypt
        + noise * _SECONDS_ENCRYPTING
        + (scored.uploads + scored.noise) * _SECONDS_SCORES,
        provider_seconds=multiply
        + exchanged * _SECONDS_BLINDING
        + scored.products * _SECONDS_SCORING
        + job.synthesizer.plan(job.domain, job.budget, job.mechanism_rho).seconds,
        keyholder_seconds=exchanged * _SECONDS_DECRYPTING
        + scored.relinearisations * _SECONDS_DECRYPTING,
        memory_bytes=memory + held,
        upload_memory_bytes=held,
        copies_sigma=job.copies_sigma if job.copies else None,
        first_sigma=job.first_sigma,
        views=planned_views(job),
    )


@dataclass(frozen=True)
class _Scored:
    """What selection by squared distances takes besides; all zero where nothing is scored."""

    uploads: int = 0
    noise: int = 0
    upload_bytes: int = 0
    noise_bytes: int = 0
    keys_bytes: int = 0
    exchange_bytes: int = 0
    products: int = 0
    relinearisations: int = 0

    @classmethod
    def of(cls, job: Job) -> _Scored:
        if not job.scored:
            return cls()
        layout, preset = job.scores, job.scores.preset
        uploads = sum(len(layout.files(clique)) for clique in layout.cliques)
        noise = sum(-(-level.entries // preset.width) for level in job.score_levels)
        each = sum(len(layout.files(clique)) for clique in job.scored)
        return cls(
            uploads=uploads,
            noise=noise,
            upload_bytes=uploads * preset.record_bytes,
            noise_bytes=noise * preset.cells_bytes,
            keys_bytes=12 << 20,
            exchange_bytes=_ROUNDS * (len(job.scored) + 2) * preset.cells_bytes,
            products=_ROUNDS * each,
            relinearisations=_ROUNDS * len(job.scored),
        )


def planned_views(job: Job) -> tuple[View, ...]:
    """What the job grants against each party, if every measurement has equal shares of noise."""
    units = units_within(job.budget)
    rows = [("public", "", units), ("provider", "", units)]
    if job.keyholder == "third-party":
        rows.append(("provider", "leaves the holders' noise out", 2 * units))
        rows.append(("key holder", "", 2 * units))
    holders = len(job.parties)
    if holders > 1:
        left = units_rounded_up(2 * holders * _exact(units) / (2 * holders - 1))
        rows.append(("one holder", "tells its data and its noise", left))
    table = [
        View(role, cheat, (), rho_of(cost), epsilon_of(cost, job.delta), job.delta)
        for role, cheat, cost in rows
    ]
    if job.keyholder == "holder":
        table.append(View("key holder", "", ("its own data",), None, None, job.delta))
    return tuple(table)


def _exact(units: int) -> Any:
    from fractions import Fraction

    return Fraction(units, 10**12)


def _ciphertexts(entries: int, width: int, marked: bool) -> int:
    marks = -(-entries * MARKS // BLOCK // width) if marked else 0
    return -(-entries // width) + marks


def _exchanged(job: Job) -> int:
    """Ciphertexts that go to the key holder, for the copies and a usual number of rounds."""
    book = Book(job.levels)
    count = 0
    if job.copies:
        draws = (
            [book.take(job.copies_sigma, job.domain.cells(c)) for c in job.copies]
            if (job.levels)
            else [()] * len(job.copies)
        )
        count += len(Circuit.of(job, job.copies, draws).terms)
    each = 2 + (2 * 2 if job.levels else 0) + (2 if job.integral else 0)
    usual = max(map(job.domain.cells, job.queries)) / sqrt(len(job.queries))
    return count + round(_ROUNDS * each * max(1.0, usual / job.cells.preset.width))
