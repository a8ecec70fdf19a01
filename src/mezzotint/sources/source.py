"""What can be scanned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mezzotint.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1 << 16
"""Rows of a batch where the reader may choose: a few columns of it fit in a core's cache."""


@runtime_checkable
class Source(Protocol):
    """A table, read as batches, as often as asked.

    The seam for engines that hold more than one machine can: an engine scans its partitions, calls
    `tables.counting.Kernel` on each batch where the batch lies, and adds up the integer counts
    that come back. It needs no Source; whatever fits behind this protocol works unchanged.
    """

    @property
    def name(self) -> str:
        """What to call the table in messages and in the ledger."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        ...

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, in a fixed order; only these columns, if given, in any order."""
        ...

    def like(self, table: pa.Table) -> Any:
        """A result in the family that came in: a polars frame for a polars frame, and so on."""
        ...


def checked_columns(columns: Sequence[str], place: str) -> tuple[str, ...]:
    """The columns' names, unless one appears twice or there are none."""
    if not columns:
        raise DataError(f"{place}: the table has no columns; give a table with at least one")
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        where = [i + 1 for i, name in enumerate(columns) if name == twice[0]]
        raise DataError(
            f"{place}: the column name {twice[0]!r} stands twice (columns "
            f"{', '.join(map(str, where))}); rename one"
        )
    return tuple(columns)
