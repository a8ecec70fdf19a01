"""Units of work over a folder of uploads: several processes, each result a file, resumable.

A finished unit is a file that appears whole or not at all; what is there already is not computed
again. The library parses foreign bytes in the worker processes only: one that dies takes no other
down, and the job says which it was.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.encrypted.products import Unit, run_unit, units
from mezzotint.encrypted.record_layout import RecordFile, RecordsLayout
from mezzotint.encrypted.scheme import Ciphertext, PublicKeys, Scheme
from mezzotint.errors import DataError, MezzotintError

MEMORY_BYTES = 4 * 10**9
"""What all worker processes together may take, by default."""

_POLL_SECONDS = 0.05
_PROCESS_BYTES = 10**8


@dataclass(frozen=True)
class Job:
    """What a worker needs, all of it public or encrypted.

    Attributes:
        layout: which cells, from which files.
        keys: public and evaluation keys.
        folders: (row part, share of the columns) -> folder of that holder's upload.
        results: folder for the ciphertexts of cells.
    """

    layout: RecordsLayout
    keys: PublicKeys
    folders: Mapping[tuple[int, int], Path]
    results: Path

    def upload(self, file: RecordFile) -> Path:
        """Where a file of an upload lies, by the name that its holder gave it."""
        part, share, local = self.layout.local(file)
        return self.folders[part, share] / f"{local.name}.ct"

    def result(self, unit: Unit) -> Path:
        """Where a unit's result lies once it is done."""
        return self.results / f"cells-{unit.number:05d}.ct"

    def pending(self) -> list[Unit]:
        """The units that are not done."""
        return [unit for unit in units(self.layout) if not self.result(unit).exists()]


class FolderUploads:
    """The uploads of a job, read and checked once each and then kept."""

    def __init__(self, job: Job, scheme: Scheme) -> None:
        self._job, self._scheme = job, scheme
        self._kept: dict[RecordFile, Ciphertext] = {}

    def __call__(self, file: RecordFile) -> Ciphertext:
        """The ciphertext of a file.

        Raises:
            DataError: It is missing, damaged or of another job.
        """
        if file not in self._kept:
            path = self._job.upload(file)
            try:
                self._kept[file] = self._scheme.load(path, scale=self._job.layout.scale)
            except (DataError, OSError) as error:
                raise DataError(f"{path.name}: {error} Upload it again.") from error
        return self._kept[file]


def processes(
    pending: list[Unit], *, workers: int | None = None, memory_bytes: int = MEMORY_BYTES
) -> int:
    """How many processes to share units among: no more than cores, units, or memory for uploads."""
    if not pending:
        return 0
    if workers is None:
        has_affinity = hasattr(os, "sched_getaffinity")
        workers = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    room = memory_bytes // (_PROCESS_BYTES + max(unit.memory for unit in pending))
    return max(1, min(workers, len(pending), room))


def run_units(
    job: Job,
    *,
    workers: int | None = None,
    memory_bytes: int = MEMORY_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Do what is not done yet, and give the files of all ciphertexts of cells, in order.

    Args:
        job: the job.
        workers: processes; none: one for each core that this process may use.
        memory_bytes: fewer processes where they would take more; each keeps its own uploads.
        progress: told how many accumulators are done and how many there are in all.

    Raises:
        DataError: An upload or a key cannot be read.
        MezzotintError: A worker died; finished units are kept.
    """
    job.results.mkdir(parents=True, exist_ok=True)
    pending, total = job.pending(), job.layout.accumulators
    before = total - sum(unit.stop - unit.first for unit in pending)
    count = processes(pending, workers=workers, memory_bytes=memory_bytes)
    context = multiprocessing.get_context("spawn")
    shared = _Shared(
        context.Value("q", 0), context.Array("q", max(count, 1)), context.SimpleQueue()
    )
    team = [
        context.Process(target=_work, args=(job, pending, shared, index), daemon=True)
        for index in range(count)
    ]
    try:
        for process in team:
            process.start()
        while any(process.is_alive() for process in team):
            time.sleep(_POLL_SECONDS)
            if progress is not None:
                progress(before + sum(shared.done), total)
            if not shared.errors.empty() or any(process.exitcode for process in team):
                break
        if not shared.errors.empty():
            raise DataError(shared.errors.get())
        if any(process.exitcode for process in team):
            raise MezzotintError(
                f"a worker of the provider died with status "
                f"{next(p.exitcode for p in team if p.exitcode)}, for want of memory "
                "perhaps. Finished blocks are kept: start again to go on, with fewer workers."
            )
    finally:
        for process in team:
            if process.is_alive():
                process.terminate()
            if process.pid is not None:
                process.join()
    return [job.result(unit) for unit in units(job.layout)]


@dataclass(frozen=True)
class _Shared:
    """What processes share: the next unit's number, accumulators done by each, messages."""

    following: Any
    done: Any
    errors: Any


def _work(job: Job, pending: list[Unit], shared: _Shared, index: int) -> None:
    """A worker: take the next unit until there is none, or the parent is gone."""
    parent = os.getppid()

    def progress(finished: int) -> None:
        shared.done[index] = base + finished
        if os.getppid() != parent:
            os._exit(1)

    try:
        public = Scheme.of(job.layout.preset).with_keys(job.keys)
        uploads, base = FolderUploads(job, public.scheme), 0
        while True:
            with shared.following.get_lock():
                number = shared.following.value
                shared.following.value += 1
            if number >= len(pending):
                return
            unit = pending[number]
            _write(job.result(unit), run_unit(public, job.layout, unit, uploads, progress))
            base += unit.stop - unit.first
    except MezzotintError as error:
        shared.errors.put(str(error))
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _write(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all, also after a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
