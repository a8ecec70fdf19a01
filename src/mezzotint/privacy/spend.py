"""The secret half of a recorded release: the only thing that samplers accept.

A `Spend` exists only after its row is committed. It opens once, in the process that recorded it:
a second draw from the same row would be a release that the ledger does not hold (fresh noise), or
noise that cancels (the same noise on other data).
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from mezzotint.errors import LedgerError
from mezzotint.privacy.releases import Release


class Backend(StrEnum):
    """Which sampler draws; all of them have the same law.

    Attributes:
        AUTO: OpenDP while draws are few and need not be repeatable, else the keyed sampler.
        OPENDP: OpenDP, fresh entropy of the operating system for every draw.
        KEYED: Our own, fast and repeatable, from a key of 32 bytes of that entropy.
    """

    AUTO = "auto"
    OPENDP = "opendp"
    KEYED = "keyed"


@dataclass(frozen=True)
class NoiseSource:
    """Where a spend's noise comes from.

    Attributes:
        backend: Which sampler draws.
        key: The row's secret; None where nobody may ask for the same noise again, so that
            the sampler makes a key of its own and forgets it.
        silent: No noise at all. For tests of sensitivity only.
    """

    backend: Backend
    key: bytes | None = field(default=None, repr=False)
    silent: bool = False


class Spend:
    """A committed release and, behind `open`, the source of its noise."""

    __slots__ = ("_lock", "_pid", "_source", "release")

    def __init__(self, release: Release, source: NoiseSource) -> None:
        self.release = release
        self._source: NoiseSource | None = source
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def open(self, kind: str) -> NoiseSource:
        """The source of noise, once. Only `privacy.noise` calls this."""
        if self.release.kind != kind:
            raise LedgerError(
                f"release {self.release.seq} ({self.release.about}) is recorded as "
                f"{self.release.kind!r} and was given to a {kind!r} sampler: "
                "record the release that is to happen"
            )
        if self._pid != os.getpid():
            raise LedgerError(
                f"release {self.release.seq} ({self.release.about}) was recorded by another "
                "process: record each release in the process that draws its noise"
            )
        with self._lock:
            source, self._source = self._source, None
        if source is None:
            raise LedgerError(
                f"release {self.release.seq} ({self.release.about}) has been drawn already: "
                "record another release for another draw"
            )
        return source

    def __repr__(self) -> str:
        return f"Spend({self.release!r})"

    def __reduce__(self) -> NoReturn:
        raise LedgerError(
            "a spend holds a secret and cannot be pickled or copied: "
            "record each release in the process that draws its noise"
        )
