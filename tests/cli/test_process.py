"""True processes: start-up, signals, full disks, closed pipes, a terminal."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mezzotint.privacy.ledger import Ledger

MEZZOTINT = [sys.executable, "-m", "mezzotint"]
LONG = ("synthesize", "long.csv", "--domain", "long.json", "-o", "out.csv", "--epsilon", "100",
        "--ledger", "ledger.db", "-m", "aim", "--max-model-mb", "80")  # fmt: skip


def cli(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MEZZOTINT, *words], check=False, capture_output=True, text=True, **options
    )


def visible() -> set[str]:
    return {p.name for p in Path().iterdir() if not p.name.endswith(("-wal", "-shm"))}


@pytest.mark.parametrize("policy", [None, "ACTIVE"])
def test_threads_do_not_spin_unless_they_are_told_to(place, policy):
    """On a busy machine spinning threads made a fit seven times as long."""
    code = (
        "import os, sys; sys.argv = ['mezzotint', '--version']; from mezzotint.cli import main; "
        "main(); print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert ended.stdout.split()[-1] == (policy or "PASSIVE")


def test_help_is_quick(place):
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert cli("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime)
    # A third of this on an idle machine; a busy one inflates CPU seconds as well.
    assert min(took) < 0.9


def test_what_the_main_job_imports(place):
    code = (
        "import sys; from mezzotint.cli.app import run;"
        "run(['synthesize', 'data.csv', '-s', 'schema.yaml', '-o', 'o.csv', '-q'],"
        " own_process=True);"
        "print(*{'pandas', 'scipy', 'sklearn', 'dp_accounting', 'jinja2', 'opendp.prelude',"
        " 'rich.progress', 'polars', 'duckdb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_installed_command(place):
    done = subprocess.run(
        [Path(sys.executable).parent / "mezzotint", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("mezzotint ")


def test_exit_codes_reach_the_shell(place):
    assert cli("schema", "check", "data.csv", "-s", "schema.yaml").returncode == 0
    done = cli("synthesize", "no.csv", "-s", "schema.yaml", "-o", "o.csv")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no.csv: there is no such file")
    assert done.stdout == ""


def test_a_terminal_that_cannot_spell_a_category(place):
    Path("data.csv").write_text("where\nKöln\nŁódź\n" * 20)
    done = cli("schema", "draft", "data.csv", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "K\\xf6ln" in done.stdout


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_fitting(place, sign, code):
    """Nothing half-written; the ledger is closed, and keeps what was spent."""
    rng = np.random.default_rng(1)
    codes = np.cumsum(rng.integers(0, 4, (4000, 20)), axis=1) % 24
    names = [f"c{i}" for i in range(20)]
    Path("long.csv").write_text("\n".join(",".join(map(str, row)) for row in [names, *codes]))
    Path("long.json").write_text(json.dumps(dict.fromkeys(names, 24)))
    before = visible()
    process = subprocess.Popen(
        [*MEZZOTINT, *LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (releases := _releases()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sign)
    out, err = process.communicate(timeout=60)
    assert releases, "a slow machine: nothing was released within a minute"
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    if sign is signal.SIGINT:
        assert err.endswith(
            "error: interrupted; no file was left half-written, and what was spent stays booked\n"
        )
    assert visible() - before == {"ledger.db"}
    with Ledger.open("ledger.db") as ledger:
        (run,) = ledger.runs()
        assert run.state == "closed"
        assert 0 < run.spent < run.units


def _releases() -> int:
    if not Path("ledger.db").exists():
        return 0
    try:
        with Ledger.open("ledger.db", read_only=True) as ledger:
            return sum(run.releases for run in ledger.runs())
    except Exception:  # it is being made at this moment
        return 0


def _limit(megabytes: float):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = int(megabytes * 2**20)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_is_noticed_before_anything_is_spent(place):
    Ledger.open("ledger.db").close()
    before = visible()
    done = cli(
        *("synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "out.csv"),
        *("--ledger", "ledger.db"),
        preexec_fn=_limit(0.5),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: --output out.csv: nothing can be written to ")
    assert "nothing was spent" in done.stderr
    assert visible() == before
    with Ledger.open("ledger.db") as ledger:
        assert ledger.runs() == ()


def test_a_disk_that_fills_up_while_writing_leaves_nothing(place):
    before = visible()
    done = cli(
        *("synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "out.csv"),
        *("-n", "200000"),
        preexec_fn=_limit(2),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: out.csv: cannot be written (File too large)")
    assert "the budget had been spent by then" in done.stderr
    assert visible() == before


def test_a_model_written_first_survives_rows_that_do_not_fit(place):
    done = cli(
        *("synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "out.csv"),
        *("-n", "200000", "--model", "m.mezzo"),
        preexec_fn=_limit(2),
    )
    assert done.returncode == 1
    assert cli("sample", "m.mezzo", "-o", "out.csv", "-n", "5").returncode == 0


def test_an_earlier_result_stays_when_the_new_one_fails(place):
    Path("out.csv").write_text("earlier\n")
    done = cli(
        *("synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "out.csv"),
        *("-n", "200000"),
        preexec_fn=_limit(2),
    )
    assert done.returncode == 1
    assert Path("out.csv").read_text() == "earlier\n"


def test_a_reader_that_hangs_up(place):
    command = [*MEZZOTINT, "schema", "draft", "data.csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


# On a terminal


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, *words: str, **env: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*MEZZOTINT, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "200"} | env,
        )
        os.close(theirs)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def read_until(self, words: str | None = None, seconds: float = 90) -> None:
        """Read until these words have been shown, or to the end, and no longer than this."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (words is None or words not in self.shown):
            if not select.select([self._ours], [], [], 1)[0]:
                continue
            try:
                data = os.read(self._ours, 1 << 14)
            except OSError:  # Linux: the other end is closed
                return
            if not data:
                return
            self.shown += data.decode(errors="replace")

    def finish(self) -> int:
        self.read_until()
        os.close(self._ours)
        return self.process.wait(timeout=60)


