"""What a data holder's client declares to a provider: the files that it is going to send.

    {"wire": 1, "parts": 1, "files": [["job.json", 812, "9f..."], ["rows/c0.ct", 9900, "..."]]}

Paths, sizes and digests only: the provider's service opens none of the files. A job has as many
parts as there are clients that send; the one who makes the job says how many, and sends part 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from mezzotint.service.refusals import RefusedError
from mezzotint.service.uploads import Declared
from mezzotint.service.wire import WIRE

MOST_PARTS: Final = 64


@dataclass(frozen=True)
class Declaration:
    """What one client is going to send.

    Attributes:
        files: by path.
        parts: how many clients send, this one included.
    """

    files: Mapping[str, Declared]
    parts: int = 1


def write_request(declaration: Declaration) -> bytes:
    """A declaration as it is sent."""
    rows = [[path, file.size, file.sha256] for path, file in declaration.files.items()]
    body = {"wire": WIRE, "parts": declaration.parts, "files": rows}
    return json.dumps(body, separators=(",", ":")).encode()


def read_request(content: bytes) -> Declaration:
    """A declaration that arrived.

    Raises:
        RefusedError: if it is none.
    """
    try:
        read = json.loads(content)
        if read["wire"] != WIRE:
            raise RefusedError("a declaration of another version")
        files, parts = {}, read["parts"]
        if type(parts) is not int or not 1 <= parts <= MOST_PARTS:
            raise RefusedError("a malformed number of parts")
        for path, size, digest in read["files"]:
            if not isinstance(path, str) or not isinstance(digest, str) or path in files:
                raise RefusedError("a malformed declaration")
            files[path] = Declared(size, digest)
    except RefusedError:
        raise
    except Exception:
        raise RefusedError("a malformed declaration") from None
    if not files:
        raise RefusedError("an empty declaration")
    return Declaration(files, parts)


@lru_cache(maxsize=64)
def _kept(path: Path, changed: int) -> Declaration:
    return read_request(path.read_bytes())


def kept_request(path: Path) -> Declaration:
    """The declaration in a file; read once, because every chunk asks for it."""
    return _kept(path, path.stat().st_mtime_ns)
