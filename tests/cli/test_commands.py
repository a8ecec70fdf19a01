"""Every command does what it says, in lines for people and as JSON for scripts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mezzotint.privacy.ledger import Ledger


def rows_of(path: str, delimiter: str = ",") -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_version(run):
    outcome = run("--version")
    assert outcome.code == 0
    assert outcome.out.startswith("mezzotint 0.")


@pytest.mark.parametrize(
    "words",
    [
        (),
        *[(c,) for c in ("plan", "fit", "sample", "synthesize", "report", "demo")],
        *[("schema", c) for c in ("draft", "confirm", "check")],
        *[("ledger", c) for c in ("show", "cap", "verify", "export", "settle", "forget")],
    ],
)
def test_help(run, words):
    for flag in ("--help", "-h"):
        outcome = run(*words, flag)
        assert outcome.code == 0
        assert "Usage: mezzotint" in outcome.out


@pytest.mark.parametrize("words", [(), ("schema",), ("ledger",)])
def test_without_a_command_there_is_help(run, words):
    outcome = run(*words)
    assert outcome.code == 2
    assert "Usage: mezzotint" in outcome.out
    assert outcome.err == ""


def test_the_main_path(run):
    """The commands of the README, in their order."""
    assert run("schema", "draft", "data.csv", "-o", "schema.yaml").code == 0
    assert run("schema", "confirm", "schema.yaml", "--all-public").code == 0
    assert run("schema", "check", "data.csv", "--schema", "schema.yaml").code == 0
    outcome = run(
        *("synthesize", "data.csv", "--schema", "schema.yaml", "--epsilon", 1, "--delta", 1e-9),
        *("--mechanism", "aim", "--workload", 2, "-n", 100, "-o", "synthetic.csv"),
        *("--report", "report.html", "--json"),
    )
    assert outcome.code == 0
    told = outcome.json
    assert told["mechanism"] == "aim"
    assert (told["epsilon"], told["delta"], told["adjacency"]) == (1.0, 1e-9, "add-remove")
    assert told["unit"] == {"name": "person", "rows": 1}
    assert told["private"] is True
    assert (told["rows"], told["columns"]) == (100, 4)
    assert told["files"] == {"synthetic": "synthetic.csv", "report": "report.html"}
    assert 0 < told["rho"] < 0.02
    assert 0.99 < told["epsilon_spent"] <= 1
    assert 0 < told["model_mb"] < 1
    assert told["seconds"] > 0 < told["cpu_seconds"]
    assert "(1, 1e-09)-differential privacy" in told["statement"]
    rows = rows_of("synthetic.csv")
    assert len(rows) == 100
    assert list(rows[0]) == ["age", "colour", "size", "since"]
    assert {r["colour"] for r in rows} <= {"red", "green", "blue", "?"}
    assert all(18 <= int(r["age"]) <= 90 for r in rows)
    assert any(r["size"] == "" for r in rows)
    assert all(r["since"].startswith("2020-") for r in rows)
    page = Path("report.html").read_text()
    assert "<html" in page
    assert Path("report.html").stat().st_mode & 0o077 == 0


def test_fit_sample_report(run):
    outcome = run("fit", "data.csv", "--schema", "schema.yaml", "-o", "model.mezzo")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "Guarantee:  For every person" in outcome.out
    outcome = run("sample", "model.mezzo", "-n", 50, "-o", "rows.csv", "--random-state", 5)
    assert outcome.out == "Rows:       rows.csv (50 rows, 4 columns)\n"
    again = run("sample", "model.mezzo", "-n", 50, "-o", "again.csv", "--random-state", 5, "-q")
    assert again.out == again.err == ""
    assert Path("rows.csv").read_bytes() == Path("again.csv").read_bytes()
    outcome = run("report", "data.csv", "rows.csv", "--schema", "schema.yaml", "-o", "report.html")
    assert outcome.code == 0
    assert "2-way:      error 0." in outcome.out
    outcome = run(
        "report", "data.csv", "rows.csv", "--model", "model.mezzo", "-o", "r.json", "--json"
    )
    assert [c["k"] for c in outcome.json["closeness"]] == [1, 2, 3]
    assert outcome.json["private"] is True
    told = json.loads(Path("r.json").read_text())
    assert told["statement"]["epsilon"] == 1.0


def test_the_public_report_does_not_open_the_table(run):
    run("fit", "data.csv", "--schema", "schema.yaml", "-o", "model.mezzo", "-m", "mst")
    run("sample", "model.mezzo", "-n", 50, "-o", "rows.csv")
    Path("data.csv").unlink()
    outcome = run(
        *("report", "data.csv", "rows.csv", "--model", "model.mezzo", "--public"),
        *("-o", "public.html"),
    )
    assert outcome.code == 0
    assert "may be published" in outcome.out


def test_without_n_the_number_of_rows_is_the_models_estimate(run):
    outcome = run("synthesize", "data.csv", "-s", "schema.yaml", "-o", "s.csv", "--json")
    assert outcome.json["rows"] == outcome.json["estimated_rows"] == len(rows_of("s.csv"))


@pytest.mark.parametrize("mechanism", ["aim", "mst", "independent", "mezzotint"])
def test_coded_tables_with_a_domain(run, mechanism):
    Path("coded.csv").write_text("a,b\n" + "0,1\n1,2\n" * 100)
    Path("domain.json").write_text('{"a": 2, "b": 3}')
    own = {"aim": ["--workload", 2, "--max-model-mb", 80], "mezzotint": ["--max-model-mb", 1]}
    outcome = run(
        *("synthesize", "coded.csv", "--domain", "domain.json", "--epsilon", 1, "--delta", 1e-9),
        *("--mechanism", mechanism, *own.get(mechanism, []), "-o", "synthetic.csv", "--json"),
    )
    assert outcome.json["mechanism"] == mechanism
    assert all(r["a"] in "01" and r["b"] in "012" for r in rows_of("synthetic.csv"))


def test_parquet_in_and_out(run):
    table = pa.table(
        {
            "age": pa.array([20, 30, 40] * 50, pa.int16()),
            "colour": pa.array(["red", None, "blue"] * 50),
            "size": pa.array([1.5, None, 2.5] * 50, pa.float32()),
        }
    )
    pq.write_table(table, "data.parquet")
    run("schema", "draft", "data.parquet", "-o", "p.yaml")
    run("schema", "confirm", "p.yaml", "--all-public")
    outcome = run("synthesize", "data.parquet", "-s", "p.yaml", "-o", "s.parquet", "-n", 40)
    assert outcome.code == 0
    drawn = pq.read_table("s.parquet")
    assert drawn.num_rows == 40
    assert drawn.schema.types == table.schema.types


@pytest.mark.parametrize(
    ("name", "text", "output"),
    [
        ("d.csv", "age;colour\n20;red\n30;blue\n", "s.csv"),
        ("d.tsv", "age\tcolour\n20\tred\n30\tblue\n", "s.tsv"),
        ("d.csv", "age,colour\n20,red\n30,blue\n", "s.csv.gz"),
    ],
)
def test_a_text_table_comes_back_as_it_came_in(run, name, text, output):
    Path(name).write_text(text)
    run("schema", "draft", name, "-o", "d.yaml", "--unit", "person")
    run("schema", "confirm", "d.yaml", "--all-public")
    assert run("synthesize", name, "-s", "d.yaml", "-o", output, "-n", 9).code == 0
    data = Path(output).read_bytes()
    if output.endswith(".gz"):
        import gzip

        data = gzip.decompress(data)
    assert data.splitlines()[0] == text.encode().splitlines()[0]
    assert len(data.splitlines()) == 10


def test_another_encoding(run):
    Path("latin.csv").write_bytes("wer,wo\nJürgen,Köln\nJörg,Köln\n".encode("latin-1") * 1)
    outcome = run("schema", "draft", "latin.csv", "--encoding", "latin-1")
    assert "categories: [Jörg, Jürgen]" in outcome.out.replace('"', "")


def test_conditions(run):
    run("fit", "data.csv", "-s", "schema.yaml", "-o", "m.mezzo", "-m", "mst", "--epsilon", 50)
    outcome = run(
        *("sample", "m.mezzo", "-n", 40, "-o", "rows.csv", "--where", "colour=red"),
        *("--where", "colour=blue", "--where", "age=30..39", "--where", "size="),
    )
    assert outcome.code == 0, outcome
    for row in rows_of("rows.csv"):
        assert row["colour"] in ("red", "blue")
        assert 30 <= int(row["age"]) <= 39
        assert row["size"] == ""
    run("sample", "m.mezzo", "-n", 40, "-o", "rows.csv", "--where", "since=2020-06-01..")
    assert all(row["since"] >= "2020-06-01" for row in rows_of("rows.csv"))
    run("sample", "m.mezzo", "-n", 40, "-o", "rows.csv", "--where", "size=..2.5")
    assert all(float(row["size"]) <= 2.5 for row in rows_of("rows.csv"))


def test_a_plan_needs_no_table(run):
    outcome = run("plan", "--schema", "schema.yaml", "--mechanism", "mst")
    assert outcome.code == 0
    assert "choosing the pairs" in outcome.out
    told = run("plan", "--schema", "schema.yaml", "--json").json
    assert told["mechanism"] == "mezzotint"
    assert sum(step["share"] for step in told["steps"]) == pytest.approx(1)
    assert told["bought"] == []
    assert told["assumed"] == []


def test_buying_what_is_not_declared(run):
    run("schema", "draft", "data.csv", "-o", "d.yaml", "--unit", "person")
    text = Path("d.yaml").read_text()
    Path("d.yaml").write_text(text.replace("from_data: [type, ", "from_data: ["))
    outcome = run("plan", "-s", "d.yaml", "--infer", "dp")
    assert outcome.code == 0, outcome
    assert "bounds of age" in outcome.out
    assert "categories of colour" in outcome.out
    told = run("plan", "-s", "d.yaml", "--infer", "dp", "--json").json
    assert {b["attribute"] for b in told["bought"]} == {"age", "colour", "size", "since"}
    outcome = run(
        *("synthesize", "data.csv", "-s", "d.yaml", "--infer", "dp", "--epsilon", 20),
        *("-o", "s.csv", "--json", "-m", "mst"),
    )
    assert outcome.code == 0, outcome
    assert outcome.json["epsilon_spent"] <= 20
    assert outcome.json["delta"] == 1e-9
    assert outcome.json["delta_spent"] == pytest.approx(1e-10, rel=1e-6)


def test_the_share_that_buys_facts_is_chosen_and_stands_in_the_ledger(run):
    Path("t.yaml").write_text(
        "attributes:\n  age: {type: integer}\n  colour: {type: categorical}\ndrop: [size, since]\n"
    )
    buy = ("-s", "t.yaml", "--infer", "dp", "--infer-share", 0.4, "--epsilon", 5, "-m", "mst")
    steps = run("plan", *buy, "--json").json["steps"]
    assert sum(step["share"] for step in steps[:2]) == pytest.approx(0.4)
    assert [step["what"] for step in steps[:2]] == ["bounds of age", "categories of colour"]
    assert steps[1]["threshold"] > 0 and steps[1]["delta"] == pytest.approx(1e-10)
    outcome = run("fit", "data.csv", *buy, "-o", "m.mezzo", "--ledger", "l.db", "--json")
    assert outcome.code == 0, outcome
    assert outcome.json["ledger"]["delta_spent"] == pytest.approx(1e-10)
    shown = run("ledger", "show", "l.db", "--json").json
    assert shown["runs"][0]["epsilon_spent"] == outcome.json["epsilon_spent"] <= 5
    assert "(1e-10 of it for thresholds)" in run("ledger", "show", "l.db").out
    assert run("fit", "data.csv", *buy[:4], "--infer-share", 1, "-o", "n.mezzo").code == 2


def test_a_plan_of_what_has_to_be_bought_first(run):
    Path("t.yaml").write_text("attributes:\n  a: {type: integer, bins: 4}\n")
    outcome = run("plan", "-s", "t.yaml", "--infer", "dp")
    assert outcome.code == 0, outcome
    assert "Guessed:    how many values there will be of a" in outcome.out


def test_columns_that_the_schema_does_not_know_are_mentioned(run):
    text = Path("schema.yaml").read_text()
    Path("less.yaml").write_text("\n".join(text.splitlines()[:-1]))
    outcome = run("synthesize", "data.csv", "-s", "less.yaml", "-o", "s.csv", "--json")
    assert outcome.err == "note: left out, because the schema does not name them: 'since'\n"
    assert outcome.json["columns"] == 3


def test_a_draft_on_stdout_and_what_it_says_to_scripts(run):
    outcome = run("schema", "draft", "data.csv")
    assert outcome.out.startswith("# What is public about the table")
    told = run("schema", "draft", "data.csv", "--json").json
    assert {"attribute": "age", "name": "bounds", "value": told["unconfirmed"][3]["value"],
            "known": True} in told["unconfirmed"]  # fmt: skip
    assert told["files"] == {}


def test_text_columns_are_mentioned(run):
    Path("names.csv").write_text("name\n" + "\n".join(f"N{i}" for i in range(500)))
    outcome = run("schema", "draft", "names.csv", "-o", "n.yaml")
    assert "name: categories" in outcome.err
    outcome = run("schema", "confirm", "n.yaml", "--all-public")
    assert outcome.code == 0
    assert "1 still open" in outcome.out
    assert "--infer dp" in outcome.err


def test_check_says_what_does_not_fit(run):
    text = Path("data.csv").read_text()
    Path("odd.csv").write_text(text + "200,purple,nan,2020-01-01\n20,red,inf,2031-01-01\n")
    outcome = run("schema", "check", "odd.csv", "-s", "schema.yaml")
    assert outcome.code == 1
    assert "colour: 1 not among the categories (such as 'purple')" in outcome.out
    assert "age: 1 above the bounds (such as '200')" in outcome.out
    assert "since: 1 above the bounds" in outcome.out
    told = run("schema", "check", "odd.csv", "-s", "schema.yaml", "--json")
    assert told.code == 1
    assert told.json["ok"] is False
    assert told.json["private"] is True
    assert told.json["attributes"]["size"]["misfits"] == 1


def test_the_demo(run):
    outcome = run("demo")
    assert outcome.code == 0
    folder = Path("mezzotint-demo")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["data.csv", "report.html", "schema.yaml", "synthetic.csv"]
    for path in folder.iterdir():
        assert str(path) in outcome.out
    assert "differential privacy" in outcome.out
    assert run("schema", "check", folder / "data.csv", "-s", folder / "schema.yaml").code == 0
    assert run("demo", "--out", "elsewhere/deep", "--json").json["files"]["report"] == (
        "elsewhere/deep/report.html"
    )


# The ledger


def synthesize(run, *more):
    return run(
        *("synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "s.csv"),
        *("--ledger", "ledger.db", *more),
    )


def test_the_running_total_is_printed_after_each_run(run):
    assert "1 run, epsilon 1 in all" in synthesize(run).out
    outcome = synthesize(run, "--json")
    assert "2 runs, epsilon 1.4" in outcome.err
    assert outcome.json["ledger"]["runs"] == 2
    assert outcome.json["ledger"]["cap_epsilon"] is None
    # Another name for the same bytes draws on the same budget.
    Path("copy.csv").write_bytes(Path("data.csv").read_bytes())
    outcome = run(
        *("fit", "copy.csv", "-s", "schema.yaml", "-o", "m.mezzo", "--ledger", "ledger.db"),
        *("--dataset", "another", "--json", "-m", "mst"),
    )
    assert outcome.json["ledger"]["datasets"] == ["data.csv", "another"]
    assert outcome.json["ledger"]["runs"] == 3


def test_the_ledger_may_be_named_by_the_environment(run, monkeypatch):
    monkeypatch.setenv("MEZZOTINT_LEDGER", "ledger.db")
    run("fit", "data.csv", "-s", "schema.yaml", "-o", "m.mezzo", "-m", "mst")
    assert "1 run" in run("ledger", "show").out


def test_a_cap_refuses_overspending(run, fails):
    outcome = run("ledger", "cap", "ledger.db", "data.csv", "--epsilon", 1.2)
    assert "the cap is epsilon 1.2" in outcome.out
    assert synthesize(run).code == 0
    Path("renamed.csv").write_bytes(Path("data.csv").read_bytes())
    Path("s.csv").unlink()
    message = fails(
        1, "synthesize", "renamed.csv", "-s", "schema.yaml", "-o", "s.csv", "--ledger", "ledger.db"
    )
    assert "the cap is epsilon 1.2" in message
    assert "nothing was released. Ask for at most epsilon" in message
    told = run("ledger", "show", "ledger.db", "--json").json
    assert told["accounts"][0]["cap_epsilon"] == 1.2
    assert [r["state"] for r in told["runs"]] == ["closed"]


def test_a_cap_takes_its_unit_from_the_schema(run):
    text = Path("schema.yaml").read_text().replace("name: person, rows: 1", "name: home, rows: 3")
    Path("homes.yaml").write_text(text)
    outcome = run("ledger", "cap", "l.db", "a name", "--epsilon", 3, "-s", "homes.yaml", "--json")
    assert outcome.json["unit"] == {"name": "home", "rows": 3}
    assert outcome.json["datasets"] == ["a name"]


def test_looking_at_a_ledger(run):
    synthesize(run)
    outcome = run("ledger", "show", "ledger.db", "--dataset", "data.csv")
    assert "data set 'data.csv': 1 run" in outcome.out
    assert "closed" in outcome.out
    head = run("ledger", "show", "ledger.db", "--json").json["head"]
    assert run("ledger", "verify", "ledger.db", "--head", head).code == 0
    assert run("ledger", "verify", "ledger.db", "--json").json["head"] == head
    exported = json.loads(run("ledger", "export", "ledger.db").out)
    assert exported["head"] == head
    assert run("ledger", "export", "ledger.db", "-o", "journal.json").out == ""
    assert json.loads(Path("journal.json").read_text()) == exported
    wrong = run("ledger", "verify", "ledger.db", "--head", "0" * 64)
    assert wrong.code == 1
    assert wrong.err.startswith("error: ")


def test_an_empty_ledger(run):
    Ledger.open("l.db").close()
    assert "nothing has been spent" in run("ledger", "show", "l.db").out


def test_settling_a_crashed_run(run):
    from mezzotint.privacy.accounting import Budget

    with Ledger.open("l.db") as ledger:
        ledger.begin(Budget(1.0), mechanism="aim", dataset="d")
    assert "reserved by runs not yet ended" in run("ledger", "show", "l.db").out
    assert "settled; 0 releases" in run("ledger", "settle", "l.db", 1).out
    assert run("ledger", "show", "l.db", "--json").json["accounts"][0]["epsilon"] == 0
    assert run("ledger", "forget", "l.db", 1).code == 0
