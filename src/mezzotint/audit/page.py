"""The audit as one self-contained HTML page, in the look of the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mezzotint.audit.attack import FALSE_ALARM, Line
from mezzotint.evaluate import figures, formats

ESTIMATORS = {
    "exact": "exact interval of an event (Clopper, Pearson)",
    "gaussian": "Gaussian DP, exact interval of right guesses",
    "one run": "one run with many canaries (Steinke, Nasr, Jagielski)",
}


def render(lines: Sequence[Line]) -> str:
    """The page of an audit."""
    environment = Environment(
        loader=PackageLoader("mezzotint.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Environment(loader=PackageLoader("mezzotint.evaluate"), autoescape=True)
    environment.filters.update(power=formats.power, number=_number, percent=formats.percent)
    return environment.get_template("audit.html").render(
        lines=lines,
        held=sum(line.holds for line in lines),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        version=version("mezzotint"),
        plate=figures.plate(),
        style=Markup(style.get_template("style.css").render()),  # noqa: S704
        ladder=ladder,
        laws=laws,
        estimators=ESTIMATORS,
        false_alarm=FALSE_ALARM,
        runs=sum(line.runs * (1 if line.estimator == "one run" else 2) for line in lines),
        seconds=sum(line.cpu_seconds for line in lines),
    )


def ladder(line: Line) -> Markup:
    """What was proved, what could be shown, and what is claimed, on one scale from 0."""
    top = max(line.claimed_epsilon, line.lower_bound, line.ceiling) * 1.08

    def x(epsilon: float) -> float:
        return 8 + 264 * epsilon / top

    title = (
        f"{line.title}: proved {line.lower_bound:.3f}, visible {line.ceiling:.3f}, "
        f"claimed {line.claimed_epsilon:g}"
    )
    bound, ceiling, claim = x(line.lower_bound), x(line.ceiling), x(line.claimed_epsilon)
    return _svg(
        280,
        22,
        title,
        f'<path class="track" d="M8 11H272"/>'
        f'<path class="reach" d="M8 11H{bound:.1f}"/>'
        f'<path class="tick" d="M{ceiling:.1f} 6v10" stroke-dasharray="2 2"/>'
        f'<path class="tick" d="M{claim:.1f} 2v18"/>'
        f'<path class="syn" d="M{bound:.1f} 5l6 6 -6 6 -6 -6z"/>',
    )


def laws(line: Line) -> Markup:
    """How the attacker's score fell on the two data sets."""
    edges = line.histogram["edges"]
    worlds = line.histogram["world0"], line.histogram["world1"]
    top = max(map(max, worlds)) or 1.0

    def x(i: int) -> float:
        return 4 + 312 * i / (len(edges) - 1)

    def steps(shares: Sequence[float]) -> str:
        return "".join(
            f"V{112 - 104 * share / top:.1f}H{x(i + 1):.1f}" for i, share in enumerate(shares)
        )

    return _svg(
        320,
        132,
        f"{line.title}: the attacker's score on the two neighbouring data sets",
        f'<path class="syn" opacity=".3" d="M4 112{steps(worlds[1])}V112z"/>'
        f'<path class="real-line" d="M4 112{steps(worlds[0])}V112"/>'
        f'<path class="syn-line" fill="none" d="M4 112{steps(worlds[1])}V112"/>'
        f'<path class="axis" d="M4 112H316"/>'
        f'<text x="4" y="127">{_number(edges[0])}</text>'
        f'<text x="316" y="127" text-anchor="end">{_number(edges[-1])}</text>',
    )


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _svg(width: int, height: int, title: str, shapes: str) -> Markup:
    return Markup(  # noqa: S704  (numbers only, and an escaped title)
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'style="width:{width}px;max-width:100%;height:auto">{shapes}</svg>'
    )
