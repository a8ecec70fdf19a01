"""Folders of image files: one subfolder a class, or a CSV of labels beside the images."""

from __future__ import annotations

import csv
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mezzotint.errors import DataError, ParameterError
from mezzotint.images.data import ImageData, Images
from mezzotint.images.extras import need
from mezzotint.images.labels import class_names, coded
from mezzotint.images.pixels import checked_pixels
from mezzotint.schema.suggest import did_you_mean

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff")
_NAME_COLUMNS = ("file", "filename", "file_name", "image", "path", "name", "id")
_LABEL_COLUMNS = ("label", "class", "target", "y")
_MOST_PIXELS = 1 << 24


def read_folder(path: Path, label: str | None, classes: Sequence[str] | None) -> Images:
    """The images below a folder; its subfolders `train` and `test`, if it has just these."""
    folders = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if "train" in folders and folders <= {"train", "test", "val", "valid"}:
        train = _labelled(path / "train", label)
        test = _labelled(path / "test", label) if "test" in folders else None
    else:
        train, test = _labelled(path, label), None
    parts = [part for part in (train, test) if part is not None]
    names = class_names([y for _, y in parts], classes, str(path))
    made = [
        ImageData(x, coded(y, names, str(path)), names, path.resolve().name or "images")
        for x, y in parts
    ]
    if len(made) > 1 and made[0].facts.shape != made[1].facts.shape:
        raise DataError(
            f"{path}: training images are {made[0].facts.shape} and test images "
            f"{made[1].facts.shape}; give images of one size"
        )
    return Images(made[0], made[1] if len(made) > 1 else None)


def _labelled(path: Path, label: str | None) -> tuple[np.ndarray, np.ndarray]:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    tables = sorted(entry for entry in path.iterdir() if entry.suffix.lower() == ".csv")
    if tables:
        return _by_table(path, tables, label)
    if label is not None:
        raise ParameterError(
            f"label {label!r}: {path} has one subfolder a class, and no CSV of labels to choose a "
            "column from; leave the label out"
        )
    if not folders:
        raise DataError(
            f"{path}: neither subfolders (one a class) nor a CSV of labels; add one of them"
        )
    files, labels = [], []
    for folder in folders:
        inside = _image_files(folder)
        files += inside
        labels += [folder.name] * len(inside)
    if not files:
        raise DataError(
            f"{path}: its subfolders hold no image files ({', '.join(ENDINGS[:4])}, ...)"
        )
    return _pixels(files), np.array(labels)


def _by_table(path: Path, tables: list[Path], label: str | None) -> tuple[np.ndarray, np.ndarray]:
    if len(tables) > 1:
        raise DataError(
            f"{path}: several CSV files ({tables[0].name}, {tables[1].name}); leave one, with the "
            "labels"
        )
    table = tables[0]
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as CSV ({error}); save it as UTF-8") from None
    if len(rows) < 2 or len(rows[0]) < 2:
        raise DataError(f"{table}: give a header and one row an image: its file's name, its label")
    head = [name.strip() for name in rows[0]]
    name_at = _column(head, _NAME_COLUMNS, 0)
    if label is not None and label not in head:
        raise ParameterError(
            f"label {label!r}: {table} has no such column{did_you_mean(label, head)}"
        )
    default = 1 if name_at == 0 else 0
    label_at = _column(head, _LABEL_COLUMNS, default) if label is None else head.index(label)
    files, labels, seen = [], [], set()
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise DataError(f"{table}, line {number}: {len(row)} cells under {len(head)} headings")
        file = path / row[name_at].strip()
        if file in seen:
            raise DataError(f"{table}, line {number}: {file.name} stands twice; label it once")
        if not file.is_file():
            raise DataError(
                f"{table}, line {number}: there is no file {file}; mend the name or drop the line"
            )
        seen.add(file)
        files.append(file)
        labels.append(row[label_at].strip())
    unlabelled = sorted(set(_image_files(path)) - seen)
    if unlabelled:
        raise DataError(
            f"{table}: {len(unlabelled):,} images have no label, {unlabelled[0].name} for one; add "
            "their lines or move them away"
        )
    return _pixels(files), np.array(labels)


def _column(head: list[str], known: Sequence[str], default: int) -> int:
    folded = [name.casefold() for name in head]
    return next((folded.index(name) for name in known if name in folded), default)


def _image_files(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in ENDINGS)


def _pixels(files: list[Path]) -> np.ndarray:
    """All files as one array: grey if all are grey, else RGB."""
    images, first = [], None
    for file in files:
        image = _decoded(file)
        if first is None:
            first = image.shape[:2]
        if image.shape[:2] != first:
            raise DataError(
                f"{file}: {image.shape[0]} x {image.shape[1]} pixels, and {files[0]} has "
                f"{first[0]} x {first[1]}; scale all images to one size"
            )
        images.append(image)
    if any(image.ndim == 3 for image in images):
        images = [
            image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images
        ]
    return checked_pixels(np.stack(images), str(files[0].parent))


def _decoded(file: Path) -> np.ndarray:
    """One file's pixels: (height, width) if it is grey, else (height, width, 3)."""
    pillow = need("PIL.Image")
    try:
        # Pillow warns about damage that it can live with; what is too large is refused below.
        with warnings.catch_warnings(action="ignore"), pillow.open(file) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise DataError(f"{file}: {image.width} x {image.height} pixels; scale it first")
            grey = image.mode in ("1", "L", "LA")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
        MemoryError,
        struct.error,
        pillow.DecompressionBombError,
    ) as error:
        raise DataError(
            f"{file}: cannot be read as an image ({type(error).__name__}: {error}); mend it or "
            "move it away"
        ) from error
