"""IDX files, MNIST's own format: a magic number, dimensions, bytes.

Big-endian: two zero bytes, the type (8 for unsigned bytes), the number of dimensions, one 32-bit
length each, then the data. Source: LeCun, Cortes, Burges, "The MNIST database", file format.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from mezzotint.errors import DataError
from mezzotint.images.data import ImageData, Images
from mezzotint.images.labels import class_names, coded
from mezzotint.images.pixels import checked_pixels

_BYTES = 8


def looks_like(path: Path) -> bool:
    """Whether a file begins as an IDX file of bytes does."""
    try:
        with _opened(path) as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return path.suffix.lower() == ".gz"
    return len(head) == 4 and head[:3] == bytes((0, 0, _BYTES))


def read_images(path: Path, classes: Sequence[str] | None) -> Images:
    """The images of an IDX file, with the labels that lie beside it; the test part too, if there.

    MNIST's names are known: `train-images-idx3-ubyte` goes with `train-labels-idx1-ubyte` and with
    `t10k-...` for testing; `X-images...` goes with `X-labels...`.
    """
    pairs = [(path, _labels_beside(path))]
    test = path.with_name(path.name.replace("train-", "t10k-", 1))
    if test != path and test.exists():
        pairs.append((test, _labels_beside(test)))
    read = [
        (checked_pixels(read_idx(x), str(x)), read_idx(y), f"{x} and {y.name}") for x, y in pairs
    ]
    names = class_names([y for _, y, _ in read], classes, str(path))
    parts = [ImageData(x, coded(y, names, place), names, path.name) for x, y, place in read]
    return Images(parts[0], parts[1] if len(parts) > 1 else None)


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, plain or gzip."""
    try:
        with _opened(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise DataError(
            f"{path}: this is no intact gzip file ({error}); take an intact copy"
        ) from None
    if len(content) < 4 or content[:3] != bytes((0, 0, _BYTES)):
        raise DataError(f"{path}: this is no IDX file of bytes; take an intact copy")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{path}: its head of {start} bytes is cut off; take an intact copy")
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist())
    size = 1
    for length in shape:
        size *= length
    if len(content) - start != size:
        raise DataError(
            f"{path}: its head promises {size:,} bytes of data (shape {shape}), and "
            f"{max(0, len(content) - start):,} are there; take an intact copy"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _labels_beside(path: Path) -> Path:
    guess = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    other = guess.with_name(guess.stem) if guess.suffix == ".gz" else Path(f"{guess}.gz")
    for place in (guess, other):
        if place != path and place.exists():
            return place
    raise DataError(
        f"{path}: its labels are missing; put them beside it as {guess.name}, or make an npz file "
        "with x and y"
    )


def _opened(path: Path) -> BufferedIOBase:
    return gzip.GzipFile(path) if path.suffix.lower() == ".gz" else path.open("rb")
