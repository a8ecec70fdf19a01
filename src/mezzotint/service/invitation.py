"""The secret that lets somebody in for the first time.

A key holder makes one with its keys, and gives it to data holders together with the public keys;
whoever proves to have it may open a job, and gets tokens for that job. A provider that listens
beyond its own machine has one too. There is no default: a service without an invitation is open to
its own machine only, and a key holder never is.

What travels is a hash of the invitation under this use's name, never the invitation: a key holder's
also serves for marks (`mezzotint.encrypted.marks`), which the provider must not learn.
"""

from __future__ import annotations

import hmac
import secrets
import stat
from hashlib import sha256
from pathlib import Path

from mezzotint.errors import MezzotintError, UsageError
from mezzotint.service.files import write_private
from mezzotint.service.refusals import RefusedError

FILE = "invitation"
_SHORTEST, _LONGEST = 32, 1024


def invite(folder: Path) -> str:
    """The proof of a folder's invitation, which is made if there is none."""
    path = folder / FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return proof(path)


def proof(path: Path) -> str:
    """What is shown in place of the invitation in a file.

    Raises:
        UsageError: if the file is open to others, or holds something else.
        MezzotintError: if it cannot be read.
    """
    try:
        secret, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise MezzotintError(
            f"{path}: the invitation cannot be read ({error.strerror}); ask the service's owner "
            "for it"
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"{path}: others than its owner may read this invitation; `chmod 600 {path}`, and have "
            "a new one made if somebody may have seen it"
        )
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise UsageError(f"{path}: this is no invitation; ask the service's owner for it")
    return sha256(b"mezzotint invitation v1\0" + secret).hexdigest()


def require_invitation(wanted: str, shown: str | None) -> None:
    """Compare proofs in the same time whatever is shown.

    Raises:
        RefusedError: if it is another one.
    """
    digests = (sha256(text.encode()).digest() for text in (wanted, shown or ""))
    if not hmac.compare_digest(*digests):
        raise RefusedError("no valid invitation")
