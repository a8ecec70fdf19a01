"""The benchmark of images: its table, and its command line end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from _image_tables import PUBLISHED, RENDERED, markdown, render

BENCH = Path(__file__).parents[2] / "bench" / "images.py"


def score(mean, spread=None):
    return {"runs": [mean], "mean": mean, "spread": spread, "by_class": [mean]}


def record(method="dp-merf", mean=0.8, **changes):
    three = ("CNN", "MLP", "logistic regression")
    coverage = {"synthetic": {"coverage": 0.5}, "floor": {"coverage": 0.9}}
    return {
        "data": "mnist", "digest": "d", "method": method, "epsilon": 1.0, "delta": 1e-5,
        "device": "cpu", "quick": False, "settings": [], "wall": 60.0, "cpu": 50.0,
        "peak_mb": 400.0, "machine": {}, "status": "ok", "samples": 10, "evaluator": "e",
        "accuracy": {name: score(mean, 0.01) for name in three},
        "ceiling": {name: score(0.99) for name in three},
        "overlaps": [coverage, coverage],
        "distances": [{"frechet": 12.34, "frechet_floor": 1.2}],
    } | changes  # fmt: skip


def test_the_table_has_ours_best_first_then_the_ceiling():
    rows = markdown(
        [record(), record("mezzotint", 0.95), record("ef-gan", status="timeout"), record(mean=0.9)]
    ).splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[4:]]
    assert [row[0] for row in cells] == [
        "mezzotint",
        "dp-merf",
        "ef-gan",
        "*real training images: the ceiling*",
        "*real test images: the floor*",
    ]
    assert cells[0][2] == "95.0 ± 1.0"
    assert cells[1][2:] == ["85.0 ± 7.1"] * 3 + ["12.3", "0.50", "50", "", "400", "2"]
    assert cells[2][2] == "timeout"
    assert cells[3][2] == "99.0"
    assert cells[4][5:7] == ["1.2", "0.90"]


def test_rendering_replaces_what_stands_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- images: mnist -->\nold\n<!-- end -->\nb\n<!-- table: x -->\n")
    render([record(), record("ef-gan", quick=True)], page)
    once = page.read_text()
    assert "old" not in once
    assert "| dp-merf | 1 | 80.0 ± 1.0 |" in once
    assert "ef-gan" not in once
    assert "| DP-MERF | 80.3 | 81.3 |" in once
    assert once.endswith("<!-- end -->\nb\n<!-- table: x -->\n")
    render([record(), record("ef-gan", quick=True)], page)
    assert page.read_text() == once


def test_every_published_table_is_rendered():
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    for name in PUBLISHED:
        assert name in RENDERED
        assert f"<!-- images: {name} -->" in text


@pytest.mark.slow
def test_quick_needs_no_data(tmp_path):
    results = tmp_path / "results.jsonl"
    words = ("--quick", "--method", "class-gaussians", "--json", "--results", results)
    for _ in range(2):  # the second time everything is there
        ended = subprocess.run(
            [sys.executable, BENCH, *words], capture_output=True, text=True, check=True
        )
        (found,) = json.loads(ended.stdout)
    assert len(results.read_text().splitlines()) == 1
    more = [sys.executable, BENCH, *words, "--runs", "3"]
    subprocess.run(more, capture_output=True, text=True, check=True)
    assert len(results.read_text().splitlines()) == 3
    assert found["status"] == "ok"
    assert 0.3 < found["accuracy"]["CNN"]["mean"] < found["ceiling"]["CNN"]["mean"]
    assert found["guarantee"]["epsilon_spent"] <= 3
