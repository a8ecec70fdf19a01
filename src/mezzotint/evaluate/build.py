"""Building a report: read both tables, compare, and collect what the page shows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.evaluate import fidelity
from mezzotint.evaluate.association import Associations, associate
from mezzotint.evaluate.downstream import compare_models, default_target
from mezzotint.evaluate.facts import Facts, facts_of, unconfirmed_facts
from mezzotint.evaluate.models import one_thread
from mezzotint.evaluate.regression import compare_regressions
from mezzotint.evaluate.report import Closeness, Pairs, Report
from mezzotint.evaluate.rows import MOST_ROWS, Rows, read
from mezzotint.evaluate.views import pair_view, view
from mezzotint.privacy.statement import Statement

if TYPE_CHECKING:
    from mezzotint.schema import Schema

MOST_VIEWS = 60
MOST_IN_A_MATRIX = 40
_WORST_PAIRS = 4


def build(
    real: Any,
    synthetic: Any,
    schema: Schema,
    *,
    statement: Statement | None = None,
    target: str | None = None,
    predictors: Iterable[str] = (),
    holdout: Any = None,
    public_only: bool = False,
    quick: bool = False,
    title: str | None = None,
    random_state: int = 0,
) -> Report:
    """Compare a synthetic table with the real one and collect a report.

    Guarantee: none, unless ``public_only``: the full report holds exact figures computed on
    private rows, each marked ``private``.
    Private: ``real``, ``holdout``. Public: ``synthetic``, ``schema``, ``statement``.

    Args:
        real: the real table: a path, a source, or anything with the Arrow stream interface. May
            be None for a public report.
        synthetic: the synthetic table, from any tool.
        schema: the public facts by which both tables are coded.
        statement: the privacy statement that came with the synthetic table.
        target: the attribute that models predict; by default the last categorical one.
        predictors: the attributes in the regression; by default the eight most associated.
        holdout: real rows that took no part in making the synthetic ones, to test models on.
        public_only: leave out whatever needs the real rows, and do not open them.
        quick: leave out the models and the marginals of three attributes.
        title: the page's title.
        random_state: seeds samples, splits and models; nothing private depends on it.

    Raises:
        DataError: a table is empty, or lacks a column.
        ParameterError: ``target`` or ``predictors`` name no attribute.
        SchemaError: a public report is asked for while facts are not yet confirmed public.
    """
    public = public_only or real is None
    if public:
        schema.require_confirmed()
    _check_names(schema, target, predictors)
    rng = np.random.default_rng(random_state)
    ours = read(synthetic, schema, rng, role="synthetic")
    theirs = None if public else read(real, schema, rng, role="real")
    test = (
        None if public or quick or holdout is None else read(holdout, schema, rng, role="holdout")
    )
    return compare(
        theirs,
        ours,
        holdout=test,
        statement=statement,
        facts=facts_of(schema),
        unconfirmed=unconfirmed_facts(schema),
        target=target,
        predictors=tuple(predictors),
        quick=quick,
        title=title or "Synthetic data report",
        random_state=random_state,
    )


def compare(
    real: Rows | None,
    synthetic: Rows,
    *,
    holdout: Rows | None,
    statement: Statement | None,
    facts: tuple[Facts, ...],
    unconfirmed: tuple[str, ...],
    target: str | None,
    predictors: tuple[str, ...],
    quick: bool,
    title: str,
    random_state: int,
) -> Report:
    """The report on tables already read; see :func:`build`."""
    columns = synthetic.columns
    names = list(columns)
    notes = _sampling_notes(synthetic, "synthetic")
    errors, closeness, pairs, downstream, regression = {}, (), None, None, None
    if real is not None:
        notes += _sampling_notes(real, "real")
        errors = {a: _distance(real, synthetic, a) for a in names}
    shown = _shown(names, errors, MOST_VIEWS, "Attribute by attribute", notes)
    crossed = _shown(names, errors, MOST_IN_A_MATRIX, "Pairs and associations", notes)
    if real is not None:
        levels = (1, 2) if quick else (1, 2, 3)
        closeness = _closeness(real, synthetic, levels, random_state, notes)
        pairs = _pairs(real, synthetic, crossed)
        target = target or default_target(columns)
        if quick:
            notes.append("Quick report: models and triples of attributes were left out.")
        elif target is None:
            notes.append("No attribute takes two values or more: no model was trained.")
        else:
            downstream = compare_models(
                real, synthetic, target, holdout=holdout, random_state=random_state
            )
            with one_thread():
                regression = compare_regressions(
                    real, synthetic, target, predictors=predictors, random_state=random_state
                )
    return Report(
        title=title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=_version(),
        public=real is None,
        synthetic_rows=synthetic.total,
        real_rows=None if real is None else real.total,
        attributes=len(columns),
        statement=statement,
        facts=facts,
        unconfirmed=unconfirmed,
        views=tuple(view(real, synthetic, columns[name]) for name in shown),
        closeness=closeness,
        pairs=pairs,
        associations=_associations(real, synthetic, crossed),
        downstream=downstream,
        regression=regression,
        notes=tuple(notes),
    )


def _check_names(schema: Schema, target: str | None, predictors: Iterable[str]) -> None:
    for name in [*([target] if target else []), *predictors]:
        if name not in schema.names:
            raise ParameterError(
                f"{name!r} is no attribute of the schema. Choose one of {', '.join(schema.names)}."
            )


def _distance(real: Rows, synthetic: Rows, name: str) -> float:
    return fidelity.marginal_distance(real.codes, synthetic.codes, synthetic.sizes, (name,))


def _shown(
    names: list[str], errors: dict[str, float], limit: int, what: str, notes: list[str]
) -> list[str]:
    """The attributes that a figure has room for: the worst, or in a public report the first."""
    if len(names) <= limit:
        return names
    which = "that differ most" if errors else "that the schema names first"
    notes.append(f"{what}: the {limit} of {len(names)} attributes {which} are shown.")
    if not errors:
        return names[:limit]
    worst = set(sorted(names, key=errors.__getitem__, reverse=True)[:limit])
    return [name for name in names if name in worst]


def _closeness(
    real: Rows, synthetic: Rows, levels: Iterable[int], seed: int, notes: list[str]
) -> tuple[Closeness, ...]:
    """Workload errors, each between its two yardsticks."""
    rng = np.random.default_rng(seed)
    copy, shuffled = (
        fidelity.resample(real.codes, synthetic.count, rng, together=together)
        for together in (True, False)
    )
    result = []
    for k in levels:
        error, best, loose = (
            fidelity.workload_error(real.codes, other, real.sizes, k, random_state=seed)
            for other in (synthetic.codes, copy, shuffled)
        )
        if error is None or best is None or loose is None:
            break
        if error.cliques < error.cliques_in_all:
            notes.append(
                f"{k}-way marginals: {error.cliques:,} of {error.cliques_in_all:,}, drawn at "
                "random, were measured."
            )
        result.append(Closeness(error, best.mean, loose.mean))
    return tuple(result)


def _pairs(real: Rows, synthetic: Rows, names: list[str]) -> Pairs | None:
    """Every pair's distance, the worst in full."""
    if len(names) < 2:
        return None
    distances = fidelity.pair_distances(real.codes, synthetic.codes, real.sizes, names)
    left, right = np.triu_indices(len(names), 1)
    order = np.argsort(-distances[left, right], kind="stable")[:_WORST_PAIRS]
    worst = (pair_view(real, synthetic, (names[left[i]], names[right[i]])) for i in order)
    return Pairs(tuple(names), distances, tuple(worst))


def _associations(real: Rows | None, synthetic: Rows, names: list[str]) -> Associations | None:
    if len(names) < 2:
        return None
    return associate(
        None if real is None else real.codes,
        synthetic.codes,
        synthetic.sizes,
        names,
        ordered={a: synthetic.columns[a].ordered for a in names},
        missing={a: synthetic.columns[a].missing for a in names},
    )


def _sampling_notes(table: Rows, role: str) -> list[str]:
    if table.total == table.count:
        return []
    return [f"Of {table.total:,} {role} rows a uniform sample of {MOST_ROWS:,} was compared."]


def _version() -> str:
    try:
        return version("mezzotint")
    except PackageNotFoundError:
        return "unknown"
