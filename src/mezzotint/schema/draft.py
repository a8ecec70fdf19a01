"""A first schema from the data, every fact of which has to be confirmed.

Guarantee: none. What a draft says, the data gave away; it is as private as the table until
somebody who answers for the data has declared its facts public, or they have been bought.
Proposals are rounded outward to tidy numbers, so that confirming them gives away less.
"""

from __future__ import annotations

import re
from math import ceil, log10
from typing import Any

import numpy as np
import pyarrow as pa

from mezzotint.errors import DataError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.schema.attribute import MISSING_TEXTS, Attribute
from mezzotint.schema.categories import (
    Boolean,
    Categorical,
    Empty,
    Ordered,
    Text,
    in_natural_order,
)
from mezzotint.schema.edges import tidy_bounds
from mezzotint.schema.moments import Date, Datetime, TimeOfDay
from mezzotint.schema.numeric import DEFAULT_BINS, EXACT_UP_TO, Continuous, Integer
from mezzotint.schema.profile import Points, Profile
from mezzotint.schema.schema import Schema
from mezzotint.schema.values import MICROSECONDS, Resolution
from mezzotint.sources import Source

MAX_CATEGORIES = 128
_FEW = 32
_SPIKE = 0.1
_SPIKE_AT_END = 0.05
_MAX_SPIKES = 3
_SKEWED = 0.1
_DIGITS = 6
_RANGE = re.compile(r"\D*\d+\s*[-–]\s*\d+\D*|[<>]\s*\d+|\d+\s*\+")


def draft(source: Source, unit: PrivacyUnit | None) -> Schema:
    """Propose a schema; see `Schema.draft`."""
    profiles: dict[str, Profile] = {}
    for batch in source.batches():
        for field, column in zip(batch.schema, batch.columns, strict=True):
            profile = profiles.setdefault(field.name, _profile(field, source))
            profile.add(column)
    if not any(p.rows for p in profiles.values()):
        raise DataError(f"{source.name}: the table has no rows; give one with at least one row")
    return Schema(
        tuple(_attribute(profiles[name]) for name in source.columns),
        unit=unit or PrivacyUnit(),
        assumed=() if unit else ("name", "rows"),
    )


def _profile(field: pa.Field, source: Source) -> Profile:
    kind = field.type
    if not pa.types.is_dictionary(kind):
        return Profile(field.name, kind)
    # Readers pack texts into dictionaries to keep them short: that says nothing of the table.
    ours = field.name in getattr(source, "packed", ())
    return Profile(field.name, kind.value_type, dictionary=not ours, ordered=kind.ordered)


def _attribute(profile: Profile) -> Attribute:
    facts = {"name": profile.name, "missing": _missing(profile)}
    if not profile.present:
        storage = None if pa.types.is_null(profile.kind) else _storage(profile, "string")
        return Empty(name=profile.name, storage=storage, from_data=("type",))
    if profile.dictionary and profile.texts is not None:
        return _categorical(profile, facts)
    if pa.types.is_boolean(profile.kind):
        return Boolean(**facts, from_data=("type", "missing"))
    if profile.moment is not None:
        return _moment(profile, facts)
    if profile.numeric:
        return _number(profile, facts)
    return _categorical(profile, facts)


def _missing(profile: Profile) -> tuple[str, ...] | None:
    """The texts of missing values, the usual one of this column first; None if there are none."""
    if not profile.missing.total():
        return None
    first = profile.missing.most_common(1)[0][0]
    return (first, *(text for text in MISSING_TEXTS if text != first))


def _storage(profile: Profile, natural: str) -> str | None:
    """The column's Arrow type, if it is not the natural one and worth keeping."""
    kind = profile.kind
    if profile.dictionary:
        return "dictionary"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return None
    name = "date64" if pa.types.is_date64(kind) else str(kind)
    return None if name == natural else name


def _categorical(profile: Profile, facts: dict[str, Any]) -> Attribute:
    words = profile.texts
    storage = _storage(profile, "string")
    declared = profile.declared if profile.dictionary else []
    if words is None or (not declared and _too_many(words, profile.present)):
        return Text(**facts, storage=storage, from_data=("type", "missing"))
    folded = {word.casefold() for word in words}
    if not declared and folded <= {"true", "false"}:
        true = next((w for w in words if w.casefold() == "true"), None)
        false = next((w for w in words if w.casefold() == "false"), None)
        true = true or _cased("true", false or "False")
        false = false or _cased("false", true)
        facts["categories"] = (false, true)
        return Boolean(**facts, from_data=("type", "missing"))
    categories = (
        tuple(declared)
        if profile.ordered
        else tuple(sorted(declared or words, key=in_natural_order))
    )
    ranges = sum(1 for word in categories if _RANGE.fullmatch(word))
    kind = Ordered if profile.ordered or 3 <= ranges == len(categories) else Categorical
    return kind(
        **facts, categories=categories, storage=storage, from_data=("type", "categories", "missing")
    )


