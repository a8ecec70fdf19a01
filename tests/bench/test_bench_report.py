"""Results files, their averages, and the document made from them."""

import pytest

from _records import Record, append, averages, drop, read
from _report import markdown, render


def record(method="mezzotint-aim", **changes):
    fields = {
        "scenario": "adult", "table": "adult", "method": method, "version": "1.0",
        "epsilon": 1.0, "delta": 1e-9, "workload": 2, "max_model_mb": 80.0, "status": "ok",
        "wall": 2.0, "cpu": 3.0, "peak_mb": 80.0, "errors": {"2": 0.04, "3": 0.09}, "note": "",
        "details": {}, "machine": {"cpu": "Abacus", "cores": 2, "memory_gb": 4.0,
        "system": "Linux 1", "python": "3.11.7", "numpy": "2.4", "date": "2026-11-22"},
    }  # fmt: skip
    return Record(**(fields | changes))


def test_records_survive_the_file(tmp_path):
    path = tmp_path / "results" / "r.jsonl"
    written = [record(), record(status="timeout", errors={})]
    for one in written:
        append(path, one)
    assert read(path) == written


def test_dropping_takes_out_one_problem_only(tmp_path):
    path = tmp_path / "r.jsonl"
    drop(path, [record().key])
    for one in (record(), record(workload=3), record()):
        append(path, one)
    drop(path, [record().key])
    assert read(path) == [record(workload=3)]


def test_averages_take_only_runs_that_ended_well():
    runs = [
        record(cpu=2.0, peak_mb=70.0, errors={"2": 0.03}),
        record(cpu=4.0, peak_mb=90.0, errors={"2": 0.05}),
        record(cpu=999.0, status="failed", errors={}),
        record(method="mbi-aim"),
    ]
    ours, theirs = averages(runs)
    assert (ours.runs, ours.unfinished, ours.cpu, ours.peak_mb) == (2, 1, 3.0, 90.0)
    assert ours.errors["2"] == (pytest.approx(0.04), pytest.approx(0.0141, abs=1e-4))
    assert theirs.runs == 1


def test_an_unfinished_peer_is_shown_as_such():
    shown = markdown(averages([record(method="dpmm-aim", status="timeout", cpu=400.0, errors={})]))
    assert "not finished after 400" in shown
    failed = markdown(averages([record(method="dpmm-aim", status="failed", cpu=4.0, errors={})]))
    assert "failed after 4" in failed


def test_rendering_replaces_the_blocks_and_keeps_the_prose(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text(
        "Before.\n<!-- table: adult 2 -->\nold\n<!-- end -->\nBetween.\n"
        "<!-- table: machine -->\n<!-- end -->\nAfter.\n"
    )
    runs = [record(method="mbi-aim", cpu=1200.0), record(), record(workload=3, cpu=55.0)]
    render(runs, document)
    first = document.read_text()
    assert "old" not in first
    assert "| **Mezzotint AIM** | 1.0 | 1 | 2.0 | 3.0 | 80 | 0.0400 | 0.0900 |" in first
    assert first.index("Mezzotint AIM") < first.index("mbi")
    assert "1,200" in first
    assert "55" not in first
    assert "Abacus, 2 cores" in first
    assert all(prose in first for prose in ("Before.", "Between.", "After."))
    render(runs, document)
    assert document.read_text() == first
