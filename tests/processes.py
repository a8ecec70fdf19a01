"""Children of a test: forked, and waited for."""

from __future__ import annotations

import os
from collections.abc import Callable


def fork(work: Callable[[], object]) -> int:
    """Runs `work` in a child; its exit status says whether it returned."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def join(children: list[int]) -> None:
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
