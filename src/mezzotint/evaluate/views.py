"""One attribute, or one pair, in both tables: the shares behind the report's small pictures.

Synthetic shares are public; real ones are exact functions of private rows, outside any
differentially private mechanism, and are not to be published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.association import group
from mezzotint.evaluate.fidelity import Codes, marginal_distance
from mezzotint.evaluate.rows import Column, Rows

MOST_BARS = 12
"""A category chart shows the commonest categories, the rest in one bar."""


@dataclass(frozen=True)
class Summary:
    """A number's mean, standard deviation and quartiles over the values present, and its gaps."""

    mean: float
    sd: float
    quartiles: tuple[float, float, float]
    missing: float

    @classmethod
    def of(cls, values: np.ndarray) -> Summary:
        """Summarise numbers; NaN is a missing value."""
        known = values[~np.isnan(values)]
        missing = 1 - len(known) / len(values) if len(values) else float("nan")
        if not len(known):
            nan = float("nan")
            return cls(nan, nan, (nan, nan, nan), missing)
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        quartiles = (float(low), float(middle), float(high))
        return cls(float(known.mean()), float(known.std()), quartiles, missing)


@dataclass(frozen=True)
class AttributeView:
    """The distribution of one attribute.

    Attributes:
        name: the attribute.
        type: its type, in the schema's word.
        ordered: whether the bars follow an order of values.
        labels: one label per bar; the last may stand for several categories.
        synthetic: share of the synthetic rows per bar.
        real: share of the real rows per bar, or None in a public report.
        error: half the L1 distance over all codes, or None in a public report.
        synthetic_summary: for numbers only.
        real_summary: for numbers, or None in a public report.
    """

    name: str
    type: str
    ordered: bool
    labels: tuple[str, ...]
    synthetic: tuple[float, ...]
    real: tuple[float, ...] | None
    error: float | None
    synthetic_summary: Summary | None
    real_summary: Summary | None

    @property
    def private(self) -> bool:
        """Computed on private data, hence not to be published."""
        return self.real is not None


@dataclass(frozen=True)
class PairView:
    """Two attributes in both tables: shares per cell, shape (rows, columns).

    Attributes:
        names: the attributes down and across.
        labels: the groups down and across.
        real: shares of the real rows.
        synthetic: shares of the synthetic rows.
        error: half the L1 distance over all codes, before grouping.
        private: computed on private data, hence not to be published.
    """

    names: tuple[str, str]
    labels: tuple[tuple[str, ...], tuple[str, ...]]
    real: np.ndarray
    synthetic: np.ndarray
    error: float
    private: bool = True


def view(real: Rows | None, synthetic: Rows, column: Column) -> AttributeView:
    """One attribute's view.

    Guarantee: none. Private: ``real``, which may be None.
    """
    name = column.name
    ours = _shares(synthetic, column)
    theirs = None if real is None else _shares(real, column)
    labels, order = list(column.labels), np.arange(column.size)
    if not column.ordered:
        # Ordered by the synthetic shares, so that a public report shows the same order.
        last = [column.missing] if column.missing is not None else []
        by_share = [c for c in np.argsort(-ours, kind="stable") if c not in last]
        shown = by_share if column.size <= MOST_BARS else by_share[: MOST_BARS - 1 - len(last)]
        rest = [c for c in by_share if c not in shown]
        order = np.array([*shown, *last], dtype=int)
        labels = [column.labels[c] for c in order] + ([f"{len(rest)} others"] if rest else [])
        ours = np.concatenate([ours[order], [ours[rest].sum()] if rest else []])
        if theirs is not None:
            theirs = np.concatenate([theirs[order], [theirs[rest].sum()] if rest else []])
    return AttributeView(
        name=name,
        type=column.type,
        ordered=column.ordered,
        labels=tuple(labels),
        synthetic=tuple(map(float, ours)),
        real=None if theirs is None else tuple(map(float, theirs)),
        error=None
        if real is None
        else marginal_distance(real.codes, synthetic.codes, synthetic.sizes, (name,)),
        synthetic_summary=Summary.of(synthetic.values[name]) if column.numeric else None,
        real_summary=Summary.of(real.values[name]) if real is not None and column.numeric else None,
    )


def _shares(table: Rows, column: Column) -> np.ndarray:
    return np.bincount(table.codes[column.name], minlength=column.size) / max(table.count, 1)


def pair_view(real: Rows, synthetic: Rows, names: Sequence[str]) -> PairView:
    """One pair's view, in at most twelve groups a side.

    Guarantee: none. Private: ``real``.
    """
    a, b = (synthetic.columns[name] for name in names)
    groups = [_groups(real.codes, synthetic.codes, column) for column in (a, b)]
    labels = [_labels(column, of) for column, of in zip((a, b), groups, strict=True)]
    shape = (len(labels[0]), len(labels[1]))
    tables = []
    for table in (real, synthetic):
        cell = groups[0][table.codes[a.name]] * shape[1] + groups[1][table.codes[b.name]]
        counts = np.bincount(cell, minlength=shape[0] * shape[1])
        tables.append(counts.reshape(shape) / max(table.count, 1))
    return PairView(
        names=(a.name, b.name),
        labels=(labels[0], labels[1]),
        real=tables[0],
        synthetic=tables[1],
        error=marginal_distance(real.codes, synthetic.codes, synthetic.sizes, (a.name, b.name)),
    )


def _groups(real: Codes, synthetic: Codes, column: Column) -> np.ndarray:
    counts = [np.bincount(t[column.name], minlength=column.size) for t in (real, synthetic)]
    weights = sum(c / max(c.sum(), 1) for c in counts)
    groups = group(np.asarray(weights), ordered=column.ordered, missing=column.missing)
    return np.unique(groups, return_inverse=True)[1]


def _labels(column: Column, groups: np.ndarray) -> tuple[str, ...]:
    """A group's label: its only code's, its run's ends, or how many it holds."""
    labels = []
    for index in range(int(groups.max()) + 1):
        codes = np.flatnonzero(groups == index)
        if len(codes) == 1:
            labels.append(column.labels[codes[0]])
        elif column.ordered:
            labels.append(f"{column.labels[codes[0]]} … {column.labels[codes[-1]]}")
        else:
            labels.append(f"{len(codes)} others")
    return tuple(labels)
