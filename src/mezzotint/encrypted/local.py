"""All roles in one process: for tests, for demonstrations, and to see the whole at a glance."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mezzotint.encrypted import holder, keys
from mezzotint.encrypted.job import Job, LayoutName
from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.provider import ProviderJob
from mezzotint.encrypted.public_folder import Progress, silent
from mezzotint.schema import Schema
from mezzotint.tables.fitted import FittedTable
from mezzotint.tables.synthesizer import Synthesizer


class InProcess:
    """A key holder in the same process, reached as one over a network is: by bytes."""

    def __init__(self, role: KeyHolder) -> None:
        self._role = role

    def exchange(self, message: bytes) -> bytes:
        """As `KeyHolderPort`."""
        return self._role.answer(message)


def run_in_process(
    tables: Sequence[Any],
    schema: Schema | str | Path,
    mechanism: Synthesizer,
    place: str | Path,
    *,
    layout: LayoutName = "marginals",
    attributes: Sequence[Sequence[str]] | None = None,
    progress: Progress = silent,
    **options: Any,
) -> FittedTable:
    """The whole protocol, every role in a folder of its own under ``place``.

    Args:
        tables: one for each data holder.
        schema: what is public about them.
        mechanism: with its epsilon and delta.
        place: a folder.
        layout: "marginals" or "records".
        attributes: what each data holder has, if they hold other columns of the same people.
        progress: told what is done.
        options: as `Job.create`.
    """
    place = Path(place)
    keys.create(place / "keys", progress=progress)
    names = [f"holder-{number}" for number in range(len(tables))]
    uploads = [
        holder.encrypt_table(
            table,
            schema,
            place / "keys/public",
            layout,
            place / name,
            name=name,
            attributes=None if attributes is None else attributes[number],
            shares=attributes,
            progress=progress,
        )
        for number, (table, name) in enumerate(zip(tables, names, strict=True))
    ]
    job = Job.create(uploads, mechanism, **options)
    with KeyHolder.open(place / "keys", place / "keyholder") as role:
        for name in names:
            if job.levels:
                holder.make_pool(place / name, job, progress=progress)
            role.open_job(holder.registration(place / name, job))
            send(place / name, job, place / "provider")
        return ProviderJob.open(place / "provider").run(InProcess(role), progress)


def send(upload: Path, job: Job, provider: Path) -> None:
    """What a data holder sends to the provider, copied."""
    for name, path in holder.blobs(upload, job).items():
        target = provider / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
