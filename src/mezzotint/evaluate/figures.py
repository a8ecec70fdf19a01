"""The report's pictures as inline SVG: plain strings of shapes, every text escaped.

Colours come from the page's style sheet through classes, so one drawing serves light, dark and
print. Real rows are drawn as ink lines and circles, synthetic rows as copper areas and diamonds:
the two differ in shape and lightness as well as in hue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor, isnan, log10

import numpy as np
from markupsafe import Markup, escape

from mezzotint.evaluate.formats import percent, shorten

_WIDTH, _HEIGHT = 320, 150


def histogram(
    labels: Sequence[str],
    synthetic: Sequence[float],
    real: Sequence[float] | None,
    *,
    marks: tuple[str, ...],
    missing: bool,
    title: str,
) -> Markup:
    """Shares along an ordered axis: a copper area, and an ink outline where ``real`` is given.

    One bar that would flatten all others is cut off, and its height is written on it.

    Args:
        labels: one per bar.
        synthetic: shares.
        real: shares, or None.
        marks: the least value, the one in the middle of the axis, and the greatest.
        missing: whether the last bar counts missing values; it then stands apart.
        title: what the drawing shows, for those who hear it.
    """
    top, bottom, gap = 16.0, 130.0, 10.0 if missing else 0.0
    n = len(labels)
    width = (_WIDTH - gap) / n
    left = [i * width + (gap if missing and i == n - 1 else 0) for i in range(n)]
    highest = np.maximum(synthetic, real if real is not None else 0)
    order = np.sort(highest)[::-1]
    cut = n > 1 and order[1] > 0 and order[0] > 4 * order[1]
    scale = (1.6 * order[1] if cut else order[0]) or 1.0

    def y(share: float) -> float:
        return bottom - (bottom - top) * min(share / scale, 1.0)

    parts = []
    for i in range(n):
        height = bottom - y(synthetic[i])
        tip = f"{labels[i]}: synthetic {percent(synthetic[i])}"
        if real is not None:
            tip += f", real {percent(real[i])}"
        bar = (
            f'<rect class="syn" x="{left[i]:.1f}" y="{y(synthetic[i]):.1f}" '
            f'width="{max(width - 0.4, 0.5):.2f}" height="{height:.1f}"/>'
            if height > 0
            else ""
        )
        parts.append(
            f'<g><title>{escape(tip)}</title><rect class="hit" x="{left[i]:.1f}" y="{top}" '
            f'width="{width:.2f}" height="{bottom - top}"/>{bar}</g>'
        )
    if real is not None:
        body = range(n - 1) if missing else range(n)
        steps = [f"M{left[0]:.1f} {bottom}"]
        steps += [f"V{y(real[i]):.1f}H{left[i] + width:.1f}" for i in body]
        steps.append(f"V{bottom}")
        if missing:
            steps.append(f"M{left[-1]:.1f} {bottom}V{y(real[-1]):.1f}h{width:.1f}V{bottom}")
        parts.append(f'<path class="real-line" d="{"".join(steps)}"/>')
    if cut:
        tall = int(highest.argmax())
        middle = left[tall] + width / 2
        anchor = "start" if middle < 100 else "end" if middle > _WIDTH - 100 else "middle"
        text = percent(synthetic[tall])
        if real is not None:
            text = f"{percent(real[tall])} real, {text} synthetic"
        parts.append(
            f'<path class="cut" d="M{left[tall] - 3:.1f} {top + 9}l{width + 6:.1f} -5'
            f'm0 4l{-width - 6:.1f} 5"/><text class="note" x="{middle:.1f}" y="{top - 5}" '
            f'text-anchor="{anchor}">{text}</text>'
        )
    parts.append(f'<path class="axis" d="M0 {bottom}H{_WIDTH}"/>')
    edge = left[-1] - gap if missing else float(_WIDTH)
    words = list(
        zip((0.0, edge / 2, edge - 44 * missing), marks, ("start", "middle", "end"), strict=True)
    )
    if missing:
        words.append((float(_WIDTH), "missing", "end"))
    parts += [
        f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="{anchor}">'
        f"{escape(shorten(label, 20))}</text>"
        for x, label, anchor in words
    ]
    return _svg(_WIDTH, _HEIGHT, parts, title)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: np.ndarray,
    *,
    title: str,
    show: Callable[[float], str],
    brief: Callable[[float], str] | None = None,
    top: float | None = None,
    room: int = 30,
) -> Markup:
    """A matrix as a grid of cells: copper above zero, blue below, empty where undefined.

    Args:
        rows: labels down.
        columns: labels across.
        values: shape (len(rows), len(columns)).
        title: what the drawing shows, for those who hear it.
        show: a value in words, for the cell's tip.
        brief: a value in a few characters, written into the cell if there is room.
        top: the value of full colour; by default the largest.
        room: a cell's width when there are nine to sixteen columns.
    """
    cell = next((c for most, c in ((8, 34), (16, room), (26, 20)) if len(columns) <= most), 14)
    size = 11 if cell >= 20 else 9
    across = 0.77 * max((_length(shorten(c, 18), size) for c in columns), default=0) + 12
    down = max((_length(shorten(r, 18), size) for r in rows), default=0) + 10
    finite = np.abs(values[~np.isnan(values)])
    full = top or (float(finite.max()) if len(finite) else 0.0) or 1.0
    parts = []
    for j, label in enumerate(columns):
        x = down + j * cell + cell / 2 + 3
        parts.append(
            f'<text style="font-size:{size}px" transform="translate({x:.1f} {across - 5:.1f}) '
            f'rotate(-50)">{escape(shorten(label, 18))}</text>'
        )
    for i, label in enumerate(rows):
        y = across + i * cell
        parts.append(
            f'<text style="font-size:{size}px" x="{down - 6:.1f}" y="{y + cell / 2 + 4:.1f}" '
            f'text-anchor="end">{escape(shorten(label, 18))}</text>'
        )
        for j, other in enumerate(columns):
            value = float(values[i, j])
            x = down + j * cell
            tip = escape(f"{label} × {other}: {'undefined' if isnan(value) else show(value)}")
            place = f'x="{x:.1f}" y="{y:.1f}" width="{cell - 1}" height="{cell - 1}"'
            if isnan(value):
                parts.append(f'<rect class="void" {place}><title>{tip}</title></rect>')
                continue
            strength = min(abs(value) / full, 1.0)
            parts.append(
                f'<rect class="ground" {place}/><rect class="{"hot" if value >= 0 else "cold"}" '
                f'{place} fill-opacity="{strength:.2f}"><title>{tip}</title></rect>'
            )
            if brief is not None and cell >= 30:
                parts.append(
                    f'<text class="{"on" if strength > 0.75 else "off"}" text-anchor="middle" '
                    f'x="{x + (cell - 1) / 2:.1f}" y="{y + cell / 2 + 3.5:.1f}">'
                    f"{escape(brief(value))}</text>"
                )
    width = down + len(columns) * cell + across * 0.75
    return _svg(width, across + len(rows) * cell, parts, title, natural=True)


def whisker(
    real: tuple[float, float, float],
    synthetic: tuple[float, float, float],
    low: float,
    high: float,
    title: str,
) -> Markup:
    """Two intervals, one above the other, on an axis from ``low`` to ``high`` with its zero."""

    def x(value: float) -> float:
        return 6 + 288 * (min(max(value, low), high) - low) / (high - low)

    parts = [f'<path class="zero" d="M{x(0):.1f} 0V28"/>']
    for (middle, start, end), y, name in ((real, 9.5, "real"), (synthetic, 18.5, "syn")):
        parts.append(f'<path class="{name}-line" d="M{x(start):.1f} {y}H{x(end):.1f}"/>')
        if name == "real":
            parts.append(f'<circle class="real" cx="{x(middle):.1f}" cy="{y}" r="3.6"/>')
        else:
            parts.append(
                f'<path class="syn" d="M{x(middle):.1f} {y - 4.6}l4.6 4.6 -4.6 4.6 -4.6 -4.6z"/>'
            )
    return _svg(300, 28, parts, title)


def whisker_axis(low: float, high: float) -> Markup:
    """The axis under a column of whiskers."""
    parts = []
    for value in _ticks(low, high):
        x = 6 + 288 * (value - low) / (high - low)
        parts.append(
            f'<path class="axis" d="M{x:.1f} 0v5"/><text x="{x:.1f}" y="17" '
            f'text-anchor="middle">{value:g}</text>'
        )
    return _svg(300, 20, parts, "axis")


def gauge(value: float, copy: float, shuffled: float, title: str) -> Markup:
    """An error between two yardsticks: chance alone, and columns without relations."""
    high = max(value, shuffled, copy, 1e-9) * 1.06

    def x(v: float) -> float:
        return 10 + 400 * v / high

    at = x(value)
    parts = [
        '<path class="track" d="M10 14H410"/>',
        f'<path class="reach" d="M{x(copy):.1f} 14H{x(shuffled):.1f}"/>',
        f'<path class="tick" d="M{x(copy):.1f} 5v18M{x(shuffled):.1f} 5v18"/>',
        f'<path class="syn" d="M{at:.1f} 4l10 10 -10 10 -10 -10z"/>',
    ]
    apart = abs(x(shuffled) - x(copy)) > 190
    labels = (
        (copy, f"fresh draw of real rows {percent(copy)}", 37),
        (shuffled, f"shuffled columns {percent(shuffled)}", 37 if apart else 51),
    )
    parts += [
        f'<text x="{min(max(x(v), 92), 335):.1f}" y="{y}" text-anchor="middle">{words}</text>'
        for v, words, y in labels
    ]
    return _svg(420, 56, parts, title)


def reach(share: float, title: str) -> Markup:
    """How far a score comes on the way from guessing (0) to real rows (1)."""
    at = 6 + 128 * min(max(share, 0.0), 1.1) / 1.1
    end = 6 + 128 / 1.1
    parts = [
        '<path class="track" d="M6 9H134"/>',
        f'<path class="reach" d="M6 9H{at:.1f}"/>',
        f'<path class="tick" d="M6 3v12M{end:.1f} 3v12"/>',
        f'<path class="syn" d="M{at:.1f} 3l6 6 -6 6 -6 -6z"/>',
    ]
    return _svg(140, 18, parts, title, natural=True)


def plate() -> Markup:
    """The masthead: grain that turns, from left to right, into a picture."""
    rng = np.random.default_rng(1642)  # the year of the first mezzotint
    n = 60_000
    x, y = rng.uniform(0, 1200, n), rng.uniform(0, 200, n)
    burnished = np.clip((x - 330) / 380, 0, 1)
    # A dark sky with a moon, and hills before it, each hiding what lies behind.
    moon = np.hypot(x - 1010, y - 52)
    light = 0.012 + 0.12 * np.exp(-moon / 46) + 0.75 * (moon < 25)
    for hill, (lift, glow) in enumerate(((112, 0.3), (76, 0.5), (38, 0.85))):
        crest = lift + (21 - 4 * hill) * np.sin(x / (110 - 21 * hill) + 2.1 * hill)
        depth = crest + 5 * np.sin(x / 27 + 2 * hill) - (200 - y)
        light = np.where(depth > 0, glow * np.exp(-depth / (7 + 5 * hill)) + 0.015, light)
    chance = 0.085 * (1 - burnished) + 0.62 * burnished * light
    kept = rng.random(n) < chance
    dots = "".join(f"M{a:.0f} {b:.0f}h0" for a, b in zip(x[kept], y[kept], strict=True))
    return Markup(  # noqa: S704  (numbers only)
        '<svg class="plate" viewBox="0 0 1200 200" preserveAspectRatio="xMaxYMax slice" '
        f'aria-hidden="true"><path d="{dots}"/></svg>'
    )


def _length(text: str, size: int) -> float:
    """About how wide a text is, in the widest of the fonts that a reader may have."""
    wide = sum(c in "mwMW@%…—" or ord(c) > 0x2E7F for c in text)
    return size * (0.62 * len(text) + 0.12 * sum(map(str.isupper, text)) + 0.35 * wide)


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers between two limits."""
    rough = (high - low) / 6
    step = 10 ** floor(log10(rough))
    step *= next(f for f in (1, 2, 5, 10) if f * step >= rough)
    first = int(np.ceil(low / step))
    return [round(i * step, 10) for i in range(first, floor(high / step) + 1)]


def _svg(
    width: float, height: float, parts: Sequence[str], title: str, *, natural: bool = False
) -> Markup:
    fixed = f' style="width:{width:.0f}px"' if natural else ""
    return Markup(  # noqa: S704  (every text in parts has been escaped)
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"{fixed}>{"".join(parts)}</svg>'
    )
