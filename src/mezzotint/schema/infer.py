"""Bounds and categories bought with a share of the budget, instead of declared.

Bounds: a noisy histogram over public bins that grow exponentially from zero (for dates: years);
the outermost bins that stand out of the noise are the bounds.

Categories: noisy counts of the values that occur, of which only those above a threshold are
published. Which values occur is private, so the threshold is chosen such that a value that only
one unit has is published with a probability of at most delta.

    purchases(schema)                  what would be bought: for the plan, before anything is spent
    infer(schema, source, run, ...)    buys it, and returns the schema that follows

Types and the privacy unit are never bought: they have to be declared. Other unconfirmed facts fall
back to public conventions: any value may be missing, no value is special.

References:
    Korolova, Kenthapadi, Mishra, Ntoulas. Releasing Search Queries and Clicks Privately. WWW 2009.
    Bun, Steinke. Concentrated Differential Privacy. TCC 2016 (Definition 8.1: approximate zCDP).
    Canonne, Kamath, Steinke. The Discrete Gaussian for Differential Privacy. NeurIPS 2020.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import ceil, erfc, log, sqrt

import numpy as np
import pyarrow as pa

from mezzotint.errors import ParameterError, SchemaError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.privacy.checks import check_delta
from mezzotint.privacy.noise import discrete_gaussian
from mezzotint.privacy.run import Run
from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import MAX_CATEGORIES, Categorical, Ordered, Text
from mezzotint.schema.contribution import ContributionBound
from mezzotint.schema.moments import Date, Datetime, TimeOfDay
from mezzotint.schema.numeric import Continuous, Numeric
from mezzotint.schema.schema import Schema
from mezzotint.schema.values import MICROSECONDS, pc, tallied, texts
from mezzotint.sources import Source

DEFAULT_SHARE = 0.1
DEFAULT_DELTA = 1e-10
_FALSE_ALARM = 0.01
_YEARS = (1900, 2101)


@dataclass(frozen=True)
class Purchase:
    """One release that completes the schema.

    Attributes:
        attribute: Which attribute.
        fact: "bounds" or "categories".
        rho: Its cost.
        sigma: The noise of its counts.
        threshold: The least noisy count that is published.
        delta: The probability, per neighbour, that a category of one unit alone shows.
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
        rho: What they cost together.
        delta: What they cost beside rho. The guarantee of the whole run is that of its rho at
            `budget.delta`, with this delta added.
    """

    schema: Schema
    purchases: tuple[Purchase, ...]
    rho: float
    delta: float


def purchases(schema: Schema, rho: float, *, delta: float = DEFAULT_DELTA) -> tuple[Purchase, ...]:
    """What `infer` would buy with `rho`: equal shares, one release per fact. All public.

    Args:
        schema: A schema with declared types and unit.
        rho: What may be spent.
        delta: What may be spent beside rho, if categories are bought.
    """
    _require_declared(schema)
    facts = [(a, f) for a in schema for f in _bought(a)]
    categories = sum(fact == "categories" for _, fact in facts)
    plan = []
    for attribute, fact in facts:
        share = rho / len(facts)
        sigma = sqrt(schema.unit.l2_squared / (2 * share))
        if fact == "categories":
            part = check_delta(delta) / categories
            plan.append(
                Purchase(
                    attribute.name, fact, share, sigma, threshold(sigma, part, schema.unit), part
                )
            )
        else:
            cells = len(_line(attribute)[0]) + 1
            level = ceil(sigma * sqrt(2 * log(cells / _FALSE_ALARM)))
            plan.append(Purchase(attribute.name, fact, share, sigma, level, 0.0))
    return tuple(plan)


def infer(
    schema: Schema,
    source: Source,
    run: Run,
    *,
    share: float = DEFAULT_SHARE,
    delta: float = DEFAULT_DELTA,
) -> Inferred:
    """Buy what the schema lacks or nobody has confirmed.

    Guarantee: (sum of the purchases' deltas)-approximate (sum of their rhos)-zCDP. Each release is
        a vector of counts with discrete Gaussian noise. For categories: values that occur in both
        neighbours are counted with that noise; at most `unit.rows` values occur in only one of
        them, with a count of at most `unit.rows` each, and none of them reaches the threshold,
        except with probability delta.
    Sensitivity: squared L2 `unit.l2_squared` per release.
    Private and public: rows are private; the schema's declared facts and the plan are public; of
        the noise and the counts below the threshold nothing is published, nor how many there are.
    Units: rho of zCDP, and delta.

    Args:
        schema: A schema with declared types and unit.
        source: The table; it is read once.
        run: Where the budget comes from. Its `budget.unit` must be the schema's.
        share: The share of the run's rho that may be spent.
        delta: What may be spent beside rho, if categories are bought.
    """
    if not 0 < share < 1:
        raise ParameterError(f"share = {share!r} must lie between 0 and 1, such as 0.1")
    if run.budget.unit != schema.unit:
        raise ParameterError(
            f"the run protects a {run.budget.unit}, the schema a {schema.unit}; begin the run with "
            "the schema's unit"
        )
    plan = purchases(schema, share * run.total_rho, delta=delta)
    schema = replace(schema, attributes=tuple(map(_conventional, schema.attributes)))
    if not plan:
        return Inferred(schema, (), 0.0, 0.0)
    schema.require_columns(source.columns, source.name)
    counts = _counted(schema, source, plan)
    complete = dict(schema.by_name)
    for purchase in plan:
        spend = run.gaussian(f"{purchase.fact} of {purchase.attribute}", purchase.sigma)
        attribute = complete[purchase.attribute]
        found = counts[purchase.attribute]
        if isinstance(found, Counter):
            assert isinstance(attribute, Categorical)
            names = sorted(found)
            noisy = np.array([found[n] for n in names], np.int64)
            noisy += discrete_gaussian(spend, len(names))
            kept = {n: c for n, c in zip(names, noisy, strict=True) if c >= purchase.threshold}
            complete[attribute.name] = _with_categories(attribute, kept)
        else:
            assert isinstance(attribute, Numeric)
            noisy = found + discrete_gaussian(spend, len(found))
            complete[attribute.name] = _with_bounds(attribute, noisy >= purchase.threshold)
    return Inferred(
        replace(schema, attributes=tuple(complete.values())),
        plan,
        sum(p.rho for p in plan),
        sum(p.delta for p in plan),
    )


def threshold(sigma: float, delta: float, unit: PrivacyUnit) -> int:
    """The least count at which a category may be published.

    At most `rows` categories occur in one neighbour only, and none has a count above `rows`: each
    is published with probability P(noise >= threshold - rows), which is at most that of the
    continuous Gaussian at one less (Canonne, Kamath, Steinke 2020, Proposition 25).
    """
    beyond = 0.0
    while unit.rows * 0.5 * erfc(beyond / sqrt(2)) > delta:
        beyond += 1 / 64
    return unit.rows + 1 + ceil(sigma * beyond)


def _require_declared(schema: Schema) -> None:
    taken = [f for f in schema.unconfirmed() if f.name == "type" or f.attribute is None]
    taken = [f for f in taken if not isinstance(_attribute_of(schema, f.attribute), Text)]
    if taken:
        raise SchemaError(
            "types and the privacy unit cannot be bought; declare them public first, by editing "
            "the schema or with `mezzotint schema confirm`: " + ", ".join(map(str, taken[:10]))
        )


def _attribute_of(schema: Schema, name: str | None) -> Attribute | None:
    return None if name is None else schema[name]


def _bought(attribute: Attribute) -> list[str]:
    """The facts that cost budget; a time of day has public bounds."""
    facts = [f for f in attribute.unconfirmed if f in ("bounds", "categories")]
    return [] if isinstance(attribute, TimeOfDay) else facts


def _counted(
    schema: Schema, source: Source, plan: tuple[Purchase, ...]
) -> dict[str, Counter[str] | np.ndarray]:
    """The exact counts behind every purchase, in one pass. Private."""
    counts: dict[str, Counter[str] | np.ndarray] = {}
    for purchase in plan:
        attribute = schema[purchase.attribute]
        categorical = isinstance(attribute, Categorical)
        cells = 0 if categorical else len(_line(attribute)[0]) + 1
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
    cells = np.searchsorted(_line(attribute)[0], plain[valid], side="right")
    total += np.bincount(cells, weights=times[valid], minlength=len(total)).astype(np.int64)


def _line(attribute: Attribute) -> tuple[np.ndarray, int]:
    """Public edges between cells on an attribute's line, and what to add to an upper edge."""
    assert isinstance(attribute, Numeric)
    if isinstance(attribute, Date | Datetime):
        years = np.arange(*_YEARS)
        first = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
        if isinstance(attribute, Datetime):
            first = first * (MICROSECONDS["day"] // MICROSECONDS[attribute.resolution])
        return first, -1
    if isinstance(attribute, Continuous):
        powers = 2.0 ** np.arange(-20, 64)
        return np.concatenate([-powers[::-1], [0.0], powers]), 0
    powers = 2 ** np.arange(62, dtype=np.int64)
    return np.concatenate([-powers[::-1] + 1, powers]), -1


def _with_bounds(attribute: Numeric, stands_out: np.ndarray) -> Numeric:
    """Bounds at the outermost cells that stand out; around zero, if none does."""
    edges, back = _line(attribute)
    cells = np.flatnonzero(stands_out)
    if not len(cells):
        cells = np.searchsorted(edges, [0], side="right")
    low = edges[max(int(cells[0]) - 1, 0)].item()
    high = edges[min(int(cells[-1]), len(edges) - 1)].item() + back
    return replace(attribute, bounds=(low, max(low, high)))


def _with_categories(attribute: Categorical, kept: dict[str, int]) -> Categorical:
    """The categories that were published, and one for all the others."""
    names = sorted(kept, key=lambda n: -kept[n])[: MAX_CATEGORIES - 1]
    other = "other"
    while other in names:
        other = f"({other})"
    kind = Ordered if isinstance(attribute, Ordered) else Categorical
    return kind(
        name=attribute.name,
        missing=attribute.missing,
        storage=attribute.storage,
        categories=(*sorted(names), other),
        other=other,
    )


def _conventional(attribute: Attribute) -> Attribute:
    """The attribute with public conventions in the place of facts that nobody confirmed."""
    pending = attribute.unconfirmed
    changes: dict[str, object] = {"from_data": ()}
    if "missing" in pending:
        changes["missing"] = type(attribute).missing
    if isinstance(attribute, Numeric):
        if "special" in pending:
            changes["special"] = ()
        if "bounds" in pending:
            # What bins suit is not known either: fine near zero, coarse far from it, is safest.
            log_suits = attribute.type in ("integer", "continuous")
            changes |= {"edges": None, "bins": None, "spacing": "log" if log_suits else "equal"}
            if isinstance(attribute, TimeOfDay):
                last = MICROSECONDS["day"] // MICROSECONDS[attribute.resolution] - 1
                changes["bounds"] = (0, last)
        elif "bins" in pending:
            changes |= {"bins": None, "spacing": "equal"}
    elif isinstance(attribute, Categorical) and "categories" in pending:
        changes |= {"categories": (), "other": None}
    return replace(attribute, **changes)
