"""Files of images, damaged: refused in words, or accepted as images; never a crash."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from mezzotint.images.data import Images
from mezzotint.images.reading import read_images
from tests.faults.mutation import attack
from tests.images.oneshot.worlds import striped

MUTANTS = [300, pytest.param(10_000, marks=pytest.mark.slow)]
FILES = [
    "images.npz",
    "packed.npz",
    "train-images-idx3-ubyte",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte",
    "image.png",
    "image.jpg",
    "image.gif",
    "image.tiff",
    "labels.csv",
]


def idx(array: np.ndarray) -> bytes:
    lengths = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes((0, 0, 8, array.ndim)) + lengths + array.tobytes()


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    data = striped(30, (8, 8, 1), 2)
    x, y = data.x[..., 0], data.y.astype(np.uint8)
    np.savez(folder / "images.npz", x=x, y=y)
    np.savez_compressed(folder / "packed.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5])
    (folder / "train-images-idx3-ubyte").write_bytes(idx(x))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(y))
    (folder / "folder").mkdir()
    for i in range(4):
        Image.fromarray(x[i]).save(folder / "folder" / f"{i}.png")
    names = "".join(f"{i}.png,{y[i]}\n" for i in range(4))
    (folder / "labels.csv").write_text("file,label\n" + names)
    for ending in ("png", "jpg", "gif", "tiff"):
        Image.fromarray(x[0]).save(folder / f"image.{ending}")
    return folder


def reader(originals: Path, name: str):
    """How a file is read: alone, beside its partner, or as one of a folder's."""

    def parse(path: Path) -> None:
        place = path
        if name.startswith("train-"):
            other = "labels-idx1" if "images" in name else "images-idx3"
            partner = f"train-{other}-ubyte"
            if not (path.parent / partner).exists():
                shutil.copyfile(originals / partner, path.parent / partner)
            place = path if "images" in name else path.parent / partner
        elif name == "labels.csv":
            place = path.parent / "table"
            if not place.exists():
                shutil.copytree(originals / "folder", place)
            shutil.copyfile(path, place / name)
        elif not name.endswith(".npz"):
            place = path.parent / "classes"
            if not place.exists():
                shutil.copytree(originals / "folder", place / "a")
                shutil.copytree(originals / "folder", place / "b")
            shutil.copyfile(path, place / "a" / name)
        read = read_images(place)
        assert isinstance(read, Images)

    return parse


@pytest.mark.parametrize("mutants", MUTANTS)
@pytest.mark.parametrize("name", FILES)
def test_damaged_images_are_refused_in_words_or_read(originals, tmp_path, name, mutants):
    attack(reader(originals, name), (originals / name).read_bytes(), tmp_path, name, mutants)
