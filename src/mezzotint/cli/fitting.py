"""plan, fit, sample, synthesize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli import job, options, places, telling
from mezzotint.cli.inputs import (
    make_mechanism,
    open_table,
    parse_where,
    read_schema,
    require_confirmed,
)
from mezzotint.cli.planning import plan_lines
from mezzotint.cli.talk import Talk
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.privacy.signing import SigningKey

ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file that `fit` wrote.", show_default=False)
]


def plan(
    *,
    schema: options.SchemaFile = None,
    domain: options.DomainFile = None,
    epsilon: options.Epsilon = 1.0,
    delta: options.Delta = 1e-9,
    mechanism: options.Mechanism = options.MechanismName.Mezzotint,
    workload: options.Workload = None,
    max_model_mb: options.MaxModelMb = None,
    infer: options.InferOption = None,
    infer_share: options.InferShare = 0.1,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what a fit would spend, on what, with which error, time and memory.

    It rests on public facts only and needs no table.
    """
    talk = Talk(json, quiet)
    synthesizer = make_mechanism(mechanism, epsilon, delta, workload, max_model_mb)
    facts = read_schema(schema, domain)
    require_confirmed(facts, schema, infer)
    planned = synthesizer.plan_for(facts, infer="dp" if infer else None, infer_share=infer_share)
    talk.say(*plan_lines(planned))
    talk.result({"command": "plan", **planned.to_json()})


def fit(
    table: options.Table,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the model goes.")
    ],
    schema: options.SchemaFile = None,
    domain: options.DomainFile = None,
    epsilon: options.Epsilon = 1.0,
    delta: options.Delta = 1e-9,
    mechanism: options.Mechanism = options.MechanismName.Mezzotint,
    workload: options.Workload = None,
    max_model_mb: options.MaxModelMb = None,
    infer: options.InferOption = None,
    infer_share: options.InferShare = 0.1,
    ledger: options.LedgerFile = None,
    dataset: options.Dataset = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = "utf-8",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a model to a private table, spending the budget once.

    The model file may leave the building; `sample` draws rows from it, as often as you like.
    """
    clock, talk = telling.Clock(), Talk(json, quiet)
    synthesizer = make_mechanism(mechanism, epsilon, delta, workload, max_model_mb)
    facts = read_schema(schema, domain)
    require_confirmed(facts, schema, infer)
    source = open_table(table, delimiter, encoding)
    place = places.output(output, "--output")
    places.require_apart([place], [table, schema, domain, ledger])
    task = job.Fit(
        synthesizer,
        source,
        facts,
        job.dataset_name(table, dataset),
        ledger,
        "dp" if infer else None,
        infer_share,
    )
    fitted, account = task.run(talk)
    with job.after_spending():
        fitted.save(place)
    talk.say(telling.entry("Model", str(output)), *telling.fitted_lines(fitted))
    telling.tell_total(account, talk)
    talk.result(
        {
            "command": "fit",
            **telling.fitted_facts(fitted),
            "files": telling.files(model=output, ledger=ledger),
            "ledger": None if account is None else telling.account_facts(account),
            **clock.read(),
        }
    )


def sample(
    model: ModelFile,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where the rows go: .csv or .parquet."),
    ],
    rows: options.Rows = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only such rows: sex=Male, age=30..39, income=50000.., job= (missing). Repeat it "
            "for several attributes, or for several values of one.",
        ),
    ] = None,
    random_state: options.RandomState = None,
    delimiter: options.Delimiter = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw synthetic rows from a model. Spends nothing."""
    from mezzotint.tables.model_file import read_model

    clock, talk = telling.Clock(), Talk(json, quiet)
    fitted = read_model(model)
    wanted = parse_where(where or [], fitted.schema)
    place = places.table_output(output, "--output")
    places.require_apart([place], [model])
    with talk.stage("Drawing rows"):
        table = fitted.sample(rows, where=wanted, random_state=random_state)
    job.write_rows(table, fitted.schema, place, delimiter=delimiter, talk=talk)
    talk.say(
        telling.entry("Rows", f"{output} ({table.num_rows:,} rows, {table.num_columns} columns)")
    )
    talk.result(
        {
            "command": "sample",
            **telling.fitted_facts(fitted),
            "rows": table.num_rows,
            "columns": table.num_columns,
            "where": where or [],
            "files": telling.files(synthetic=output),
            **clock.read(),
        }
    )


def synthesize(
    table: options.Table,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the synthetic rows go: .csv or .parquet."
        ),
    ],
    schema: options.SchemaFile = None,
    domain: options.DomainFile = None,
    epsilon: options.Epsilon = 1.0,
    delta: options.Delta = 1e-9,
    mechanism: options.Mechanism = options.MechanismName.Mezzotint,
    workload: options.Workload = None,
    max_model_mb: options.MaxModelMb = None,
    infer: options.InferOption = None,
    infer_share: options.InferShare = 0.1,
    rows: options.Rows = None,
    random_state: options.RandomState = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also compare with the real rows: an HTML page (or .json) for the table's owner.",
        ),
    ] = None,
    target: options.Target = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="Also keep the model.")
    ] = None,
    statement: Annotated[
        Path | None,
        typer.Option(
            "--statement",
            metavar="FILE",
            help="Also write the rows' privacy statement, for `verify`.",
        ),
    ] = None,
    signing_key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Sign the statement with this private key."),
    ] = None,
    ledger: options.LedgerFile = None,
    dataset: options.Dataset = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = "utf-8",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit, draw and report in one: a private table in, a synthetic one and its proof out."""
    talk = Talk(json, quiet)
    synthesizer = make_mechanism(mechanism, epsilon, delta, workload, max_model_mb)
    facts = read_schema(schema, domain)
    require_confirmed(facts, schema, infer)
    job.require_target(facts, target)
    source = open_table(table, delimiter, encoding)
    results = job.Results(
        rows=places.table_output(output, "--output", room=job.room_for(source)),
        report=None if report is None else places.output(report, "--report"),
        model=None if model is None else places.output(model, "--model"),
        statement=None if statement is None else places.output(statement, "--statement"),
        signing_key=_signing_key(signing_key, statement),
    )
    places.require_apart(
        [results.rows, results.report, results.model, results.statement],
        [table, schema, domain, ledger, signing_key],
    )
    told = job.synthesize(
        job.Fit(
            synthesizer,
            source,
            facts,
            job.dataset_name(table, dataset),
            ledger,
            "dp" if infer else None,
            infer_share,
        ),
        results,
        talk,
        rows=rows,
        random_state=random_state,
        target=target,
        delimiter=delimiter or getattr(source, "delimiter", None),
    )
    talk.result({"command": "synthesize", **told})


def _signing_key(path: Path | None, statement: Path | None) -> SigningKey | None:
    """The key, read before anything is spent."""
    from mezzotint.privacy.signing import SigningKey

    if path is None:
        return None
    if statement is None:
        raise ParameterError(
            f"--key {path}: there is no statement to sign; say with --statement where it goes"
        )
    return SigningKey.read(path)
