"""Reading images: npz files, IDX files, folders, scikit-learn's digits.

    digits                          scikit-learn's bundled set, 8x8; every sixth image is a test
    images.npz                      x_train, y_train (and x_test, y_test); or x, y; or x, attr,
                                    attr_names, of which the user names one column
    train-images-idx3-ubyte[.gz]    IDX, MNIST's own format; its labels lie beside it
    folder/class/image.png          one subfolder a class
    folder/image.png, labels.csv    one folder, and a table of file names and labels
    folder/train, folder/test       either of the two, once for each

The list of classes counts as public, and so does the images' shape: whoever names a data set for a
fit declares them so. To leave no doubt, give the classes in words (`classes`); then a class that
no image has is a class all the same.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import DataError, ParameterError
from mezzotint.images.data import ImageData, Images
from mezzotint.images.labels import class_names, coded, one_attribute
from mezzotint.images.pixels import checked_pixels

DIGITS = "digits"
_DIGITS_TEST = 6


def read_images(
    path: str | Path,
    *,
    label: str | None = None,
    classes: Sequence[str] | None = None,
) -> Images:
    """Read a data set of labelled images, whole.

    Private and public: pixels and labels are private; shape and classes are public.

    Args:
        path: a file, a folder, or "digits".
        label: the attribute to be taken as the label, where there are several (`attr_names`), or
            the column of a CSV of labels.
        classes: the classes' names, if they are not to be taken from the data.

    Raises:
        DataError: if images have several sizes, are damaged, or do not match their labels.
        ParameterError: for a label that does not exist, or a shape outside of 8x8 to 64x64.
    """
    place = Path(path)
    if str(path) == DIGITS and not place.exists():
        _require_no_choice(label, DIGITS)
        return _digits()
    if place.is_dir():
        from mezzotint.images.folders import read_folder

        return read_folder(place, label, classes)
    if not place.exists():
        raise DataError(
            f"{place}: there is no such file or folder; give an npz or IDX file, a folder of "
            "images, or 'digits'"
        )
    if place.suffix.lower() == ".npz":
        return _read_npz(place, label, classes)
    from mezzotint.images import idx

    if idx.looks_like(place):
        _require_no_choice(label, str(place))
        return idx.read_images(place, classes)
    raise DataError(
        f"{place}: this is neither an npz nor an IDX file; give one of those, a folder with one "
        "subfolder a class, or 'digits'"
    )


def _require_no_choice(label: str | None, place: str) -> None:
    if label is not None:
        raise ParameterError(
            f"label {label!r}: {place} has no attributes to choose from (arrays attr and "
            "attr_names of an npz file); leave the label out"
        )


def _digits() -> Images:
    from sklearn.datasets import load_digits

    bundle: Any = load_digits()
    x = np.rint(bundle.images * (255 / 16)).astype(np.uint8)[..., None]
    data = ImageData(x, bundle.target.astype(np.int64), tuple("0123456789"), DIGITS)
    tested = np.arange(len(data)) % _DIGITS_TEST == _DIGITS_TEST - 1
    return Images(data.take(~tested), data.take(tested))


def _read_npz(path: Path, label: str | None, classes: Sequence[str] | None) -> Images:
    arrays = _arrays(path)
    if "x_train" in arrays:
        parts = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
    elif "x" in arrays:
        parts = {"train": ("x", "y")}
    else:
        raise DataError(
            f"{path}: it holds {', '.join(map(repr, arrays)) or 'nothing'}; give arrays x_train, "
            "y_train (and x_test, y_test), or x and y, or x and attr with attr_names"
        )
    if "attr" not in arrays:
        _require_no_choice(label, str(path))
    found = {}
    names = classes if classes is not None else _names(arrays, path)
    for part, (pixels, targets) in parts.items():
        if part == "test" and pixels not in arrays:
            continue
        y = _labels(arrays, targets, label, path)
        found[part] = checked_pixels(arrays[pixels], f"{path}: {pixels}"), y
    if "attr" in arrays and "y" not in arrays and names is None:
        names = (f"not {label}", str(label)) if label is not None else None
    names = class_names([y for _, y in found.values()], names, str(path))
    made = {
        part: ImageData(x, coded(y, names, f"{path}: {part}"), names, path.resolve().name)
        for part, (x, y) in found.items()
    }
    test = made.get("test")
    if test is not None and test.x.shape[1:] != made["train"].x.shape[1:]:
        raise DataError(
            f"{path}: training images are {made['train'].facts.shape} and test images "
            f"{test.facts.shape}; give images of one size"
        )
    return Images(made["train"], test)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as packed:
            return {name: packed[name] for name in packed.files}
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        NotImplementedError,
        RuntimeError,
        ArithmeticError,
        MemoryError,
        SyntaxError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise DataError(
            f"{path}: this is no intact npz file of plain arrays ({error}); take an intact copy"
        ) from error


def _names(arrays: dict[str, np.ndarray], path: Path) -> tuple[str, ...] | None:
    if "class_names" not in arrays:
        return None
    names = arrays["class_names"]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(
            f"{path}: class_names is {names.dtype} {names.shape}; give a list of texts, one a class"
        )
    return tuple(map(str, names.astype(str)))


def _labels(
    arrays: dict[str, np.ndarray], targets: str, label: str | None, path: Path
) -> np.ndarray:
    if "attr" in arrays and (label is not None or targets not in arrays):
        return one_attribute(arrays, label, path)
    if targets not in arrays:
        raise DataError(
            f"{path}: there are images but no labels; add an array {targets!r} with one label an "
            "image"
        )
    return arrays[targets]
