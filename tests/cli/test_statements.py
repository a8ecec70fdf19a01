"""statement key, statement write, verify; and `synthesize --statement`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def fitted(run):
    """Rows with their model, ledger, keys and signed statement, all from the command line."""
    assert run("schema", "draft", "data.csv", "-o", "schema.yaml").code == 0
    assert run("schema", "confirm", "schema.yaml", "--all-public").code == 0
    assert run("statement", "key", "-o", "steward.key").code == 0
    outcome = run(
        *("synthesize", "data.csv", "--schema", "schema.yaml", "--epsilon", 1, "-m", "mst"),
        *("-o", "synthetic.csv", "--model", "m.mezzo", "--ledger", "ledger.db"),
        *("--statement", "statement.json", "--key", "steward.key", "--json"),
    )
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["files"]["statement"] == "statement.json"
    return run


def test_from_the_table_to_the_checked_statement(fitted):
    outcome = fitted(
        *("verify", "statement.json", "synthetic.csv", "--signed-by", "steward.key.pub"),
        *("--ledger", "ledger.db", "--json"),
    )
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert all(told["checked"].values())
    assert told["epsilon"] == 1
    assert told["mechanism"] == "mst"
    lines = fitted("verify", "statement.json", "synthetic.csv")
    assert lines.code == 0
    assert "is the one that the statement speaks of" in lines.out
    assert "--signed-by would check" in lines.out


def test_a_changed_row_is_found(fitted):
    rows = Path("synthetic.csv")
    rows.write_text(rows.read_text().replace("\n", "\n\n", 1))
    outcome = fitted("verify", "statement.json", "synthetic.csv")
    assert outcome.code == 1
    assert "is not the file that the statement speaks of" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_statement_for_other_rows_of_the_model_with_its_page(fitted):
    assert fitted("sample", "m.mezzo", "-n", 50, "-o", "more.csv").code == 0
    audit = {
        "mechanism": "mst",
        "claimed_epsilon": 1.0,
        "delta": 1e-9,
        "lower_bound": 0.5,
        "ceiling": 0.7,
        "runs": 1000,
        "cpu_seconds": 1.0,
        "holds": True,
    }
    Path("audit.json").write_text(json.dumps(audit))
    outcome = fitted(
        *("statement", "write", "m.mezzo", "more.csv", "-o", "more.json"),
        *("--page", "more.html", "--ledger", "ledger.db", "--audit", "audit.json"),
    )
    assert outcome.code == 0, outcome.err
    assert "not signed" in outcome.out
    page = Path("more.html").read_text()
    assert "Nobody has signed it" in page
    assert "What attacks found" in page
    assert "<script" not in page
    assert fitted("verify", "more.json", "more.csv").code == 0
    unsigned = fitted("verify", "more.json", "more.csv", "--signed-by", "steward.key.pub")
    assert unsigned.code == 1
    assert "nobody vouches" in unsigned.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("verify", "nowhere.json", "synthetic.csv"), 1, "nowhere.json"),
        (("verify", "statement.json", "nowhere.csv"), 2, "nowhere.csv"),
        (("verify", "data.csv", "synthetic.csv"), 1, "no JSON"),
        (("verify", "statement.json", "synthetic.csv", "--signed-by", "me"), 2, "no public key"),
        (("verify", "statement.json", "synthetic.csv", "--ledger", "no.db"), 1, "no.db"),
        (("statement", "key", "-o", "steward.key"), 2, "something is there already"),
        (("statement", "write", "data.csv", "synthetic.csv", "-o", "s.json"), 1, "data.csv"),
        (("statement", "write", "m.mezzo", "no.csv", "-o", "s.json"), 2, "no.csv"),
        (
            ("statement", "write", "m.mezzo", "synthetic.csv", "-o", "s.json", "--key", "data.csv"),
            2,
            "no private key",
        ),
    ],
)
def test_bad_input(fitted, words, code, said):
    outcome = fitted(*words)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_a_key_without_a_statement_spends_nothing(fitted):
    before = fitted("ledger", "show", "ledger.db", "--json").out
    outcome = fitted(
        *("synthesize", "data.csv", "--schema", "schema.yaml", "--epsilon", 1, "-o", "s.csv"),
        *("--ledger", "ledger.db", "--key", "steward.key"),
    )
    assert outcome.code == 2
    assert "no statement to sign" in outcome.err
    assert fitted("ledger", "show", "ledger.db", "--json").out == before
