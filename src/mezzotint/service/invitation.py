"""The secret that lets somebody in for the first time.

A key holder makes one when it makes its keys, and gives it to data holders together with the public
keys; whoever shows it may open a job, and gets tokens for that job. A provider that listens beyond
its own machine has one too. There is no default: a service without an invitation is open to its own
machine only, and a key holder never is.
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


def invite(folder: Path) -> str:
    """The invitation in a folder, made if there is none; only the folder's owner can read it."""
    path = folder / FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_invitation(path)


def read_invitation(path: Path) -> str:
    """The invitation in a file.

    Raises:
        UsageError: if the file is open to others, or holds something else.
        MezzotintError: if it cannot be read.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise MezzotintError(
            f"{path}: the invitation cannot be read ({error.strerror}); ask the service's owner "
            "for it"
        ) from None
    except UnicodeDecodeError:
        text, mode = "", 0
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"{path}: others than its owner may read this invitation; `chmod 600 {path}`, and make "
            "a new one if somebody may have seen it"
        )
    if len(text) < 32 or not text.isprintable() or " " in text:
        raise UsageError(f"{path}: this is no invitation; ask the service's owner for it")
    return text


def require_invitation(wanted: str, shown: str | None) -> None:
    """Compare in the same time whatever is shown.

    Raises:
        RefusedError: if it is another one.
    """
    digests = (sha256(text.encode()).digest() for text in (wanted, shown or ""))
    if not hmac.compare_digest(*digests):
        raise RefusedError("no valid invitation")
