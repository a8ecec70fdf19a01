"""What the roles say to each other: one container, versioned, checked before it is understood.

    magic "MZE1" | length of the head (4 bytes, big-endian) | head (JSON) | blobs, one after another

The head names the message's kind, its fields and the size and SHA-256 of every blob. A reader
compares all sizes with what it was given before it looks at a blob; nothing in it is executed,
and no number in it makes the reader allocate more than the message holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mezzotint.encrypted.refusal import Refusal

MAGIC = b"MZE1"
VERSION = 1
MAX_MESSAGE = 1 << 28
_MAX_HEAD = 1 << 24
_MAX_BLOBS = 1 << 16


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: what it is, such as "measure".
        fields: plain JSON values.
        blobs: bytes that belong to it, such as ciphertexts.
    """

    kind: str
    fields: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()

    def to_bytes(self) -> bytes:
        """The one byte form of a message."""
        head = canonical(
            {
                "version": VERSION,
                "kind": self.kind,
                "fields": dict(self.fields),
                "blobs": [[len(b), hashlib.sha256(b).hexdigest()] for b in self.blobs],
            }
        )
        return b"".join([MAGIC, len(head).to_bytes(4, "big"), head, *self.blobs])

    @classmethod
    def from_bytes(cls, data: bytes, kind: str | None = None, limit: int = MAX_MESSAGE) -> Message:
        """Read a message.

        Args:
            data: what came.
            kind: the only kind that is expected here; None for any.
            limit: the most bytes that are looked at.

        Raises:
            Refusal: if it is too long, damaged, of another version or of another kind.
        """
        if len(data) > limit:
            raise Refusal(f"a message of {len(data)} bytes is over the limit of {limit}")
        if data[:4] != MAGIC:
            raise Refusal("a message does not begin as ours do")
        size = int.from_bytes(data[4:8], "big")
        if size > _MAX_HEAD or 8 + size > len(data):
            raise Refusal(f"a message of {len(data)} bytes announces a head of {size}")
        try:
            head = json.loads(data[8 : 8 + size])
            if head["version"] != VERSION:
                raise Refusal(f"a message has version {head['version']!r}; we speak {VERSION}")
            found, fields, announced = head["kind"], head["fields"], head["blobs"]
            if not (isinstance(found, str) and isinstance(fields, dict)):
                raise TypeError
            sizes = [(int(n), str(digest)) for n, digest in announced]
        except Refusal:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refusal(f"a message's head is damaged ({type(error).__name__})") from None
        if kind is not None and found != kind:
            raise Refusal(f"a message of kind {found[:40]!r} came where {kind!r} was expected")
        return cls(found, fields, _blobs(data, 8 + size, sizes))


def canonical(value: object) -> bytes:
    """The one JSON text of a value, as bytes; NaN and infinities are refused."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    ).encode()


def pack_parts(parts: Sequence[bytes]) -> bytes:
    """Many ciphertexts in one file."""
    return Message("parts", {}, tuple(parts)).to_bytes()


def unpack_parts(data: bytes, limit: int = MAX_MESSAGE) -> tuple[bytes, ...]:
    """The inverse of `pack_parts`."""
    return Message.from_bytes(data, "parts", limit).blobs


def _blobs(data: bytes, start: int, sizes: Sequence[tuple[int, str]]) -> tuple[bytes, ...]:
    if len(sizes) > _MAX_BLOBS or any(size < 0 for size, _ in sizes):
        raise Refusal(f"a message announces {len(sizes)} blobs, or one of a negative size")
    if start + sum(size for size, _ in sizes) != len(data):
        raise Refusal(f"a message of {len(data)} bytes is not as long as it announces")
    blobs = []
    for number, (size, digest) in enumerate(sizes):
        blob = data[start : start + size]
        if hashlib.sha256(blob).hexdigest() != digest:
            raise Refusal(f"blob {number} of a message is not the one that it announces")
        blobs.append(blob)
        start += size
    return tuple(blobs)
