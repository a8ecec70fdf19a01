"""What is answered to what is wrong.

A service tells strangers apart from its own clients only by what they prove. Whoever proves
nothing, or sends what no honest program sends, gets one constant answer (`REFUSED`), so that the
answer tells nothing about why: no oracle for tokens, job names, ciphertexts or noise. A client that
has proved who it is gets one of a few fixed reasons for an honest obstacle (`Obstacle`).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from mezzotint.errors import MezzotintError

REFUSED: Final = (403, b'{"error":"refused"}')
"""Status and body of the answer to everything hostile."""


class RefusedError(MezzotintError):
    """Hostile, or not allowed. The text is for this side's log, never for the answer."""


class Obstacle(Enum):
    """Honest reasons, each with its HTTP status and what the client's user is told."""

    OFFSET = 409, "the upload stands elsewhere; ask where, and go on from there"
    NOT_COMPLETE = 409, "not everything that was declared has been uploaded; upload the rest"
    ALREADY_STARTED = 409, "the job has been started already; nothing can be added to it"
    NOT_FINISHED = 409, "the job has no result yet; ask for its progress"
    TOO_LARGE = 413, "it is larger than the service takes; ask the operator for the limits"
    DAMAGED = 422, "what arrived is not what was declared; it was thrown away, send it anew"
    FULL = 507, "the service has no room for it; wait, or ask the operator for more"

    def __init__(self, status: int, told: str) -> None:
        self.status = status
        self.told = told


class HinderedError(MezzotintError):
    """An honest client met an obstacle."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.told)
        self.obstacle = obstacle
