"""The provider: works on ciphertexts and on noisy answers, and can decrypt nothing.

    job.json                      what was agreed
    keys/                         the key holder's public keys
    uploads/<holder>/, pools/<holder>/   what the data holders sent, each with its manifest
    blocks/                       products, one file for each finished block
    outbox/, answers/             requests before they were sent; what the key holder said
    ledger.db                     the releases, as the provider saw them
    model.mezzo                   the result

Every step leaves a file, whole or not at all. `run` may be killed anywhere and called again: what
has been answered is not asked again, what has been asked is sent again byte for byte, and the
mechanism, which is deterministic given the answers, comes to where it was.

This module must not import decryption; an import contract says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Protocol

import numpy as np

from mezzotint.encrypted import workers
from mezzotint.encrypted.blinding import blind
from mezzotint.encrypted.choices import SCORES
from mezzotint.encrypted.circuit import CELLS, Circuit, Term
from mezzotint.encrypted.curator import EncryptedCurator
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.manifest import Manifest, write_atomic
from mezzotint.encrypted.parsing import Sandbox
from mezzotint.encrypted.pool import Book, own_scale
from mezzotint.encrypted.public_folder import Progress, PublicFolder, silent
from mezzotint.encrypted.record_layout import RecordsLayout
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.requests import ANSWER, CLOSE, CLOSED, MEASURE, Measure, unpack_answers
from mezzotint.encrypted.scheme import Ciphertext, Public, Scheme
from mezzotint.encrypted.scoring import Scorer, index_of
from mezzotint.encrypted.statements import verified_statement
from mezzotint.encrypted.wire import Message, unpack_parts
from mezzotint.errors import MezzotintError, ParameterError
from mezzotint.privacy import shared
from mezzotint.privacy.ledger import Ledger, Run, request_id
from mezzotint.privacy.statement import Statement
from mezzotint.tables.curator import Candidate
from mezzotint.tables.domain import Clique
from mezzotint.tables.fitted import FittedTable
from mezzotint.tables.graphical import Query

_ATTEMPTS = 50


class ChannelError(MezzotintError):
    """The key holder cannot be reached; nothing is lost, and the job can be run again."""


class KeyHolderPort(Protocol):
    """How the provider reaches the key holder."""

    def exchange(self, message: bytes) -> bytes:
        """Send a request and wait for the answer.

        Raises:
            Refusal: the key holder refuses.
            ChannelError: it cannot be reached.
        """
        ...


@dataclass(frozen=True)
class JobState:
    """How far a job is. Public.

    Attributes:
        stage: "new", "checked", "measuring" or "done".
        requests: how many the key holder has answered.
    """

    stage: str
    requests: int


class ProviderJob:
    """One job at the provider; its state is its folder."""

    def __init__(self, folder: Path, job: Job, processes: int | None) -> None:
        self.folder = folder
        self.job = job
        self.processes = processes

    @classmethod
    def open(cls, folder: str | Path, *, processes: int | None = None) -> ProviderJob:
        """Take up a job.

        Args:
            folder: its folder.
            processes: how many multiply; by default one for each core.

        Raises:
            Refusal: if there is none, or it cannot be meant.
        """
        folder = Path(folder)
        try:
            data = (folder / "job.json").read_bytes()
        except OSError as error:
            raise Refusal(f"{folder.name} holds no job ({error.strerror})") from None
        return cls(folder, Job.from_bytes(data), processes)

    @property
    def state(self) -> JobState:
        """How far it is."""
        answered = len(list((self.folder / "answers").glob("*.bin")))
        if (self.folder / "model.mezzo").exists():
            return JobState("done", answered)
        if answered:
            return JobState("measuring", answered)
        return JobState("checked" if (self.folder / "checked").exists() else "new", 0)

    def run(self, port: KeyHolderPort, progress: Progress = silent) -> FittedTable:
        """Do what is left to do; returns the released model.

        Guarantee: the key holder's ledger holds every release before it happens; its statement,
            signed, goes into the model.
        Private and public: all that is here is encrypted, or public.

        Raises:
            Refusal: an upload is not what was signed, or the key holder refuses.
            ChannelError: the key holder cannot be reached.
            BudgetError: the pool of noise is exhausted.
        """
        self._verify(progress)
        self._multiply(progress)
        synthesizer = self.job.synthesizer
        with Ledger.open(self.folder / "ledger.db") as ledger:
            run = self._begin(ledger)
            desk = Desk(self, port, run, progress)
            curator = EncryptedCurator(self.job, desk)
            model = synthesizer.release(
                curator,
                self.job.schema.zeros(),
                lambda share: progress("measuring", round(1000 * share), 1000),
            )
            statement = desk.finish()
            run.close()
        fitted = FittedTable(self.job.schema, model, statement)
        fitted.save(self.folder / "model.mezzo")
        progress("done", 1, 1)
        return fitted

    def public(self, preset: str | None = None) -> Public:
        """A scheme of the job's, by default that of its cells, with the key holder's public keys.

        Raises:
            Refusal: if they are not the ones that the job names.
        """
        folder = PublicFolder.open(self.folder / "keys")
        if folder.id != self.job.keys:
            raise Refusal("the public keys are not the ones that the job names")
        preset = preset or self.job.preset
        return Scheme.of(preset).with_keys(folder.keys(preset))

    def uploads(self) -> list[tuple[Path, Manifest]]:
        """The data holders' uploads, as the job names them."""
        return [self._part("uploads", "upload", p.identity, p.upload) for p in self.job.parties]

    def pools(self) -> list[tuple[Path, Manifest]]:
        """The data holders' noise."""
        return [self._part("pools", "pool", p.identity, None) for p in self.job.parties]

    def _part(
        self, place: str, kind: str, identity: str, name: str | None
    ) -> tuple[Path, Manifest]:
        folder = self.folder / place / identity[:16]
        manifest = Manifest.read(folder, kind)
        if manifest.identity != identity or (name is not None and manifest.id != name):
            raise Refusal(f"the {kind} of {identity[:16]} is not the one that the job names")
        if kind == "pool" and manifest.facts.get("job") != self.job.id:
            raise Refusal(f"the noise of {identity[:16]} is for another job")
        return folder, manifest

    def _verify(self, progress: Progress) -> None:
        """Signatures, sizes and digests first; then every ciphertext in a child process."""
        if (self.folder / "checked").exists():
            return
        self.public()
        parts = [*self.uploads(), *(self.pools() if self.job.levels else [])]
        files = [(folder, manifest, file) for folder, manifest in parts for file in manifest.files]
        with Sandbox() as sandbox:
            for number, (folder, manifest, file) in enumerate(files):
                progress("checking uploads", number, len(files))
                data = manifest.bytes_of(folder, file.name)
                # Records are read by the workers, which are children as well.
                if file.name.endswith(".bin"):
                    preset, scale = self._kind(file.name)
                    sandbox.check(preset, unpack_parts(data), scale=scale)
        write_atomic(self.folder / "checked", b"")

    def _kind(self, name: str) -> tuple[str, float | None]:
        """The parameters of a file's ciphertexts, and the scale of those that are multiplied."""
        if SCORES not in name:
            return self.job.preset, None
        layout = self.job.scores
        return layout.preset.id, layout.scale if name == f"{SCORES}.bin" else None

    def _multiply(self, progress: Progress) -> None:
        """Layout "records": the cells from the rows, block by block, in processes of their own."""
        layout = self.job.cells
        if not isinstance(layout, RecordsLayout):
            return
        public = PublicFolder.open(self.folder / "keys").keys(self.job.preset)
        work = workers.Job(layout, public, self._rows(layout), self.folder / "blocks")
        workers.run_units(
            work,
            workers=self.processes,
            progress=lambda done, of: progress("multiplying", done, of),
        )

    def _rows(self, layout: RecordsLayout) -> dict[tuple[int, int], Path]:
        """Where each holder's rows are."""
        places = {}
        for number, (folder, _) in enumerate(self.uploads()):
            share = 0
            if self.job.shares is not None:
                share = layout.shares.index(self.job.parties[number].attributes)
            places[0 if self.job.shares else number, share] = folder / "records"
        return places

    def _begin(self, ledger: Ledger) -> Run:
        request = request_id(
            dataset=self.job.dataset,
            mechanism=self.job.mechanism,
            parameters={"job": self.job.id},
            nonce=self.job.nonce,
        )
        return ledger.begin(
            self.job.budget,
            mechanism=self.job.mechanism,
            dataset=self.job.dataset,
            fingerprint=bytes.fromhex(self.job.id),
            request=request,
        )


