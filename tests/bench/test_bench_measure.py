"""The measuring of commands."""

import sys

import pytest

from _measure import machine, measure

PYTHON = sys.executable


def test_cost_of_a_command_and_its_children():
    # 100 MB and 0.2 CPU seconds, both in a child of the command.
    work = "import time; b=bytearray(100_000_000)\nwhile time.process_time()<.2: pass\nprint('ok')"
    outer = f"import subprocess,sys; subprocess.run([sys.executable,'-c',{work!r}])"
    measured = measure([PYTHON, "-c", outer])
    assert measured.ok
    assert measured.stdout == "ok\n"
    assert measured.cpu >= 0.2
    assert measured.wall >= 0.2
    assert 100 < measured.peak_mb < 400


def test_memory_of_the_one_who_measures_does_not_count():
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    measured = measure([PYTHON, "-c", "pass"])
    assert measured.ok
    assert measured.peak_mb < 100


def test_a_command_that_does_not_exist_fails():
    measured = measure(["/no/such/program"])
    assert measured.returncode == 127
    assert measured.stderr == "/no/such/program: No such file or directory\n"


@pytest.mark.parametrize("limit", [{"cpu_limit": 0.3}, {"wall_limit": 0.3}])
def test_a_limit_ends_the_command(limit):
    measured = measure([PYTHON, "-c", "while True: pass"], **limit)
    assert measured.timed_out
    assert not measured.ok
    assert measured.returncode < 0
    assert 0 <= measured.cpu < 30


def test_a_failing_command_keeps_its_last_words():
    measured = measure([PYTHON, "-c", "import sys; sys.exit('no such luck')"])
    assert (measured.returncode, measured.stderr) == (1, "no such luck\n")
    assert "stderr" not in measured.as_dict()


def test_machine_names_what_figures_depend_on():
    described = machine()
    assert described["cores"] >= 1
    assert described["numpy"]
    assert described["date"]
