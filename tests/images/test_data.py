"""Images come in as they lie, or not at all."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.errors import DataError, ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.reading import read_images
from tests.images.conftest import made_up

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "images"
X = np.random.default_rng(0).integers(0, 256, (12, 8, 9)).astype(np.uint8)
Y = np.arange(12) % 3


def npz(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def folder(root: Path, x: np.ndarray = X, y: np.ndarray = Y) -> Path:
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        place = root / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i:03}.png")
    return root


def test_digits(digits):
    assert digits.train.facts == ImageFacts(8, 8, 1, tuple("0123456789"))
    assert len(digits.train) + len(digits.test) == 1797
    assert len(digits.test) == 299
    assert digits.train.x.max() == 255
    for part in (digits.train, digits.test):
        assert np.bincount(part.y).min() > 20


def test_npz_with_a_test_part(tmp_path):
    read = read_images(npz(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4]))
    assert read.train.facts == ImageFacts(8, 9, 1, ("0", "1", "2"))
    assert np.array_equal(read.train.x[..., 0], X)
    assert np.array_equal(read.test.y, Y[:4])
    assert read.name == "a.npz"


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (X, (8, 9, 1)),
        (X.astype(np.int32), (8, 9, 1)),
        (X / 255, (8, 9, 1)),
        (X[..., None], (8, 9, 1)),
        (np.stack([X] * 3, axis=3), (8, 9, 3)),
        (np.stack([X] * 3, axis=1), (8, 9, 3)),
    ],
)
def test_npz_without_one(tmp_path, x, shape):
    read = read_images(npz(tmp_path / "a.npz", x=x, y=Y))
    assert read.test is None
    assert read.train.facts.shape == shape
    assert np.array_equal(read.train.x, np.broadcast_to(X[..., None], (12, *shape)))


def test_labels_in_words_and_declared_classes(tmp_path):
    words = np.array(["cat", "dog", "eel"])[Y]
    place = npz(tmp_path / "a.npz", x=X, y=words)
    assert read_images(place).train.classes == ("cat", "dog", "eel")
    read = read_images(place, classes=["eel", "dog", "cat", "newt"])
    assert read.train.classes == ("eel", "dog", "cat", "newt")
    assert read.train.y.tolist() == [2, 1, 0] * 4
    with pytest.raises(DataError, match="the label 'eel' is no class"):
        read_images(place, classes=["dog", "cat"])


def test_what_was_saved_is_read_again(tmp_path):
    for channels in (1, 3):
        data = made_up(channels=channels)
        data.save(tmp_path / "s.npz")
        again = read_images(tmp_path / "s.npz").train
        assert np.array_equal(again.x, data.x)
        assert np.array_equal(again.y, data.y)
        assert again.classes == data.classes


def test_attributes(tmp_path):
    rgb = np.stack([X] * 3, axis=3)
    attr = np.where(np.stack([Y == 0, Y == 1], axis=1), 1, -1)
    names = np.array(["Male", "Bald"])
    place = npz(tmp_path / "c.npz", x=rgb, attr=attr, attr_names=names)
    read = read_images(place, label="Bald").train
    assert read.classes == ("not Bald", "Bald")
    assert np.array_equal(read.y, Y == 1)
    with pytest.raises(ParameterError, match="such as --label Male"):
        read_images(place)
    with pytest.raises(ParameterError, match="did you mean 'Male'"):
        read_images(place, label="Mail")
    with pytest.raises(ParameterError, match="no attributes to choose from"):
        read_images(npz(tmp_path / "a.npz", x=X, y=Y), label="Male")


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, packed):
    ending, wrap = (".gz", gzip.compress) if packed else ("", bytes)
    for name, array in {
        "train-images-idx3-ubyte": X,
        "train-labels-idx1-ubyte": Y,
        "t10k-images-idx3-ubyte": X[:5],
        "t10k-labels-idx1-ubyte": Y[:5],
    }.items():
        (tmp_path / (name + ending)).write_bytes(wrap(idx(array)))
    read = read_images(tmp_path / f"train-images-idx3-ubyte{ending}")
    assert np.array_equal(read.train.x[..., 0], X)
    assert np.array_equal(read.test.x[..., 0], X[:5])
    assert np.array_equal(read.test.y, Y[:5])


def test_idx_that_is_damaged(tmp_path):
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    images.write_bytes(idx(X))
    with pytest.raises(DataError, match="its labels are missing"):
        read_images(images)
    labels.write_bytes(idx(Y[:-1]))
    with pytest.raises(DataError, match="12 images and 11 labels"):
        read_images(images)
    images.write_bytes(idx(X)[:-1])
    with pytest.raises(DataError, match="promises 864 bytes"):
        read_images(images)
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(idx(X))[:-9])
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(DataError, match=r"take an intact copy|labels are missing"):
        read_images(packed)


@pytest.mark.parametrize("rgb", [False, True])
def test_a_folder_of_folders(tmp_path, rgb):
    x = np.stack([X] * 3, axis=3) if rgb else X
    read = read_images(folder(tmp_path / "f", x))
    assert read.train.classes == ("class 0", "class 1", "class 2")
    order = np.argsort(Y, kind="stable")
    assert np.array_equal(read.train.x.reshape(x.shape), x[order])
    assert np.array_equal(read.train.y, Y[order])


def test_folders_train_and_test(tmp_path):
    folder(tmp_path / "f" / "train")
    folder(tmp_path / "f" / "test", X[:3], Y[:3])
    read = read_images(tmp_path / "f")
    assert len(read.train) == 12
    assert len(read.test) == 3


def test_a_folder_with_a_table(tmp_path):
    lines = ["filename,label,other"]
    for i, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'abb'[Y[i]]},{'xyz'[Y[i]]}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    read = read_images(tmp_path).train
    assert read.classes == ("a", "b")
    assert np.array_equal(read.y, Y > 0)
    assert np.array_equal(read.x[..., 0], X)
    assert read_images(tmp_path, label="other").train.classes == ("x", "y", "z")
    with pytest.raises(ParameterError, match="no such column"):
        read_images(tmp_path, label="colour")
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"1 images have no label, 11\.png"):
        read_images(tmp_path)
    table.write_text("\n".join([*lines, "99.png,a,x"]))
    with pytest.raises(DataError, match="line 14: there is no file"):
        read_images(tmp_path)
    table.write_text("\n".join([*lines, "0.png,a,x"]))
    with pytest.raises(DataError, match="stands twice"):
        read_images(tmp_path)


def test_a_class_with_one_image_is_fine(tmp_path):
    read = read_images(folder(tmp_path / "f", X, np.array([0] * 11 + [1])))
    assert np.bincount(read.train.y).tolist() == [11, 1]


def test_folders_that_are_damaged(tmp_path):
    root = folder(tmp_path / "f")
    Image.fromarray(X[0, :, :8]).save(root / "class 1" / "zz.png")
    with pytest.raises(DataError, match=r"zz.png: 8 x 8 pixels, and .*000.png has 8 x 9"):
        read_images(root)
    (root / "class 1" / "zz.png").write_bytes((root / "class 1" / "001.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"zz.png: cannot be read as an image"):
        read_images(root)
    with pytest.raises(DataError, match="neither subfolders"):
        (tmp_path / "empty").mkdir()
        read_images(tmp_path / "empty")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X, "y": Y[:5]}, "12 images and 5 labels"),
        ({"x": X, "y": Y - 1}, "labels from -1 to 1"),
        ({"x": X, "y": Y + 5000}, "labels from 5000 to 5002"),
        ({"x": X, "y": Y / 2}, "labels are float64"),
        ({"x": X, "y": np.stack([Y, Y])}, "labels are int64 of shape"),
        ({"x": X}, "images but no labels"),
        ({"z": X}, "it holds 'z'"),
        ({"x": X[:0], "y": Y[:0]}, "there are no images"),
        ({"x": np.where(X > 3, X / 255, np.nan), "y": Y}, "hold NaN or infinity"),
        ({"x": X.astype(float), "y": Y}, "give fractions in 0 to 1"),
        ({"x": X.astype(int) - 9, "y": Y}, "give whole numbers in 0 to 255"),
        ({"x": X[:, 0], "y": Y}, "shape"),
        ({"x": np.zeros((12, 8, 8, 2), np.uint8), "y": Y}, "shape"),
        ({"x": X.astype("U3"), "y": Y}, "pixels of type"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :, :8], "y_test": Y}, "of one size"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, words):
    with pytest.raises(DataError, match=words):
        read_images(npz(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("side", [7, 65])
def test_sizes_have_bounds(tmp_path, side):
    x = np.zeros((3, side, side), np.uint8)
    with pytest.raises(ParameterError, match="8 x 8 to 64 x 64"):
        read_images(npz(tmp_path / "a.npz", x=x, y=np.arange(3)))


def test_objects_and_damage_are_refused(tmp_path):
    place = tmp_path / "a.npz"
    ragged = np.empty(2, object)
    ragged[:] = [X[0], X[1, :4]]
    np.savez(place, x=ragged, y=Y[:2], allow_pickle=True)
    with pytest.raises(DataError, match="intact npz file of plain arrays"):
        read_images(place)
    whole = npz(tmp_path / "b.npz", x=X, y=Y).read_bytes()
    place.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="intact npz"):
        read_images(place)
    with pytest.raises(DataError, match="there is no such file"):
        read_images(tmp_path / "c.npz")
    (tmp_path / "d.txt").write_text("hello")
    with pytest.raises(DataError, match="neither an npz nor an IDX"):
        read_images(tmp_path / "d.txt")


def test_facts_are_checked_and_kept():
    facts = ImageFacts(28, 20, 3, ("a", "b"), 100)
    assert ImageFacts.from_json(facts.to_json()) == facts
    assert (facts.shape, facts.pixels) == ((28, 20, 3), 1680)
    for wrong in (
        (28, 20, 2, ("a",)),
        (28, 20, 1, ()),
        (28, 20, 1, ("a", "a")),
        (5, 20, 1, ("a",)),
    ):
        with pytest.raises(ParameterError):
            ImageFacts(*wrong)


def test_data_is_checked():
    with pytest.raises(DataError, match="labels run from 0 to 2"):
        ImageData(X[..., None], Y, ("a", "b"))
    with pytest.raises(DataError, match="pixels are"):
        ImageData(X, Y, ("a", "b", "c"))


def test_fingerprints_tell_contents_apart():
    data = made_up()
    other = data.x.copy()
    other[3, 2, 1, 0] ^= 1
    assert data.fingerprint() == made_up().fingerprint()
    assert data.fingerprint() != ImageData(other, data.y, data.classes).fingerprint()


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_shared_sets():
    mnist = read_images(SHARED / "mnist.npz")
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.facts.shape == (28, 28, 1)
    faces = read_images(SHARED / "celeba_10k_32.npz", label="Male").train
    assert faces.facts == ImageFacts(32, 32, 3, ("not Male", "Male"))
