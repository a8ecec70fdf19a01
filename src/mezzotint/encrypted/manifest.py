"""Signed manifests: what a folder of foreign bytes must be before anything parses it.

A manifest names every file with its size and SHA-256, and the facts that the files rest on
(preset, key, layout, schema, job). It is signed by its author (Ed25519, RFC 8032). A role verifies
signature, facts, sizes and digests first; only then do the bytes reach a parser.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.wire import canonical
from mezzotint.errors import DataError

FORMAT = 1
NAME = "manifest.json"
MAX_MANIFEST = 1 << 24
_CHUNK = 1 << 20


class Identity:
    """Who signs: an Ed25519 key pair. The private half stays in an owner-only file."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def create(cls) -> Identity:
        """A new identity, from entropy of the operating system."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Identity:
        """Read the private half.

        Raises:
            DataError: if there is none, or it is damaged.
        """
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: no identity can be read there ({error}): give the folder that "
                "`mezzotint encrypt` or `mezzotint keys create` made"
            ) from error

    def save(self, path: Path) -> None:
        """Write the private half, for the owner's eyes only."""
        raw = self._key.private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
        write_private(path, raw)

    @property
    def public(self) -> str:
        """The public half, hexadecimal."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> str:
        """A signature, hexadecimal."""
        return self._key.sign(data).hex()


def signed_by(identity: str, signature: str, data: bytes) -> bool:
    """Whether a signature is this identity's, on these bytes."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(identity))
        key.verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


@dataclass(frozen=True)
class FileFact:
    """What a file must be.

    Attributes:
        name: its path in the folder, with forward slashes.
        size: in bytes.
        sha256: hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a folder holds, and who says so. All of it is public.

    Attributes:
        kind: "keys", "upload" or "pool".
        identity: the author's public key, hexadecimal.
        facts: what the files rest on; plain JSON values.
        files: what they are.
        signature: the author's, over all of the above.
    """

    kind: str
    identity: str
    facts: Mapping[str, Any]
    files: tuple[FileFact, ...]
    signature: str

    @classmethod
    def sign(
        cls,
        kind: str,
        author: Identity,
        facts: Mapping[str, Any],
        folder: Path,
        names: Iterable[str],
    ) -> Manifest:
        """A manifest of files that lie in a folder."""
        files = tuple(_fact(folder, name) for name in names)
        body = _body(kind, author.public, facts, files)
        return cls(kind, author.public, dict(facts), files, author.sign(body))

    @property
    def id(self) -> str:
        """The hash that stands for all of it."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """The one byte form."""
        body = _body(self.kind, self.identity, self.facts, self.files)
        return canonical({"signed": json.loads(body), "signature": self.signature})

    @classmethod
    def from_bytes(cls, data: bytes, kind: str | None = None) -> Manifest:
        """Read a manifest and verify its signature.

        Raises:
            Refusal: if it is too long, damaged, of another kind, or not signed by its author.
        """
        if len(data) > MAX_MANIFEST:
            raise Refusal(f"a manifest of {len(data)} bytes is over the limit of {MAX_MANIFEST}")
        try:
            document = json.loads(data)
            signed, signature = document["signed"], document["signature"]
            files = tuple(_checked(entry) for entry in signed["files"])
            if signed["format"] != FORMAT or not isinstance(signed["facts"], dict):
                raise ValueError("format")
            found, identity = str(signed["kind"]), str(signed["identity"])
            body = _body(found, identity, signed["facts"], files)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refusal(f"a manifest is damaged ({type(error).__name__})") from None
        if kind is not None and found != kind:
            raise Refusal(f"a manifest of {found[:40]!r} came where {kind!r} was expected")
        if not signed_by(identity, signature, body):
            raise Refusal(f"the manifest of {identity[:16]} is not signed by its author")
        if len({file.name for file in files}) != len(files):
            raise Refusal(f"the manifest of {identity[:16]} names a file twice")
        return cls(found, identity, signed["facts"], files, signature)

    def write(self, folder: Path) -> None:
        """Write it beside its files, whole or not at all."""
        write_atomic(folder / NAME, self.to_bytes())

    @classmethod
    def read(cls, folder: Path, kind: str | None = None) -> Manifest:
        """The manifest of a folder.

        Raises:
            DataError: if there is none.
            Refusal: as `from_bytes`.
        """
        path = folder / NAME
        try:
            with path.open("rb") as file:
                data = file.read(MAX_MANIFEST + 1)
        except OSError as error:
            raise DataError(
                f"{path}: there is no manifest ({error.strerror}): give a folder that `mezzotint "
                "encrypt` or `mezzotint keys create` made"
            ) from error
        return cls.from_bytes(data, kind)

    def bytes_of(self, folder: Path, name: str) -> bytes:
        """A file's bytes, if they are the ones that were signed.

        Raises:
            Refusal: if the manifest does not name the file, or it differs.
        """
        fact = self.fact(name)
        try:
            with (folder / name).open("rb") as file:
                data = file.read(fact.size + 1)
        except OSError as error:
            raise Refusal(f"{name} cannot be read ({error.strerror})") from None
        if len(data) != fact.size or hashlib.sha256(data).hexdigest() != fact.sha256:
            raise Refusal(f"{name} ({len(data)} bytes or more) is not the file that was signed")
        return data

    def fact(self, name: str) -> FileFact:
        """What a file must be."""
        for file in self.files:
            if file.name == name:
                return file
        raise Refusal(f"the manifest of {self.identity[:16]} names no {name}")

    def check_folder(self, folder: Path) -> None:
        """Compare every file with what was signed; reads each once, a piece at a time.

        Raises:
            Refusal: if one is missing or differs.
        """
        for file in self.files:
            path = folder / file.name
            try:
                same = path.stat().st_size == file.size and _digest(path) == file.sha256
            except OSError as error:
                raise Refusal(f"{file.name} cannot be read ({error.strerror})") from None
            if not same:
                raise Refusal(f"{file.name} is not the file that was signed")


def write_private(path: Path, data: bytes) -> None:
    """Write a secret for the owner's eyes only; an existing file is not replaced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, and on the disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _body(kind: str, identity: str, facts: Mapping[str, Any], files: tuple[FileFact, ...]) -> bytes:
    return canonical(
        {
            "format": FORMAT,
            "kind": kind,
            "identity": identity,
            "facts": dict(facts),
            "files": [[file.name, file.size, file.sha256] for file in files],
        }
    )


def _fact(folder: Path, name: str) -> FileFact:
    path = folder / name
    return FileFact(name, path.stat().st_size, _digest(path))


def _checked(entry: Any) -> FileFact:
    name, size, digest = entry
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and str(path) == name != NAME
    if not plain or "\\" in name or "\0" in name or len(name) > 200:
        raise ValueError("a file's name")
    if type(size) is not int or size < 0 or len(bytes.fromhex(digest)) != 32:
        raise ValueError("a file's size or digest")
    return FileFact(name, size, digest)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
