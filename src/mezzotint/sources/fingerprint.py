"""A digest of a table's content, so that a renamed copy draws on the same budget."""

from __future__ import annotations

import hashlib

from mezzotint.sources.source import Source


def fingerprint(source: Source) -> bytes | None:
    """SHA-256 of the bytes of a table's files, in order; None for a table in memory.

    Private and public: private; the ledger keeps a keyed hash of it only.
    """
    digests = []
    for path in getattr(source, "files", ()):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    if len(digests) <= 1:
        return digests[0] if digests else None
    return hashlib.sha256(b"".join(digests)).digest()
