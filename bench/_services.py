"""Services that run beside a measured command, and what they used meanwhile."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from _measure import measure, tree_usage


class Service:
    """A program that serves until the block ends.

    Attributes:
        url: where it listens, as its first line of JSON says.
        peak_mb: the most memory that its process tree had, in MB (10**6 bytes), sampled.
        cpu: user and system seconds of it and of all children that it waited for.
    """

    def __init__(self, *words: object) -> None:
        self.command = [str(Path(sys.executable).parent / "mezzotint"), *map(str, words)]
        self.url = ""
        self.peak_mb = self.cpu = 0.0

    def __enter__(self) -> "Service":
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [*self.command, "--json", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.command)}: it did not start")
        self.url = json.loads(line)["url"]
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, as its user would."""
        self._ended.set()
        self._watcher.join()
        self.look()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.look()

    def look(self) -> float:
        """Sample it now; the CPU seconds so far."""
        resident, cpu = tree_usage(self._process.pid, leader=True)
        self.peak_mb = max(self.peak_mb, round(resident / 1e6, 1))
        self.cpu = max(self.cpu, round(cpu, 3))
        return self.cpu


def run(*words: object, **options: object) -> tuple[dict, dict]:
    """A `mezzotint` command with --json: what it says, and what it cost."""
    command: Sequence[str] = [str(Path(sys.executable).parent / "mezzotint"), *map(str, words)]
    began = time.perf_counter()
    measured = measure([*command, "--json"], keep_output=1 << 22, **options)  # type: ignore[arg-type]
    if not measured.ok:
        raise SystemExit(f"{' '.join(command)}: {measured.stderr.strip()[-600:]}")
    cost = measured.as_dict() | {"wall": round(time.perf_counter() - began, 3)}
    return json.loads(measured.stdout), cost
