"""Checkpoints that survive `kill -9`: a training goes on where it stopped and spends nothing twice.

A checkpoint is a folder of three files. `checkpoint.json` names the other two and their SHA-256,
and holds one of its own content; it is replaced in one move when both are on disk, so that at every
moment it tells of a whole state, and damage to any of them is found:

* `step-N.safetensors`: weights, optimisers, averages. Functions of the releases up to step N.
* `step-N.private.safetensors`: the records' memories of error feedback, with nobody else's right
  to read. Private: `clear` deletes it when the training ends, and no model ever holds it.

Coins and noise are functions of the ledger's row, which the resumed run asks for under the same
request id at no cost. So steps that are done twice are the same steps, bit for bit on the same
machine with the same methods and micro-batch, and only one of each leaves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mezzotint.errors import DataError, ModelFileError, ParameterError

FORMAT = 2
_INDEX = "checkpoint.json"


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read.

    Attributes:
        step: How many steps were done.
        states: Part name to its state, as `state_dict` gave it.
        memories: Block name to the records' memories; private.
        methods: Block name to layer name to method.
    """

    step: int
    states: dict[str, Any]
    memories: dict[str, np.ndarray]
    methods: dict[str, dict[str, str]]


class Checkpoints:
    """The checkpoint of one training.

    Args:
        folder: Where it is kept; made if missing.
        identity: What it must agree with to be resumed: settings and data, as JSON holds them.
        every: How many steps lie between two checkpoints.
    """

    def __init__(
        self, folder: Path | str, identity: Mapping[str, object], every: int = 100
    ) -> None:
        if every < 1:
            raise ParameterError(f"every = {every!r}: give at least 1 step between checkpoints")
        self.folder = Path(folder)
        self.every = every
        self._identity = json.loads(json.dumps(dict(identity)))

    def save(self, saved: Saved) -> None:
        """Writes a checkpoint and removes the one before."""
        from safetensors.torch import save

        self.folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        tree = _flatten(saved.states, tensors)
        memories = {name: torch.from_numpy(value) for name, value in saved.memories.items()}
        stem = f"step-{saved.step:08d}"
        files = {
            f"{stem}.safetensors": save(tensors),
            f"{stem}.private.safetensors": save(memories),
        }
        for name, content in files.items():
            self._write(name, content)
        index = {
            "format": FORMAT,
            "step": saved.step,
            "identity": self._identity,
            "methods": saved.methods,
            "states": tree,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
        self._write(_INDEX, json.dumps(index | {"digest": _digest(index)}).encode())
        for path in self.folder.glob("step-*"):
            if path.name not in files:
                path.unlink()

    def load(self) -> Saved | None:
        """The last checkpoint, or None where there is none.

        Raises:
            ModelFileError: A file is damaged, missing or of another version.
            ParameterError: It belongs to other data or other settings.
        """
        from safetensors.torch import load

        path = self.folder / _INDEX
        if not path.exists():
            return None
        try:
            index = json.loads(path.read_bytes())
            digest, version = index.pop("digest", None), index["format"]
            held = index["identity"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(path, str(error)) from error
        if version != FORMAT:
            raise ModelFileError(
                f"{path} has format {version}, and this version reads format {FORMAT}: "
                "resume with the version that wrote it, or start in an empty folder"
            )
        if digest != _digest(index):
            raise self._damaged(path, "its SHA-256 is not the one recorded")
        self._same(path, held)
        parts = [load(self._content(name, digest)) for name, digest in index["files"].items()]
        states = _restored(index["states"], parts[0])
        memories = {name: value.numpy() for name, value in parts[1].items()}
        return Saved(index["step"], states, memories, index["methods"])

    def _content(self, name: str, digest: str) -> bytes:
        file = self.folder / name
        if not file.is_file():
            raise self._damaged(file, "it is missing")
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise self._damaged(file, "its SHA-256 is not the one recorded")
        return content

    def clear(self) -> None:
        """Deletes the checkpoint, its private half first."""
        if not self.folder.exists():
            return
        for pattern in ("*.private.safetensors", "step-*", _INDEX, "*.part"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def _same(self, path: Path, held: Mapping[str, object]) -> None:
        names = [*self._identity, *(name for name in held if name not in self._identity)]
        for name in names:
            if held.get(name) != self._identity.get(name):
                raise ParameterError(
                    f"{path}: the checkpoint was saved with {name} = {_short(held.get(name))}, and "
                    f"this training has {name} = {_short(self._identity.get(name))}. Resume with "
                    "the same data and settings, or start in an empty folder; nothing was spent"
                )

    def _write(self, name: str, content: bytes) -> None:
        part = self.folder / f"{name}.part"
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self.folder / name)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DataError(
                f"checkpoint {self.folder}: {error.strerror or error}; the last whole checkpoint "
                "stands, and what was spent stays booked. Make space and repeat the same command: "
                "it goes on from there at no cost"
            ) from error

    def _damaged(self, path: Path, why: str) -> ModelFileError:
        return ModelFileError(
            f"{path}: the checkpoint is damaged ({why}); start in an empty folder. With the same "
            "request id the steps are repeated at no cost"
        )


def _digest(index: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Replaces tensors in nested dicts and lists by references; keys keep their type."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[key, _flatten(part, tensors)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_flatten(part, tensors) for part in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise ParameterError(
        f"a checkpoint holds tensors, numbers and text, not {type(value).__name__}"
    )


def _restored(tree: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "items" in tree:
        return {key: _restored(part, tensors) for key, part in tree["items"]}
    if "list" in tree:
        return [_restored(part, tensors) for part in tree["list"]]
    return tree["value"]
