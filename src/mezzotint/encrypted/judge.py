"""The key holder's part of choosing by squared distances: noisy sums in, one index out.

What decrypts is each candidate's squared distance with the data holders' noise on it; see
`choices` for why that is paid for as a vector. Products carry no marks: that they are the planned
ones is found only where a value is out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mezzotint.encrypted.blinding import unblind
from mezzotint.encrypted.choices import Choice, circuit_of
from mezzotint.encrypted.circuit import Circuit
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.ladder import tail
from mezzotint.encrypted.pool import MOST_SUMMANDS, Book
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.scheme import Scheme
from mezzotint.encrypted.scoring import book_choice
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.encrypted.wire import Message
from mezzotint.privacy import shared
from mezzotint.privacy.ledger import Run, Spend


class Judge:
    """Decides a job's choices.

    Args:
        job: the job.
        secret: the secret key of the parameters for scores.
    """

    def __init__(self, job: Job, secret: SecretKeys) -> None:
        self.job = job
        self.secret = secret
        self.scheme = Scheme.of(secret.preset)
        self.book = Book(job.score_levels)
        widest = max(level.sigma for level in job.score_levels)
        self.margin = job.scores.fit(MOST_SUMMANDS * tail(widest)).margin

    def open(self, message: Message, number: int) -> Case:
        """A request, read and planned; uses no entries up before it is booked.

        Raises:
            Refusal: if it cannot be meant.
        """
        choice = Choice.from_fields(self.job, message.fields)
        if choice.number != number:
            raise Refusal(f"request {choice.number} comes where {number} is the next")
        return Case(self, choice)


class Case:
    """One choice at the key holder."""

    def __init__(self, judge: Judge, choice: Choice) -> None:
        self._judge = judge
        self._choice = choice
        self._book = judge.book.copy()
        draws = self._book.take(choice.sigma, len(choice.cliques))
        self._others = self._book.scales(draws)
        self.scheme = judge.scheme
        self.circuit: Circuit = circuit_of(judge.job, choice.cliques, draws)

    def spend(self, run: Run) -> Spend:
        """Books the choice, and the entries of noise that it takes."""
        self._judge.book = self._book
        return book_choice(run, self._judge.job, self._choice, self._others)

    def decide(self, ciphertexts: Sequence[Any], spend: Spend) -> int:
        """The index of the highest noisy score.

        Raises:
            Refusal: a distance is out of range.
            DataError: a ciphertext does not decrypt to whole numbers.
        """
        judge = self._judge
        decoded = [
            judge.secret.decode(ciphertext, term.coefficients, margin=judge.margin)
            for ciphertext, term in zip(ciphertexts, self.circuit.terms, strict=True)
        ]
        distances = unblind(self.circuit, decoded, judge.scheme.preset)
        reach = sum(map(tail, self._others)) * len(judge.job.parties)
        most = (2 * judge.job.rows_at_most) ** 2
        if distances.min() < -reach or distances.max() > most + reach:
            raise Refusal("a squared distance is out of range")
        return self._choice.best(distances + shared.own_share(spend, len(distances)))
