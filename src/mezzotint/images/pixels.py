"""Pixels as they come, and as they are kept: uint8, (n, height, width, channels)."""

from __future__ import annotations

import numpy as np

from mezzotint.errors import DataError, ParameterError
from mezzotint.images.data import LARGEST, SMALLEST


def checked_pixels(array: np.ndarray, place: str) -> np.ndarray:
    """Pixels as uint8 (n, height, width, channels).

    Whole numbers must lie in 0 to 255, fractions in 0 to 1; which of the two they are is decided
    by the array's type, never by its values. No image is scaled, cut or left out.

    Args:
        array: (n, height, width), (n, height, width, channels) or (n, channels, height, width),
            with 1 or 3 channels.
        place: names the array in messages.
    """
    if array.dtype.kind == "O":
        raise DataError(f"{place}: images of several sizes, or no numbers; give one size for all")
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[3] not in (1, 3) and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, 3)
    if array.ndim != 4 or array.shape[3] not in (1, 3):
        raise DataError(
            f"{place}: shape {array.shape}; give (n, height, width) for grey images or "
            "(n, height, width, 3) for RGB"
        )
    if array.shape[0] == 0:
        raise DataError(f"{place}: there are no images; give at least one")
    if not all(SMALLEST <= side <= LARGEST for side in array.shape[1:3]):
        raise ParameterError(
            f"{place}: images of {array.shape[1]} x {array.shape[2]} pixels; {SMALLEST} x "
            f"{SMALLEST} to {LARGEST} x {LARGEST} can be fitted; scale them first"
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind in "iu":
        low, high, top = int(array.min()), int(array.max()), 255
    elif array.dtype.kind == "f":
        wrong = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if wrong.any():
            raise DataError(
                f"{place}: {int(wrong.sum()):,} images hold NaN or infinity; mend them or leave "
                "them out"
            )
        low, high, top = float(array.min()), float(array.max()), 1
    else:
        raise DataError(f"{place}: pixels of type {array.dtype}; give uint8, or floats in 0 to 1")
    if low < 0 or high > top:
        kind = "whole numbers in 0 to 255" if top > 1 else "fractions in 0 to 1"
        raise DataError(f"{place}: pixels from {low:g} to {high:g}; give {kind}")
    scaled = array if top > 1 else np.rint(array * 255)
    return np.ascontiguousarray(scaled.astype(np.uint8))
