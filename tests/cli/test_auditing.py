"""mezzotint audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzotint.audit import single, suite


def test_one_line_as_json_holds_what_scripts_need(run):
    outcome = run(
        *[
            "audit",
            "--mechanism",
            "independent",
            "--epsilon",
            "1",
            "--delta",
            "1e-5",
            "--runs",
            "500",
            "--jobs",
            "1",
            "--json",
        ]
    )
    assert outcome.code == 0
    line = outcome.json
    assert line["mechanism"] == "independent"
    assert line["claimed_epsilon"] == 1.0
    assert line["delta"] == 1e-5
    assert 0 <= line["alarm_bound"] <= line["lower_bound"]
    assert 0.9 < line["ceiling"] <= 1.0
    assert line["runs"] == 500
    assert line["cpu_seconds"] > 0
    assert line["holds"] is True


def test_it_prints_a_table_and_writes_a_page(run):
    outcome = run("audit", "-m", "gaussian", "--runs", 20000, "--jobs", 1, "-o", "audit.html")
    assert outcome.code == 0
    head, row = outcome.out.splitlines()
    assert head.split()[:4] == ["mechanism", "claimed", "visible", "proved"]
    assert row.split()[0] == "gaussian"
    assert row.split()[-1] == "yes"
    page = Path("audit.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Every claim held" in page


def test_all_goes_through_the_list(run, monkeypatch):
    monkeypatch.setattr(suite, "LISTED", suite.LISTED[:1] + suite.LISTED[4:5])
    outcome = run("audit", "--all", "--quick", "--jobs", 1, "--json", "-o", "audit.html")
    assert outcome.code == 0
    lines = outcome.json["lines"]
    assert [line["mechanism"] for line in lines] == ["gaussian", "randomised-response"]
    assert outcome.json["holds"] is True
    # Bonferroni: the alarms of all lines together.
    assert sum(line["false_alarm"] for line in lines) == pytest.approx(1e-6)
    assert Path("audit.html").read_text().count("<article") == 2


def test_a_claim_that_does_not_hold_exits_with_1(run, monkeypatch):
    honest = single.GaussianAttack.scores
    monkeypatch.setattr(
        single.GaussianAttack,
        "scores",
        lambda self, world, runs: (
            2 * honest(self, world, runs) if world else honest(self, world, runs)
        ),
    )
    outcome = run("audit", "-m", "gaussian", "--runs", 50000, "--jobs", 1)
    assert outcome.code == 1
    assert outcome.out.splitlines()[1].endswith("NO")
    assert "does not hold" in outcome.err
    assert "Traceback" not in outcome.err


def test_the_list_shows_every_name(run):
    assert run("audit", "--list").out.split() == [entry.name for entry in suite.LISTED]
    assert run("audit", "--list", "--json").json["mechanisms"][0] == "gaussian"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("audit", "either --mechanism NAME or --all"),
        ("audit --all -m mst", "either --mechanism NAME or --all"),
        ("audit -m mts", "did you mean 'mst'"),
        ("audit -m mst --quick", "--quick goes with --all"),
        ("audit -m mst --epsilon 0", "epsilon = 0"),
        ("audit -m mst --epsilon nan", "epsilon = nan"),
        ("audit -m mst --delta 1", "delta = 1.0 is not below 1"),
        ("audit -m mst --runs 3", "Invalid value for '--runs'"),
        ("audit -m mst -o no/such/page.html", "no/such"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(fails, words, said):
    assert said in fails(2, *words.split())
