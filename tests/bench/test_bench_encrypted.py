"""The encrypted benchmark: its evaluator, its question about choices, and the tables it renders."""

import numpy as np
import pytest

from _choices import Scene
from _coding import Problem
from _encrypted_report import products, published_total, render, summary, whole
from _fidelity import CodedTable
from _make import dependent_table
from _usefulness import predicts, usefulness

VIEWS = [
    {"role": "public", "corrupted": "", "sees": [], "rho": 0.015, "epsilon": 1.0, "delta": 1e-9},
    {"role": "key holder", "corrupted": "", "sees": [], "rho": None, "epsilon": None,
     "delta": 1e-9},
]  # fmt: skip


def submission(**changes):
    fields = {
        "wall": 6.0, "cpu": 2.0, "peak_mb": 90.0, "provider_cpu": 3.0, "keyholder_cpu": 1.0,
        "stages": {"multiplying": {"seconds": 1.5, "cpu_seconds": 2.5}}, "up": 3_000_000,
        "down": 40_000, "to_keyholder": 200_000, "from_keyholder": 9_000, "rounds": 30,
        "releases": 50, "views": VIEWS, "error": 0.05, "f1": 0.6, "accuracy": 0.7,
    }  # fmt: skip
    return fields | changes


def protocol(**changes):
    fields = {
        "kind": "protocol", "table": "compas", "rows": 4120, "attributes": 9, "columns": 24,
        "cells": 255, "held_out": True, "layout": "records", "selection": "noisy-marginals",
        "epsilon": 1.0, "delta": 1e-9, "keys": {"wall": 1.0, "cpu": 0.5, "peak_mb": 80.0},
        "encrypt": {"wall": 2.0, "cpu": 1.5, "peak_mb": 120.0, "bytes": 2_000_000},
        "submissions": [submission(), submission(wall=8.0, error=0.07)],
        "provider_peak_mb": 300.0, "keyholder_peak_mb": 150.0,
        "plain": [{"cpu": 1.0, "wall": 1.5, "error": 0.055, "f1": 0.61, "accuracy": 0.7}],
        "real": {"f1": 0.63, "accuracy": 0.68},
    }  # fmt: skip
    return fields | changes


def selection():
    one = {"chosen": 5, "right": 4, "error": 0.2}
    mass = {"uniform": 0.1, "plain AIM": 0.99, "squared L2": 0.6, "noisy marginals": 1.0}
    trial = {"mass": mass, "plain": one, "encrypted": one | {"error": 0.3}}
    return {"kind": "selection", "table": "adult", "rows": 600, "epsilon": 1.0, "delta": 1e-9,
            "right": 10, "trials": [trial, trial], "mass": mass}  # fmt: skip


def test_published_seconds_add_up_to_the_published_minutes():
    minutes = [published_total(name) / 60 for name in ("cancer", "compas", "diabetes")]
    assert min(minutes) > 13.5
    assert max(minutes) < 24
    assert published_total("adult") is None


def test_the_whole_protocol_is_keys_encryption_and_submission():
    record = protocol()
    assert whole(record) == pytest.approx(1 + 2 + 7)
    assert whole(record, "cpu") == pytest.approx(0.5 + 1.5 + 2 + 3 + 1)
    assert products(record) == 1.5
    assert products(protocol(submissions=[submission(stages={})])) is None


def test_rendering_takes_the_latest_record_of_each_problem(tmp_path):
    document = tmp_path / "benchmarks.md"
    blocks = ("cost", "traffic", "utility", "views", "selection")
    document.write_text(
        "Before.\n" + "".join(f"<!-- encrypted: {b} -->\nstale\n<!-- end -->\n" for b in blocks)
    )
    records = [
        protocol(submissions=[submission(wall=99.0)]),
        protocol(layout="marginals", submissions=[submission(stages={})]),
        selection(),
        protocol(),
    ]
    render(records, document)
    text = document.read_text()
    assert text.startswith("Before.\n")
    assert "stale" not in text
    assert "99.0" not in text
    assert "| key holder | nobody |" not in text  # it owns the data: no epsilon to show
    assert "| compas, 4,120 x 9 | records | 2 | 1.0 | 2.0 | 1.5 | 293 | 10.0 | 8.0 | 813 |" in text
    assert text.index(", 4,120 x 9 | records |") < text.index(", 4,120 x 9 | marginals |")
    assert "0.0600 ± 0.0141" in text
    assert "8 of 10" in text
    render(records, document)
    assert document.read_text() == text


def test_a_record_is_told_in_words():
    assert "0.0550" in summary(protocol())
    assert "0.600" in summary(selection())


@pytest.fixture(scope="module")
def task():
    table = dependent_table(3000, [4, 3, 5, 2], seed=5)
    half = np.arange(table.rows) < 2000
    return Problem(
        "small", table.take(np.flatnonzero(half)), table.take(np.flatnonzero(~half)), "a03"
    )


def test_real_rows_predict_better_than_shuffled_ones(task, tmp_path):
    real, shuffled = tmp_path / "real.csv", tmp_path / "shuffled.csv"
    task.train.write(real, tmp_path / "d.json")
    task.train.shuffled(np.random.default_rng(0)).write(shuffled, tmp_path / "d.json")
    own, other = usefulness(task, real), usefulness(task, shuffled)
    assert own["error"] == 0 < other["error"]
    assert own["accuracy"] > other["accuracy"]


def test_one_code_of_the_target_predicts_that_code(task):
    columns = dict(task.train.columns)
    for code, f1 in ((0, 0.0), (1, None)):
        columns["a03"] = np.full(task.train.rows, code, np.int32)
        found, accuracy = predicts(task, CodedTable(task.train.sizes, columns))
        share = float((task.test.columns["a03"] == 1).mean())
        assert accuracy == pytest.approx(share if code else 1 - share)
        assert found == pytest.approx(2 * share / (1 + share) if f1 is None else f1)


def test_the_scores_are_the_curators_own():
    """AIM's scores, computed here in the clear, are those that the trusted curator computes."""
    from mezzotint.privacy.accounting import Budget
    from mezzotint.privacy.ledger import Ledger
    from mezzotint.tables.counting import Counts
    from mezzotint.tables.curator import TrustedCurator

    table = dependent_table(600, [2, 3, 4, 3, 2], seed=9)
    scene = Scene.of(table, 1.0, 1e-9)
    with Ledger.memory() as ledger:
        run = ledger.begin(Budget(1.0, 1e-9), mechanism="aim", dataset="made up")
        curator = TrustedCurator(
            Counts(scene.domain, list(scene.counts), scene.counts.__getitem__), run
        )
        held = [curator._score(candidate) / 2**10 for candidate in scene.candidates()]
    assert scene.scores() == pytest.approx(held, abs=1.0)
    masses = scene.masses(np.random.default_rng(0))
    assert masses["uniform"] == 1.0  # ten pairs of ten
    assert masses["plain AIM"] == pytest.approx(1.0)
