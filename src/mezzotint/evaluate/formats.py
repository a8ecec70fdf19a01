"""Numbers and labels as the report writes them."""

from __future__ import annotations

from math import floor, isnan, log10


def percent(share: float | None) -> str:
    """A share in words: "4.1 %"; "–" where undefined."""
    if share is None or isnan(share):
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """A number with about four significant digits; "–" where undefined."""
    if value is None or isnan(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1e12 or abs(value) < 1e-4:
        return f"{value:.3g}".replace("-", "−")
    digits = max(0, 3 - floor(log10(abs(value))))
    text = f"{value:,.{digits}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def power(value: float) -> str:
    """A very small number: "1e-9"."""
    return f"{value:g}".replace("e-0", "e-")


def shorten(text: str, length: int = 24) -> str:
    """A label cut to ``length`` characters, with an ellipsis."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
