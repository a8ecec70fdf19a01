"""The report on synthetic images as one self-contained HTML page."""

from __future__ import annotations

from base64 import b64encode
from math import isnan

import numpy as np
from markupsafe import Markup

from mezzotint.evaluate.formats import percent
from mezzotint.evaluate.images.report import ImageReport
from mezzotint.evaluate.images.transfer import Accuracy, Transfer
from mezzotint.evaluate.ledger_table import ledger_rows
from mezzotint.evaluate.ledger_table import neighbours as neighbouring
from mezzotint.evaluate.templating import house_style
from mezzotint.images.sheets import png


def render(report: ImageReport) -> str:
    """The page of a report."""
    environment = house_style()
    environment.filters["picture"] = picture
    environment.globals.update(
        neighbouring=neighbouring,
        ledger_rows=ledger_rows,
        accuracy_text=accuracy_text,
        verdict=verdict,
    )
    return environment.get_template("images.html").render(report=report, best=report.accuracy)


def picture(pixels: np.ndarray) -> Markup:
    """An image as the address of itself: `data:image/png;base64,...`."""
    return Markup("data:image/png;base64," + b64encode(png(pixels)).decode())  # noqa: S704


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
