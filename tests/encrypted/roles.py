"""Small jobs for tests of the roles: every role in a folder of its own."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

import mezzotint as mz
from mezzotint.encrypted import holder
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.local import InProcess, send
from mezzotint.encrypted.provider import ProviderJob
from mezzotint.schema import Schema

SIZES = {"a": 3, "b": 4, "c": 5}


def table(rows: int = 400, seed: int = 0, sizes: dict[str, int] = SIZES) -> pa.Table:
    """Coded rows in which neighbouring attributes depend on each other."""
    rng = np.random.default_rng(seed)
    columns, last = {}, rng.integers(0, 100, rows)
    for name, size in sizes.items():
        last = (last + rng.integers(0, 2, rows)) % size
        columns[name] = last
    return pa.table(columns)


def counts(rows: pa.Table, clique: tuple[str, ...], sizes: dict[str, int] = SIZES) -> np.ndarray:
    """A marginal, counted by brute force."""
    found = np.zeros([sizes[a] for a in clique], np.int64)
    np.add.at(found, tuple(rows[a].to_numpy() for a in clique), 1)
    return found


class World:
    """One job with its roles' folders, copied from an upload that was made once."""

    def __init__(self, place: Path, keys: Path, upload: Path, mechanism=None, **options) -> None:
        self.place, self.keys = place, keys
        self.upload = place / "holder"
        shutil.copytree(upload, self.upload)
        manifest = holder.Manifest.read(self.upload)
        self.job = Job.create([manifest], mechanism or mz.AIM(epsilon=2.0), **options)
        if self.job.levels:
            holder.make_pool(self.upload, self.job)
        self.folder = place / "provider"
        send(self.upload, self.job, self.folder)

    def keyholder(self, **options) -> KeyHolder:
        """The key holder, with the job registered."""
        role = KeyHolder.open(self.keys, self.place / "state", **options)
        role.open_job(holder.registration(self.upload, self.job))
        return role

    def provider(self) -> ProviderJob:
        """The provider's job."""
        return ProviderJob.open(self.folder, processes=1)

    def run(self):
        """The whole protocol."""
        with self.keyholder() as role:
            return self.provider().run(InProcess(role))


def schema() -> Schema:
    """The schema of `table`."""
    return Schema.from_sizes(SIZES)
