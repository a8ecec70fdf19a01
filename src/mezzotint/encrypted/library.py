"""The SEAL library, through ``tenseal.sealapi``: how its objects become bytes and come back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mezzotint.errors import DataError, MissingExtraError

_MEMORY = "/dev/shm"  # noqa: S108
_SCRATCH = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None


def seal() -> Any:
    """The library's bindings.

    Raises:
        MissingExtraError: They are not installed.
    """
    try:
        import tenseal.sealapi as bindings
    except ImportError as error:
        raise MissingExtraError(
            "Encrypted tables need the SEAL library, which is not installed. "
            'Run: pip install "mezzotint[encrypted]"'
        ) from error
    return bindings


@contextmanager
def scratch() -> Iterator[str]:
    """A path for the library to save to or load from: in memory where the system offers that."""
    with tempfile.TemporaryDirectory(prefix="mezzotint-", dir=_SCRATCH) as folder:
        yield str(Path(folder) / "object")


def saved(thing: Any) -> bytes:
    """The bytes of any object of the library that has ``save``."""
    with scratch() as path:
        thing.save(path)
        return Path(path).read_bytes()


def loaded(make: Callable[[], Any], context: Any, data: bytes | Path, what: str) -> Any:
    """An object of the library read from bytes or a file, valid for a context.

    Raises:
        DataError: The library refuses them, or they belong to other parameters.
    """
    thing = make()
    try:
        if isinstance(data, Path):
            thing.load(context, str(data))
        else:
            with scratch() as path:
                Path(path).write_bytes(data)
                thing.load(context, path)
        valid = seal().is_valid_for(thing, context)
    except (ValueError, RuntimeError, IndexError, MemoryError, OverflowError, OSError) as error:
        raise DataError(
            f"{what}: cannot be read ({str(error)[:80] or type(error).__name__}): truncated, "
            "damaged or made with other parameters. Make it again, or send it again."
        ) from error
    if not valid:
        raise DataError(f"{what}: not valid for these parameters. Make it again with these keys.")
    return thing
