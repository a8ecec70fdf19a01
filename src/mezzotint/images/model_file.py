"""Model files of images: a zip of JSON and safetensors with a format version; never pickle.

    model.json            format, facts, kind and configuration of the generator, shares of the
                          classes, settings, privacy statements, digest of the arrays
    arrays.safetensors    the generator's weights

Nothing in it is ever executed. Every member carries a CRC.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import MezzotintError, MissingExtraError, ModelFileError
from mezzotint.images.data import ImageFacts
from mezzotint.images.extras import need
from mezzotint.images.fitted import FittedImages
from mezzotint.images.generator import restore
from mezzotint.privacy.statement import Statement
from mezzotint.sources.writing import replacing

if TYPE_CHECKING:
    from mezzotint.tables.fitted import FittedTable

FORMAT = 1
KIND = "mezzotint image model"
_MAX_BYTES = 2**32


def write_images(fitted: FittedImages, path: Path) -> None:
    """Write a model file, whole or not at all.

    Raises:
        ModelFileError: if a weight is not finite: such a generator draws nothing.
    """
    save = need("safetensors.numpy").save
    arrays = {name: np.ascontiguousarray(a) for name, a in fitted.generator.arrays().items()}
    for name, array in arrays.items():
        _require_finite(name, array)
    head = {
        "format": FORMAT,
        "kind": KIND,
        "facts": fitted.facts.to_json(),
        "generator": fitted.generator.kind,
        "config": dict(fitted.generator.config()),
        "shares": fitted.shares.tolist(),
        "settings": fitted.settings,
        "privacy": fitted.privacy.to_json(),
        "bought": None if fitted.bought is None else fitted.bought.to_json(),
    }
    text = json.dumps(head, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.json", text, zipfile.ZIP_DEFLATED)
        archive.writestr("arrays.safetensors", save(arrays))


def read_images_model(path: str | Path) -> FittedImages:
    """Read a model file.

    Raises:
        ModelFileError: if it is missing, truncated, damaged, foreign or of a newer format.
    """
    path = Path(path)
    try:
        return _restore(*_members(path))
    except MissingExtraError:
        raise
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except FileNotFoundError:
        raise ModelFileError(f"{path}: there is no such file; check the path.") from None
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        AssertionError,
        AttributeError,
        NotImplementedError,
        RuntimeError,
        ArithmeticError,
        MemoryError,
        SyntaxError,
        zlib.error,
        MezzotintError,
    ) as error:
        raise ModelFileError(
            f"{path}: this is no intact Mezzotint model ({type(error).__name__}: {error}). "
            "Take an intact copy, or fit the model again."
        ) from error


def load(path: str | Path) -> FittedTable | FittedImages:
    """Read a model file of either kind: of a table, or of images.

    Raises:
        ModelFileError: if it is missing, truncated, damaged, foreign or of a newer format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            images = json.loads(archive.read("model.json"))["kind"] == KIND
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, zlib.error, RuntimeError):
        images = False  # whatever it is, the reader for tables says what is wrong with it
    if images:
        return read_images_model(path)
    from mezzotint.tables.model_file import read_model

    return read_model(path)


def _members(path: Path) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > _MAX_BYTES:
            raise ModelFileError("it unpacks to more than 4 GB; it is not one of ours.")
        head = json.loads(archive.read("model.json"))
        if head["kind"] != KIND:
            raise ModelFileError(f"it holds a {head['kind']!r}, not an image model.")
        if head["format"] > FORMAT:
            raise ModelFileError(
                f"its format is {head['format']}, and this version of Mezzotint reads up to "
                f"{FORMAT}. Update Mezzotint."
            )
        packed = archive.read("arrays.safetensors")
    safetensors = need("safetensors")
    try:
        return head, need("safetensors.numpy").load(packed)
    except safetensors.SafetensorError as error:
        raise ModelFileError(
            f"its weights are damaged ({error}). Take an intact copy, or fit the model again."
        ) from error


def _restore(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FittedImages:
    facts = ImageFacts.from_json(head["facts"])
    for name, array in arrays.items():
        _require_finite(name, array)
    shares = np.array(head["shares"], np.float64)
    if shares.shape != (len(facts.classes),) or not (
        (shares >= 0).all() and math.isclose(shares.sum(), 1, rel_tol=1e-9)
    ):
        raise ModelFileError(f"the shares of its classes, {head['shares']}, are no distribution.")
    bought = head["bought"]
    return FittedImages(
        facts,
        restore(str(head["generator"]), facts, head["config"], arrays),
        Statement.from_json(head["privacy"]),
        shares,
        dict(head["settings"]),
        None if bought is None else Statement.from_json(bought),
    )


def _require_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
        raise ModelFileError(
            f"the weights {name!r} ({array.dtype}) hold NaN, infinity or no numbers at all; such a "
            "generator draws nothing. Fit the model again."
        )
