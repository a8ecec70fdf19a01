"""The key holder: decrypts what a job plans, and nothing else; its ledger is the authority.

For every request, in this order: is it the next one, of a job that its data holders have signed;
are its ciphertexts those of the planned circuit, as many, as large, readable by a process that may
die of them; the spend is recorded; only then is anything decrypted; integers are exact, in range,
with the marks that the data holders gave them; the key holder's own noise is added; the answer is
on the disk before it is sent. The same request again gets the same bytes. Anything else gets one
sentence.

What it keeps is on the disk, so that it may stop anywhere and go on:

    ledger.db                      every release, before it happens, with its noise key
    decryptions                    how many ciphertexts were ever decrypted with this key
    jobs/<id>/job.json             what was agreed
    jobs/<id>/<holder>-*.json      the manifests that the data holders signed
    jobs/<id>/requests/, answers/  what was asked, before it was spent; what was answered
    jobs/<id>/broken               a request was not what it claims: nothing more is decrypted
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Self

import numpy as np

from mezzotint.encrypted.blinding import unblind
from mezzotint.encrypted.choices import CHOOSE
from mezzotint.encrypted.circuit import (
    CELLS,
    Circuit,
    Part,
    block_start,
    noise_stream,
)
from mezzotint.encrypted.holder import stream_name
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.judge import Judge
from mezzotint.encrypted.keys import KeyFolder
from mezzotint.encrypted.ladder import tail
from mezzotint.encrypted.manifest import Manifest, signed_by, write_atomic
from mezzotint.encrypted.marks import BLOCK, MARKS, Marker, blocks
from mezzotint.encrypted.parsing import Sandbox
from mezzotint.encrypted.pool import Book, own_scale
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.requests import (
    ANSWER,
    CLOSE,
    CLOSED,
    MEASURE,
    RECEIPT,
    REGISTER,
    Measure,
    pack_answers,
)
from mezzotint.encrypted.scheme import Scheme
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.encrypted.statements import signed_statement, statement_of
from mezzotint.encrypted.wire import Message, canonical
from mezzotint.errors import DataError, MezzotintError
from mezzotint.privacy import shared
from mezzotint.privacy.ledger import Ledger, Run, Spend, request_id
from mezzotint.privacy.noise import discrete_gaussian


@dataclass(frozen=True)
class Limits:
    """What the key holder puts up with.

    Attributes:
        message_bytes: the longest message.
        decryptions: ciphertexts that are ever decrypted with one key.
        jobs: jobs that are ever opened.
    """

    message_bytes: int = 1 << 28
    decryptions: int = 1_000_000
    jobs: int = 1000


class KeyHolder:
    """The role: `open` it on a key folder and a folder for its state; `close` it at the end."""

    def __init__(self, keys: KeyFolder, state: Path, ledger: Ledger, limits: Limits) -> None:
        self._keys = keys
        self._state = state
        self._ledger = ledger
        self._limits = limits
        self._lock = threading.RLock()
        self._desks: dict[str, _Desk] = {}
        self.sandbox = Sandbox()

    @classmethod
    def open(
        cls, keys: str | Path, state: str | Path, *, limits: Limits | None = None
    ) -> KeyHolder:
        """Take up the role where it was left.

        Raises:
            DataError: if the key folder is not in order.
            LedgerError: if the ledger cannot be trusted.
        """
        folder, state = KeyFolder.open(keys), Path(state)
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(folder, state, Ledger.open(state / "ledger.db"), limits or Limits())

    def open_job(self, registration: bytes) -> bytes:
        """Take a data holder's word for a job; the job begins when all of its holders have come.

        Returns:
            A receipt: its fields name the job, and whether it is ready.

        Raises:
            Refusal: if anything about it is not in order.
        """
        with self._lock, _refusing():
            message = Message.from_bytes(registration, REGISTER, self._limits.message_bytes)
            job, who, manifests = self._registered(message)
            folder = self._folder(job.id)
            if not folder.exists() and len(self._jobs()) >= self._limits.jobs:
                raise Refusal(f"there are {self._limits.jobs} jobs already")
            for kind, manifest in manifests.items():
                path = folder / f"{who[:16]}-{kind}.json"
                if path.exists() and path.read_bytes() != manifest.to_bytes():
                    raise Refusal(f"{who[:16]} comes with another {kind} for job {job.id[:16]}")
                write_atomic(path, manifest.to_bytes())
            write_atomic(folder / "job.json", job.to_bytes())
            ready = self._ready(job)
            return Message(RECEIPT, {"job": job.id, "ready": ready}).to_bytes()

    def answer(self, message: bytes) -> bytes:
        """Answer a provider.

        Raises:
            Refusal: whatever is wrong.
        """
        with self._lock, _refusing():
            asked = Message.from_bytes(message, limit=self._limits.message_bytes)
            desk = self._desk(str(asked.fields.get("job")))
            if asked.kind in (MEASURE, CHOOSE):
                return desk.answer(asked, message)
            if asked.kind == CLOSE:
                return desk.close()
            raise Refusal(f"a message of kind {asked.kind[:40]!r} is not for the key holder")

    def job(self, job_id: str) -> dict[str, Any]:
        """What may be shown of a job: plain JSON values, all public."""
        with self._lock, _refusing():
            return self._desk(job_id).to_json()

    def spend_decryptions(self, count: int) -> None:
        """Count decryptions before they happen."""
        path = self._state / "decryptions"
        so_far = int(path.read_text()) if path.exists() else 0
        if so_far + count > self._limits.decryptions:
            raise Refusal(f"{count} decryptions more than {so_far}: over the key's limit")
        write_atomic(path, str(so_far + count).encode())

    def close(self) -> None:
        """End the role for this process; nothing is lost."""
        self.sandbox.close()
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _registered(self, message: Message) -> tuple[Job, str, dict[str, Manifest]]:
        fields, blobs = message.fields, message.blobs
        who = str(fields.get("identity"))
        digests = [hashlib.sha256(blob).hexdigest() for blob in blobs]
        signed = canonical(
            {"register": {"job": fields.get("job"), "identity": who}, "blobs": digests}
        )
        proof = hmac.new(self._keys.invitation, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof, str(fields.get("proof"))):
            raise Refusal("a registration without this key holder's invitation")
        if not signed_by(who, str(fields.get("signature")), signed):
            raise Refusal(f"a registration that {who[:16]} did not sign")
        if not 2 <= len(blobs) <= 3:
            raise Refusal(f"a registration with {len(blobs)} documents")
        job = Job.from_bytes(blobs[0])
        if job.id != fields["job"] or job.keys != self._keys.public.id:
            raise Refusal(f"job {job.id[:16]} is for other keys, or not the one that was signed")
        if job.key_holder != self._keys.identity.public:
            raise Refusal(f"job {job.id[:16]} names another key holder")
        upload = Manifest.from_bytes(blobs[1], "upload")
        party = next((p for p in job.parties if p.identity == who), None)
        if party is None or upload.id != party.upload or upload.identity != who:
            raise Refusal(f"{who[:16]} is no data holder of job {job.id[:16]}")
        manifests = {"upload": upload}
        if bool(job.levels) != (len(blobs) == 3):
            raise Refusal(f"job {job.id[:16]}: noise is missing, or not asked for")
        if job.levels:
            pool = Manifest.from_bytes(blobs[2], "pool")
            if pool.identity != who or pool.facts.get("job") != job.id:
                raise Refusal(f"the noise of {who[:16]} is not for job {job.id[:16]}")
            manifests["pool"] = pool
        return job, who, manifests

    def _folder(self, job_id: str) -> Path:
        if len(job_id) != 64 or set(job_id) - set("0123456789abcdef"):
            raise Refusal("a job's id is no SHA-256")
        return self._state / "jobs" / job_id

    def _jobs(self) -> list[Path]:
        return list((self._state / "jobs").glob("*/job.json"))

    def _manifests(self, job: Job, kind: str) -> list[Manifest]:
        folder = self._folder(job.id)
        paths = [folder / f"{party.identity[:16]}-{kind}.json" for party in job.parties]
        return [Manifest.from_bytes(p.read_bytes(), kind) for p in paths if p.exists()]

    def _ready(self, job: Job) -> bool:
        kinds = ("upload", "pool") if job.levels else ("upload",)
        return all(len(self._manifests(job, kind)) == len(job.parties) for kind in kinds)

    def _desk(self, job_id: str) -> _Desk:
        if job_id not in self._desks:
            path = self._folder(job_id) / "job.json"
            if not path.exists():
                raise Refusal(f"job {job_id[:16]} is not known here")
            job = Job.from_bytes(path.read_bytes())
            if not self._ready(job):
                raise Refusal(f"job {job_id[:16]} waits for data holders")
            self._desks[job_id] = _Desk(self, job, self._folder(job_id))
        return self._desks[job_id]

    def secrets(self, preset: str) -> SecretKeys:
        """The secret key of a job's parameters."""
        return SecretKeys.load(preset, self._keys.secret(preset))

    def begin(self, job: Job) -> Run:
        """The job's run in the ledger, new or continued."""
        content = hashlib.sha256("".join(sorted(p.upload for p in job.parties)).encode()).digest()
        request = request_id(
            dataset=job.dataset,
            mechanism=job.mechanism,
            parameters={"job": job.id},
            nonce=job.nonce,
        )
        return self._ledger.begin(
            job.budget,
            mechanism=job.mechanism,
            dataset=job.dataset,
            fingerprint=content,
            request=request,
        )

    def marker(self, job: Job) -> Marker | None:
        """What checks marks, where there are any."""
        return Marker(self._keys.invitation, job.cells.preset.ring_bits) if job.integral else None

    def sign(self, job: Job, run: Run) -> bytes:
        """The signed statement of a job's run."""
        return signed_statement(job, statement_of(job, run), self._keys.identity)

    def nonces(self, job: Job, kind: str) -> list[tuple[str, str]]:
        """Identity and nonce of every data holder's streams."""
        return [(m.identity, str(m.facts["nonce"])) for m in self._manifests(job, kind)]


