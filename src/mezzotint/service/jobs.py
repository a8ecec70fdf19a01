"""A provider's jobs, on disk.

    STORE/tokens.json              hashes of tokens
    STORE/jobs/ID/part-N.json      what one client declared to send
    STORE/jobs/ID/files/           what has arrived, and the work: a job folder of the protocol
    STORE/jobs/ID/files.part-N     a marker: everything of that part has arrived
    STORE/jobs/ID/start.json       the key holder's address and the token for it; owner only
    STORE/jobs/ID/progress.json    how far it is
    STORE/jobs/ID/outcome.json     written last: how it ended

A job's state is which of these files stand; so a service that was killed at any moment finds its
jobs as they are. Work is done by a child process of its own (`mezzotint.service.work`), which ends
when the service does, and is started again with it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mezzotint.service.files import private_folder, write_private
from mezzotint.service.limits import Limits
from mezzotint.service.logs import Log
from mezzotint.service.refusals import HinderedError, Obstacle, RefusedError
from mezzotint.service.requests import kept_request, read_request
from mezzotint.service.uploads import Upload, check_declared

_LATER = 75
_ATTEMPTS = 3
_SECONDS_BETWEEN = 1.0


class State(StrEnum):
    """Where a job stands."""

    RECEIVING = "receiving"
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        state: done or failed.
        message: why it failed; for its owner, from a fixed set of sentences about public facts.
        facts: what it cost: seconds, bytes, memory.
    """

    state: State
    message: str = ""
    facts: dict[str, Any] | None = None


class JobFolder:
    """One job's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    def part(self, number: int) -> Path:
        """What a client declared."""
        return self.path / f"part-{number}.json"

    @property
    def files(self) -> Path:
        """What has arrived, and the work."""
        return self.path / "files"

    @property
    def start(self) -> Path:
        """Where the key holder is."""
        return self.path / "start.json"

    @property
    def progress(self) -> Path:
        """How far it is."""
        return self.path / "progress.json"

    @property
    def model(self) -> Path:
        """The result."""
        return self.files / "model.mezzo"

    @property
    def parts(self) -> int:
        """How many clients send."""
        return kept_request(self.part(0)).parts

    def upload(self, number: int) -> Upload:
        """A client's upload.

        Raises:
            RefusedError: if it has not been declared.
        """
        try:
            files = kept_request(self.part(number)).files
        except FileNotFoundError:
            raise RefusedError(f"job {self.id}: part {number} is not declared") from None
        return Upload(self.files, files, marker=f"part-{number}")

    @property
    def arrived(self) -> bool:
        """Whether all parts are complete."""
        numbers = range(self.parts)
        return all(self.part(n).exists() and self.upload(n).is_complete for n in numbers)

    @property
    def declared(self) -> int:
        """Bytes of all parts that have been declared."""
        found = self.path.glob("part-*.json")
        return sum(f.size for path in found for f in kept_request(path).files.values())

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it has not."""
        try:
            read = json.loads((self.path / "outcome.json").read_text())
        except FileNotFoundError:
            return None
        return Outcome(State(read["state"]), read["message"], read["facts"])

    def end(self, outcome: Outcome) -> None:
        """Write how it ended; the last thing that is written."""
        write_private(self.path / "outcome.json", json.dumps(asdict(outcome)).encode())

    @property
    def started(self) -> bool:
        """Whether its owner has started it, and everything is there."""
        return self.start.exists() and self.arrived


