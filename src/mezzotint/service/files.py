"""Small files that must be whole or not there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_OWNER = 0o600
_OWNER_FOLDER = 0o700


def write_private(path: Path, content: bytes) -> None:
    """Replace a file as a whole; only its owner may read it.

    It and its name are on the disk when this returns, so that a kill -9 or a power cut at any
    moment leaves the old file or the new one.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(path: Path) -> Path:
    """A folder that only its owner may enter; made if it is missing."""
    path.mkdir(mode=_OWNER_FOLDER, parents=True, exist_ok=True)
    return path
