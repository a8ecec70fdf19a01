"""ledger show, cap, verify, export, settle, forget."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.cli import options, places, telling
from mezzotint.cli.talk import Talk, table
from mezzotint.cli.viewing import ledger_views, view_lines
from mezzotint.errors import LedgerError

if TYPE_CHECKING:
    from mezzotint.privacy.account import RunRecord
    from mezzotint.privacy.accounting import PrivacyUnit
    from mezzotint.privacy.ledger import Ledger

app = typer.Typer(
    help="What was spent on which data set, and the most that may be.", no_args_is_help=True
)
File = Annotated[
    Path,
    typer.Argument(
        metavar="LEDGER",
        envvar="MEZZOTINT_LEDGER",
        help="The ledger's file.",
        show_default=False,
    ),
]
RunNumber = Annotated[
    int, typer.Argument(metavar="RUN", help="The run's number, as `show` lists it.")
]


@app.command()
def show(
    ledger: File,
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="Only this data set.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every data set's total and every run."""
    talk = Talk(json, quiet)
    with _opened(ledger, read_only=True) as book:
        accounts = book.accounts() if dataset is None else (book.account(dataset),)
        runs, head = book.runs(dataset), book.head
        views = ledger_views(ledger, book, runs)
    for account in accounts:
        talk.say(account.sentence())
    if not accounts:
        talk.say(f"{ledger}: nothing has been spent")
    if runs:
        talk.say("", *table(("run", "begun", "data set", *_COLUMNS), [_row(r) for r in runs]), "")
    for number, seen in views.items():
        talk.say(f"run {number}, by who looks:", *view_lines(seen), "")
    talk.say(f"head {head}")
    talk.result(
        {
            "command": "ledger show",
            "accounts": [telling.account_facts(account) for account in accounts],
            "runs": [
                _run(run) | {"views": [view.to_json() for view in views.get(run.id, ())]}
                for run in runs
            ],
            "head": head,
        }
    )


@app.command()
def cap(
    ledger: File,
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="The data set's name, or its file: then renamed copies are held to it as well.",
        ),
    ],
    *,
    epsilon: options.Epsilon,
    delta: options.Delta = 1e-9,
    schema: options.SchemaFile = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Set the most that all runs on a data set may spend together.

    The privacy unit is that of earlier runs, else the schema's, else a person with one row.
    """
    from mezzotint.privacy.accounting import Budget

    talk = Talk(json, quiet)
    name, digest = _content(dataset)
    with _opened(ledger) as book:
        budget = Budget(epsilon, delta, _unit(book, name, schema))
        book.set_cap(name, budget, fingerprint=digest)
        account = book.account(name)
    talk.say(account.sentence())
    talk.result({"command": "ledger cap", **telling.account_facts(account)})


@app.command()
def verify(
    ledger: File,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="HASH", help="A head that was kept elsewhere."),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check that nobody has changed the ledger, or set it back to an earlier state."""
    talk = Talk(json, quiet)
    with _opened(ledger, read_only=True) as book:
        rows, now = book.verify(head), book.head
    talk.say(f"{ledger}: {rows} rows, unbroken", f"head {now}")
    talk.result({"command": "ledger verify", "rows": rows, "head": now})


@app.command()
def export(
    ledger: File,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; stdout by default."),
    ] = None,
) -> None:
    """Write the whole journal as JSON, without any key: it may be published."""
    from mezzotint.sources.writing import replacing

    place = None if output is None else places.output(output, "--output")
    with _opened(ledger, read_only=True) as book:
        text = json_text.dumps(book.export(), indent=1, ensure_ascii=False)
    if place is None:
        print(text)
        return
    places.require_apart([place], [ledger])
    with replacing(place) as file:
        file.write(text.encode() + b"\n")


@app.command()
def settle(
    ledger: File, run: RunNumber, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """End a run that crashed: what it reserved and never released goes back."""
    talk = Talk(json, quiet)
    with _opened(ledger) as book:
        book.settle(run)
        held = next(record for record in book.runs() if record.id == run)
    talk.say(f"run {run}: {held.state}; {held.releases} releases stay booked")
    talk.result({"command": "ledger settle", **_run(held)})


@app.command()
def forget(
    ledger: File, run: RunNumber, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Destroy a run's noise keys: its releases stand, and can never be repeated."""
    talk = Talk(json, quiet)
    with _opened(ledger) as book:
        book.forget(run)
    talk.say(f"run {run}: its noise keys are gone")
    talk.result({"command": "ledger forget", "run": run})


_COLUMNS = ("mechanism", "state", "releases", "epsilon", "spent")


def _row(run: RunRecord) -> tuple[str, ...]:
    spent = f"{run.epsilon_spent:.4g}"
    asked = f"{run.budget.epsilon:g}"
    begun = run.time[:16].replace("T", " ")
    words = (str(run.id), begun, run.dataset, run.mechanism, run.state)
    return (*words, str(run.releases), asked, spent if run.private else "not private")


def _run(run: RunRecord) -> dict[str, Any]:
    from mezzotint.privacy.releases import delta_of, rho_of

    return {
        "run": run.id,
        "time": run.time,
        "dataset": run.dataset,
        "mechanism": run.mechanism,
        "state": run.state,
        "releases": run.releases,
        "epsilon": run.budget.epsilon,
        "delta": run.budget.delta,
        "epsilon_spent": run.epsilon_spent,
        "rho": rho_of(run.spent) if run.charge is None else None,
        "programme": None if run.charge is None else run.charge.programme.to_json(),
        "delta_spent": delta_of(run.delta_spent),
        "private": run.private,
    }


def _opened(path: Path, *, read_only: bool = False) -> Ledger:
    from mezzotint.privacy.ledger import Ledger

    return Ledger.open(path, read_only=read_only)


def _content(dataset: str) -> tuple[str, bytes | None]:
    """A data set's name, and the digest of its content if it is a file that can be read."""
    if not Path(dataset).exists():
        return dataset, None
    from mezzotint.sources import open_source
    from mezzotint.sources.fingerprint import fingerprint

    path = Path(dataset)
    return path.resolve().name, fingerprint(open_source(path))


def _unit(book: Ledger, name: str, schema: Path | None) -> PrivacyUnit:
    from mezzotint.privacy.accounting import PrivacyUnit
    from mezzotint.schema import Schema

    if schema is not None:
        return Schema.read(schema).unit
    try:
        return book.account(name).unit
    except LedgerError:
        return PrivacyUnit()
