"""Public bin edges: functions of the bounds alone."""

from __future__ import annotations

from math import asinh, floor, log10
from typing import Literal

import numpy as np

Spacing = Literal["equal", "log"]

LOG_REACH = 1000.0
"""With log spacing, bins are of equal width up to about 1/1000 of the greatest magnitude."""


def even_edges(
    least: float, greatest: float, bins: int, spacing: Spacing, grid: float | None
) -> np.ndarray:
    """Edges of `bins` bins that cover [least, greatest] evenly, on a scale.

    Args:
        least: The lower bound, the first edge.
        greatest: The upper bound, the last edge.
        bins: How many bins to make; fewer come out where the grid is coarser than the bins.
        spacing: "equal" on the line itself, "log" on asinh(value * 1000 / greatest magnitude),
            which is linear around zero, logarithmic far from it, and knows both signs.
        grid: The distance of neighbouring values; inner edges are rounded to it. A grid of 1 marks
            a line of whole numbers.

    Returns:
        Increasing edges, at most bins + 1 of them.
    """
    if spacing == "equal":
        edges = np.linspace(least, greatest, bins + 1)
    else:
        unit = max(abs(least), abs(greatest)) / LOG_REACH or 1.0
        edges = np.sinh(np.linspace(asinh(least / unit), asinh(greatest / unit), bins + 1)) * unit
    inner, ends = edges[1:-1], np.array([least, greatest])
    if grid == 1:
        inner, ends = np.rint(inner).astype(np.int64), ends.astype(np.int64)
    elif grid is not None:
        inner = np.round(inner, -round(log10(grid)))
    inner = np.unique(inner[(inner > ends[0]) & (inner < ends[1])])
    return np.concatenate([ends[:1], inner, ends[1:]])


def tidy_step(span: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most `span`."""
    power = 10.0 ** floor(log10(span))
    return power * next(m for m in (5, 2, 1) if m * power <= span * (1 + 1e-12))


def tidy_bounds(least: float, greatest: float, whole: bool) -> tuple[float, float]:
    """Bounds rounded outward to a tidy step, so that they tell less than the extremes do."""
    if least == greatest:
        return least, greatest
    step = tidy_step((greatest - least) / 20)
    if whole:
        step = max(1.0, step)
    low, high = np.floor(least / step) * step, np.ceil(greatest / step) * step
    digits = max(0, -floor(log10(step)))
    return round(float(low), digits), round(float(high), digits)
