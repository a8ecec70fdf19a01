"""The same regression fitted on real and on synthetic rows, coefficient beside coefficient.

An analyst who is given the synthetic table will fit a model and read its coefficients. This module
fits one such model on both tables, logistic for a class and linear for a number, with identical
terms, and compares estimates and 95 % intervals. The overlap of two intervals is the average share
that their intersection takes of each (A. Karr et al., "A framework for evaluating the utility of
data altered to protect confidentiality", The American Statistician 60, 2006).

The synthetic intervals are the naive ones: they treat synthetic rows as if they had been observed,
know nothing of the privacy noise, and are therefore too narrow.

Terms are chosen on the real rows, and everything here is an exact function of private rows outside
any differentially private mechanism: ``private=True``, not to be published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.association import group, matrix
from mezzotint.evaluate.downstream import is_classification
from mezzotint.evaluate.linear import Term, fit, independent
from mezzotint.evaluate.rows import Column, Rows

MOST_ROWS = 200_000
MOST_PREDICTORS = 8
_LEVELS = 4
_FEWEST_A_CELL = 5
_FEWEST_ROWS = 20
_REDUNDANT = 0.8
_NEARLY_THE_TARGET = 0.95


@dataclass(frozen=True)
class Coefficient:
    """One term's estimate and 95 % interval on each table."""

    term: str
    real: float
    real_low: float
    real_high: float
    synthetic: float
    synthetic_low: float
    synthetic_high: float

    @property
    def overlap(self) -> float:
        """Karr's interval overlap: 1 for identical intervals, 0 for disjoint ones."""
        shared = min(self.real_high, self.synthetic_high) - max(self.real_low, self.synthetic_low)
        widths = (self.real_high - self.real_low, self.synthetic_high - self.synthetic_low)
        if shared <= 0 or not all(widths):
            return float(widths == (0.0, 0.0) and self.real == self.synthetic)
        return float(np.mean([shared / width for width in widths]))

    @property
    def agrees(self) -> bool:
        """Whether both tables give the same answer: up, down, or no clear effect."""
        return _direction(self.real_low, self.real_high) == _direction(
            self.synthetic_low, self.synthetic_high
        )


@dataclass(frozen=True)
class Regression:
    """One regression on two tables.

    Attributes:
        target: the attribute explained.
        outcome: what is modelled, in words.
        family: "logistic" (coefficients are log odds ratios) or "linear".
        real_rows: real rows fitted on.
        synthetic_rows: synthetic rows fitted on.
        coefficients: without the intercept; empty when no fit was possible, as ``notes`` explain.
        notes: what a reader must know about this comparison.
        private: computed on private data, hence not to be published.
    """

    target: str
    outcome: str
    family: str
    real_rows: int
    synthetic_rows: int
    coefficients: tuple[Coefficient, ...]
    notes: tuple[str, ...]
    private: bool = True

    @property
    def mean_overlap(self) -> float:
        """The mean interval overlap; NaN without coefficients."""
        return float(np.mean([c.overlap for c in self.coefficients] or [np.nan]))

    @property
    def agreement(self) -> float:
        """The share of coefficients on which both tables agree; NaN without coefficients."""
        return float(np.mean([c.agrees for c in self.coefficients] or [np.nan]))


def compare_regressions(
    real: Rows,
    synthetic: Rows,
    target: str,
    *,
    predictors: Sequence[str] = (),
    random_state: int = 0,
) -> Regression:
    """Fit one regression on both tables.

    Guarantee: none. Private: ``real``. Public: ``synthetic``.

    Args:
        real: the real rows.
        synthetic: the synthetic rows.
        target: the attribute to explain; rows where it is missing are left out.
        predictors: the attributes to explain it with. By default the eight most associated with
            the target, without near copies of the target or of each other.
        random_state: seeds the draw of rows above ``MOST_ROWS``.
    """
    column = real.columns[target]
    rng = np.random.default_rng(random_state)
    logistic = is_classification(column)
    tables = [t.sample(MOST_ROWS, rng, where=t.known(target)) for t in (real, synthetic)]
    notes: list[str] = []
    outcome, coefficients = f"the value of {target}", ()
    if min(table.count for table in tables) < _FEWEST_ROWS:
        notes.append(f"Too few rows for a regression: at least {_FEWEST_ROWS} are needed.")
    else:
        if logistic:
            event = _event(tables[0], column)
            outcome = f"{target} is {column.labels[event]}"
            responses = [(t.codes[target] == event).astype(float) for t in tables]
        else:
            responses = [t.values[target] for t in tables]
        names = list(predictors) or _choose(tables[0], target, notes)
        coefficients = _coefficients(tables, responses, names, notes, logistic=logistic)
    return Regression(
        target=target,
        outcome=outcome,
        family="logistic" if logistic else "linear",
        real_rows=tables[0].count,
        synthetic_rows=tables[1].count,
        coefficients=coefficients,
        notes=tuple(notes),
    )


