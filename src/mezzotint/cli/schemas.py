"""schema draft, schema confirm, schema check."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.cli import asking, options, places, telling
from mezzotint.cli.inputs import open_table, read_schema
from mezzotint.cli.talk import Talk
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.schema import Schema

app = typer.Typer(
    help="What is public about a table: propose it, confirm it, check it.", no_args_is_help=True
)
SchemaArgument = Annotated[
    Path, typer.Argument(metavar="SCHEMA", help="The schema's YAML file.", show_default=False)
]


@app.command()
def draft(
    table: options.Table,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the YAML goes; stdout by default."
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="NOUN", help="Who is protected: person, household, ..."),
    ] = None,
    rows_per_unit: Annotated[
        int | None,
        typer.Option(
            "--rows-per-unit", min=1, metavar="K", help="The most rows that one of them has."
        ),
    ] = None,
    adjacency: Annotated[
        options.AdjacencyName | None,
        typer.Option("--adjacency", help="Whether neighbours lack a unit, or replace it."),
    ] = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = "utf-8",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Propose a schema from a table, and mark every fact that its rows gave away.

    A draft is as private as the table, until its facts are confirmed.
    """
    from mezzotint.privacy.accounting import PrivacyUnit
    from mezzotint.schema import Schema

    talk = Talk(json, quiet)
    given = {"name": unit, "rows": rows_per_unit, "adjacency": adjacency}
    known = {name: value for name, value in given.items() if value is not None}
    source = open_table(table, delimiter, encoding)
    place = None if output is None else places.output(output, "--output")
    places.require_apart([place], [table])
    with talk.stage("Looking at the table"):
        schema = Schema.draft(source, unit=PrivacyUnit(**known) if known else None)
    if place is None or output is None:
        talk.say(schema.to_text().rstrip("\n"))
    else:
        schema.write(place)
        pending = len(schema.unconfirmed())
        talk.say(
            f"{output}: {len(schema)} attributes; {pending} facts were taken from the data or "
            "guessed",
            f"Next: look at it, and mend it; then `mezzotint schema confirm {output}`",
        )
    _mention_open(schema, talk)
    talk.result(
        {
            "command": "schema draft",
            "attributes": len(schema),
            "unconfirmed": _facts(schema),
            "schema": schema.to_text(),
            "files": telling.files(schema=output),
        }
    )


@app.command()
def confirm(
    schema: SchemaArgument,
    *,
    all_public: Annotated[
        bool,
        typer.Option("--all-public", help="Declare every fact public; you answer for all of them."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the YAML goes; the same file by default."
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Declare facts public: fact by fact on a terminal, or all of them at once."""
    from mezzotint.schema import Schema

    talk = Talk(json, quiet)
    before = Schema.read(schema)
    place = places.output(output or schema, "--output" if output else "SCHEMA")
    if all_public:
        after = before.confirm(all_public=True)
    elif not before.unconfirmed():
        after = before
    elif sys.stdin.isatty() and sys.stdout.isatty() and not json:
        after = asking.ask(before)
    else:
        raise ParameterError(
            f"{schema}: facts are confirmed one by one on a terminal, and this is none; run it on "
            "a terminal, give --all-public if you answer for all of them, or edit the file"
        )
    confirmed = len(before.unconfirmed()) - len(after.unconfirmed())
    if after != before or output is not None:
        after.write(place)
    talk.say(
        f"{output or schema}: {confirmed} facts confirmed, {len(after.unconfirmed())} still open"
    )
    _mention_open(after, talk)
    talk.result(
        {
            "command": "schema confirm",
            "confirmed": confirmed,
            "unconfirmed": _facts(after),
            "files": telling.files(schema=output or schema),
        }
    )


@app.command()
def check(
    table: options.Table,
    *,
    schema: options.SchemaFile = None,
    domain: options.DomainFile = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = "utf-8",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """See how a table fits a schema; exit code 1 if it does not.

    The figures are exact, hence private: for those who may see the table.
    """
    from mezzotint.schema.check import check as compare

    talk = Talk(json, quiet)
    facts = read_schema(schema, domain)
    source = open_table(table, delimiter, encoding)
    with talk.stage("Looking at the table"):
        found = compare(source, facts)
    talk.say(f"{table}: {'fits' if found.ok else 'does not fit'} {schema or domain}")
    talk.say(*(f"  {line}" for line in found.lines()))
    if not found.ok:
        talk.note(
            "Mend the schema, or the table; or leave it so: when fitting, what does not fit is "
            "clamped to the bounds or counts as missing, as the schema says."
        )
    _mention_open(facts, talk)
    talk.result(
        {
            "command": "schema check",
            "ok": found.ok,
            "private": True,
            "rows": found.rows,
            "dropped": found.dropped,
            "attributes": {name: _fit(fit) for name, fit in found.fits.items()},
            "violations": found.violations,
            "unconfirmed": _facts(facts),
        }
    )
    if not found.ok:
        raise typer.Exit(1)


def _fit(fit: Any) -> dict[str, Any]:
    return {k: v for k, v in asdict(fit).items() if k != "attribute"} | {"misfits": fit.misfits}


def _facts(schema: Schema) -> list[dict[str, Any]]:
    return [asdict(fact) for fact in schema.unconfirmed()]


def _mention_open(schema: Schema, talk: Talk) -> None:
    """Columns that have to be decided about before anything can be fitted."""
    unknown = [str(fact) for fact in schema.unconfirmed() if not fact.known]
    if unknown:
        shown = ", ".join(unknown[:8]) + (", ..." if len(unknown) > 8 else "")
        talk.note(
            f"note: not known yet, so that nothing can be fitted: {shown}. Give the fact in the "
            "YAML, list the column under `drop`, or buy it with `--infer dp`."
        )
