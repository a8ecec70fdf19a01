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
from mezzotint.evaluate.formats import number
from mezzotint.evaluate.rows import Column, Rows

MOST_BARS = 12
"""A category chart shows the commonest categories, the rest in one bar."""


@dataclass(frozen=True)
class Summary:
    """A number's mean, standard deviation and quartiles over the values present, and its gaps.

    Attributes:
        mean: for dates and times, in the schema's units on their line; so are the next two.
        sd: standard deviation.
        quartiles: at 25, 50 and 75 per cent.
        missing: share of the rows.
        texts: mean, sd and the three quartiles as people write them.
    """

    mean: float
    sd: float
    quartiles: tuple[float, float, float]
    missing: float
    texts: tuple[str, ...]

    @classmethod
    def of(cls, values: np.ndarray, column: Column) -> Summary:
        """Summarise numbers; NaN is a missing value."""
        known = values[~np.isnan(values)]
        missing = 1 - len(known) / len(values) if len(values) else float("nan")
        if not len(known):
            nan = float("nan")
            return cls(nan, nan, (nan, nan, nan), missing, ("–",) * 5)
        mean, sd = float(known.mean()), float(known.std())
        low, middle, high = map(float, np.quantile(known, [0.25, 0.5, 0.75]))
        points = (mean, low, middle, high)
        if column.write is None:
            written, spread = [number(point) for point in points], number(sd)
        else:
            written = [column.write(float(np.rint(point))) for point in points]
            spread = f"{number(sd)} {column.unit}"
        texts = (written[0], spread, *written[1:])
        return cls(mean, sd, (low, middle, high), missing, texts)


@dataclass(frozen=True)
class AttributeView:
    """The distribution of one attribute.

    Attributes:
        name: the attribute.
        type: its type, in the schema's word.
        ordered: whether the bars follow an order of values.
        labels: one label per bar; one may stand for several categories.
        missing: whether there is a bar, then the last, for missing values.
        marks: the least, a middle and the greatest value, where values are ordered.
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
    missing: bool
    marks: tuple[str, ...]
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
    gaps = [] if column.missing is None else [column.missing]
    if not any(shares[gaps].any() for shares in (ours, theirs) if shares is not None):
        gaps = []
    bars = [[code] for code in column.present]
    if not column.ordered:
        # Ordered by the synthetic shares, so that a public report shows the same order.
        bars = [[c] for c in sorted(column.present, key=lambda c: -ours[c])]
        room = MOST_BARS - len(gaps)
        if len(bars) > room:
            bars = [*bars[: room - 1], [bar[0] for bar in bars[room - 1 :]]]
    bars += [[code] for code in gaps]
    labels = [column.labels[b[0]] if len(b) == 1 else f"{len(b)} others" for b in bars]
    error = real_summary = None
    if real is not None:
        error = marginal_distance(real.codes, synthetic.codes, synthetic.sizes, (name,))
        real_summary = Summary.of(real.values[name], column) if column.numeric else None
    return AttributeView(
        name=name,
        type=column.type,
        ordered=column.ordered,
        labels=tuple(labels),
        missing=bool(gaps),
        marks=_marks(column),
        synthetic=tuple(float(ours[bar].sum()) for bar in bars),
        real=None if theirs is None else tuple(float(theirs[bar].sum()) for bar in bars),
        error=error,
        synthetic_summary=Summary.of(synthetic.values[name], column) if column.numeric else None,
        real_summary=real_summary,
    )


def _marks(column: Column) -> tuple[str, ...]:
    spans = column.spans
    return (spans[0][0], spans[len(spans) // 2][0], spans[-1][1]) if spans else ("", "", "")


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
    """Groups of the codes that occur in either table; those that do not, share the first."""
    counts = [np.bincount(t[column.name], minlength=column.size) for t in (real, synthetic)]
    weights = sum(c / max(c.sum(), 1) for c in counts)
    occurring = np.flatnonzero(weights)
    missing = None if column.missing is None else np.searchsorted(occurring, column.missing)
    groups = np.zeros(column.size, int) - 1
    groups[occurring] = np.unique(
        group(
            np.asarray(weights)[occurring],
            ordered=column.ordered,
            missing=int(missing) if missing is not None and missing < len(occurring) else None,
        ),
        return_inverse=True,
    )[1]
    return groups


def _labels(column: Column, groups: np.ndarray) -> tuple[str, ...]:
    """A group's label: its only code's, its run's ends, or how many it holds."""
    labels = []
    for index in range(int(groups.max()) + 1):
        codes = np.flatnonzero(groups == index)
        if column.ordered and column.missing not in codes:
            low, high = column.spans[codes[0]][0], column.spans[codes[-1]][1]
            labels.append(low if low == high else f"{low} to {high}")
        elif len(codes) == 1:
            labels.append(column.labels[codes[0]])
        else:
            labels.append(f"{len(codes)} others")
    return tuple(labels)
