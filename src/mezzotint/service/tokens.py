"""Scoped, expiring tokens.

A token is 256 random bits in text. A service keeps only its SHA-256 (no salt: there is nothing to
guess), the scope that it opens, the job that it belongs to and when it ends. Comparison takes the
same time whatever the token is. There are no default tokens, and none that opens everything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from mezzotint.service.files import write_private
from mezzotint.service.refusals import RefusedError

_MOST = 256


class Scope(StrEnum):
    """What a token opens; each is for one job."""

    OWN = "own"
    """At the provider: upload, start, watch, fetch, delete."""
    ADD = "add"
    """At the provider: upload one holder's part, and watch."""
    DECRYPT = "decrypt"
    """At the key holder: ask for what the job's plan allows."""
    WATCH = "watch"
    """At the key holder: look at the job's account, and end it."""


@dataclass(frozen=True)
class _Kept:
    digest: str
    scope: str
    job: str
    ends: float


class Tokens:
    """The tokens of one service, in one file of its own.

    Args:
        path: the file; only hashes are in it, and only its owner may read it.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def issue(self, scope: Scope, job: str, hours: float) -> str:
        """A new token; this is the only time that its text exists on this side."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        kept = [held for held in self._read() if held.ends > now]
        kept.append(_Kept(_digest(token), scope.value, job, now + 3600 * hours))
        if len(kept) > _MOST:
            raise RefusedError(f"job {job}: more than {_MOST} tokens are alive")
        self._write(kept)
        return token

    def require(self, token: str | None, scopes: tuple[Scope, ...], job: str) -> Scope:
        """The scope of a valid token for this job.

        Raises:
            RefusedError: if it is missing, unknown, expired, for another job or for something else.
        """
        digest, now = _digest(token or ""), self._clock()
        found: Scope | None = None
        for held in self._read():
            same = hmac.compare_digest(held.digest, digest)
            if same and held.job == job and held.ends > now and held.scope in scopes:
                found = Scope(held.scope)
        if found is None:
            raise RefusedError(f"job {job}: no valid token for {'/'.join(scopes)}")
        return found

    def revoke(self, job: str) -> None:
        """End all tokens of a job."""
        self._write([held for held in self._read() if held.job != job])

    def _read(self) -> list[_Kept]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return []
        return [_Kept(**entry) for entry in json.loads(text)]

    def _write(self, kept: list[_Kept]) -> None:
        write_private(self._path, json.dumps([asdict(held) for held in kept]).encode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