class Jobs:
    """All jobs of one provider.

    Args:
        store: the folder that holds them.
        limits: how many there may be, and how large.
        log: takes events.
    """

    def __init__(self, store: Path, limits: Limits, log: Log) -> None:
        self.store = private_folder(store)
        self._folder = private_folder(store / "jobs")
        self._limits = limits
        self._log = log
        self._changing = threading.Lock()
        self._wanted = threading.Condition()
        self._child: tuple[str, subprocess.Popen[bytes]] | None = None
        self._ending = False
        self._thread: threading.Thread | None = None

    def create(self, request: bytes) -> JobFolder:
        """A new job, if there is room for it and for the bytes that it declares.

        Raises:
            RefusedError: if the declaration is malformed.
            HinderedError: if there is no room.
        """
        declared = read_request(request)
        size = check_declared(declared.files, self._limits)
        with self._changing:
            self._drop_idle()
            held = self.all()
            if len(held) >= self._limits.jobs:
                raise HinderedError(Obstacle.FULL)
            self._require_room(held, size)
            job = JobFolder(self._folder / secrets.token_hex(16))
            # Made under another name first: a job that stands has its declaration.
            draft = private_folder(self._folder / f".{job.id}")
            write_private(draft / job.part(0).name, request)
            draft.replace(job.path)
        self._log("created", job=job.id, bytes=size, files=len(declared.files))
        return job

    def join(self, job: JobFolder, number: int, request: bytes) -> None:
        """Another client's part; saying the same again changes nothing.

        Raises:
            RefusedError: if the declaration is malformed, is another one than before, or names a
                file of somebody else's.
            HinderedError: if there is no room, or the job has begun.
        """
        declared = read_request(request)
        size = check_declared(declared.files, self._limits)
        with self._changing:
            if job.part(number).exists():
                if job.part(number).read_bytes() != request:
                    raise RefusedError(f"job {job.id}: part {number} is declared anew")
                return
            if not 0 < number < job.parts:
                raise RefusedError(f"job {job.id}: it has no part {number}")
            for other in range(job.parts):
                if job.part(other).exists():
                    taken = kept_request(job.part(other)).files
                    if not taken.keys().isdisjoint(declared.files):
                        raise RefusedError(f"job {job.id}: part {number} names others' files")
            self._require_room(self.all(), size)
            write_private(job.part(number), request)
        self._log("joined", job=job.id, part=number, bytes=size, files=len(declared.files))

    def find(self, name: str) -> JobFolder:
        """A job by its id, spelt like one.

        Raises:
            RefusedError: if there is none.
        """
        job = JobFolder(self._folder / name)
        if not job.part(0).exists():
            raise RefusedError(f"job {name}: there is none")
        return job

    def all(self) -> list[JobFolder]:
        """Every job that stands, the oldest first."""
        found = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        return [JobFolder(path) for path in sorted(found, key=lambda p: p.stat().st_mtime)]

    def state(self, job: JobFolder) -> State:
        """Where a job stands."""
        if outcome := job.outcome:
            return outcome.state
        if not job.started:
            return State.RECEIVING
        child = self._child
        return State.WORKING if child is not None and child[0] == job.id else State.WAITING

    def delete(self, job: JobFolder) -> None:
        """Remove a job with all that was uploaded for it."""
        with self._changing:
            gone = self._folder / f".gone-{job.id}"
            job.path.replace(gone)
        child = self._child
        if child is not None and child[0] == job.id:
            child[1].kill()
        shutil.rmtree(gone, ignore_errors=True)
        self._log("deleted", job=job.id)

    def run(self) -> None:
        """Begin to work, in a thread of its own; jobs that were started before go on."""
        for path in self._folder.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Somebody has started a job."""
        with self._wanted:
            self._wanted.notify_all()

    def end(self) -> None:
        """Stop working; what has been started goes on with the next service."""
        self._ending = True
        self.wake()
        child = self._child
        if child is not None:
            child[1].kill()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _work(self) -> None:
        failures: dict[str, int] = {}
        while not self._ending:
            waiting = [job for job in self.all() if job.started and job.outcome is None]
            if not waiting:
                with self._wanted:
                    self._wanted.wait(timeout=1.0)
                continue
            waiting.sort(key=lambda job: job.start.stat().st_mtime)
            job = waiting[0]
            code = self._run_child(job)
            if self._ending or job.outcome is not None or not job.path.exists():
                continue
            if code == _LATER:
                time.sleep(_SECONDS_BETWEEN)
                continue
            failures[job.id] = failures.get(job.id, 0) + 1
            self._log("worker-ended", job=job.id, code=code, times=failures[job.id])
            if failures[job.id] >= _ATTEMPTS:
                job.end(Outcome(State.FAILED, "the work failed several times; see the service log"))
            time.sleep(_SECONDS_BETWEEN)

    def _run_child(self, job: JobFolder) -> int:
        """One attempt. The child ends when its stdin does, so it never outlives the service."""
        command = [sys.executable, "-m", "mezzotint.service.work", str(job.path)]
        self._log("working", job=job.id)
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:  # noqa: S603
            self._child = (job.id, child)
            if self._ending:
                child.kill()
            code = child.wait()
        self._child = None
        outcome = job.outcome
        if outcome is not None:
            self._log(outcome.state.value, job=job.id)
        return code

    def _require_room(self, held: list[JobFolder], size: int) -> None:
        taken = sum(job.declared for job in held)
        # Work takes about as much again as what was uploaded.
        if taken + size > self._limits.store or shutil.disk_usage(self.store).free < 2 * size:
            raise HinderedError(Obstacle.FULL)

    def _drop_idle(self) -> None:
        """Remove uploads that nobody went on with."""
        oldest = time.time() - 3600 * self._limits.idle_hours
        for job in self.all():
            touched = max(path.stat().st_mtime for path in (job.path, *job.path.rglob("*")))
            if not job.started and touched < oldest:
                shutil.rmtree(job.path, ignore_errors=True)
                self._log("dropped", job=job.id)