def on_terminal(words: list[str], keys: str, **env: str) -> tuple[int, str]:
    """Runs a command on a terminal and types; its exit code, and what was shown."""
    terminal = Terminal(*words, **env)
    terminal.type(keys)
    code = terminal.finish()
    return code, terminal.shown


def drafted() -> None:
    assert cli("schema", "draft", "data.csv", "-o", "d.yaml").returncode == 0


def test_confirming_fact_by_fact(place):
    drafted()
    code, shown = on_terminal(["schema", "confirm", "d.yaml"], "y\nn\nwhat\nc\ny\nq\n")
    assert code == 0, shown
    assert "is it true that one person is what is to be protected?" in shown
    assert "age: is it public that" in shown
    text = Path("d.yaml").read_text()
    assert "assumed: [rows]" in text
    assert "facts confirmed" in shown
    # age was confirmed whole, of colour the first fact only.
    assert text.split("colour:")[0].count("from_data") == 1  # the comment at the top
    assert "from_data: [categories" in text.split("colour:")[1]


def test_editing_while_confirming(place):
    drafted()
    Path("editor.py").write_text(
        "import sys, pathlib\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "path.write_text(path.read_text().replace('name: person', 'name: guest'))\n"
    )
    code, shown = on_terminal(
        ["schema", "confirm", "d.yaml"],
        "e\ny\nq\n",
        EDITOR=f"{sys.executable} editor.py",
        VISUAL="",
    )
    assert code == 0, shown
    assert "one guest is what is to be protected" in shown
    assert "name: guest" in Path("d.yaml").read_text()


def test_a_senseless_edit_is_not_taken(place):
    drafted()
    Path("editor.py").write_text("import sys; open(sys.argv[1], 'w').write('attributes: [')\n")
    code, shown = on_terminal(
        ["schema", "confirm", "d.yaml"],
        "e\nq\n",
        EDITOR=f"{sys.executable} editor.py",
        VISUAL="",
    )
    assert code == 0, shown
    assert "Not taken: " in shown


def test_no_editor(place):
    drafted()
    before = Path("d.yaml").read_text()
    code, shown = on_terminal(
        ["schema", "confirm", "d.yaml"], "e\n", EDITOR="/no/editor", VISUAL=""
    )
    assert code == 2
    assert "the editor '/no/editor' cannot be run" in shown
    assert Path("d.yaml").read_text() == before


@pytest.mark.parametrize("key", ["interrupt", "\x04"])
def test_leaving_while_confirming_changes_nothing(place, key):
    drafted()
    before = Path("d.yaml").read_text()
    terminal = Terminal("schema", "confirm", "d.yaml")
    terminal.read_until("[y/n/c/e/q]")
    if key == "interrupt":
        # A signal between the prompt and the wait for keys is seen at the next key only; one that
        # comes after another was taken ends the process by itself.
        while "interrupted" not in terminal.shown and terminal.process.poll() is None:
            terminal.process.send_signal(signal.SIGINT)
            terminal.read_until("interrupted", seconds=5)
    else:
        terminal.type(key)
    assert terminal.finish() == 130
    assert "Traceback" not in terminal.shown
    assert Path("d.yaml").read_text() == before


def test_progress_is_shown_on_a_terminal_only(place):
    words = ["synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "out.csv"]
    code, shown = on_terminal(words, "")
    assert code == 0
    assert "Counting and fitting" in shown
    assert cli(*words).stderr == ""
