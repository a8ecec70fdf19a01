"""Fit, draw, write, report: what `fit`, `sample`, `synthesize` and `demo` are made of.

Whatever can be refused is refused before `Fit.run` spends. What fails afterwards all the same (a
disk that another process filled, say) fails with the words that the budget is spent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mezzotint.cli import statements, telling
from mezzotint.cli.talk import Talk
from mezzotint.errors import MezzotintError, ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

    from mezzotint.evaluate import Report
    from mezzotint.privacy.account import Account
    from mezzotint.privacy.ledger import Ledger
    from mezzotint.privacy.signing import SigningKey
    from mezzotint.schema import Schema
    from mezzotint.sources import Source
    from mezzotint.tables.fitted import FittedTable
    from mezzotint.tables.synthesizer import Infer, Synthesizer

_PARQUET = (".parquet", ".parq", ".pq")


@dataclass(frozen=True)
class Fit:
    """One fit of one table.

    Attributes:
        synthesizer: the mechanism and its budget.
        source: the private table.
        schema: its public facts.
        dataset: the name under which the ledger keeps its budget.
        ledger: the ledger's file; None for a record in the model only.
        infer: "dp" to buy facts that nobody has declared public.
        infer_share: the share of the budget that buys them.
    """

    synthesizer: Synthesizer
    source: Source
    schema: Schema
    dataset: str
    ledger: Path | None = None
    infer: Infer = None
    infer_share: float = 0.1

    def run(self, talk: Talk) -> tuple[FittedTable, Account | None]:
        """Spend the budget; the model, and the data set's running total if there is a ledger."""
        from mezzotint.privacy.ledger import Ledger

        self._mention_left_out(talk)
        if self.ledger is None:
            return self._fit(None, talk), None
        with Ledger.open(self.ledger) as ledger:
            fitted = self._fit(ledger, talk)
            return fitted, ledger.account(self.dataset)

    def _fit(self, ledger: Ledger | None, talk: Talk) -> FittedTable:
        with talk.stage("Counting and fitting") as progress:
            self.synthesizer.fit(
                self.source,
                self.schema,
                ledger=ledger,
                dataset=self.dataset,
                infer=self.infer,
                infer_share=self.infer_share,
                progress=progress,
            )
        return self.synthesizer.fitted_

    def _mention_left_out(self, talk: Talk) -> None:
        known = {*self.schema.columns, *self.schema.drop}
        left_out = [name for name in self.source.columns if name not in known]
        if left_out:
            names = ", ".join(map(repr, left_out[:8])) + (", ..." if len(left_out) > 8 else "")
            talk.note(f"note: left out, because the schema does not name them: {names}")


@dataclass(frozen=True)
class Results:
    """Where the results of a `synthesize` go.

    Attributes:
        rows: the synthetic rows.
        report: the comparison with the real rows.
        model: the fitted model.
        statement: the rows' privacy statement.
        signing_key: who signs it.
    """

    rows: Path
    report: Path | None = None
    model: Path | None = None
    statement: Path | None = None
    signing_key: SigningKey | None = None


def synthesize(
    fit: Fit,
    results: Results,
    talk: Talk,
    *,
    rows: int | None = None,
    random_state: int | None = None,
    target: str | None = None,
    delimiter: str | None = None,
) -> dict[str, Any]:
    """The main job: fit, draw, write, compare.

    Args:
        fit: what is fitted to what.
        results: where the results go; the places have been checked.
        talk: how to speak.
        rows: how many to draw; the model's own estimate by default.
        random_state: makes the rows repeatable.
        target: what the report's models predict.
        delimiter: what separates the columns of a CSV result.

    Returns:
        What `--json` says.
    """
    clock = telling.Clock()
    fitted, account = fit.run(talk)
    with after_spending():
        if results.model:
            fitted.save(results.model)
        with talk.stage("Drawing rows"):
            table = fitted.sample(rows, random_state=random_state)
        write_rows(table, fitted.schema, results.rows, delimiter=delimiter, talk=talk)
        talk.say(
            telling.entry(
                "Rows", f"{results.rows} ({table.num_rows:,} rows, {table.num_columns} columns)"
            )
        )
        if results.model:
            talk.say(telling.entry("Model", str(results.model)))
        if results.statement:
            made = statements.certify(fitted.privacy, results.rows, results.signing_key, fit.ledger)
            statements.write_certificate(made, results.statement)
            talk.say(telling.entry("Statement", str(results.statement)))
        if results.report:
            write_report(
                fit.source,
                table,
                fitted.schema,
                results.report,
                talk,
                statement=fitted.privacy,
                target=target,
            )
            talk.say(telling.entry("Report", f"{results.report} ({PRIVATE_REPORT})"))
    talk.say(*telling.fitted_lines(fitted))
    telling.tell_total(account, talk)
    places = telling.files(
        synthetic=results.rows,
        report=results.report,
        model=results.model,
        statement=results.statement,
        ledger=fit.ledger,
    )
    return {
        **telling.fitted_facts(fitted),
        "rows": table.num_rows,
        "columns": table.num_columns,
        "files": places,
        "ledger": None if account is None else telling.account_facts(account),
        **clock.read(),
    }


PRIVATE_REPORT = "holds exact figures of the real rows, so it is for the table's owner only"


def write_rows(
    table: pa.Table, schema: Schema, path: Path, *, delimiter: str | None, talk: Talk
) -> None:
    """Write synthetic rows; in a text file every value is spelt as the original's."""
    from mezzotint.sources import write_table

    with talk.stage("Writing"):
        if path.suffix.lower() not in _PARQUET:
            table = schema.format(table)
        if path.suffix.lower() == ".tsv":
            delimiter = "\t"
        write_table(table, path, delimiter=delimiter or ",")


def write_report(
    real: Any, synthetic: Any, schema: Schema, path: Path, talk: Talk, **options: Any
) -> Report:
    """Compare and write the report; the options are those of `mezzotint.evaluate.build`."""
    from mezzotint.evaluate import build

    with talk.stage("Comparing"):
        report = build(real, synthetic, schema, **options)
        report.write(path)
    return report


@contextmanager
def after_spending() -> Iterator[None]:
    """Whoever is told of a failure in this block is told that the budget is spent."""
    try:
        yield
    except MezzotintError as error:
        raise MezzotintError(f"{error} (the budget had been spent by then)") from error


def dataset_name(table: Path, given: str | None) -> str:
    """What the ledger calls a table: its file's name, which says less than its path."""
    return given or table.resolve().name


def require_target(schema: Schema, target: str | None) -> None:
    """Raise ParameterError unless the schema has the attribute."""
    from mezzotint.schema.suggest import did_you_mean

    if target is not None and target not in schema.names:
        raise ParameterError(
            f"--target {target}: there is no such attribute{did_you_mean(target, schema.names)}"
        )


def room_for(source: Source) -> int:
    """About as many bytes as a synthetic table of the same size takes."""
    return max(1 << 20, sum(path.stat().st_size for path in getattr(source, "files", ())))
