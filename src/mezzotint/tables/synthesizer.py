"""The face that users see: ``AIM(epsilon=1).fit(table, schema).sample(1000)``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, Self

from mezzotint.errors import ParameterError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.run import Run, plannable_rho
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

Infer = Literal["dp"] | None
INFER_SHARE = 0.1


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
        infer_share: float = INFER_SHARE,
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
            infer: "dp" to buy the bounds and categories that nobody has declared public, with a
                share of the budget. The guarantee of the whole remains (epsilon, delta).
            infer_share: that share of the budget's rho. Where categories are bought, a tenth of
                delta is set aside for them as well.
            progress: called with the share of the budget that is spent.

        Raises:
            SchemaError, DataError, ParameterError: before anything is spent.
            BudgetError: if the ledger's cap forbids it; nothing is spent.
        """
        source = open_source(table)
        schema = as_schema(schema)
        budget = Budget(self.epsilon, self.delta, schema.unit)
        aside = _delta_aside(schema, budget, infer, infer_share)
        schema.require_columns(source.columns, source.name)
        with (
            _opened(ledger) as book,
            book.begin(
                budget,
                mechanism=self.name,
                dataset=dataset or source.name,
                fingerprint=fingerprint(source) if book.path else None,
                delta_aside=aside,
            ) as run,
        ):
            if infer == "dp":
                from mezzotint.schema.infer import infer as buy

                schema = buy(schema, source, run, share=infer_share).schema
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

    def __getstate__(self) -> dict[str, Any]:
        """A pickled synthesizer must not carry the private table along."""
        if "_source" in self.__dict__:
            raise TypeError(
                "a fitted synthesizer refers to the table that it was fitted to, and is not "
                "pickled; use save() and mezzotint.load(), which keep what is public only"
            )
        return self.__dict__.copy()

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

    def plan_for(
        self,
        schema: Schema | str | Path | Mapping[str, int],
        *,
        infer: Infer = None,
        infer_share: float = INFER_SHARE,
    ) -> Plan:
        """What ``fit`` would spend on a table with this schema; looks at no rows.

        Args:
            schema: as for ``fit``.
            infer: "dp" if ``fit`` shall buy what nobody has declared public. How many values that
                gives an attribute is not known yet; the plan guesses (`Plan.assumed`).
            infer_share: as for ``fit``.
        """
        schema = as_schema(schema)
        budget = Budget(self.epsilon, self.delta, schema.unit)
        aside = _delta_aside(schema, budget, infer, infer_share)
        rho = plannable_rho(budget, aside)
        if infer is None:
            return self.plan(Domain(schema.sizes), budget, rho)
        from mezzotint.schema.completion import guessed
        from mezzotint.schema.infer import purchases

        bought = purchases(schema, infer_share * rho, aside)
        left = rho - sum(p.rho for p in bought)
        return self.plan(Domain(guessed(schema).sizes), budget, left).after(bought, rho)


def _delta_aside(schema: Schema, budget: Budget, infer: Infer, share: float) -> float:
    """What buying the schema's open facts sets aside of delta; refuses what cannot be fitted."""
    if infer is None:
        schema.require_confirmed()
        return 0.0
    if infer != "dp":
        raise ParameterError(
            f'infer = {infer!r} is unknown: give "dp" to buy facts with a share of the budget, or '
            "None"
        )
    from mezzotint.schema.infer import check_share, delta_aside

    check_share(share)
    return delta_aside(schema, budget.delta)


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