class Desk:
    """The provider's dealings with the key holder about one job."""

    def __init__(
        self, owner: ProviderJob, port: KeyHolderPort, run: Run, progress: Progress
    ) -> None:
        self._owner = owner
        self._job = owner.job
        self._port = port
        self._run = run
        self._progress = progress
        self._book = Book(self._job.levels)
        self._number = 0
        self._streams = Streams(owner)
        self._scorer = Scorer(owner) if self._job.scored else None

    @property
    def remaining_rho(self) -> float:
        """The zCDP that is not spent yet, by the provider's own book of the key holder's rows."""
        return self._run.remaining_rho

    def measure(self, queries: Sequence[Query], sigma: float) -> tuple[list[np.ndarray], float]:
        """Noisy answers from the key holder, or from what it said before a restart.

        Returns:
            The answers, and the scale of their noise: ``sigma``, or a little more where sums of
            shares cost more than one Gaussian would, or where stocks end.
        """
        cliques = [query.clique for query in queries]
        levels = self._job.levels
        if levels:
            sigma = self._affordable(sigma, cliques)
        measure = Measure(self._number, tuple(queries), sigma)
        draws = [
            self._book.take(sigma, self._job.domain.cells(c)) if levels else () for c in cliques
        ]
        circuit = Circuit.of(self._job, cliques, draws)
        said = self._said(lambda: self._request(measure, circuit))
        message = Message.from_bytes(said, ANSWER)
        if message.fields.get("number") != self._number:
            raise Refusal(f"an answer to another request came for request {self._number}")
        answers = unpack_answers(self._job, measure, message.blobs)
        self._record(measure, circuit)
        self._number += 1
        return answers, sigma

    def choose(self, candidates: Sequence[Candidate], epsilon: float) -> int:
        """The index of a candidate that is far from the estimate, by noisy squared distances.

        Guarantee: at most epsilon^2 / 8 zCDP, which is what a mechanism plans for a choice.
        """
        if self._scorer is None:
            raise ParameterError(
                f"selection {self._job.selection!r} has no scores under encryption"
            )
        scorer = self._scorer
        choice, circuit = scorer.ask(self._number, candidates, epsilon**2 / 8)
        said = self._said(lambda: scorer.request(choice, circuit, candidates))
        index = index_of(said, choice)
        scorer.record(self._run, choice)
        self._number += 1
        return index

    def _said(self, request: Callable[[], bytes]) -> bytes:
        """The answer to a request: the one that came before a restart, or a new one.

        The request's bytes are kept before they go, and are those of an earlier attempt if there
        was one.
        """
        asked = self._owner.folder / "outbox" / f"{self._number:06d}.bin"
        said = self._owner.folder / "answers" / f"{self._number:06d}.bin"
        if not said.exists():
            if not asked.exists():
                write_atomic(asked, request())
            answer = self._port.exchange(asked.read_bytes())
            Message.from_bytes(answer, ANSWER)
            write_atomic(said, answer)
        return said.read_bytes()

    def _affordable(self, sigma: float, cliques: Sequence[Clique]) -> float:
        """The least scale that costs no more than one Gaussian of scale ``sigma`` would."""
        unit = self._job.budget.unit.l2_squared
        sigma = max(sigma, self._job.least_sigma)
        price = unit / (2 * sigma**2)
        sizes = [self._job.domain.cells(clique) for clique in cliques]
        cells = max(sizes)
        for _ in range(_ATTEMPTS):
            scales = [self._book.levels[n].sigma for n in self._book.choose(sigma, cells)]
            own = own_scale(sigma, scales)
            excess = float(shared.excess((own, *scales), cells))
            needed = sqrt(unit / (2 * (price - excess))) if excess < price / 2 else 2 * sigma
            if needed <= sigma:
                break
            sigma = needed * (1 + 1e-12)
        return sigma

    def finish(self) -> Statement:
        """End the job at the key holder; its statement, verified."""
        message = Message(CLOSE, {"job": self._job.id}).to_bytes()
        closed = Message.from_bytes(self._port.exchange(message), CLOSED)
        if len(closed.blobs) != 1:
            raise Refusal("a job was closed without a statement")
        write_atomic(self._owner.folder / "statement.json", closed.blobs[0])
        return verified_statement(self._job, closed.blobs[0])

    def _request(self, measure: Measure, circuit: Circuit) -> bytes:
        public = self._streams.public
        sums = [self._streams.sum(term) for term in circuit.terms]
        blobs = [public.scheme.save(ct) for ct in blind(public, circuit, sums)]
        return Message(MEASURE, measure.to_fields(self._job), tuple(blobs)).to_bytes()

    def _record(self, measure: Measure, circuit: Circuit) -> None:
        """The same rows as the key holder's; nothing is drawn from them here."""
        for query, part in zip(measure.queries, circuit.parts, strict=True):
            others = self._book.scales(part.draws)
            if not others:
                self._run.gaussian(f"counts of {query}", measure.sigma)
                continue
            own = own_scale(measure.sigma, others)
            about = f"counts of {query}"
            shared.record(self._run, about, own=own, others=others, cells=part.cells)


class Streams:
    """The data holders' ciphertexts by stream and number, summed over holders of other rows."""

    def __init__(self, owner: ProviderJob) -> None:
        self._owner = owner
        self._parts: dict[str, list[tuple[bytes, ...]]] = {}
        self.public = owner.public()

    def sum(self, term: Term) -> Ciphertext:
        """The ciphertext of a term."""
        if term.stream == CELLS and isinstance(self._owner.job.cells, RecordsLayout):
            path = self._owner.folder / "blocks" / f"cells-{term.ciphertext:05d}.ct"
            return self.public.scheme.load(path)
        held = self._held(term.stream)
        ciphertexts = [self.public.scheme.load(parts[term.ciphertext]) for parts in held]
        return ciphertexts[0] if len(ciphertexts) == 1 else self.public.scheme.add(ciphertexts)

    def _held(self, stream: str) -> list[tuple[bytes, ...]]:
        if stream not in self._parts:
            noise = stream.startswith("noise-")
            places = self._owner.pools() if noise else self._owner.uploads()
            self._parts[stream] = [
                unpack_parts(manifest.bytes_of(folder, f"{stream}.bin"))
                for folder, manifest in places
            ]
        return self._parts[stream]
