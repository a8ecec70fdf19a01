"""How a table fits a schema, for the eyes of those who may see the data.

Guarantee: none. Every figure here is exact, computed on private rows, and must not be published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Categorical, Empty
from mezzotint.schema.contribution import ContributionBound
from mezzotint.schema.numeric import Numeric
from mezzotint.schema.schema import Schema
from mezzotint.schema.values import pc, tallied, texts
from mezzotint.sources import Source

_SHOWN = 5


@dataclass
class Fit:
    """How one column fits its attribute. Private.

    Attributes:
        attribute: The attribute's name.
        missing: Values that are missing, where that is allowed.
        undeclared_missing: Values that are missing in a column declared never to be.
        unknown: Values that are not among the categories.
        unreadable: Values that are no number, date or time.
        below: Values below the bounds.
        above: Values above the bounds.
        examples: Some values that do not fit.
    """

    attribute: str
    missing: int = 0
    undeclared_missing: int = 0
    unknown: int = 0
    unreadable: int = 0
    below: int = 0
    above: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def misfits(self) -> int:
        """How many values do not fit."""
        return self.undeclared_missing + self.unknown + self.unreadable + self.below + self.above

    def __str__(self) -> str:
        counted = {
            "missing though declared never to be": self.undeclared_missing,
            "not among the categories": self.unknown,
            "unreadable": self.unreadable,
            "below the bounds": self.below,
            "above the bounds": self.above,
        }
        parts = [f"{n:,} {what}" for what, n in counted.items() if n] or ["fits"]
        shown = f" (such as {', '.join(map(repr, self.examples))})" if self.examples else ""
        return f"{self.attribute}: {', '.join(parts)}{shown}"


@dataclass
class Check:
    """How a table fits a schema. Private: exact figures of private rows.

    Attributes:
        rows: How many rows there are.
        dropped: Rows beyond the bound of their unit's contribution.
        fits: One entry per attribute.
        violations: Constraint -> rows in cells that it declares impossible.
    """

    rows: int = 0
    dropped: int = 0
    fits: dict[str, Fit] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every value fits and no constraint is violated."""
        misfits = any(fit.misfits for fit in self.fits.values())
        return not misfits and not any(self.violations.values())

    def lines(self) -> Iterator[str]:
        """The findings as sentences."""
        yield f"{self.rows:,} rows"
        if self.dropped:
            yield f"{self.dropped:,} rows dropped: beyond their unit's number, or without its name"
        yield from (str(fit) for fit in self.fits.values() if fit.misfits)
        for constraint, rows in self.violations.items():
            if rows:
                yield f"constraint {constraint}: violated by {rows:,} rows"


def check(source: Source, schema: Schema) -> Check:
    """Compare a table with a schema, in one pass.

    Guarantee: none; for those who may see the data.
    Private and public: everything that it returns is private.
    """
    schema.require_columns(source.columns, source.name)
    result = Check(fits={a.name: Fit(a.name) for a in schema})
    masks = [(str(c), c.names, c.impossible(schema.by_name)) for c in schema.constraints]
    result.violations = {name: 0 for name, _, _ in masks}
    bound = ContributionBound(schema) if schema.unit_column else None
    for batch in source.batches(schema.columns):
        result.rows += batch.num_rows
        rows = bound(batch) if bound else batch
        result.dropped += batch.num_rows - rows.num_rows
        for attribute in schema:
            column = rows.column(rows.schema.get_field_index(attribute.name))
            _look(attribute, column, result.fits[attribute.name])
        if masks:
            codes = schema.encode(rows)
            for name, clique, mask in masks:
                hits = mask[tuple(codes[a] for a in clique)]
                result.violations[name] += int(np.count_nonzero(hits))
    return result


def _look(attribute: Attribute, array: pa.Array, fit: Fit) -> None:
    values, times, nulls = tallied(array, attribute.name)
    words = texts(values, attribute.name)
    blank = np.asarray(words.is_null()) | np.asarray(
        pc.is_in(words, value_set=pa.array(attribute.missing or ("",)))
    )
    if isinstance(attribute, Categorical):
        blank &= ~np.asarray(pc.is_in(words, value_set=pa.array(attribute.categories)))
    absent = nulls + int(times[blank].sum())
    if attribute.missing is None:
        fit.undeclared_missing += absent
    else:
        fit.missing += absent
    odd = np.zeros(len(values), dtype=bool)
    if isinstance(attribute, Numeric):
        plain, valid = attribute.read(values)
        special = np.isin(plain, attribute.special)
        unreadable = ~valid & ~blank
        below = valid & ~blank & ~special & (plain < attribute.least)
        above = valid & ~blank & ~special & (plain > attribute.greatest)
        fit.unreadable += int(times[unreadable].sum())
        fit.below += int(times[below].sum())
        fit.above += int(times[above].sum())
        odd = unreadable | below | above
    elif isinstance(attribute, Categorical | Empty):
        known = attribute.categories if isinstance(attribute, Categorical) else ()
        trimmed = pa.array([k.strip() for k in known], pa.string())
        odd = ~np.asarray(pc.is_in(words, value_set=trimmed)) & ~blank
        if pa.types.is_boolean(values.type) and len(known) == 2:
            odd[:] = False
        fit.unknown += int(times[odd].sum())
    for word in words.filter(pa.array(odd)).to_pylist():
        if len(fit.examples) < _SHOWN and word not in fit.examples:
            fit.examples.append(word)
