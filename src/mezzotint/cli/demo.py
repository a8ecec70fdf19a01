"""demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mezzotint.cli import demo_encrypted, job, options, places, telling
from mezzotint.cli.encrypting import LayoutName
from mezzotint.cli.inputs import make_mechanism, open_table
from mezzotint.cli.talk import Talk
from mezzotint.errors import MezzotintError, ParameterError

ROWS = 20_000
"""Rows of the example: enough for pairs of columns to stand out of the noise at epsilon 1."""


def demo(
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the files go.")
    ] = Path("mezzotint-demo"),
    epsilon: options.Epsilon = 1.0,
    delta: options.Delta = 1e-9,
    mechanism: Annotated[
        options.MechanismName | None,
        typer.Option(
            "--mechanism",
            "-m",
            help="How the table is modelled; mezzotint by default, with --encrypted aim.",
            rich_help_panel="Budget",
        ),
    ] = None,
    encrypted: Annotated[
        bool,
        typer.Option(
            "--encrypted", help="By way of encryption: data holder, provider and key holder."
        ),
    ] = False,
    layout: Annotated[
        LayoutName, typer.Option("--layout", help="With --encrypted: what is encrypted.")
    ] = LayoutName.MARGINALS,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Do the main job on an example: invented visits to an invented hospital.

    Writes the table, its schema, synthetic rows and a report; opens nothing.
    """
    from mezzotint.demo import demo_schema, demo_table
    from mezzotint.sources import write_table

    talk = Talk(json, quiet)
    usual = options.MechanismName.AIM if encrypted else options.MechanismName.Mezzotint
    synthesizer = make_mechanism(mechanism or usual, epsilon, delta, None, None)
    _make_folder(out)
    data, yaml, rows, report = (
        out / name for name in ("data.csv", "schema.yaml", "synthetic.csv", "report.html")
    )
    for path in (data, yaml, rows, report):
        places.output(path, "--out")
    schema = demo_schema()
    write_table(schema.format(demo_table(ROWS)), data)
    schema.write(yaml)
    talk.say(
        telling.entry("Table", f"{data} (invented visits to a hospital that does not exist)"),
        telling.entry("Schema", f"{yaml} (what is public about the table)"),
    )
    if encrypted:
        roles = demo_encrypted.Places(data, rows, report, out / "model.mezzo", out / "roles")
        told = demo_encrypted.demonstrate(synthesizer, schema, roles, layout.value, talk)
        _tell(told, data, yaml, report, talk)
        return
    told = job.synthesize(
        job.Fit(synthesizer, open_table(data), schema, dataset=data.name),
        job.Results(rows, report),
        talk,
        random_state=0,
        target="readmitted",
    )
    _tell(told, data, yaml, report, talk)


def _tell(told: dict[str, Any], data: Path, schema: Path, report: Path, talk: Talk) -> None:
    told["files"] = telling.files(data=data, schema=schema) | told["files"]
    talk.say("", f"Next: open {report} in a browser; `mezzotint --help` shows the commands.")
    talk.result({"command": "demo", **told})


def _make_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ParameterError(f"--out {out}: this is a file; give a folder's name")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MezzotintError(
            f"--out {out}: the folder cannot be made ({error.strerror}); give another place"
        ) from error
