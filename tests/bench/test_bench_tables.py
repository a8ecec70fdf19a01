"""The benchmark's command line, end to end."""

import json
import subprocess
import sys
from pathlib import Path

TABLES = Path(__file__).parents[2] / "bench" / "tables.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(TABLES), *arguments], capture_output=True, text=True, check=False
    )


def test_quick_needs_neither_data_nor_peers(tmp_path):
    results = tmp_path / "results.jsonl"
    ended = run(
        "--quick", "--json", "--only", "mezzotint-mst", "--data-dir", str(tmp_path),
        "--results", str(results),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    independent, bootstrap, mst = json.loads(ended.stdout)
    assert mst["first"]["status"] == "ok"
    assert mst["cpu"] > 0
    errors = [average["errors"]["2"][0] for average in (bootstrap, mst, independent)]
    assert errors == sorted(errors)
    assert len(results.read_text().splitlines()) == 3


def test_missing_data_is_named_with_the_way_out(tmp_path):
    ended = run("adult", "--data-dir", str(tmp_path))
    assert ended.returncode == 1
    assert f"{tmp_path / 'adult_coded.csv'} is missing" in ended.stderr
    assert "--data-dir" in ended.stderr
    assert "Traceback" not in ended.stderr
