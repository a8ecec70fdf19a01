"""How much a service takes, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one service accepts. All of it is public.

    Attributes:
        small: bytes of a body that is no blob: a manifest, a job, a request to decrypt.
        chunk: bytes of one piece of a blob.
        blob: bytes of one blob.
        blobs: how many blobs one upload declares.
        store: bytes that all jobs together may declare.
        jobs: how many jobs are kept at a time.
        hours: how long a token is valid.
        idle_hours: after how long an unfinished upload makes room for others.
    """

    small: int = 4 * MB
    chunk: int = 4 * MB
    blob: int = 256 * MB
    blobs: int = 4096
    store: int = 8192 * MB
    jobs: int = 64
    hours: float = 72.0
    idle_hours: float = 24.0
