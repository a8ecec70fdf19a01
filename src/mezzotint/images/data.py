"""Labelled images in memory, and what is public about them.

    ImageFacts   public: height, width, channels, classes, the declared number of images
    ImageData    private: pixels, labels, how many there are

Public is what the user declares by naming a data set for fitting: the images' shape and the list of
classes. Under add/remove adjacency the number of images is not public, unless it is declared
(`population`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from mezzotint.errors import DataError, ParameterError
from mezzotint.privacy.checks import check_count

SMALLEST, LARGEST = 8, 64
MOST_CLASSES = 1000


@dataclass(frozen=True)
class ImageFacts:
    """What is public about a data set of images.

    Attributes:
        height: pixels, 8 to 64.
        width: pixels, 8 to 64.
        channels: 1 (grey) or 3 (red, green, blue).
        classes: the classes' names; a label is an index into them.
        population: about how many images there are, as declared by the user or bought from the
            data with a part of the budget; None while nobody knows.
    """

    height: int
    width: int
    channels: int
    classes: tuple[str, ...]
    population: int | None = None

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            size = check_count(getattr(self, name), 1, name, "a number of pixels")
            if not SMALLEST <= size <= LARGEST:
                raise ParameterError(
                    f"{name} = {size}: images of {SMALLEST} to {LARGEST} pixels a side can be "
                    "fitted; scale them first"
                )
        if self.channels not in (1, 3):
            raise ParameterError(
                f"channels = {self.channels!r}: give grey images (1 channel) or RGB (3)"
            )
        if not 1 <= len(self.classes) <= MOST_CLASSES:
            raise ParameterError(
                f"there are {len(self.classes)} classes: give between 1 and {MOST_CLASSES}"
            )
        twice = {c for c in self.classes if self.classes.count(c) > 1}
        if twice:
            raise ParameterError(f"the class {min(twice)!r} stands twice: give each class once")
        if self.population is not None:
            check_count(self.population, 1, "population", "about how many images there are")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, self.channels

    @property
    def pixels(self) -> int:
        """Numbers in an image: height * width * channels."""
        return self.height * self.width * self.channels

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "classes": list(self.classes),
            "population": self.population,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(
            data["height"],
            data["width"],
            data["channels"],
            tuple(str(name) for name in data["classes"]),
            data["population"],
        )


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images of one size. Pixels, labels and how many there are may be private.

    Attributes:
        x: uint8, shape (n, height, width, channels), channels 1 or 3.
        y: int64, shape (n,), indices into `classes`.
        classes: the classes' names; public.
        name: what to call the data set in messages and in the ledger; public.
    """

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    name: str = "images"
    population: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if x.dtype != np.uint8 or x.ndim != 4 or y.dtype != np.int64 or y.ndim != 1:
            raise DataError(
                f"{self.name}: pixels are {x.dtype} {x.shape} and labels {y.dtype} {y.shape}; give "
                "uint8 (n, height, width, channels) and int64 (n,), or read them by read_images"
            )
        if len(x) != len(y):
            raise DataError(
                f"{self.name}: there are {len(x):,} images and {len(y):,} labels; give one label "
                "an image"
            )
        if len(y) and not (y.min() >= 0 and y.max() < len(self.classes)):
            raise DataError(
                f"{self.name}: labels run from {y.min()} to {y.max()}, and there are "
                f"{len(self.classes)} classes; give labels from 0 to {len(self.classes) - 1}"
            )
        _ = self.facts  # refuses shapes and classes that cannot be fitted

    @property
    def facts(self) -> ImageFacts:
        """What is public."""
        height, width, channels = self.x.shape[1:]
        return ImageFacts(height, width, channels, self.classes, self.population)

    def __len__(self) -> int:
        """How many images there are; private."""
        return len(self.x)

    def take(self, index: Any) -> ImageData:
        """The images at these places; indices, a slice or a mask."""
        return ImageData(self.x[index], self.y[index], self.classes, self.name)

    def fingerprint(self) -> bytes:
        """SHA-256 of pixels and labels, so that a renamed copy draws on the same budget.

        Private and public: private; the ledger keeps a keyed hash of it only.
        """
        digest = hashlib.sha256(repr((self.x.shape, self.classes)).encode())
        digest.update(self.x.tobytes())
        digest.update(self.y.tobytes())
        return digest.digest()

    def save(self, path: str | Path) -> None:
        """Write an npz file with x (uint8; grey images as (n, height, width)), y, class_names."""
        from mezzotint.sources.writing import replacing

        x = self.x[..., 0] if self.x.shape[3] == 1 else self.x
        with replacing(Path(path)) as file:
            np.savez_compressed(file, x=x, y=self.y, class_names=np.array(self.classes))


@dataclass(frozen=True)
class Images:
    """A data set as it was read: images to fit, and images that are kept for testing, if any.

    Attributes:
        train: what a fit may see.
        test: what only an evaluation may see; None if the data set has no such part.
    """

    train: ImageData
    test: ImageData | None = None

    @property
    def name(self) -> str:
        """What to call the data set."""
        return self.train.name
