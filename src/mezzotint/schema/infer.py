"""Bounds and categories bought with a share of the budget, instead of declared.

Bounds: a noisy histogram over public bins that grow exponentially from zero (for dates: years);
the outermost bins that stand out of the noise are the bounds (the fullest bin, if none does).

Categories: noisy counts of the values that occur, of which only those above a threshold are
shown (`mezzotint.privacy.thresholds`). That can fail, with a probability for which a tenth of the
budget's delta is set aside before rho is computed from the rest.

    delta_aside(schema, delta)         what the run has to set aside
    purchases(schema, rho, delta)      what would be bought: for the plan, before anything is spent
    infer(schema, source, run, ...)    buys it, and returns the schema that follows

Types and the privacy unit are never bought: they have to be declared. Other unconfirmed facts fall
back to public conventions: any value may be missing, no value is special.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import ceil, log, sqrt

import numpy as np
import pyarrow as pa

from mezzotint.errors import ParameterError, SchemaError
from mezzotint.privacy.noise import counts_above_threshold, discrete_gaussian
from mezzotint.privacy.releases import delta_units_rounded_up, delta_within
from mezzotint.privacy.run import Run
from mezzotint.privacy.thresholds import least_published
from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Categorical
from mezzotint.schema.completion import (
    bought_of,
    by_convention,
    line_of,
    still_meant,
    with_bounds,
    with_categories,
)
from mezzotint.schema.contribution import ContributionBound
from mezzotint.schema.numeric import Numeric
from mezzotint.schema.schema import Schema
from mezzotint.schema.values import pc, tallied, texts
from mezzotint.sources import Source

DEFAULT_SHARE = 0.1
DELTA_SHARE = 0.1
"""The share of delta that is set aside where categories are bought."""
_FALSE_ALARM = 0.01


@dataclass(frozen=True)
class Purchase:
    """One release that completes the schema.

    Attributes:
        attribute: Which attribute.
        fact: "bounds" or "categories".
        rho: Its cost.
        sigma: The noise of its counts.
        threshold: The least noisy count that is shown, or that tells a bound.
        delta: Its cost beside rho: the probability that a category of one unit alone is shown.
    """

    attribute: str
    fact: str
    rho: float
    sigma: float
    threshold: int
    delta: float


@dataclass(frozen=True)
class Inferred:
    """A completed schema and what it cost.

    Attributes:
        schema: The schema; nothing in it is unconfirmed any more.
        purchases: The releases behind it; they stand in the run's ledger.
    """

    schema: Schema
    purchases: tuple[Purchase, ...]

    @property
    def rho(self) -> float:
        """What they cost together, in zCDP."""
        return sum(p.rho for p in self.purchases)

    @property
    def delta(self) -> float:
        """What they cost beside it; the run set it aside."""
        return sum(p.delta for p in self.purchases)


def delta_aside(schema: Schema, delta: float) -> float:
    """What a run of `delta` in all has to set aside for what the schema lacks. Public.

    Raises:
        SchemaError: if a type or the privacy unit is not declared.
        ParameterError: if a tenth of delta is too little to divide.
    """
    categories = sum(fact == "categories" for _, fact in _to_buy(schema))
    if not categories:
        return 0.0
    aside = DELTA_SHARE * delta
    _part(aside, categories)
    return aside


def purchases(schema: Schema, rho: float, delta: float) -> tuple[Purchase, ...]:
    """What `infer` would buy: equal shares, one release per fact. All public.

    Args:
        schema: A schema with declared types and unit.
        rho: What may be spent.
        delta: What may be spent beside rho; `delta_aside`.
    """
    facts = _to_buy(schema)
    categories = sum(fact == "categories" for _, fact in facts)
    plan = []
    for attribute, fact in facts:
        share = rho / len(facts)
        sigma = sqrt(schema.unit.l2_squared / (2 * share))
        part = 0.0
        if fact == "categories":
            part = _part(delta, categories)
            level = least_published(sigma, part, schema.unit)
        else:
            cells = len(line_of(attribute)[0]) + 1
            level = ceil(sigma * sqrt(2 * log(cells / _FALSE_ALARM)))
        plan.append(Purchase(attribute.name, fact, share, sigma, level, part))
    return tuple(plan)


def check_share(share: float) -> float:
    """The share, if it is one."""
    if not 0 < share < 1:
        raise ParameterError(f"infer_share = {share!r} must lie between 0 and 1, such as 0.1")
    return share


def infer(schema: Schema, source: Source, run: Run, *, share: float = DEFAULT_SHARE) -> Inferred:
    """Buy what the schema lacks or nobody has confirmed.

    Guarantee: d-approximate r-zCDP, r and d being the sums of the purchases' rhos and deltas. Each
        release is a vector of counts with discrete Gaussian noise; of names that are themselves
        private, only counts above a threshold are shown (`privacy.noise`).
    Sensitivity: squared L2 `unit.l2_squared` per release: a row counts once at most.
    Private and public: rows are private, and so are the values that occur and how many there are;
        the schema's declared facts and the plan are public, and so is the schema that results.
    Units: rho of zCDP, and delta.

    Args:
        schema: A schema with declared types and unit.
        source: The table; it is read once.
        run: Where the budget comes from. Its `budget.unit` must be the schema's, and it must have
            set `delta_aside` aside.
        share: The share of the run's rho that may be spent.
    """
    check_share(share)
    if run.budget.unit != schema.unit:
        raise ParameterError(
            f"the run protects a {run.budget.unit}, the schema a {schema.unit}; begin the run with "
            "the schema's unit"
        )
    plan = purchases(schema, share * run.total_rho, run.remaining_delta)
    declared = [by_convention(attribute) for attribute in schema]
    schema = replace(schema, attributes=tuple(declared))
    if not plan:
        return Inferred(schema, ())
    schema.require_columns(source.columns, source.name)
    counts = _counted(schema, source, plan)
    complete = dict(schema.by_name)
    for purchase in plan:
        about = f"{purchase.fact} of {purchase.attribute}"
        attribute, found = complete[purchase.attribute], counts[purchase.attribute]
        if isinstance(found, Counter):
            assert isinstance(attribute, Categorical)
            spend = run.threshold(about, purchase.sigma, purchase.delta)
            shown = counts_above_threshold(spend, found)
            complete[attribute.name] = with_categories(attribute, shown)
        else:
            assert isinstance(attribute, Numeric)
            spend = run.gaussian(about, purchase.sigma)
            noisy = found + discrete_gaussian(spend, len(found))
            complete[attribute.name] = with_bounds(attribute, noisy, purchase.threshold)
    return Inferred(
        replace(
            schema,
            attributes=tuple(complete.values()),
            constraints=tuple(still_meant(schema.constraints, complete)),
        ),
        plan,
    )


def _part(delta: float, categories: int) -> float:
    """Every categorical attribute's part of delta, in the ledger's units."""
    units = delta_units_rounded_up(delta) // categories
    if not units:
        raise ParameterError(
            f"delta: {delta:.3g} of it is set aside to buy the categories of {categories} "
            "attributes, which is less than the ledger can divide (1e-18 each); declare the "
            "categories, or give a larger delta"
        )
    return delta_within(units)


def _to_buy(schema: Schema) -> list[tuple[Attribute, str]]:
    """Attributes and the facts to buy of them."""
    taken = [f for f in schema.unconfirmed() if f.name == "type" or f.attribute is None]
    if taken:
        raise SchemaError(
            "types and the privacy unit cannot be bought; declare them public first, by editing "
            "the schema or with `mezzotint schema confirm`: " + ", ".join(map(str, taken[:10]))
        )
    return [(attribute, fact) for attribute in schema for fact in bought_of(attribute)]


def _counted(
    schema: Schema, source: Source, plan: tuple[Purchase, ...]
) -> dict[str, Counter[str] | np.ndarray]:
    """The exact counts behind every purchase, in one pass. Private.

    Memory grows with the number of different values, not of rows.
    """
    counts: dict[str, Counter[str] | np.ndarray] = {}
    for purchase in plan:
        attribute = schema[purchase.attribute]
        categorical = isinstance(attribute, Categorical)
        cells = 0 if categorical else len(line_of(attribute)[0]) + 1
        counts[attribute.name] = Counter() if categorical else np.zeros(cells, np.int64)
    bound = ContributionBound(schema) if schema.unit_column else None
    columns = [*counts, *([schema.unit_column] if schema.unit_column else [])]
    for batch in source.batches(columns):
        rows = bound(batch) if bound else batch
        for name, total in counts.items():
            _count_in(schema[name], rows.column(rows.schema.get_field_index(name)), total)
    return counts


def _count_in(attribute: Attribute, array: pa.Array, total: Counter[str] | np.ndarray) -> None:
    values, times, _ = tallied(array, attribute.name)
    if isinstance(total, Counter):
        words = texts(values, attribute.name)
        absent = pc.is_in(words, value_set=pa.array(attribute.missing or ("",)))
        skip = np.asarray(absent) | np.asarray(words.is_null())
        for word, n, out in zip(words.to_pylist(), times.tolist(), skip.tolist(), strict=True):
            if not out:
                total[word] += n
        return
    assert isinstance(attribute, Numeric)
    plain, valid = attribute.read(values)
    apart = [*attribute.special, *attribute.missing_points]
    counted = valid & ~np.isin(plain, apart)
    cells = np.searchsorted(line_of(attribute)[0], plain[counted], side="right")
    total += np.bincount(cells, weights=times[counted], minlength=len(total)).astype(np.int64)
