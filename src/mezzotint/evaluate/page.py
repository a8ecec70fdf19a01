"""A report as one self-contained HTML page: inline style, inline SVG, no script, no link out.

Every text is escaped by the template engine or by the figures; a content security policy in the
page's head forbids the browser to run or fetch anything, whatever a label contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
from markupsafe import Markup

from mezzotint.evaluate import figures, formats
from mezzotint.evaluate.association import Associations
from mezzotint.evaluate.downstream import Score
from mezzotint.evaluate.ledger_table import cost, ledger_rows, neighbours
from mezzotint.evaluate.regression import Regression
from mezzotint.evaluate.report import Pairs, Report
from mezzotint.evaluate.templating import house_style
from mezzotint.evaluate.views import MOST_BARS, AttributeView, PairView
from mezzotint.evaluate.words import closeness_reading, key_figures, score_text, verdict


def render(report: Report) -> str:
    """The page of a report."""
    environment = house_style()
    environment.filters.update(short=_short)
    environment.globals.update(
        column_chart=column_chart,
        is_bars=is_bars,
        pair_chart=pair_chart,
        distance_map=distance_map,
        association_map=association_map,
        gauge=figures.gauge,
        whiskers=whiskers,
        whisker_axis=figures.whisker_axis,
        closeness_reading=closeness_reading,
        highest=_highest,
        neighbours=neighbours,
        reach=reach,
        score_text=score_text,
        changed_associations=changed_associations,
    )
    ledger = [] if report.statement is None else ledger_rows(report.statement)
    return environment.get_template("report.html").render(
        report=report,
        verdict=verdict(report),
        key_figures=key_figures(report),
        ledger=ledger,
        cost=cost,
        ledger_top=max((row.share for row in ledger), default=1.0),
        worst_pairs=[] if report.pairs is None else worst_pairs(report.pairs),
    )


def worst_pairs(pairs: Pairs) -> list[tuple[str, str, float]]:
    """The dozen pairs that differ most."""
    left, right = np.triu_indices(len(pairs.names), 1)
    order = np.argsort(-pairs.distances[left, right], kind="stable")[:12]
    return [
        (pairs.names[i], pairs.names[j], float(pairs.distances[i, j]))
        for i, j in zip(left[order], right[order], strict=True)
    ]


def changed_associations(associations: Associations) -> list[tuple[str, str, float, float]]:
    """The dozen pairs whose association changed most: names, real, synthetic."""
    if associations.real is None or associations.difference is None:
        return []
    left, right = np.triu_indices(len(associations.names), 1)
    change = np.nan_to_num(np.abs(associations.difference[left, right]))
    order = np.argsort(-change, kind="stable")[:12]
    return [
        (
            associations.names[i],
            associations.names[j],
            float(associations.real[i, j]),
            float(associations.synthetic[i, j]),
        )
        for i, j in zip(left[order], right[order], strict=True)
    ]


def reach(score: Score) -> Markup:
    """How far a score comes from guessing towards what real rows teach; empty if nowhere."""
    way = score.real - score.guess
    if isnan(way) or isnan(score.synthetic) or (way >= 0) == score.smaller_is_better or not way:
        return Markup("–")
    share = (score.synthetic - score.guess) / way
    return figures.reach(share, f"{formats.percent(share)} of the way from guessing to real rows")


def is_bars(view: AttributeView) -> bool:
    """Whether an attribute is drawn as labelled bars rather than as a histogram."""
    return len(view.labels) <= MOST_BARS


def column_chart(view: AttributeView) -> Markup:
    """An ordered attribute with many values."""
    compared = "synthetic rows" if view.real is None else "real and synthetic rows"
    return figures.histogram(
        view.labels,
        view.synthetic,
        view.real,
        marks=view.marks,
        missing=view.missing,
        title=f"Distribution of {view.name} in {compared}",
    )


def pair_chart(pair: PairView, which: str) -> Markup:
    """One table's shares of a pair, on a scale that both tables share."""
    shares = pair.real if which == "real" else pair.synthetic
    return figures.heat_map(
        pair.labels[0],
        pair.labels[1],
        shares,
        title=f"{pair.names[0]} by {pair.names[1]} in the {which} rows",
        show=formats.percent,
        brief=lambda share: f"{100 * share:.0f}" if share >= 0.005 else "",
        top=float(max(pair.real.max(), pair.synthetic.max())),
    )


def distance_map(names: Sequence[str], distances: np.ndarray) -> Markup:
    """Every pair's distance; the attribute alone on the diagonal."""
    return figures.heat_map(
        names,
        names,
        distances,
        title="How much each pair of attributes differs between the tables",
        show=formats.percent,
        brief=lambda value: f"{100 * value:.0f}",
    )


def association_map(associations: Associations, which: str) -> Markup:
    """A matrix of associations, or of their difference."""
    values = {
        "real": associations.real,
        "synthetic": associations.synthetic,
        "difference": associations.difference,
    }[which]
    if values is None:
        return Markup("")
    titles = {
        "real": "Associations in the real rows",
        "synthetic": "Associations in the synthetic rows",
        "difference": "Associations, synthetic minus real",
    }
    return figures.heat_map(
        associations.names,
        associations.names,
        values,
        title=titles[which],
        show=lambda value: f"{value:+.2f}" if which == "difference" else f"{value:.2f}",
        top=0.5 if which == "difference" else 1.0,
        room=24,
    )


def whiskers(regression: Regression) -> tuple[list[Markup], tuple[float, float]]:
    """One drawing per coefficient, and the axis they share."""
    ends = [0.0]
    for c in regression.coefficients:
        ends += [c.real_low, c.real_high, c.synthetic_low, c.synthetic_high]
    low, high = min(ends), max(ends)
    margin = 0.03 * (high - low) or 1.0
    low, high = low - margin, high + margin
    drawings = [
        figures.whisker(
            (c.real, c.real_low, c.real_high),
            (c.synthetic, c.synthetic_low, c.synthetic_high),
            low,
            high,
            f"{c.term}: real {c.real:.2f}, synthetic {c.synthetic:.2f}",
        )
        for c in regression.coefficients
    ]
    return drawings, (low, high)


def _highest(view: AttributeView) -> float:
    return max([*view.synthetic, *(view.real or ())], default=0.0) or 1.0


def _short(value: float) -> str:
    return "–" if isnan(value) else f"{value:.2f}".replace("-", "−")
