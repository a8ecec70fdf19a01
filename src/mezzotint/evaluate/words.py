"""What the figures say, in plain words for readers who are no statisticians."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from mezzotint.evaluate.downstream import Downstream, Score
from mezzotint.evaluate.formats import number, percent, power
from mezzotint.evaluate.report import Closeness, Report


@dataclass(frozen=True)
class KeyFigure:
    """A number with what it measures and how to read it."""

    name: str
    value: str
    reading: str
    private: bool


@dataclass(frozen=True)
class Verdict:
    """A headline and the sentence that supports it."""

    headline: str
    support: str
    private: bool


def verdict(report: Report) -> Verdict:
    """How far the synthetic table can be trusted, from its one- and two-way errors."""
    rows = f"{report.synthetic_rows:,} synthetic rows with {report.attributes} attributes"
    levels = {c.k: c for c in report.closeness}
    if report.public:
        return Verdict(
            "A public description of a synthetic table",
            f"It describes {rows}. How close they come to the real ones is not said here: "
            "that would have to be computed on private data.",
            private=False,
        )
    single = levels[1].synthetic.mean
    if single > 0.1:
        return Verdict(
            "The columns themselves differ",
            f"On average {percent(single)} of the rows would have to change their value before a "
            "column matched its real counterpart. Look at the columns below before using it.",
            private=True,
        )
    if 2 not in levels:
        return Verdict(
            "The column is well reproduced", f"{percent(single)} of it differs.", private=True
        )
    pair = levels[2]
    if isnan(pair.kept):
        return Verdict(
            "The columns are well reproduced",
            "The real attributes are hardly related to each other, so there is little more to "
            f"keep: the pairs differ by {percent(pair.synthetic.mean)} on average.",
            private=True,
        )
    headline = next(
        words
        for least, words in (
            (0.85, "Very close to the real table"),
            (0.55, "Close to the real table"),
            (0.25, "Keeps part of the relations between attributes"),
            (0.0, "True column by column, hardly more"),
        )
        if pair.kept >= least
    )
    return Verdict(
        headline,
        f"Single columns differ by {percent(single)}, pairs of columns by "
        f"{percent(pair.synthetic.mean)}. Measured on pairs, {percent(pair.kept)} of what "
        "connects the attributes is kept: 100 % would be a fresh draw of real rows, 0 % the same "
        "columns shuffled.",
        private=True,
    )


def key_figures(report: Report) -> list[KeyFigure]:
    """The few numbers at the top of the page."""
    figures = []
    if report.statement is not None:
        figures.append(
            KeyFigure(
                "Privacy loss",
                f"ε = {report.statement.epsilon:g}",
                f"The promised bound, with δ = {power(report.statement.delta)}. "
                "Smaller is stricter.",
                private=False,
            )
        )
    figures.append(
        KeyFigure(
            "Synthetic rows",
            f"{report.synthetic_rows:,}",
            "Rows of the table described.",
            False,
        )
    )
    names = {1: "Single columns", 2: "Pairs of columns", 3: "Triples of columns"}
    figures += [
        KeyFigure(names[c.k], percent(c.synthetic.mean), closeness_reading(c), private=True)
        for c in report.closeness
    ]
    if report.downstream is not None and report.downstream.scores:
        best = headline_score(report.downstream)
        figures.append(
            KeyFigure(
                "Prediction",
                f"{score_text(best, best.synthetic)} of {score_text(best, best.real)}",
                f"{best.metric} in predicting “{report.downstream.target}” on real rows, learnt "
                "from synthetic rows; the second figure was learnt from real ones.",
                private=True,
            )
        )
    if report.regression is not None and report.regression.coefficients:
        agreeing = sum(c.agrees for c in report.regression.coefficients)
        figures.append(
            KeyFigure(
                "Same conclusions",
                f"{agreeing} of {len(report.regression.coefficients)}",
                "Effects in one regression that both tables call up, down or unclear alike.",
                private=True,
            )
        )
    return figures


def closeness_reading(closeness: Closeness) -> str:
    """How to read one workload error."""
    many = {1: "column", 2: "pair", 3: "triple"}[closeness.k]
    return (
        f"The share of rows that would have to change before a {many} matched, on average. Real "
        f"rows drawn again would differ by {percent(closeness.copy)}"
        + ("." if closeness.k == 1 else f", shuffled columns by {percent(closeness.shuffled)}.")
    )


def headline_score(downstream: Downstream) -> Score:
    """The score that sums up the models: AUC, else balanced accuracy, else R²."""
    order = ("AUC", "Balanced accuracy", "R²")
    found = [s for metric in order for s in downstream.scores if s.metric == metric]
    return max((s for s in found if s.metric == found[0].metric), key=lambda s: s.real)


def score_text(score: Score, value: float) -> str:
    """A score to three decimals; an error in the target's own unit."""
    if isnan(value):
        return "–"
    return number(value) if score.smaller_is_better else f"{value:.3f}".replace("-", "−")
