"""Sheets: a grid of images, one row a class, as PNG or as text for a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.images.data import ImageData
from mezzotint.images.extras import need
from mezzotint.sources.writing import replacing

COLUMNS = 10
ROWS = 20
_SMALLEST_SHOWN = 48
_GAP = 2
_PAPER = 255


def sheet(data: ImageData, *, columns: int = COLUMNS, rows: int = ROWS) -> np.ndarray:
    """The first images of each class, one row a class, as one picture.

    Args:
        data: the images.
        columns: images in a row; a class with fewer leaves places empty.
        rows: the most classes that are shown, from the first.

    Returns:
        uint8, shape (height, width, channels): a multiple of the images' own size, as each pixel
        becomes a square.
    """
    height, width, channels = data.x.shape[1:]
    scale = max(1, -(-_SMALLEST_SHOWN // max(height, width)))
    shown = min(rows, len(data.classes))
    tall, wide = height * scale + _GAP, width * scale + _GAP
    picture = np.full((shown * tall + _GAP, columns * wide + _GAP, channels), _PAPER, np.uint8)
    for label in range(shown):
        places = np.flatnonzero(data.y == label)[:columns]
        for column, place in enumerate(places):
            top, left = label * tall + _GAP, column * wide + _GAP
            image = data.x[place].repeat(scale, axis=0).repeat(scale, axis=1)
            picture[top : top + height * scale, left : left + width * scale] = image
    return picture


def png(picture: np.ndarray) -> bytes:
    """A picture, uint8 (height, width, 1 or 3), as the bytes of a PNG file."""
    packed = io.BytesIO()
    _pillow(picture).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def write_sheet(data: ImageData, path: Path, *, columns: int = COLUMNS) -> None:
    """Write a sheet as a PNG file, whole or not at all."""
    content = png(sheet(data, columns=columns))
    with replacing(path) as file:
        file.write(content)


def text_sheet(data: ImageData, *, width: int, colour: bool = True) -> list[str]:
    """One image of each class, in lines of half blocks for a terminal with 24-bit colours.

    Args:
        data: the images.
        width: columns of the terminal.
        colour: whether colours may be used; without them there is nothing to show.
    """
    first = [np.flatnonzero(data.y == label) for label in range(len(data.classes))]
    images = [data.x[places[0]] for places in first if len(places)]
    if not colour or not images:
        return []
    size = min(16, images[0].shape[1], width // min(len(images), 10) - 1)
    if size < 8:
        return []
    shown = [_shrunk(image, size) for image in images[: width // (size + 1)]]
    strip = np.concatenate([np.pad(i, ((0, 0), (0, 1), (0, 0))) for i in shown], axis=1)
    if strip.shape[0] % 2:
        strip = np.pad(strip, ((0, 1), (0, 0), (0, 0)))
    return [
        "".join(map(_half_block, *strip[row : row + 2])) + "\x1b[0m"
        for row in range(0, len(strip), 2)
    ]


def _shrunk(image: np.ndarray, width: int) -> np.ndarray:
    """RGB of this width."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    pillow = need("PIL.Image")
    resized = _pillow(image).convert("RGB").resize((width, height), pillow.Resampling.BOX)
    return np.asarray(resized)


def _half_block(upper: np.ndarray, lower: np.ndarray) -> str:
    (a, b, c), (d, e, f) = upper.tolist(), lower.tolist()
    return f"\x1b[38;2;{a};{b};{c};48;2;{d};{e};{f}m▀"


def _pillow(picture: np.ndarray) -> Any:
    pillow = need("PIL.Image")
    return pillow.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
