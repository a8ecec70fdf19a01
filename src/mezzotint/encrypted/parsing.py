"""Foreign bytes meet the encryption library in a child process that may die of them.

The library is C++ and reads what it is given. So a process of its own reads foreign ciphertexts
first, with limits on memory and time; only what it has read, checked and survived is read again by
the process that matters. A child that crashes, hangs or grows too large is replaced, and its
input refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from mezzotint.encrypted.refusal import Refusal
from mezzotint.errors import MezzotintError

MEMORY_BYTES = 2 << 30
SECONDS = 60.0
CHECKS = 500
"""A child is replaced after so many checks, whatever happened."""
_CPU_SECONDS = 600
_SEAL_LOG = {"OMP_NUM_THREADS": "1"}


class Sandbox:
    """Checks foreign ciphertexts in a child process. One at a time; use it as a context manager.

    Args:
        memory_bytes: the child's address space.
        seconds: the longest that one check may take.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, seconds: float = SECONDS) -> None:
        self._memory = memory_bytes
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._checks = 0

    def check(self, preset: str, blobs: Sequence[bytes], *, scale: float | None = None) -> None:
        """Whether all of these are ciphertexts of cells; of records, if their scale is given.

        Raises:
            Refusal: if one is not, or the child did not survive it.
        """
        head = json.dumps({"preset": preset, "scale": scale, "sizes": [len(b) for b in blobs]})
        frame = b"".join([head.encode() + b"\n", *blobs])
        try:
            answer = self._ask(frame)
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            raise Refusal(
                f"{len(blobs)} ciphertexts of {len(frame)} bytes: their reader did not survive "
                f"them ({type(error).__name__})"
            ) from None
        self._checks += 1
        if self._checks >= CHECKS:
            self.close()
        if answer != "ok":
            raise Refusal(f"{len(blobs)} ciphertexts of {len(frame)} bytes: {answer[:200]}")

    def _ask(self, frame: bytes) -> str:
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        deadline = time.monotonic() + self._seconds
        view, descriptor = memoryview(frame), child.stdin.fileno()
        while view:
            _, ready, _ = select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            view = view[os.write(descriptor, view[: 1 << 16]) :]
        answer = b""
        while not answer.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([child.stdout], [], [], left)
            if not ready:
                raise TimeoutError
            piece = os.read(child.stdout.fileno(), 4096)
            if not piece:
                raise BrokenPipeError
            answer += piece
        return answer.decode("ascii", "replace").strip()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            command = [sys.executable, "-m", "mezzotint.encrypted.parsing", str(self._memory)]
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=os.environ | _SEAL_LOG,
            )
        return self._child

    def close(self) -> None:
        """Ends the child; the next check starts another one."""
        child, self._child, self._checks = self._child, None, 0
        if child is None:
            return
        with contextlib.suppress(OSError):
            child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _serve(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """The child: reads frames until its input ends."""
    from mezzotint.encrypted.scheme import Scheme

    while line := stdin.readline():
        head = json.loads(line)
        answer = "ok"
        scheme = Scheme.of(head["preset"])
        for size in head["sizes"]:
            blob = stdin.read(size)
            if answer == "ok":
                try:
                    scheme.load(blob, scale=head["scale"])
                except MezzotintError:
                    answer = "not what is expected"
                except Exception as error:  # this is what the child is for
                    answer = f"unreadable ({type(error).__name__})"
        stdout.write(answer.encode() + b"\n")
        stdout.flush()


def _limit(memory_bytes: int) -> None:
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _limit(int(sys.argv[1]))
    _serve(sys.stdin.buffer, sys.stdout.buffer)
