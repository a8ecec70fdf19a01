"""The benchmark of engines: its table."""

from __future__ import annotations

from pathlib import Path

import dpsgd


def result(engine="plain", status="ok", step=10.0, version=None, net="critic"):
    return dpsgd.Result(net, 64, engine, status, 640.0, step, 300.0, version, {})


def test_times_stand_in_units_of_plain_sgd():
    rows = dpsgd.markdown(
        [result(), result("ours", step=15.0), result("peer", "no message", version="1.6")]
    ).splitlines()
    assert rows[2] == "| critic, 64 | plain | 640 | 1.00 | 300 |"
    assert rows[3] == "| critic, 64 | ours | 640 | 1.50 | 300 |"
    assert rows[4] == "| critic, 64 | peer 1.6 | fails |  |  |"


def test_a_net_without_plain_sgd_has_no_ratio():
    assert "| 640 |  | 300 |" in dpsgd.markdown([result("ours", net="unet")])


def test_rendering_replaces_what_stands_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- engine -->\nold\n<!-- end -->\nb\n")
    dpsgd.render([result()], page)
    once = page.read_text()
    assert "old" not in once
    assert "| critic, 64 | plain |" in once
    assert once.endswith("<!-- end -->\nb\n")
    dpsgd.render([result()], page)
    assert page.read_text() == once


def test_the_newest_result_of_a_cell_stands(tmp_path):
    import json
    from dataclasses import asdict

    path = tmp_path / "r.jsonl"
    lines = [result(step=10.0), result(step=20.0), result("mezzotint", step=30.0)]
    path.write_text("".join(json.dumps(asdict(r)) + "\n" for r in lines))
    found = dpsgd.read(path)
    assert [(r.engine, r.step_ms) for r in found] == [("plain", 20.0), ("mezzotint", 30.0)]


def test_the_document_has_the_marks():
    assert dpsgd.BLOCK.search((Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text())
