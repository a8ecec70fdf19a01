"""The public part of a key folder, as everyone else holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mezzotint.encrypted.manifest import Manifest
from mezzotint.encrypted.scheme import PublicKeys
from mezzotint.errors import DataError

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

PARTS = ("public", "relin", "galois")


def silent(stage: str, done: int, total: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class PublicFolder:
    """The public part of a key folder, with its manifest verified.

    Attributes:
        path: the folder.
        manifest: signed by the key holder.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | Path) -> PublicFolder:
        """Read the manifest and verify its signature.

        Raises:
            DataError: if there is none.
            Refusal: if it is damaged.
        """
        path = Path(path)
        return cls(path, Manifest.read(path, "keys"))

    @property
    def id(self) -> str:
        """The hash that names these keys."""
        return self.manifest.id

    @property
    def invitation(self) -> Path:
        """Where a data holder keeps the invitation: beside the public folder."""
        return self.path.absolute().parent / "invitation"

    def keys(self, preset: str) -> PublicKeys:
        """The public and evaluation keys for a set of parameters; digests are compared first.

        Raises:
            DataError: if the folder has none for it.
            Refusal: if a file is not the one that was signed.
        """
        named = {file.name for file in self.manifest.files}
        if f"{preset}/public.bin" not in named:
            raise DataError(
                f"{self.path} holds no keys for {preset!r}: create keys with this version"
            )
        parts = {
            part: self.manifest.bytes_of(self.path, f"{preset}/{part}.bin")
            if f"{preset}/{part}.bin" in named
            else None
            for part in PARTS
        }
        assert parts["public"] is not None
        return PublicKeys(preset, parts["public"], parts["relin"], parts["galois"])
