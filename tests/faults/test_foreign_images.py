"""Image models and checkpoints, damaged: refused in words, or the very same content.

Damage that is accepted would be another model, a training that goes on from elsewhere, or a request
that spends anew. So more is asked than of a parser: what is accepted is what was saved.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import mezzotint
from mezzotint.errors import DataError
from mezzotint.images.checkpoint import request_in
from mezzotint.images.class_gaussians import ClassGaussians
from mezzotint.images.dpsgd import Checkpoints
from tests.faults.mutation import attack
from tests.images.dpsgd.test_saving import IDENTITY, stopped
from tests.images.oneshot.worlds import striped

# Of five files: ten thousand in all.
MUTANTS = [300, pytest.param(2000, marks=pytest.mark.slow)]
CHECKPOINT = ("checkpoint.json", "step-00000010.safetensors", "step-00000010.private.safetensors")


class Changed(Exception):
    """Damage that was accepted as something else."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    """A model, the folder of a fit, and the checkpoint of a training with memories."""
    folder = tmp_path_factory.mktemp("images")
    data = striped(60, (8, 8, 1), 2)
    method = ClassGaussians(4.0, components=3)
    method.fit(data, ledger=folder / "l.db", checkpoint=folder / "fit").save(folder / "m.mezzo")
    stopped(folder / "training", IDENTITY)
    return folder


def content_of_model(path: Path) -> list[object]:
    fitted = mezzotint.load(path)
    arrays = fitted.generator.arrays()
    return [
        fitted.facts,
        fitted.privacy.to_json(),
        fitted.shares.tobytes(),
        fitted.settings,
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()},
    ]


def content_of_checkpoint(folder: Path) -> list[object]:
    saved = Checkpoints(folder, IDENTITY).load()
    assert saved is not None
    memories = {name: value.tobytes() for name, value in saved.memories.items()}
    return [saved.step, saved.methods, memories, _plain(saved.states)]


def _plain(state: object) -> object:
    if isinstance(state, torch.Tensor):
        return str(state.dtype), tuple(state.shape), state.numpy().tobytes()
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return [_plain(value) for value in state] if isinstance(state, list) else state


def request_of(folder: Path) -> str | None:
    data, method = striped(60, (8, 8, 1), 2), ClassGaussians(4.0, components=3)
    return request_in(
        folder, method, data.facts, dataset=data.name, seed=0, ledger=Path("elsewhere")
    )


def whole(read, original):
    """A parser that accepts nothing but the original content."""
    wanted = read(original)

    def parse(path: Path) -> None:
        if read(path) != wanted:
            raise Changed(path.name)

    return parse


def in_place_of(folder: Path, name: str, read):
    """Reads a folder in which one file is the one to be parsed."""

    def parse(path: Path):
        place = path.parent / "folder"
        if not place.exists():
            shutil.copytree(folder, place)
        shutil.copyfile(path, place / name)
        return read(place)

    return parse


@pytest.mark.parametrize("mutants", MUTANTS)
def test_image_models(originals, tmp_path, mutants):
    model = originals / "m.mezzo"
    attack(whole(content_of_model, model), model.read_bytes(), tmp_path, "m.mezzo", mutants)


@pytest.mark.parametrize("mutants", MUTANTS)
@pytest.mark.parametrize("name", CHECKPOINT)
def test_checkpoints(originals, tmp_path, name, mutants):
    folder = originals / "training"
    parse = whole(in_place_of(folder, name, content_of_checkpoint), folder / name)
    attack(parse, (folder / name).read_bytes(), tmp_path, name, mutants)


@pytest.mark.parametrize("mutants", MUTANTS)
def test_the_request_of_a_fit(originals, tmp_path, mutants):
    file = originals / "fit" / "fit.json"
    parse = whole(in_place_of(originals / "fit", "fit.json", request_of), file)
    attack(parse, file.read_bytes(), tmp_path, "fit.json", mutants)


def test_a_damaged_request_is_refused(tmp_path):
    a_damaged_request_is_refused(tmp_path)


def a_damaged_request_is_refused(folder: Path) -> None:
    """Another nonce would be another request: other noise, and paid for once more."""
    first = request_of(folder / "fit")
    assert request_of(folder / "fit") == first
    file = folder / "fit" / "fit.json"
    held = json.loads(file.read_text())
    file.write_text(json.dumps(held | {"nonce": "0" * 32}))
    with pytest.raises(DataError, match="damaged"):
        request_of(folder / "fit")


def test_the_attack_would_find_damage_that_is_accepted(originals, tmp_path):
    model = originals / "m.mezzo"
    parse = whole(lambda path: np.frombuffer(path.read_bytes(), np.uint8).sum(), model)
    with pytest.raises(AssertionError, match="Changed"):
        attack(parse, model.read_bytes(), tmp_path, "m.mezzo", 20)
