"""Resumable uploads.

A client declares what it will send (names, sizes, SHA-256), then sends each blob in chunks. What
has arrived of a blob lies in `.NAME.part`; a client that lost the line asks how far it came, and
goes on from there. A blob that is whole is compared with its digest and renamed, so that a file
under its own name is always intact. When all are there, a marker is written last: without it
nothing is opened. Nothing here looks into a blob.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mezzotint.service.files import private_folder, sync_folder, write_private
from mezzotint.service.limits import Limits
from mezzotint.service.refusals import HinderedError, Obstacle, RefusedError

_NAME = re.compile(r"([a-z0-9][a-z0-9_-]{0,63}/){0,4}[a-z0-9][a-z0-9_-]{0,63}(\.[a-z0-9]{1,16})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Declared:
    """A blob that is going to be sent.

    Attributes:
        size: bytes.
        sha256: of its bytes, in hexadecimal digits.
    """

    size: int
    sha256: str


def check_declared(blobs: Mapping[str, Declared], limits: Limits) -> int:
    """How many bytes are declared.

    Raises:
        RefusedError: if a name, a size or a digest is none.
        HinderedError: if it is more than the limits allow.
    """
    for name, blob in blobs.items():
        if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(blob.sha256):
            raise RefusedError("a declared blob has a malformed name or digest")
        if type(blob.size) is not int or blob.size < 1:
            raise RefusedError("a declared blob has a malformed size")
    if len(blobs) > limits.blobs or any(blob.size > limits.blob for blob in blobs.values()):
        raise HinderedError(Obstacle.TOO_LARGE)
    return sum(blob.size for blob in blobs.values())


class Upload:
    """One upload in a folder of its own.

    Args:
        folder: where the blobs go; made if it is missing.
        blobs: what was declared, checked by `check_declared`; paths below the folder.
        marker: the ending of the marker, which lies beside the folder.
    """

    def __init__(
        self, folder: Path, blobs: Mapping[str, Declared], *, marker: str = "complete"
    ) -> None:
        self.folder = private_folder(folder)
        self.blobs = dict(blobs)
        self._marker = folder.with_name(f"{folder.name}.{marker}")

    def offset(self, name: str) -> int:
        """How many bytes of a blob have arrived."""
        blob = self._declared(name)
        if (self.folder / name).exists():
            return blob.size
        part = self._part(name)
        return min(part.stat().st_size, blob.size) if part.exists() else 0

    def append(self, name: str, offset: int, data: bytes) -> int:
        """Add a chunk at the end of what has arrived; returns how far the blob is now.

        Raises:
            HinderedError: if the chunk does not begin where the last one ended, or somebody else is
                writing the same blob; or if the whole blob is not what was declared, in which case
                it is thrown away.
            RefusedError: if the blob was not declared, or would become longer than declared.
        """
        blob = self._declared(name)
        if self.is_complete:
            raise HinderedError(Obstacle.ALREADY_STARTED)
        if (self.folder / name).exists():
            raise HinderedError(Obstacle.OFFSET)
        private_folder(self._part(name).parent)
        handle = os.open(self._part(name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "r+b") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HinderedError(Obstacle.OFFSET) from None
            arrived = os.fstat(part.fileno()).st_size
            if offset != arrived or not self._part(name).exists():
                raise HinderedError(Obstacle.OFFSET)
            if arrived + len(data) > blob.size:
                raise RefusedError("a blob is longer than declared")
            part.write(data)
            part.flush()
            if arrived + len(data) == blob.size:
                os.fsync(part.fileno())
                self._finish(name, part.fileno(), blob)
        return arrived + len(data)

    def complete(self) -> None:
        """Write the marker, if all blobs are there.

        Raises:
            HinderedError: if some are missing.
        """
        if any(not (self.folder / name).exists() for name in self.blobs):
            raise HinderedError(Obstacle.NOT_COMPLETE)
        for parent in {(self.folder / name).parent for name in self.blobs}:
            sync_folder(parent)
        if not self.is_complete:
            write_private(self._marker, b"")

    @property
    def is_complete(self) -> bool:
        """Whether everything is there."""
        return self._marker.exists()

    @property
    def arrived(self) -> int:
        """Bytes of all blobs that have arrived."""
        return sum(self.offset(name) for name in self.blobs)

    def _finish(self, name: str, handle: int, blob: Declared) -> None:
        digest = hashlib.sha256()
        at = 0
        while piece := os.pread(handle, 1 << 20, at):
            digest.update(piece)
            at += len(piece)
        if digest.hexdigest() != blob.sha256:
            self._part(name).unlink()
            raise HinderedError(Obstacle.DAMAGED)
        self._part(name).replace(self.folder / name)

    def _declared(self, name: str) -> Declared:
        if name not in self.blobs:
            raise RefusedError("a blob that was not declared")
        return self.blobs[name]

    def _part(self, name: str) -> Path:
        path = self.folder / name
        return path.with_name(f".{path.name}.part")
