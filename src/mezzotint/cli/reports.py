"""report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.cli import job, options, places, telling
from mezzotint.cli.inputs import open_table, read_schema
from mezzotint.cli.talk import Talk
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.evaluate import Report


def report(
    table: options.Table,
    synthetic: Annotated[
        Path,
        typer.Argument(
            metavar="SYNTHETIC", help="The synthetic table, from any tool.", show_default=False
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the report goes: .html, or .json."
        ),
    ],
    schema: options.SchemaFile = None,
    domain: options.DomainFile = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="The model the rows were drawn from: its schema and its guarantee are shown.",
        ),
    ] = None,
    holdout: Annotated[
        Path | None,
        typer.Option(
            "--holdout", metavar="FILE", help="Real rows that took no part, to test models on."
        ),
    ] = None,
    target: options.Target = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="An edition that may be published; TABLE is not even opened."
        ),
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Leave out models and triples of attributes.")
    ] = False,
    title: Annotated[str | None, typer.Option("--title", help="The page's title.")] = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = "utf-8",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare a synthetic table with the real one, on one self-contained HTML page."""
    clock, talk = telling.Clock(), Talk(json, quiet)
    if model is not None and (schema is not None or domain is not None):
        raise ParameterError("--model brings its own schema; leave --schema and --domain out")
    statement = None
    if model is not None:
        from mezzotint.tables.model_file import read_model

        fitted = read_model(model)
        facts, statement = fitted.schema, fitted.privacy
    else:
        facts = read_schema(schema, domain)
    job.require_target(facts, target)
    real = None if public else open_table(table, delimiter, encoding)
    rows = open_table(synthetic)
    test = None if holdout is None or public else open_table(holdout, delimiter, encoding)
    place = places.output(output, "--output")
    places.require_apart([place], [table, synthetic, schema, domain, model, holdout])
    made = job.write_report(
        real,
        rows,
        facts,
        place,
        talk,
        statement=statement,
        target=target,
        holdout=test,
        public_only=public,
        quick=fast,
        title=title,
    )
    remark = "may be published" if public else job.PRIVATE_REPORT
    talk.say(telling.entry("Report", f"{output} ({remark})"))
    talk.say(*(telling.entry(f"{c['k']}-way", _words(c)) for c in _closeness(made)))
    talk.result(
        {
            "command": "report",
            "private": made.private,
            "rows": made.synthetic_rows,
            "real_rows": made.real_rows,
            "closeness": _closeness(made),
            "files": telling.files(report=output),
            **clock.read(),
        }
    )


def _closeness(report: Report) -> list[dict[str, Any]]:
    return [
        {"k": c.k, "synthetic": c.synthetic.mean, "copy": c.copy, "shuffled": c.shuffled}
        for c in report.closeness
    ]


def _words(error: dict[str, Any]) -> str:
    return (
        f"error {error['synthetic']:.4f} (as many real rows drawn anew: {error['copy']:.4f}; "
        f"columns shuffled: {error['shuffled']:.4f})"
    )
