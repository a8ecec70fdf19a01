"""Whatever a user gets wrong: one line that names place and mend, and nothing written or spent."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from mezzotint.privacy.ledger import Ledger

FIT = ("synthesize", "--mechanism", "mst", "-o", "out.csv")


@pytest.fixture
def refused(fails):
    """Runs `synthesize` on a bad table with a ledger; nothing may be spent."""

    def runner(text: str | bytes, code: int = 2, schema: str = "schema.yaml") -> str:
        data = text if isinstance(text, bytes) else text.encode()
        Path("bad.csv").write_bytes(data)
        with Ledger.open("ledger.db") as ledger:
            ledger.verify()
        message = fails(code, *FIT, "bad.csv", "-s", schema, "--ledger", "ledger.db")
        with Ledger.open("ledger.db") as ledger:
            assert sum(run.spent for run in ledger.runs()) == 0
            assert all(run.state == "closed" for run in ledger.runs())
        return message

    return runner


HEAD = "age,colour,size,since\n"
ROW = "20,red,1.5,2020-05-01\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.csv: the file is empty, or does not begin with a header; give a CSV file whose"),
        (HEAD, "bad.csv: the file has a header and no rows; give a table with at least one row"),
        (
            HEAD + ROW * 9 + "20,red\n" + ROW,
            "bad.csv, line 11: the row has 2 fields where the header has 4; mend the line",
        ),
        (
            HEAD.encode() + ROW.encode() + "20,gr\xfcn,1,2020-05-01\n".encode("latin-1"),
            "bad.csv, line 3: not utf-8 text; give the file's encoding",
        ),
        (
            "age,colour,size,age\n1,2,3,4\n",
            "bad.csv: the column name 'age' stands twice (columns 1, 4); rename one",
        ),
        (
            "age,color,size,since\n" + ROW,
            "bad.csv: the schema names the column 'colour', which the table does not have; did "
            "you mean 'color'?",
        ),
    ],
)
def test_tables_that_cannot_be_read(refused, text, message):
    assert refused(text).startswith(message)


def test_a_missing_table(fails):
    message = fails(2, *FIT, "no.csv", "-s", "schema.yaml")
    assert message == "no.csv: there is no such file; give the path of a CSV or Parquet table"


@pytest.mark.parametrize(
    "row",
    [
        "20,purple,1.5,2020-05-01\n",
        "-1,red,99,1066-05-01\n",
        "nan,red,nan,2020-05-01\n20,red,inf,2020-05-01\n20,red,-inf,2020-05-01\n",
        ",,,\n",
    ],
)
def test_values_that_do_not_fit_never_stop_a_fit(run, row):
    """An error here would depend on private rows."""
    Path("odd.csv").write_text(HEAD + ROW * 50 + row)
    outcome = run(*FIT, "odd.csv", "-s", "schema.yaml")
    assert outcome.code == 0
    assert outcome.err == ""
    assert run("schema", "check", "odd.csv", "-s", "schema.yaml").code == 1


def test_one_row_and_columns_that_are_all_missing(run):
    Path("odd.csv").write_text(HEAD + "20,,,2020-05-01\n")
    assert run(*FIT, "odd.csv", "-s", "schema.yaml").code == 0
    run("schema", "draft", "odd.csv", "-o", "odd.yaml")
    run("schema", "confirm", "odd.yaml", "--all-public")
    assert run(*FIT, "odd.csv", "-s", "odd.yaml", "-n", 3).code == 0
    assert Path("out.csv").read_text().count(",,") == 3


def test_ten_thousand_columns(fails, run):
    names = [f"c{i}" for i in range(10_000)]
    Path("wide.csv").write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    Path("wide.json").write_text(json.dumps(dict.fromkeys(names, 2)))
    for mechanism in ("mezzotint", "aim", "mst"):
        message = fails(
            2, "synthesize", "wide.csv", "--domain", "wide.json", "-m", mechanism, "-o", "o.csv"
        )
        assert "10000 attributes have 49,995,000 marginals of 2" in message


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf", "1e-310"])
def test_epsilon(fails, epsilon):
    message = fails(2, *FIT, "data.csv", "-s", "schema.yaml", f"--epsilon={epsilon}")
    assert message.startswith("epsilon = ")
    assert "give an epsilon such as 1.0" in message


@pytest.mark.parametrize("delta", ["0", "1", "nan"])
def test_delta(fails, delta):
    message = fails(2, *FIT, "data.csv", "-s", "schema.yaml", "--delta", delta)
    assert "give a delta such as 1e-9" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--workload", "2"), "--workload: the mechanism mst does not take it"),
        (("--max-model-mb", "2"), "--max-model-mb: the mechanism mst does not take it"),
        (("-m", "aim", "--max-model-mb", "0"), "--max-model-mb 0: give a positive number"),
        (("-m", "aim", "--max-model-mb", "nan"), "--max-model-mb nan: give a positive number"),
        (("-m", "aim", "--workload", "0"), "workload = 0: give a whole number"),
        (
            ("--target", "color"),
            "--target color: there is no such attribute; did you mean 'colour'",
        ),
        (("--delimiter", ";;"), "--delimiter ';;': give a single sign"),
        (("--encoding", "klingon"), "encoding 'klingon' is unknown; give utf-8"),
        (("--domain", "d.json"), "--schema and --domain exclude each other"),
        (("-n", "-1"), "Invalid value for '-n'"),
        (("-n", "many"), "Invalid value for '-n'"),
        (("--random-state", "-1"), "Invalid value for '--random-state'"),
        (("-m", "magic"), "Invalid value for '--mechanism'"),
        (("--nonsense",), "No such option: --nonsense"),
        (("--infer", "yes"), "Invalid value for '--infer'"),
    ],
)
def test_options(fails, words, message):
    assert fails(2, *FIT, "data.csv", "-s", "schema.yaml", *words).startswith(message)


def test_usage_errors_point_to_the_help(fails):
    assert fails(2, "synthesize", "data.csv").endswith(
        "`mezzotint synthesize --help` shows what it takes"
    )
    assert "No such command 'synthesise'" in fails(2, "synthesise")


def test_public_facts_have_to_be_given(fails):
    message = fails(2, *FIT, "data.csv")
    assert message.startswith("give the table's public facts: --schema FILE")


def test_facts_that_nobody_confirmed(fails, run):
    run("schema", "draft", "data.csv", "-o", "d.yaml")
    for command in (("plan",), (*FIT, "data.csv")):
        message = fails(2, *command, "-s", "d.yaml")
        assert "facts that were taken from the data or are not known" in message
        assert "--all-public" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "d.json: no valid JSON"),
        ("[1]", "d.json: must be a JSON object with the number of codes of each attribute"),
        ("{}", "d.json: must be a JSON object"),
        ('{"age": 0}', "attribute 'age': its number of values must be a whole number"),
        ('{"age": "x"}', "attribute 'age': its number of values must be a whole number"),
    ],
)
def test_domains(fails, text, message):
    Path("d.json").write_text(text)
    assert fails(2, *FIT, "data.csv", "--domain", "d.json").startswith(message)


def test_a_missing_domain(fails):
    assert "no.json: the domain cannot be read" in fails(2, *FIT, "data.csv", "--domain", "no.json")


def test_schemas(fails):
    assert "no.yaml" in fails(2, *FIT, "data.csv", "-s", "no.yaml")
    Path("bad.yaml").write_text("attributes:\n  age: {type: integr}\n")
    assert "did you mean 'integer'" in fails(2, *FIT, "data.csv", "-s", "bad.yaml")
    Path("bad.yaml").write_text("attributes: [\n")
    assert fails(2, "schema", "confirm", "bad.yaml").startswith("bad.yaml, line 2: no valid YAML")


def test_confirming_without_a_terminal(fails, run):
    run("schema", "draft", "data.csv", "-o", "d.yaml")
    message = fails(2, "schema", "confirm", "d.yaml")
    assert message.startswith("d.yaml: facts are confirmed one by one on a terminal")
    assert "--all-public" in message
    run("schema", "confirm", "d.yaml", "--all-public")
    assert "0 facts confirmed, 0 still open" in run("schema", "confirm", "d.yaml").out


# Places


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        ("folder.csv", 2, "--output folder.csv: this is a directory; give a file's name in it"),
        ("no/out.csv", 2, "--output no/out.csv: there is no directory"),
        ("out.xlsx", 2, "--output out.xlsx: its ending says nothing of how to write it"),
        ("data.csv", 2, "data.csv: this file is needed for something else in the same command"),
        ("/dev/full", 2, "--output /dev/full: its ending says nothing"),
    ],
)
def test_outputs_are_looked_at_before_anything_is_spent(fails, output, code, message):
    Path("folder.csv").mkdir()
    Ledger.open("ledger.db").close()
    words = ("synthesize", "data.csv", "-s", "schema.yaml", "--ledger", "ledger.db")
    assert fails(code, *words, "-o", output).startswith(message)
    with Ledger.open("ledger.db") as ledger:
        assert ledger.runs() == ()


def test_devices_are_never_replaced(fails):
    for device in ("/dev/null", "/dev/full"):
        message = fails(2, *FIT, "data.csv", "-s", "schema.yaml", "--report", device)
        assert message == f"--report {device}: this is no regular file; give another name"
        assert Path(device).is_char_device()


def test_results_do_not_overwrite_each_other(fails):
    words = (*FIT, "data.csv", "-s", "schema.yaml")
    assert "out.csv: this file is needed" in fails(2, *words, "--report", "out.csv")
    assert "schema.yaml: this file" in fails(2, *words, "--model", "./schema.yaml")


def test_a_folder_that_takes_nothing(fails):
    message = fails(1, *FIT, "data.csv", "-s", "schema.yaml", "--report", "/proc/report.html")
    assert message.startswith("--report /proc/report.html: nothing can be written to /proc")
    assert "nothing was spent" in message


def test_a_link_is_followed(run):
    Path("elsewhere").mkdir()
    Path("link.csv").symlink_to("elsewhere/rows.csv")
    assert (
        run("synthesize", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "link.csv").code == 0
    )
    assert Path("link.csv").is_symlink()
    assert Path("elsewhere/rows.csv").is_file()


def test_a_demo_in_the_place_of_a_file(fails):
    assert fails(2, "demo", "--out", "data.csv").startswith("--out data.csv: this is a file")
    assert "the folder cannot be made" in fails(1, "demo", "--out", "/proc/demo")


# Models, ledgers, reports


@pytest.fixture
def model(run) -> bytes:
    run("fit", "data.csv", "-s", "schema.yaml", "-m", "mst", "-o", "m.mezzo")
    return Path("m.mezzo").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_models(fails, model, share):
    Path("cut.mezzo").write_bytes(model[: int(len(model) * share)])
    message = fails(1, "sample", "cut.mezzo", "-o", "rows.csv")
    assert message.startswith("cut.mezzo: this is no intact Mezzotint model")
    assert "fit the model again" in message


def test_models_from_a_newer_version(fails, model):
    with zipfile.ZipFile(io.BytesIO(model)) as old, zipfile.ZipFile("new.mezzo", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "model.json":
                data = json.dumps(json.loads(data) | {"format": 99}).encode()
            new.writestr(name, data)
    message = fails(1, "sample", "new.mezzo", "-o", "rows.csv")
    assert "its format is 99" in message
    assert "Update Mezzotint" in message


def test_models_that_are_none(fails):
    assert "there is no such file" in fails(1, "sample", "no.mezzo", "-o", "rows.csv")
    assert "no intact Mezzotint model" in fails(1, "sample", "data.csv", "-o", "rows.csv")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("colour", "--where colour: give attribute=value"),
        ("color=red", "the schema has no attribute 'color'; did you mean 'colour'"),
        ("colour=purple", "where: attribute 'colour': 'purple' is not among its categories"),
        ("age=old", "where: 'old' is no integer value of 'age'"),
        ("age=200..300", "where: 'age' = ('200', '300') lies outside"),
        ("since=tomorrow", "where: 'tomorrow' is no date value"),
    ],
)
def test_conditions(fails, model, condition, message):
    error = fails(2, "sample", "m.mezzo", "-o", "rows.csv", "--where", condition)
    assert error.startswith(message)


def test_a_range_and_another_condition(fails, model):
    words = ("--where", "age=20..30", "--where", "age=50")
    assert "'age' has a range and another condition" in fails(
        2, "sample", "m.mezzo", "-o", "rows.csv", *words
    )


def test_ledgers(fails):
    assert "there is no ledger at" in fails(1, "ledger", "show", "no.db")
    Path("data.db").write_text("this is no ledger, and never was; " * 50)
    message = fails(1, *FIT, "data.csv", "-s", "schema.yaml", "--ledger", "data.db")
    assert "data.db" in message
    Ledger.open("l.db").close()
    assert "has no run 7" in fails(1, "ledger", "settle", "l.db", 7)
    assert "knows no data set 'x'" in fails(1, "ledger", "show", "l.db", "--dataset", "x")


def test_reports(fails, run):
    words = ("report", "data.csv", "data.csv", "-o", "r.html")
    assert "--model brings its own schema" in fails(
        2, *words, "-s", "schema.yaml", "--model", "m.mezzo"
    )
    Path("other.csv").write_text("age\n20\n")
    message = fails(2, "report", "data.csv", "other.csv", "-s", "schema.yaml", "-o", "r.html")
    assert "the synthetic table (other.csv) has no column 'colour'" in message


def test_failures_as_json(run):
    outcome = run(*FIT, "data.csv", "-s", "schema.yaml", "--epsilon", 0, "--json")
    assert outcome.code == 2
    error = outcome.json["error"]
    assert error["type"] == "ParameterError"
    assert error["exit_code"] == 2
    assert outcome.err == f"error: {error['message']}\n"
    outcome = run("synthesize", "--json")
    assert outcome.json["error"]["exit_code"] == 2
