"""Small private worlds, and neighbours with extreme pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mezzotint.images.data import ImageData

SHAPES = (8, 8, 1), (9, 13, 1), (12, 10, 3)


def images(n: int, shape: tuple[int, ...], classes: int, seed: int) -> ImageData:
    """Images of noise and of extremes, some of them constant."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    kind = rng.integers(0, 4, n)
    x[kind == 0] = 0
    x[kind == 1] = 255
    x[kind == 2] = np.where(x[kind == 2] > 127, 255, 0)
    return ImageData(x, rng.integers(0, classes, n), tuple(map(str, range(classes))), "world")


def striped(n: int, shape: tuple[int, ...], classes: int, seed: int = 0) -> ImageData:
    """Classes that differ: a bright bar at a place of the class's own, and noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.integers(0, 60, (n, *shape), dtype=np.uint8)
    for i, label in enumerate(y):
        row = label * shape[0] // classes
        x[i, row : row + 2] += np.uint8(150)
    return ImageData(x, y, tuple(map(str, range(classes))), "stripes")


def with_record(data: ImageData, place: int, pixels: np.ndarray, label: int) -> ImageData:
    """The neighbour that has one image more, at a place."""
    return ImageData(
        np.insert(data.x, place, pixels, axis=0),
        np.insert(data.y, place, label),
        data.classes,
        data.name,
    )


@st.composite
def neighbours(draw, most: int = 40):
    """A data set, the same with one image more, and that image alone."""
    shape = draw(st.sampled_from(SHAPES))
    classes = draw(st.integers(1, 4))
    data = images(draw(st.integers(0, most)), shape, classes, draw(st.integers(0, 10**6)))
    kind = draw(st.sampled_from(["black", "white", "noise", "check", "dot"]))
    pixels = np.zeros(shape, np.uint8)
    if kind == "white":
        pixels[:] = 255
    elif kind == "noise":
        pixels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape)
        pixels = pixels.astype(np.uint8)
    elif kind == "check":
        pixels[::2, ::2] = pixels[1::2, 1::2] = 255
    elif kind == "dot":
        pixels[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = 255
    label = draw(st.integers(0, classes - 1))
    place = draw(st.integers(0, len(data)))
    alone = ImageData(pixels[None], np.array([label]), data.classes, "alone")
    return data, with_record(data, place, pixels, label), alone


def norm_squared(arrays) -> int:
    """The squared norm of integer arrays together, exact."""
    return sum(int(v) ** 2 for array in arrays for v in array[array != 0].ravel().tolist())
