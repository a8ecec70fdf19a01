"""The face that users see: ``AIM(epsilon=1).fit(table, schema).sample(1000)``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, Self

from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.run import Run
from mezzotint.privacy.statement import Statement
from mezzotint.schema import Schema
from mezzotint.sources import Source, open_source
from mezzotint.sources.fingerprint import fingerprint
from mezzotint.tables.counting import count
from mezzotint.tables.curator import TrustedCurator
from mezzotint.tables.domain import Domain
from mezzotint.tables.fitted import FittedTable
from mezzotint.tables.graphical import GraphicalModel
from mezzotint.tables.mechanism import Mechanism, Progress, silent
from mezzotint.tables.plan import Plan

BUYING = 0.1
"""The share of delta that is set aside where categories are bought."""

Infer = Literal["dp"] | None


class Synthesizer(Mechanism):
    """Fits a mechanism to a private table.

    Subclasses assign ``epsilon`` and ``delta`` and say how to spend them (`Mechanism`). What a fit
    learns ends in an underscore:

    Attributes:
        fitted_: the model with its schema and its privacy statement.
    """

    epsilon: float
    delta: float
    fitted_: FittedTable

    def fit(
        self,
        table: Any,
        schema: Schema | str | Path | Mapping[str, int],
        *,
        ledger: Ledger | str | Path | None = None,
        dataset: str | None = None,
        infer: Infer = None,
        progress: Progress = silent,
    ) -> Self:
        """Learn a model of the table, spending epsilon and delta once.

        Guarantee: (epsilon, delta)-DP for the schema's privacy unit and adjacency.
        Sensitivity: the schema's unit: how many rows one person contributes, at most.
        Private and public: the table's rows are private; everything else, column names and
            parameters included, is public, and so is everything that this learns.

        Args:
            table: a path to a CSV or Parquet file or a directory of Parquet files, a data frame
                (pandas, polars, DuckDB, pyarrow), or anything with the Arrow stream interface.
            schema: what is public about it: a Schema, a path to its YAML, or for tables that are
                coded already a mapping attribute -> number of codes.
            ledger: where spending is recorded, in a file if it is to bind later runs; by default
                in memory, for the model's statement only.
            dataset: the name under which the ledger keeps the table's budget; by default its
                source's own.
            infer: "dp" to buy the facts that nobody has declared public, with a tenth of the
                budget's rho and of its delta.
            progress: called with the share of the budget that is spent.

        Raises:
            SchemaError, DataError, ParameterError: before anything is spent.
            BudgetError: if the ledger's cap forbids it; nothing is spent.
        """
        source = open_source(table)
        schema = as_schema(schema)
        budget = Budget(self.epsilon, self.delta, schema.unit)
        if infer is None:
            schema.require_confirmed()
        schema.require_columns(source.columns, source.name)
        with (
            _opened(ledger) as book,
            book.begin(
                budget,
                mechanism=self.name,
                dataset=dataset or source.name,
                fingerprint=fingerprint(source) if book.path else None,
                delta_aside=BUYING * self.delta if infer == "dp" else 0.0,
            ) as run,
        ):
            if infer == "dp":
                from mezzotint.schema.infer import infer as buy

                schema = buy(schema, source, run).schema
            self.fitted_ = self._fit(source, schema, run, progress)
        self._source = source
        return self

    def _fit(self, source: Source, schema: Schema, run: Run, progress: Progress) -> FittedTable:
        domain = Domain(schema.sizes)
        counts = count(source, schema, self.queries(domain))
        model = self.release(TrustedCurator(counts, run), schema.zeros(), progress)
        return FittedTable(schema, model, Statement.of(run))

    def sample(
        self,
        n: int | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> Any:
        """Draw synthetic rows, as the kind of table that was fitted (`FittedTable.sample`)."""
        return self._source.like(self.fitted_.sample(n, where=where, random_state=random_state))

    def save(self, path: str | Path) -> None:
        """Write a model file; ``mezzotint.load`` reads it."""
        self.fitted_.save(path)

    @property
    def privacy_(self) -> Statement:
        """What is guaranteed, and the releases it rests on."""
        return self.fitted_.privacy

    @property
    def model_(self) -> GraphicalModel:
        """The graphical model."""
        return self.fitted_.model

    def plan_for(self, schema: Schema | str | Path | Mapping[str, int]) -> Plan:
        """What ``fit`` would spend on a table with this schema; looks at no rows."""
        schema = as_schema(schema)
        budget = Budget(self.epsilon, self.delta, schema.unit)
        return self.plan(Domain(schema.sizes), budget, budget.rho)


def as_schema(schema: Schema | str | Path | Mapping[str, int]) -> Schema:
    """A schema from what users have at hand: itself, a YAML file, or sizes of coded columns."""
    if isinstance(schema, Schema):
        return schema
    if isinstance(schema, Mapping):
        return Schema.from_sizes(schema)
    return Schema.read(schema)


def _opened(ledger: Ledger | str | Path | None) -> AbstractContextManager[Ledger]:
    """The ledger to write to; one that the caller opened stays open."""
    if isinstance(ledger, Ledger):
        return nullcontext(ledger)
    return Ledger.memory() if ledger is None else Ledger.open(ledger)
