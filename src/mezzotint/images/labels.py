"""Labels as they come (numbers, texts, one of many attributes), and as they are kept: indices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mezzotint.errors import DataError, ParameterError
from mezzotint.images.data import MOST_CLASSES
from mezzotint.schema.suggest import did_you_mean


def one_attribute(arrays: dict[str, np.ndarray], label: str | None, path: Path) -> np.ndarray:
    """The column of a table of yes-or-no attributes (1 and -1, or 1 and 0), as 0 and 1."""
    attributes = arrays["attr"]
    if "attr_names" not in arrays or attributes.ndim != 2:
        raise DataError(f"{path}: attr needs two dimensions, and attr_names to name its columns")
    names = [str(name) for name in arrays["attr_names"].ravel()]
    if attributes.shape[1] != len(names):
        raise DataError(
            f"{path}: attr has {attributes.shape[1]} columns and attr_names {len(names)} names; "
            "give one name a column"
        )
    if label is None:
        example = "Male" if "Male" in names else names[0]
        raise ParameterError(
            f"{path}: it has {len(names)} attributes and no labels; name the one to be the label, "
            f"such as --label {example}"
        )
    if label not in names:
        raise ParameterError(f"label {label!r}: {path} has no such one{did_you_mean(label, names)}")
    column = attributes[:, names.index(label)]
    if not np.isin(column, (-1, 0, 1)).all():
        raise DataError(f"{path}: the attribute {label!r} has values beside 1, 0 and -1; recode it")
    return (column > 0).astype(np.int64)


def class_names(
    labels: Sequence[np.ndarray], declared: Sequence[str] | None, place: str
) -> tuple[str, ...]:
    """The classes: as declared, or those that occur; numbers from 0 to the largest."""
    for y in labels:
        if y.ndim != 1 or y.dtype.kind not in "iuUSb":
            raise DataError(
                f"{place}: labels are {y.dtype} of shape {y.shape}; give one whole number or text "
                "an image"
            )
    if declared is not None:
        return tuple(map(str, declared))
    if any(y.dtype.kind in "US" for y in labels):
        return tuple(sorted({str(name) for y in labels for name in np.unique(y.astype(str))}))
    low = min((int(y.min()) for y in labels if len(y)), default=0)
    high = max((int(y.max()) for y in labels if len(y)), default=0)
    if low < 0 or high >= MOST_CLASSES:
        raise DataError(
            f"{place}: labels from {low} to {high}; give whole numbers from 0 to the number of "
            f"classes less one, at most {MOST_CLASSES - 1}"
        )
    return tuple(map(str, range(high + 1)))


def coded(y: np.ndarray, names: tuple[str, ...], place: str) -> np.ndarray:
    """Labels as indices into the classes."""
    if y.dtype.kind in "US":
        index = {name: i for i, name in enumerate(names)}
        unknown = sorted({str(v) for v in np.unique(y.astype(str))} - set(index))
        if unknown:
            raise DataError(
                f"{place}: the label {unknown[0]!r} is no class{did_you_mean(unknown[0], names)}"
            )
        return np.array([index[str(v)] for v in y.astype(str)], np.int64)
    if len(y) and not (y.min() >= 0 and y.max() < len(names)):
        raise DataError(
            f"{place}: labels from {y.min()} to {y.max()}, and there are {len(names)} classes; "
            f"give whole numbers from 0 to {len(names) - 1}"
        )
    return y.astype(np.int64)
