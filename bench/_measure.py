"""Run a command and measure it: wall seconds, CPU seconds with all its children, peak memory.

Shared by every benchmark here. CPU seconds are what the documents quote, because they stand
when other work shares the cores; the figures come from the kernel (`wait4`), so interpreter
start-up is included.

Linux counts the memory of the process that started a command into the command's own high-water
mark. So a bare interpreter of some 10 MB stands between: it starts the command, waits for it and
reports what the kernel says.
"""

import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Reading /proc costs about a millisecond, so a long run is looked at less often.
POLL_SECONDS = (0.05, 0.5)
POLL_OFTEN_FOR = 10.0
TAIL_CHARACTERS = 4000
LAUNCHER = """
import json, os, sys
report, command = int(sys.argv[1]), sys.argv[2:]
pid = os.fork()
if pid == 0:
    os.set_inheritable(report, False)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\\n")
        os._exit(127)
_, status, usage = os.wait4(pid, 0)
figures = usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status)
os.write(report, json.dumps(figures).encode())
"""


@dataclass(frozen=True)
class Measured:
    """What one run of a command cost.

    Attributes:
        wall: Seconds on the clock.
        cpu: User and system seconds, of the process and every descendant it waited for.
        peak_mb: Largest resident set in MB (10**6 bytes): of the whole process tree as sampled
            every 50 ms (every 500 ms after ten seconds), or of the largest single process as the
            kernel saw it, if that is more.
        returncode: Exit status; negative for a signal.
        timed_out: Whether a limit ended it.
        stdout: What it printed (the last 4,000 characters kept, unless asked otherwise).
        stderr: The same for standard error.
    """

    wall: float
    cpu: float
    peak_mb: float
    returncode: int
    timed_out: bool
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.returncode == 0 and not self.timed_out

    def as_dict(self) -> dict[str, object]:
        """The fields as JSON holds them, without the text it printed."""
        fields = asdict(self)
        return {key: fields[key] for key in fields if key not in ("stdout", "stderr")}


def measure(
    command: Sequence[str | Path],
    *,
    cpu_limit: float | None = None,
    wall_limit: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    keep_output: int = TAIL_CHARACTERS,
) -> Measured:
    """Runs `command` in a process group of its own and measures it.

    Args:
        command: Program and arguments.
        cpu_limit: End the whole group once it has used this many CPU seconds.
        wall_limit: End it after this many seconds on the clock.
        env: Variables added to the environment.
        cwd: Directory to run in.
        keep_output: How many last characters of each stream to keep.

    Returns:
        The cost. A run that was ended by a limit has `timed_out` set.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reading, writing = os.pipe()
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(writing)]
        start = time.perf_counter()
        process = subprocess.Popen(
            [*launcher, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            pass_fds=[writing],
            start_new_session=True,
        )
        os.close(writing)
        watcher = _Watcher(process.pid, start, cpu_limit, wall_limit)
        watcher.start()
        try:
            process.wait()
        except BaseException:
            _end_group(process.pid)
            process.wait()
            raise
        finally:
            watcher.stop()
        wall = time.perf_counter() - start
        with os.fdopen(reading) as stream:
            report = stream.read()
        # A run that a limit ended reports nothing; what was seen of it last has to serve.
        seen = (watcher.cpu, 0, -signal.SIGKILL)
        cpu, kilobytes, returncode = json.loads(report) if report else seen
        return Measured(
            wall=round(wall, 3),
            cpu=round(cpu, 3),
            peak_mb=round(max(kilobytes * 1024, watcher.peak_bytes) / 1e6, 1),
            returncode=returncode,
            timed_out=watcher.timed_out,
            stdout=_tail(out, keep_output),
            stderr=_tail(err, keep_output),
        )


class _Watcher(threading.Thread):
    """Samples a process tree's memory and CPU time, and ends the tree at a limit."""

    def __init__(
        self, pid: int, start: float, cpu_limit: float | None, wall_limit: float | None
    ) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.started = start
        self.cpu_limit = cpu_limit
        self.wall_limit = wall_limit
        self.peak_bytes = 0
        self.cpu = 0.0
        self.timed_out = False
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(self._pause()):
            resident, self.cpu = tree_usage(self.pid)
            self.peak_bytes = max(self.peak_bytes, resident)
            over_cpu = self.cpu_limit is not None and self.cpu > self.cpu_limit
            elapsed = time.perf_counter() - self.started
            over_wall = self.wall_limit is not None and elapsed > self.wall_limit
            if over_cpu or over_wall:
                self.timed_out = True
                _end_group(self.pid)
                return

    def _pause(self) -> float:
        often, seldom = POLL_SECONDS
        return often if time.perf_counter() - self.started < POLL_OFTEN_FOR else seldom

    def stop(self) -> None:
        self._done.set()
        self.join()


def tree_usage(group: int, *, leader: bool = False) -> tuple[int, float]:
    """Resident bytes and CPU seconds of the live processes in a group.

    Linux only; elsewhere there is nothing to see.

    Args:
        group: The process group.
        leader: Whether its leader counts; that of `measure` is its own launcher.
    """
    if not Path("/proc/self/stat").exists():
        return 0, 0.0
    tick, page = os.sysconf("SC_CLK_TCK"), resource.getpagesize()
    resident, cpu = 0, 0.0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or (int(entry.name) == group and not leader):
            continue
        # A process may end between the listing and the reading.
        with contextlib.suppress(OSError):
            text = Path(entry.path, "stat").read_text()
            fields = text[text.rindex(")") + 2 :].split()
            if int(fields[2]) == group:
                resident += int(fields[21]) * page
                # Own and waited-for children: utime, stime, cutime, cstime.
                cpu += sum(int(value) for value in fields[11:15]) / tick
    return resident, cpu


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _tail(stream, characters: int) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 4 * characters))
    return stream.read().decode("utf-8", "replace")[-characters:]


def machine() -> dict[str, object]:
    """The machine and the versions that a figure was measured with."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("mezzotint", "numpy", "pyarrow", "opendp")},
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    # `python bench/_measure.py COMMAND ...` prints what the command cost.
    result = measure(sys.argv[1:])
    sys.stderr.write(result.stderr)
    print(result.stdout, end="")
    print(result.as_dict())
    sys.exit(result.returncode)
