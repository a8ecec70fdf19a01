"""Which file a statement speaks of: its name, size and SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mezzotint.errors import ParameterError, VerificationError

_DIGITS = 64


@dataclass(frozen=True)
class FileDigest:
    """What makes a file the one that is meant. Public, as the file is.

    Attributes:
        name: its name when the digest was taken; copies may bear another.
        size: in bytes.
        sha256: of its content, in hexadecimal.
    """

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Of a file that lies there.

        Raises:
            ParameterError: if it cannot be read.
        """
        try:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                return cls(path.name, file.tell(), sha256)
        except OSError as error:
            raise ParameterError(
                f"{path}: {error.strerror or error}; give the file of synthetic data"
            ) from error

    def require(self, path: Path) -> None:
        """Raise VerificationError unless the file has this content, whatever its name."""
        found = type(self).of(path)
        if (found.size, found.sha256) != (self.size, self.sha256):
            raise VerificationError(
                f"{path} ({found.size:,} bytes) is not the file that the statement speaks of "
                f"({self.name}, {self.size:,} bytes, SHA-256 {self.sha256}): it was "
                "changed, or another statement belongs to it"
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"name": self.name, "bytes": self.size, "sha256": self.sha256}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises ValueError, KeyError or TypeError."""
        name, size, sha256 = data["name"], data["bytes"], data["sha256"]
        if not isinstance(name, str) or not isinstance(size, int) or isinstance(size, bool):
            raise TypeError("the file's name or size")
        if len(bytes.fromhex(sha256)) * 2 != _DIGITS:
            raise ValueError(f"sha256 = {sha256!r}")
        return cls(name, size, sha256)
