"""Model files: a zip of JSON and arrays with a format version; nothing in it is ever executed.

    model.json     format, schema (its YAML), domain, total, queries, zeros, privacy statement
    arrays.npz     parameters and measurements, one array each

The parameters of the measured cells determine the model; its marginals are recomputed on reading,
so that a file is about as large as the measurements it stands on. Every member carries a CRC.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import MezzotintError, ModelFileError
from mezzotint.privacy.statement import Statement
from mezzotint.schema import Schema
from mezzotint.sources.writing import replacing
from mezzotint.tables.domain import Domain
from mezzotint.tables.fitted import FittedTable
from mezzotint.tables.graphical import GraphicalModel, Measurement, Query
from mezzotint.tables.graphical.model import Potential

FORMAT = 1
_MAX_BYTES = 2**32


def write_model(fitted: FittedTable, path: Path) -> None:
    """Write a model file, whole or not at all."""
    model = fitted.model
    arrays: dict[str, np.ndarray] = {}
    head = {
        "format": FORMAT,
        "kind": "mezzotint table model",
        "schema": fitted.schema.to_text(),
        "domain": dict(model.domain.sizes),
        "total": model.total,
        "potentials": [
            _keep(arrays, f"p{i}", query, theta=p.theta, unfitted=p.unfitted)
            for i, (query, p) in enumerate(model.potentials.items())
        ],
        "measurements": [
            {**_keep(arrays, f"m{i}", m.query, values=m.values), "sigma": m.sigma}
            for i, m in enumerate(model.measurements)
        ],
        "zeros": [
            _keep(arrays, f"z{i}", Query(clique), mask=mask)
            for i, (clique, mask) in enumerate(model.zeros)
        ],
        "privacy": fitted.privacy.to_json(),
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(head, ensure_ascii=False, allow_nan=False)
        archive.writestr("model.json", text, zipfile.ZIP_DEFLATED)
        archive.writestr("arrays.npz", packed.getvalue())


def read_model(path: str | Path) -> FittedTable:
    """Read a model file.

    Raises:
        ModelFileError: if it is missing, truncated, damaged, foreign or of a newer format.
    """
    path = Path(path)
    try:
        head, arrays = _members(path)
        return _restore(head, arrays)
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


def _members(path: Path) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > _MAX_BYTES:
            raise ModelFileError("it unpacks to more than 4 GB; it is not one of ours.")
        head = json.loads(archive.read("model.json"))
        if head["kind"] != "mezzotint table model":
            raise ModelFileError(f"it holds a {head['kind']!r}, not a table model.")
        if head["format"] > FORMAT:
            raise ModelFileError(
                f"its format is {head['format']}, and this version of Mezzotint reads up to "
                f"{FORMAT}. Update Mezzotint."
            )
        with np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False) as packed:
            return head, {name: packed[name] for name in packed.files}


def _keep(arrays: dict[str, np.ndarray], key: str, query: Query, **parts: np.ndarray) -> dict:
    for name, array in parts.items():
        arrays[f"{key}.{name}"] = array
    for a, group in query.groups.items():
        arrays[f"{key}.group.{query.clique.index(a)}"] = group
    return {"key": key, "clique": list(query.clique), "groups": list(query.groups)}


def _query(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Query:
    clique = tuple(entry["clique"])
    groups = {a: arrays[f"{entry['key']}.group.{clique.index(a)}"] for a in entry["groups"]}
    return Query(clique, groups)


def _restore(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FittedTable:
    schema = Schema.from_text(head["schema"])
    domain = Domain(head["domain"])
    potentials = {}
    for entry in head["potentials"]:
        key, query = entry["key"], _query(entry, arrays)
        potentials[query] = Potential(
            _shaped(arrays[f"{key}.theta"], query.shape(domain)),
            _shaped(arrays[f"{key}.unfitted"], query.shape(domain)),
        )
    measurements = []
    for entry in head["measurements"]:
        query = _query(entry, arrays)
        values = _shaped(arrays[f"{entry['key']}.values"], query.shape(domain))
        measurements.append(Measurement(query.clique, values, float(entry["sigma"]), query.groups))
    zeros = [
        (tuple(e["clique"]), _shaped(arrays[f"{e['key']}.mask"], domain.shape(e["clique"])))
        for e in head["zeros"]
    ]
    total = float(head["total"])
    if not 0 < total < float("inf"):
        raise ModelFileError(f"its number of rows is {total}.")
    model = GraphicalModel(domain, potentials, total, tuple(measurements), tuple(zeros))
    return FittedTable(schema, model, Statement.from_json(head["privacy"]))


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape or not np.all(np.isfinite(array)):
        raise ModelFileError(f"an array of shape {array.shape} should be finite, of shape {shape}.")
    return array
