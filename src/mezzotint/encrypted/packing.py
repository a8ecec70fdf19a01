"""Coded rows to the polynomials that a holder encrypts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mezzotint.encrypted.record_layout import RecordFile, RecordsLayout
from mezzotint.errors import ParameterError


def pack_records(
    layout: RecordsLayout, part: int, share: int, codes: Mapping[str, np.ndarray]
) -> Iterator[tuple[RecordFile, np.ndarray]]:
    """A holder's rows as polynomials with coefficients -1, 0 and 1, in the order of `files`.

    Guarantee: none; these are the rows. The number of polynomials and their names follow from the
        layout alone: rows beyond the table's end are zeros, up to the public maximum.
    Private and public: codes and polynomials are private; layout and names are public.

    Args:
        layout: the job's layout.
        part: which row part the holder has.
        share: which share of the columns it has.
        codes: the share's attributes -> codes 0 .. size - 1, an integer array [rows] each. With
            holders of different columns, row r is the same person everywhere.

    Yields:
        What the file is, and its coefficients, int8[N].

    Raises:
        ParameterError: More rows than the public maximum, columns of different lengths, or codes
            out of range.
    """
    attributes = layout.shares[share]
    rows = _rows(layout, part, attributes, codes)
    blocks: dict[int, np.ndarray] = {}
    for file in layout.files(part, share):
        if file.chunk not in blocks:
            start = (file.chunk - layout.chunks[part].start) * layout.fold
            span = slice(start, min(start + layout.fold, rows))
            blocks = {file.chunk: _one_hot(layout, attributes, codes, span)}
        yield file, _polynomial(layout, file, blocks[file.chunk])


def _one_hot(
    layout: RecordsLayout, attributes: tuple[str, ...], codes: Mapping[str, np.ndarray], span: slice
) -> np.ndarray:
    """The share's columns over some rows, int8[columns of all shares, fold]."""
    hot = np.zeros((sum(layout.domain.sizes.values()), layout.fold), dtype=np.int8)
    for attribute in attributes:
        values = np.asarray(codes[attribute])[span]
        hot[layout.column[attribute] + values, np.arange(len(values))] = 1
    return hot


def _polynomial(layout: RecordsLayout, file: RecordFile, hot: np.ndarray) -> np.ndarray:
    fold, degree = layout.fold, layout.preset.degree
    polynomial = np.zeros(degree, dtype=np.int8)
    if file.side == "left":
        columns = layout.lefts.columns[file.group]
        block = hot[columns.start : columns.stop].ravel()
        polynomial[: len(block)] = block
        return polynomial
    for place, column in enumerate(layout.rights.columns[file.group]):
        # X^(place * left * fold - r); a negative power of X wraps around with a minus sign.
        powers = place * layout.left * fold - np.arange(fold)
        polynomial[powers % degree] += np.where(powers < 0, -hot[column], hot[column])
    return polynomial


def _rows(
    layout: RecordsLayout, part: int, attributes: tuple[str, ...], codes: Mapping[str, np.ndarray]
) -> int:
    lengths = set()
    for attribute in attributes:
        if attribute not in codes:
            raise ParameterError(f"attribute {attribute!r}: its codes are missing.")
        values, size = np.asarray(codes[attribute]), layout.domain.sizes[attribute]
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ParameterError(f"attribute {attribute!r}: expected a row of whole numbers.")
        if values.size and not 0 <= int(values.min()) <= int(values.max()) < size:
            raise ParameterError(f"attribute {attribute!r}: codes must lie in 0 .. {size - 1}.")
        lengths.add(len(values))
    if len(lengths) > 1:
        raise ParameterError("codes: the attributes have different numbers of rows.")
    rows = lengths.pop() if lengths else 0
    if rows > layout.rows[part]:
        raise ParameterError(
            f"the table has more rows than the public maximum of {layout.rows[part]}. Raise the "
            "maximum (it is public: it must not follow from the data)."
        )
    return rows
