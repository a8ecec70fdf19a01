"""The provider's part of choosing by squared distances: it scores, adds noise, asks, and books.

This module must not import decryption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mezzotint.encrypted.blinding import blind
from mezzotint.encrypted.choices import CHOOSE, SCORES, Choice, circuit_of, score_noise
from mezzotint.encrypted.pool import Book, own_scale
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.requests import ANSWER
from mezzotint.encrypted.score_ladder import l2_squared, sigma_of
from mezzotint.encrypted.scores import score
from mezzotint.encrypted.wire import Message, unpack_parts
from mezzotint.errors import DataError
from mezzotint.privacy import shared
from mezzotint.privacy.run import Run
from mezzotint.privacy.spend import Spend

if TYPE_CHECKING:
    from mezzotint.encrypted.circuit import Circuit
    from mezzotint.encrypted.job import Job
    from mezzotint.encrypted.provider import ProviderJob
    from mezzotint.encrypted.scheme import Ciphertext
    from mezzotint.tables.curator import Candidate


class Scorer:
    """Computes a job's choices under encryption.

    Args:
        owner: the job at the provider.
    """

    def __init__(self, owner: ProviderJob) -> None:
        self._job = owner.job
        self._layout = owner.job.scores
        self._public = owner.public(self._layout.preset.id)
        self._counts = _parts(owner.uploads(), f"{SCORES}.bin")
        self._noise = {
            number: _parts(owner.pools(), f"{score_noise(number)}.bin")
            for number in range(len(owner.job.score_levels))
        }
        self._book = Book(owner.job.score_levels)
        self._scales: tuple[float, ...] = ()
        self._first: dict[tuple[str, ...], int] = {}
        total = 0
        for clique in self._layout.cliques:
            self._first[clique] = total
            total += len(self._layout.files(clique))
        if any(len(parts) != total for parts in self._counts):
            raise Refusal("an upload has not as many ciphertexts for scores as marginals need")

    def ask(
        self, number: int, candidates: Sequence[Candidate], rho: float
    ) -> tuple[Choice, Circuit]:
        """The request that chooses among candidates at a cost of at most ``rho``; takes entries."""
        choice = Choice.of(number, candidates, sigma_of(self._job, rho))
        draws = self._book.take(choice.sigma, len(choice.cliques))
        self._scales = self._book.scales(draws)
        return choice, circuit_of(self._job, choice.cliques, draws)

    def request(self, choice: Choice, circuit: Circuit, candidates: Sequence[Candidate]) -> bytes:
        """The request's bytes: distances and noise, each blinded, so that only sums decrypt."""
        scheme = self._public.scheme
        ciphertexts = [self._distance(candidate) for candidate in candidates]
        for term in circuit.terms[len(candidates) :]:
            level = next(n for n in self._noise if score_noise(n) == term.stream)
            held = [scheme.load(parts[term.ciphertext]) for parts in self._noise[level]]
            ciphertexts.append(scheme.add(held))
        blobs = [scheme.save(ct) for ct in blind(self._public, circuit, ciphertexts)]
        return Message(CHOOSE, choice.to_fields(self._job), tuple(blobs)).to_bytes()

    def record(self, run: Run, choice: Choice) -> None:
        """The same row as the key holder's, for what was asked last."""
        book_choice(run, self._job, choice, self._scales)

    def _distance(self, candidate: Candidate) -> Ciphertext:
        """The encrypted sum of squares of counts less estimates of one candidate."""
        clique = candidate.query.clique
        first, files = self._first[clique], self._layout.files(clique)
        scheme, scale = self._public.scheme, self._layout.scale
        counts = []
        for number in range(first, first + len(files)):
            held = [scheme.load(parts[number], scale=scale) for parts in self._counts]
            counts.append(scheme.add(held))
        estimate = self._layout.estimate(clique, candidate.estimate)
        return score(self._public, self._layout, clique, counts, estimate)


def book_choice(run: Run, job: Job, choice: Choice, others: Sequence[float]) -> Spend:
    """A choice's row in a ledger.

    Guarantee: zCDP of the noisy distances of all candidates, as one vector; who holds one part of
        the noise sees what the others hide.
    Sensitivity: see `score_ladder`.
    """
    return shared.record(
        run,
        f"squared distances of {len(choice.cliques)} candidates",
        own=own_scale(choice.sigma, others),
        others=others,
        cells=len(choice.cliques),
        l2_squared=l2_squared(job),
    )


def index_of(answer: bytes, choice: Choice) -> int:
    """The index that the key holder tells.

    Raises:
        Refusal: if it is none.
    """
    message = Message.from_bytes(answer, ANSWER)
    index = message.fields.get("index")
    if message.fields.get("number") != choice.number or type(index) is not int:
        raise Refusal(f"an answer to another request came for request {choice.number}")
    if not 0 <= index < len(choice.cliques):
        raise Refusal(f"request {choice.number}: the answer names no candidate")
    return index


def _parts(places: Sequence[tuple], name: str) -> list[tuple[bytes, ...]]:
    found = []
    for folder, manifest in places:
        if all(file.name != name for file in manifest.files):
            raise DataError(f"{manifest.identity[:16]} sent no {name}, which scores need")
        found.append(unpack_parts(manifest.bytes_of(folder, name)))
    return found