def _coefficients(
    tables: Sequence[Rows],
    responses: Sequence[np.ndarray],
    names: list[str],
    notes: list[str],
    *,
    logistic: bool,
) -> tuple[Coefficient, ...]:
    """Fit on both tables; while a predictor separates the outcome, do without the strongest."""
    if any(np.ptp(response) == 0 for response in responses):
        notes.append("The outcome does not vary in one of the tables: there is nothing to explain.")
        return ()
    columns = tables[0].columns
    while names:
        predictors = [column for name, column in columns.items() if name in names]
        dropped: list[str] = []
        terms = independent(_terms(tables, responses, predictors, logistic), tables, dropped)
        if not terms:
            break
        if any(len(response) < 3 * len(terms) for response in responses):
            notes.append(f"Too few rows for a regression with {len(terms)} terms.")
            return ()
        real, synthetic = (
            fit(t, r, terms, logistic=logistic) for t, r in zip(tables, responses, strict=True)
        )
        if real is not None and synthetic is not None:
            notes += [f"{name} was left out: the terms before it determine it." for name in dropped]
            return tuple(
                Coefficient(term.name, *map(float, a), *map(float, b))
                for term, a, b in zip(terms, real, synthetic, strict=True)
            )
        notes.append(f"{names[0]} was left out: with it, the regression does not converge.")
        names = names[1:]
    notes.append("No predictor varies enough in both tables.")
    return ()


def _direction(low: float, high: float) -> int:
    return int(low > 0) - int(high < 0)


def _event(table: Rows, column: Column) -> int:
    """The class modelled: the second of two, else the commonest of several."""
    if len(column.present) == 2:
        return column.present[1]
    return int(np.bincount(table.codes[column.name], minlength=1).argmax())


def _choose(real: Rows, target: str, notes: list[str]) -> list[str]:
    """The attributes most associated with the target, strongest first, no two near copies."""
    groups = {
        name: group(
            np.bincount(real.codes[name], minlength=column.size),
            ordered=column.ordered,
            missing=column.missing,
        )
        for name, column in real.columns.items()
    }

    def association(a: str, b: str) -> float:
        value = matrix(real.codes, groups, (a, b))[0, 1]
        return 0.0 if np.isnan(value) else float(value)

    strength = {name: association(name, target) for name in real.columns if name != target}
    chosen: list[str] = []
    for name in sorted(strength, key=strength.__getitem__, reverse=True):
        if len(chosen) == MOST_PREDICTORS:
            break
        if strength[name] > _NEARLY_THE_TARGET:
            notes.append(f"{name} was left out: it all but determines {target}.")
        elif all(association(name, other) <= _REDUNDANT for other in chosen):
            chosen.append(name)
    return chosen


def _terms(
    tables: Sequence[Rows],
    responses: Sequence[np.ndarray],
    predictors: Sequence[Column],
    logistic: bool,
) -> list[Term]:
    """The design's columns, those only that both tables can estimate."""

    def estimable(term: Term) -> bool:
        for table, response in zip(tables, responses, strict=True):
            x = term.column(table)
            if term.codes or term.marks_missing:
                counts = [x.sum(), len(x) - x.sum()]
                if logistic:
                    counts = [(x * response).sum(), (x * (1 - response)).sum(), counts[1]]
                if min(counts) < _FEWEST_A_CELL:
                    return False
            elif np.ptp(x) == 0:
                return False
        return True

    terms: list[Term] = []
    for column in predictors:
        if column.numeric:
            known = tables[0].values[column.name]
            known = known[~np.isnan(known)]
            sd = float(known.std()) if len(known) else 0.0
            if sd == 0:
                continue
            terms.append(Term(f"{column.name} (+1 sd)", column.name, (), float(known.mean()), sd))
            terms.append(Term(f"{column.name}: missing", column.name, marks_missing=True))
            continue
        counts = np.bincount(tables[0].codes[column.name], minlength=len(column.labels))
        order = [int(c) for c in np.argsort(-counts, kind="stable")]
        reference = column.labels[order[0]]
        terms += [
            Term(f"{column.name}: {column.labels[c]} (vs {reference})", column.name, (c,))
            for c in order[1 : _LEVELS + 1]
        ]
        if len(order) > _LEVELS + 1:
            rest = tuple(order[_LEVELS + 1 :])
            terms.append(Term(f"{column.name}: others (vs {reference})", column.name, rest))
    return [term for term in terms if estimable(term)]
