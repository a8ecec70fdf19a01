"""Where results go. Checked before anything is spent: a budget cannot be given back.

Files are replaced once the new one stands whole (`mezzotint.sources.writing.replacing`). So what
must be known beforehand is that the folder takes a new file of about the right size.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from mezzotint.errors import MezzotintError, ParameterError

TABLES = (".csv", ".csv.gz", ".tsv", ".parquet", ".parq", ".pq")
_ROOM = 1 << 20


def output(path: Path, option: str, *, room: int = _ROOM) -> Path:
    """The path itself, or the place behind a link, if a file can be put there.

    Args:
        path: as the user wrote it.
        option: which option named it.
        room: about how many bytes will be written.

    Raises:
        ParameterError: if it is a directory, a device, or in no folder.
        MezzotintError: if the folder takes no file of that size.
    """
    place = path.resolve()
    if place.is_dir():
        raise ParameterError(f"{option} {path}: this is a directory; give a file's name in it")
    if place.exists() and not place.is_file():
        raise ParameterError(f"{option} {path}: this is no regular file; give another name")
    if not place.parent.is_dir():
        raise ParameterError(
            f"{option} {path}: there is no directory {place.parent}; make it, or give another place"
        )
    try:
        _reserve(place.parent, room)
    except OSError as error:
        raise MezzotintError(
            f"{option} {path}: nothing can be written to {place.parent} "
            f"({error.strerror or error}); nothing was spent. Give a place with room and with "
            "permission to write"
        ) from error
    return place if path.is_symlink() else path


def table_output(path: Path, option: str, *, room: int = _ROOM) -> Path:
    """The place of a table: its ending says how it is written."""
    if not path.name.lower().endswith(TABLES):
        raise ParameterError(
            f"{option} {path}: its ending says nothing of how to write it; end it in "
            f"{', '.join(TABLES[:-1])} or {TABLES[-1]}"
        )
    return output(path, option, room=room)


def require_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise ParameterError if a result would take the place of an input or of another result."""
    taken = {path.resolve() for path in inputs if path is not None}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise ParameterError(
                f"{path}: this file is needed for something else in the same command; "
                "give the result another place"
            )
        taken.add(path.resolve())


def _reserve(folder: Path, room: int) -> None:
    """Find out whether the folder takes so many bytes; leaves nothing behind."""
    with tempfile.TemporaryFile(dir=folder, prefix=".mezzotint-") as file:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, room)
            except OSError as error:
                # Some file systems cannot reserve; the test below has to do.
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise
        file.write(b"\0")
        file.flush()
