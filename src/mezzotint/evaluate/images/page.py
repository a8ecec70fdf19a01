"""The report on synthetic images as one self-contained HTML page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan

import numpy as np
from markupsafe import Markup

from mezzotint.evaluate.formats import number, percent
from mezzotint.evaluate.images.report import ImageReport
from mezzotint.evaluate.images.transfer import Accuracy, Transfer
from mezzotint.evaluate.ledger_table import neighbours as neighbouring
from mezzotint.evaluate.templating import house_style
from mezzotint.images.sheets import png
from mezzotint.privacy.statement import Statement

_KINDS = {
    "vector": "Gaussian noise",
    "training": "noisy gradients of random batches",
    "randomised-response": "randomised response",
}


@dataclass(frozen=True)
class LedgerRow:
    """One release: what, how, with which noise, at which share of the run's cost. Public."""

    seq: int
    about: str
    how: str
    noise: str
    share: float


def render(report: ImageReport) -> str:
    """The page of a report."""
    environment = house_style()
    environment.filters["picture"] = picture
    environment.globals.update(
        neighbouring=neighbouring,
        ledger_rows=lambda statement: list(ledger_rows(statement)),
        accuracy_text=accuracy_text,
        verdict=verdict,
    )
    return environment.get_template("images.html").render(report=report, best=report.accuracy)


def picture(pixels: np.ndarray) -> Markup:
    """An image as the address of itself: `data:image/png;base64,...`."""
    return Markup("data:image/png;base64," + b64encode(png(pixels)).decode())  # noqa: S704


def ledger_rows(statement: Statement) -> Iterator[LedgerRow]:
    """Every release of a run, in order."""
    programme = statement.programme
    shares = () if programme is None else programme.shares(statement.delta)
    for release in statement.releases:
        event = None if release.event is None or programme is None else release.event
        parameters = ", ".join(
            f"{name.replace('_', ' ')} {number(float(value))}"
            for name, value in release.parameters.items()
        )
        yield LedgerRow(
            seq=release.seq + 1,
            about=release.about,
            how=_KINDS.get(release.kind, release.kind),
            noise=parameters,
            share=shares[event] if event is not None else float("nan"),
        )


def accuracy_text(scores: Accuracy | None) -> str:
    """Such as: 94.2 % ± 0.3."""
    if scores is None:
        return "–"
    spread = "" if isnan(scores.spread) else f" ± {100 * scores.spread:.1f}"
    return percent(scores.mean) + spread


def verdict(best: Transfer) -> str:
    """The headline."""
    if best.real is None:
        return f"A {best.classifier} learns from them to be right in {percent(best.synthetic.mean)}"
    kept = best.synthetic.mean / best.real.mean if best.real.mean else 0.0
    for least, words in (
        (0.97, "They teach nearly all that the real images teach"),
        (0.85, "They teach most of what the real images teach"),
        (0.6, "They teach a part of what the real images teach"),
    ):
        if kept >= least:
            return words
    return "They teach little of what the real images teach"