def _too_many(words: dict[str, int], rows: int) -> bool:
    return len(words) > MAX_CATEGORIES or (len(words) > _FEW // 2 and len(words) > rows / 2)


def _cased(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word


def _number(profile: Profile, facts: dict[str, Any]) -> Attribute:
    from_data = ["type", "bounds"]
    points = profile.points
    if not len(points.values):  # nothing but infinities
        points.add(np.zeros(1), np.ones(1, np.int64))
    if profile.whole and max(abs(points.least), abs(points.greatest)) < 2**62:
        least, greatest = int(points.least), int(points.greatest)
        facts |= {"trailing_zero": profile.trailing_zero, "storage": _storage(profile, "int64")}
        if greatest - least < EXACT_UP_TO:
            bounds = _whole_bounds(least, greatest, profile.kind)
            return Integer(**facts, bounds=bounds, from_data=(*from_data, "missing"))
        kind = Integer
    else:
        facts |= {
            "trailing_zero": profile.trailing_zero,
            "storage": _storage(profile, "double"),
            "decimals": _decimals(profile),
        }
        kind = Continuous
    least_held, greatest_held = _held(profile.kind)
    spikes, rest = _spikes(points, profile.present)
    whole = kind is Integer
    low, high = tidy_bounds(rest.least, rest.greatest, whole)
    low, high = max(low, least_held), min(high, greatest_held)
    bounds = (int(low), int(high)) if whole else (low, high)
    if spikes:
        facts["special"] = tuple(int(v) if whole else float(v) for v in spikes)
        from_data.append("special")
    nearness = (rest.median - bounds[0]) / ((bounds[1] - bounds[0]) or 1)
    if nearness < _SKEWED or nearness > 1 - _SKEWED:
        facts["spacing"] = "log"
        from_data.append("bins")
    if not whole or bounds[1] - bounds[0] >= EXACT_UP_TO:
        facts["bins"] = DEFAULT_BINS
    order = [f for f in kind.facts if f in (*from_data, "missing")]
    return kind(**facts, bounds=bounds, from_data=tuple(order))


def _held(kind: pa.DataType) -> tuple[float, float]:
    """The range of numbers that an Arrow type holds."""
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        return int(limits.min), int(limits.max)
    if pa.types.is_decimal(kind):
        most = 10.0 ** (kind.precision - kind.scale) - 10.0**-kind.scale
        return -most, most
    return -np.inf, np.inf


def _whole_bounds(least: int, greatest: int, kind: pa.DataType) -> tuple[int, int]:
    """Tidy bounds where there are many values, the extremes themselves where there are few."""
    if greatest - least < _FEW:
        return least, greatest
    low, high = tidy_bounds(least, greatest, True)
    low, high = max(low, _held(kind)[0]), min(high, _held(kind)[1])
    return (int(low), int(high)) if high - low < EXACT_UP_TO else (least, greatest)


def _spikes(points: Points, rows: int) -> tuple[list[float], Points]:
    """Values that many rows share (at zero and the ends fewer will do), and the rest."""
    needed = np.full(len(points.values), _SPIKE * rows)
    needed[np.isin(points.values, (0, points.least, points.greatest))] = _SPIKE_AT_END * rows
    often = np.flatnonzero(points.counts >= np.maximum(needed, 2))
    top = np.sort(often[np.argsort(-points.counts[often], kind="stable")][:_MAX_SPIKES])
    left = np.ones(len(points.values), dtype=bool)
    left[top] = False
    if not left.any():
        return [], points
    rest = Points()
    rest.add(points.values[left], points.counts[left])
    # The kept points are a part of all if there are very many; the ends must be the true ones.
    for end in (points.least, points.greatest):
        if end not in points.values[top]:
            rest.least, rest.greatest = min(rest.least, end), max(rest.greatest, end)
    return [v.item() for v in points.values[top]], rest


def _decimals(profile: Profile) -> int:
    """The decimals that are worth keeping: those shown, but no more than six digits in all."""
    span = profile.points.greatest - profile.points.least
    whole_digits = ceil(log10(span)) if span > 0 else 0
    worth = min(profile.decimals, max(_DIGITS - whole_digits, 0)) if profile.decimals > 4 else None
    return profile.decimals if worth is None else min(worth, 15)


def _moment(profile: Profile, facts: dict[str, Any]) -> Attribute:
    points = profile.points
    from_data = ("type", "bounds", "missing")
    if profile.moment == "date":
        day = MICROSECONDS["day"]
        bounds = _tidy_days(int(points.least) // day, int(points.greatest) // day)
        storage = _storage(profile, "date32[day]")
        facts |= {"format_": profile.format, "storage": storage, "bounds": bounds}
        return Date(**facts, from_data=from_data)
    shown = points.values.astype(np.int64)
    resolution: Resolution = next(r for r, unit in MICROSECONDS.items() if not np.any(shown % unit))
    unit = MICROSECONDS[resolution]
    if profile.moment == "time":
        last = MICROSECONDS["day"] // unit - 1
        storage = _storage(profile, "time64[us]")
        return TimeOfDay(
            **facts, resolution=resolution, bounds=(0, last), storage=storage, from_data=from_data
        )
    days = _tidy_days(*(int(p) // MICROSECONDS["day"] for p in (points.least, points.greatest)))
    per_day = MICROSECONDS["day"] // unit
    bounds = (days[0] * per_day, (days[1] + 1) * per_day - 1)
    facts |= {"format_": profile.format, "storage": _storage(profile, "timestamp[us]")}
    return Datetime(**facts, resolution=resolution, bounds=bounds, from_data=from_data)


def _tidy_days(least: int, greatest: int) -> tuple[int, int]:
    """Bounds of dates rounded outward to years, months or not at all, by their span."""
    span = greatest - least
    unit = "Y" if span > 5 * 366 else "M" if span > 60 else "D"
    first = np.datetime64(least, "D").astype(f"datetime64[{unit}]")
    last = np.datetime64(greatest, "D").astype(f"datetime64[{unit}]") + 1
    end = last.astype("datetime64[D]").astype(np.int64) - 1
    return int(first.astype("datetime64[D]").astype(np.int64)), int(end)
