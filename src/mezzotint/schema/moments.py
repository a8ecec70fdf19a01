"""Dates, moments and times of day: whole numbers of a unit on a line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mezzotint.schema.numeric import Numeric
from mezzotint.schema.values import MICROSECONDS, Resolution, clock, days, instants

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Date(Numeric):
    """Days of the calendar; plain values are days since 1970-01-01.

    Attributes:
        format: How texts write a date, as strftime has it; None for ISO 8601.
    """

    format_: str | None = None

    type: ClassVar[str] = "date"
    natural_storage: ClassVar[str] = "date32[day]"

    def read(self, array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Plain values, and which could be read."""
        return days(array, self.name, self.format_)

    def plain(self, text: str) -> int:
        """Days since 1970-01-01."""
        return (date.fromisoformat(text) - _EPOCH).days

    def write(self, value: float) -> str:
        """ISO 8601."""
        return (_EPOCH + timedelta(days=int(value))).isoformat()

    def _natural(self, array: pa.Array) -> pa.Array:
        import pyarrow as pa

        return array.cast(pa.int32()).cast(pa.date32())

    def _format(self, array: pa.Array) -> pa.Array:
        return _formatted(array.cast("timestamp[us]"), self.format_ or "%Y-%m-%d")


@dataclass(frozen=True, kw_only=True)
class Datetime(Numeric):
    """Moments; plain values are units of `resolution` since 1970-01-01T00:00 (UTC, if zoned).

    Attributes:
        resolution: The unit of the line: decoded moments are whole multiples of it.
        format_: How texts write a moment, as strftime has it; None for ISO 8601.
    """

    resolution: Resolution = "second"
    format_: str | None = None

    type: ClassVar[str] = "datetime"
    natural_storage: ClassVar[str] = "timestamp[us]"

    def read(self, array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Plain values, and which could be read."""
        micros, valid = instants(array, self.name, self.format_)
        return micros // MICROSECONDS[self.resolution], valid

    def plain(self, text: str) -> int:
        """Units of the resolution since 1970-01-01T00:00."""
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return micros // MICROSECONDS[self.resolution]

    def write(self, value: float) -> str:
        """ISO 8601."""
        micros = int(value) * MICROSECONDS[self.resolution]
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).isoformat()

    def _natural(self, array: pa.Array) -> pa.Array:
        import pyarrow as pa

        from mezzotint.schema.values import pc

        moments = pc.multiply(array, MICROSECONDS[self.resolution]).cast(pa.timestamp("us"))
        if self.storage is not None and ", tz=" in self.storage:
            return pc.assume_timezone(moments, "UTC")
        return moments

    def _format(self, array: pa.Array) -> pa.Array:
        iso = "%Y-%m-%d %H:%M" if self.resolution == "minute" else "%Y-%m-%d %H:%M:%S"
        return _formatted(array, self.format_ or iso)


@dataclass(frozen=True, kw_only=True)
class TimeOfDay(Numeric):
    """Times of day; plain values are units of `resolution` since midnight."""

    resolution: Resolution = "second"

    type: ClassVar[str] = "time"
    natural_storage: ClassVar[str] = "time64[us]"

    def read(self, array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Plain values, and which could be read."""
        micros, valid = clock(array, self.name)
        return micros // MICROSECONDS[self.resolution], valid

    def plain(self, text: str) -> int:
        """Units of the resolution since midnight."""
        at = time.fromisoformat(text)
        seconds = (at.hour * 60 + at.minute) * 60 + at.second
        return (seconds * 1_000_000 + at.microsecond) // MICROSECONDS[self.resolution]

    def write(self, value: float) -> str:
        """ISO 8601."""
        micros = int(value) * MICROSECONDS[self.resolution]
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).time().isoformat()

    def _natural(self, array: pa.Array) -> pa.Array:
        import pyarrow as pa

        from mezzotint.schema.values import pc

        return pc.multiply(array, MICROSECONDS[self.resolution]).cast(pa.time64("us"))

    def _format(self, array: pa.Array) -> pa.Array:
        texts = array.cast("time64[us]").cast("string")
        return _shortened(texts, 5 if self.resolution in ("minute", "hour") else 8, self.resolution)


def _formatted(moments: pa.Array, pattern: str) -> pa.Array:
    import pyarrow as pa

    from mezzotint.schema.values import pc

    # Arrow's %S shows the fraction of its unit, so whole seconds are asked for as such.
    finest = pc.all(pc.equal(pc.subsecond(moments), 0.0), min_count=0, skip_nulls=True).as_py()
    if finest:
        moments = moments.cast(pa.timestamp("s", moments.type.tz), safe=False)
    return pc.strftime(moments, format=pattern)


def _shortened(texts: pa.Array, length: int, resolution: Resolution) -> pa.Array:
    from mezzotint.schema.values import pc

    if resolution in ("microsecond", "millisecond"):
        return texts
    return pc.utf8_slice_codeunits(texts, 0, length)