class _Desk:
    """One job at the key holder."""

    def __init__(self, owner: KeyHolder, job: Job, folder: Path) -> None:
        self._owner = owner
        self._job = job
        self._folder = folder
        self._secret = owner.secrets(job.preset)
        self._judge = Judge(job, owner.secrets(job.scores.preset.id)) if job.scored else None
        self._scheme = Scheme.of(job.preset)
        self._margin = job.fit.margin
        self._marker = owner.marker(job)
        self._book = Book(job.levels)
        self._run = owner.begin(job)
        self._next = 0
        self._totals: tuple[float, float] | None = None
        self._nonces = {kind: owner.nonces(job, kind) for kind in ("upload", "pool")}
        # What was answered before a restart: the same rows, read again at no cost.
        while self._path("answers", self._next).exists():
            message = Message.from_bytes(self._path("requests", self._next).read_bytes())
            if message.kind == CHOOSE:
                self._judging().open(message, self._next).spend(self._run)
            else:
                measure = Measure.from_fields(job, message.fields)
                self._spend(measure, self._circuit(measure, self._book))
            self._next += 1

    def answer(self, message: Message, data: bytes) -> bytes:
        """Answer a request for noisy counts, or for a choice."""
        if (self._folder / "broken").exists():
            raise Refusal(f"job {self._job.id[:16]} is broken")
        number = message.fields.get("number")
        if type(number) is not int or not 0 <= number < self._job.requests_at_most:
            raise Refusal("a request without a number")
        asked = self._path("requests", number)
        if asked.exists() and asked.read_bytes() != data:
            raise Refusal(f"request {number} comes again, and differs")
        if number < self._next:
            return self._path("answers", number).read_bytes()
        if number > self._next or (self._folder / "statement.json").exists():
            raise Refusal(f"request {number} comes where {self._next} is the next")
        sent = (
            self._chosen(message, data) if message.kind == CHOOSE else self._measured(message, data)
        )
        write_atomic(self._path("answers", number), sent)
        self._next += 1
        return sent

    def _measured(self, message: Message, data: bytes) -> bytes:
        measure = Measure.from_fields(self._job, message.fields)
        # A request that is refused before anything is decrypted uses no entries up.
        book = self._book.copy()
        circuit = self._circuit(measure, book)
        ciphertexts = self._admitted(measure.number, circuit, self._scheme, message.blobs)
        write_atomic(self._path("requests", measure.number), data)
        self._owner.spend_decryptions(len(ciphertexts))
        spends = self._spend(measure, circuit)
        self._book = book
        with self._breaking(measure.number):
            answers = self._decrypt(measure, circuit, ciphertexts, spends)
        fields = {"job": self._job.id, "number": measure.number}
        return Message(ANSWER, fields, pack_answers(answers)).to_bytes()

    def _chosen(self, message: Message, data: bytes) -> bytes:
        asked = self._judging().open(message, self._next)
        ciphertexts = self._admitted(self._next, asked.circuit, asked.scheme, message.blobs)
        write_atomic(self._path("requests", self._next), data)
        self._owner.spend_decryptions(len(ciphertexts))
        spend = asked.spend(self._run)
        with self._breaking(self._next):
            index = asked.decide(ciphertexts, spend)
        fields = {"job": self._job.id, "number": self._next, "index": index}
        return Message(ANSWER, fields).to_bytes()

    def _judging(self) -> Judge:
        if self._judge is None:
            raise Refusal(f"job {self._job.id[:16]} chooses by {self._job.selection}")
        return self._judge

    def _admitted(
        self, number: int, circuit: Circuit, scheme: Scheme, blobs: Sequence[bytes]
    ) -> list[Any]:
        """A request's ciphertexts: as many and as large as planned, and readable."""
        limit = scheme.preset.cells_bytes
        sizes = [len(blob) for blob in blobs]
        if len(sizes) != len(circuit.terms) or max(sizes, default=0) > limit:
            raise Refusal(
                f"request {number}: {len(sizes)} ciphertexts of {sum(sizes)} bytes, where "
                f"{len(circuit.terms)} of at most {limit} bytes each are planned"
            )
        self._owner.sandbox.check(scheme.preset.id, blobs)
        return [scheme.load(blob) for blob in blobs]

    @contextmanager
    def _breaking(self, number: int) -> Iterator[None]:
        """What is found wrong once decryption has begun ends the job for good."""
        try:
            yield
        except (Refusal, DataError) as error:
            write_atomic(self._folder / "broken", str(number).encode())
            reason = error.reason if isinstance(error, Refusal) else str(error)
            raise Refusal(f"job {self._job.id[:16]}, request {number}: {reason}") from None

    def close(self) -> bytes:
        """End the job; the statement is made once and kept."""
        path = self._folder / "statement.json"
        if not path.exists():
            self._run.close()
            write_atomic(path, self._owner.sign(self._job, self._run))
        return Message(CLOSED, {"job": self._job.id}, (path.read_bytes(),)).to_bytes()

    def to_json(self) -> dict[str, Any]:
        """What may be shown."""
        statement = statement_of(self._job, self._run).to_json()
        broken = (self._folder / "broken").exists()
        closed = (self._folder / "statement.json").exists()
        return {
            "job": self._job.id,
            "state": "broken" if broken else "closed" if closed else "open",
            "requests": self._next,
            "releases": len(statement["releases"]),
            "rho": statement["rho"],
            "epsilon_spent": statement["epsilon_spent"],
            "views": statement.get("views", []),
            "statement": statement,
        }

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / kind / f"{number:06d}.bin"

    def _circuit(self, measure: Measure, book: Book) -> Circuit:
        """The planned circuit; takes the entries of noise."""
        cliques = [query.clique for query in measure.queries]
        if not self._job.levels:
            return Circuit.of(self._job, cliques, [()] * len(cliques))
        draws = [book.take(measure.sigma, self._job.domain.cells(c)) for c in cliques]
        return Circuit.of(self._job, cliques, draws)

    def _spend(self, measure: Measure, circuit: Circuit) -> list[Spend]:
        spends = []
        for query, part in zip(measure.queries, circuit.parts, strict=True):
            about = f"counts of {query}"
            others = self._book.scales(part.draws)
            if others:
                own = own_scale(measure.sigma, others)
                spends.append(
                    shared.record(self._run, about, own=own, others=others, cells=part.cells)
                )
            else:
                spends.append(self._run.gaussian(about, measure.sigma))
        return spends

    def _decrypt(
        self,
        measure: Measure,
        circuit: Circuit,
        ciphertexts: Sequence[Any],
        spends: Sequence[Spend],
    ) -> list[np.ndarray]:
        decoded = [
            self._secret.decode(ciphertext, term.coefficients, margin=self._margin)
            for ciphertext, term in zip(ciphertexts, circuit.terms, strict=True)
        ]
        outputs = unblind(circuit, decoded, self._scheme.preset)
        answers = []
        for query, part, spend in zip(measure.queries, circuit.parts, spends, strict=True):
            self._check(part, outputs)
            counts = outputs[part.start : part.start + part.cells]
            counts = query.project(counts.reshape(self._job.domain.shape(part.clique)))
            answers.append(counts + self._noise(spend, counts.size).reshape(counts.shape))
        return answers

    @staticmethod
    def _noise(spend: Spend, size: int) -> np.ndarray:
        if spend.release.kind == shared.KIND:
            return shared.own_share(spend, size)
        return discrete_gaussian(spend, size)

    def _check(self, part: Part, outputs: np.ndarray) -> None:
        """The public invariants of what was decrypted: range, marks, totals."""
        values = outputs[part.start : part.start + part.cells]
        scales = self._book.scales(part.draws)
        reach = sum(map(tail, scales)) * max(1, len(self._job.parties))
        if values.min() < -reach or values.max() > self._job.rows_at_most + reach:
            raise Refusal(f"{'x'.join(part.clique)}: a value is out of range")
        if self._marker is not None and not self._marked(part, outputs):
            raise Refusal(f"{'x'.join(part.clique)}: the marks are wrong")
        # Marginals of one table have one total: 12 standard deviations are never reached by chance.
        total = float(values.sum())
        variance = part.cells * sum(scale * scale for scale in scales)
        if self._totals is None:
            self._totals = total, variance
        elif abs(total - self._totals[0]) > 1 + 12 * sqrt(variance + self._totals[1]):
            raise Refusal(f"{'x'.join(part.clique)}: the total is not the others'")

    def _marked(self, part: Part, outputs: np.ndarray) -> bool:
        assert self._marker is not None
        count = blocks(part.cells)
        once = np.zeros((count, MARKS), np.int64)
        first = block_start(self._job, part.clique)
        for identity, nonce in self._nonces["upload"]:
            stream = self._marker.once(stream_name(identity, nonce, CELLS), first + count)
            once += stream[first:]
        for draw in part.draws:
            start = draw.start // BLOCK
            for identity, nonce in self._nonces["pool"]:
                name = stream_name(identity, nonce, noise_stream(draw.level))
                once += self._marker.once(name, start + count)[start:]
        values = outputs[part.start : part.start + part.whole].copy()
        marks = outputs[part.marks : part.marks + MARKS * count]
        return self._marker.right(values, marks, once)


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever a request provokes becomes a refusal; bugs and full disks are not hidden."""
    try:
        yield
    except Refusal:
        raise
    except MezzotintError as error:
        raise Refusal(f"{type(error).__name__}: {error}") from None
