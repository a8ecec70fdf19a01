"""Progress with the time left, and a log that holds ids and sizes only."""

from __future__ import annotations

import io

import pytest

from mezzotint.service.logs import to_stream
from mezzotint.service.progress import (
    Pace,
    Progress,
    Stages,
    read_progress,
    spell,
    write_progress,
)


def test_the_time_left_follows_from_the_pace_of_this_process():
    now, told = [0.0], []
    pace = Pace(told.append, lambda: now[0])
    pace("products", 40, 100)  # forty were done before this process began
    assert told[-1] == Progress("products", 40, 100, 0.0, None)
    now[0] = 10.0
    pace("products", 60, 100)
    assert told[-1] == Progress("products", 60, 100, 10.0, pytest.approx(20.0))
    assert told[-1].words() == "products: 60 of 100, 20 s left"
    now[0] = 10.1
    pace("products", 61, 100)  # too soon to be told again
    assert told[-1].done == 60
    pace("products", 100, 100)
    assert told[-1].left == 0
    pace("fitting", 0, 0)
    assert told[-1].words() == "fitting"


def test_stages_add_up_what_they_took():
    now, passed = [0.0], []
    stages = Stages(lambda *step: passed.append(step), lambda: now[0])
    for stage, seconds in (("products", 5.0), ("fitting", 2.0), ("products", 1.0)):
        stages(stage, 0, 1)
        now[0] += seconds
    taken = {stage: figures["seconds"] for stage, figures in stages.ended().items()}
    assert taken == {"preparing": 0.0, "products": 6.0, "fitting": 2.0}
    assert passed == [("products", 0, 1), ("fitting", 0, 1), ("products", 0, 1)]


def test_durations_in_words():
    told = [spell(x) for x in (0.2, 5, 99, 150, 7200)]
    assert told == ["less than a second", "5 s", "99 s", "2 min", "2.0 h"]


def test_progress_is_found_where_it_was_left(tmp_path):
    path = tmp_path / "progress.json"
    assert read_progress(path) is None
    write_progress(path, Progress("products", 1, 2, 3.0, 3.0))
    assert read_progress(path) == Progress("products", 1, 2, 3.0, 3.0)


def test_a_log_line_is_one_short_line():
    stream = io.StringIO()
    log = to_stream("provider", stream)
    log("upload", job="3f", bytes=9, evil="a\nb c\x1b[2J" + "x" * 500)
    (line,) = stream.getvalue().splitlines()
    assert " provider upload job=3f bytes=9 evil=a_b_c_[2Jx" in line
    assert len(line) < 250
