"""What an Arrow column says, in three readings: texts, numbers, instants.

Whatever family a table came from (strings of a CSV file, pandas objects, Parquet dictionaries),
its columns are read through one of these functions. None of them raises because of a value: what
cannot be read counts as missing. Only the column's *type*, which is public, can be refused.

Guarantee: row-wise; the reading of one row depends on no other row.
Private and public: values are private; names and Arrow types are public.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute
from pyarrow import types

from mezzotint.errors import DataError

pc: Any = pyarrow.compute
"""Arrow's functions; they are made at import, where no type checker sees them."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?[iI]nf(inity)?$"
WHOLE = r"^[+-]?\d{1,18}$"
ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
Resolution = Literal["day", "hour", "minute", "second", "millisecond", "microsecond"]
MICROSECONDS: dict[Resolution, int] = {
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
    "millisecond": 1_000,
    "microsecond": 1,
}


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds strings."""
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers (booleans included)."""
    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
    )


def is_short_float(kind: pa.DataType) -> bool:
    """Whether a column of this type holds floats of fewer than eight bytes."""
    return types.is_float32(kind) or types.is_float16(kind)


def texts(array: pa.Array, name: str) -> pa.Array:
    """The column as trimmed strings; whole floats are written as integers ("3", not "3.0")."""
    kind = array.type
    if types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if types.is_floating(kind):
        floats = array.cast(pa.float64())
        whole = pc.and_(pc.equal(pc.trunc(floats), floats), pc.less(pc.abs(floats), 2.0**53))
        as_integers = pc.if_else(whole, floats, None).cast(pa.int64()).cast(pa.string())
        return pc.coalesce(as_integers, pc.if_else(pc.is_nan(floats), None, floats.cast("string")))
    if not is_text(kind):
        if _is_opaque(kind):
            raise _unreadable(name, kind)
        array = array.cast(pa.string())
    elif not types.is_string(kind):
        array = array.cast(pa.string())
    return pc.utf8_trim_whitespace(array)


def tallied(array: pa.Array, name: str) -> tuple[pa.Array, np.ndarray, int]:
    """The column's distinct values, how often each occurs, and how many are null."""
    if not types.is_dictionary(array.type):
        if _is_opaque(array.type):
            raise _unreadable(name, array.type)
        array = (array.cast(pa.string()) if is_text(array.type) else array).dictionary_encode()
    values = array.dictionary
    if is_text(values.type):
        values = values.cast(pa.string())
    indices = array.indices.drop_null().to_numpy(zero_copy_only=False)
    counts = np.bincount(indices, minlength=len(values))
    used = np.flatnonzero(counts)
    return values.take(pa.array(used)), counts[used], len(array) - len(indices)


def numbers(array: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The column as float64, and which of its values could be read (NaN could not)."""
    kind = array.type
    if types.is_null(kind):
        return np.zeros(len(array)), np.zeros(len(array), dtype=bool)
    if is_text(kind):
        trimmed = texts(array, name)
        readable = pc.match_substring_regex(trimmed, NUMBER)
        array = pc.if_else(readable, trimmed, None).cast(pa.float64())
    elif types.is_boolean(kind):
        array = array.cast(pa.uint8()).cast(pa.float64())
    elif is_number(kind):
        array = array.cast(pa.float64(), safe=False)
    else:
        raise _unreadable(name, kind, wanted="numbers")
    valid = ~np.asarray(array.is_null())
    values = array.fill_null(0.0).to_numpy(zero_copy_only=False)
    nan = np.isnan(values)
    if nan.any():
        valid &= ~nan
        values = np.where(nan, 0.0, values)
    return values, valid


def integers(array: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The column as int64 (fractions rounded, giants clamped), and which values could be read."""
    kind = array.type
    if types.is_boolean(kind):
        array, kind = array.cast(pa.uint8()), pa.uint8()
    if types.is_integer(kind) and kind != pa.uint64():
        valid = np.ones(len(array), dtype=bool)
        if array.null_count:
            valid = ~np.asarray(array.is_null())
            array = array.fill_null(0)
        return array.to_numpy(zero_copy_only=False).astype(np.int64, copy=False), valid
    values, valid = numbers(array, name)
    whole = np.clip(np.rint(values), -(2.0**62), 2.0**62).astype(np.int64)
    if is_text(kind):
        # Beyond 2^53 a float no longer tells neighbouring whole numbers apart.
        trimmed = texts(array, name)
        plain = pc.match_substring_regex(trimmed, WHOLE)
        exact = pc.if_else(plain, trimmed, None).cast(pa.int64())
        known = ~np.asarray(exact.is_null())
        whole = np.where(known, exact.fill_null(0).to_numpy(zero_copy_only=False), whole)
    return whole, valid


def days(array: pa.Array, name: str, pattern: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The column as whole days since 1970-01-01, and which values could be read."""
    micros, valid = instants(array, name, pattern)
    return micros // MICROSECONDS["day"], valid


def instants(array: pa.Array, name: str, pattern: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The column as microseconds since 1970-01-01 (UTC where a zone is given)."""
    kind = array.type
    if types.is_null(kind):
        return np.zeros(len(array), np.int64), np.zeros(len(array), dtype=bool)
    if is_text(kind):
        array = _parsed_instants(texts(array, name), pattern)
    elif types.is_date(kind):
        array = array.cast(pa.timestamp("us"))
    elif types.is_timestamp(kind):
        array = array.cast(pa.timestamp("us", kind.tz), safe=False)
    else:
        raise _unreadable(name, kind, wanted="dates")
    valid = ~np.asarray(array.is_null())
    return array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), valid


def clock(array: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The column as microseconds since midnight, and which values could be read."""
    kind = array.type
    if types.is_null(kind):
        return np.zeros(len(array), np.int64), np.zeros(len(array), dtype=bool)
    if is_text(kind):
        array = pa.array([_iso(time, t) for t in texts(array, name).to_pylist()], pa.time64("us"))
    elif types.is_time(kind):
        array = array.cast(pa.time64("us"), safe=False)
    else:
        raise _unreadable(name, kind, wanted="times of day")
    valid = ~np.asarray(array.is_null())
    return array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), valid


def _parsed_instants(trimmed: pa.Array, pattern: str | None) -> pa.Array:
    if pattern is not None:
        return pc.strptime(trimmed, format=pattern, unit="us", error_is_null=True)
    plain = pc.match_substring_regex(trimmed, ISO_DATE)
    if pc.all(pc.or_(plain, trimmed.is_null()), min_count=0).as_py():
        try:
            return trimmed.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:  # 30 February: only that value is unreadable
            pass
    moments = [_iso(datetime, text) for text in trimmed.to_pylist()]
    return pa.array(
        [m.astimezone(UTC).replace(tzinfo=None) if m and m.tzinfo else m for m in moments],
        pa.timestamp("us"),
    )


def _iso(kind: type[date] | type[datetime] | type[time], text: str | None) -> Any:
    try:
        return kind.fromisoformat(text) if text else None
    except ValueError:
        return None


def _is_opaque(kind: pa.DataType) -> bool:
    return types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _unreadable(name: str, kind: pa.DataType, wanted: str = "values") -> DataError:
    return DataError(
        f"column {name!r} has the Arrow type {kind}, which cannot be read as {wanted}: convert the "
        f"column, give another type in the schema, or list it under `drop`"
    )
