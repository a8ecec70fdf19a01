"""The report on synthetic images, as data.

Figures and pictures that come from real images are exact and without noise: outside of the
guarantee, marked ``private``, for the images' owner only. Grids of synthetic images, the statement
and the ledger may be published.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.evaluate.images.distances import KernelDistance
from mezzotint.evaluate.images.manifold import Manifold
from mezzotint.evaluate.images.neighbours import Neighbours
from mezzotint.evaluate.images.transfer import Transfer
from mezzotint.images.data import ImageFacts
from mezzotint.privacy.statement import Statement

FORMAT = 1


@dataclass(frozen=True)
class Distance:
    """How far synthetic images lie from real ones in one space of features.

    Attributes:
        space: "LeNet" or "Inception".
        checksum: of the network, first 16 hexadecimal digits of SHA-256.
        frechet: Frechet distance to the real training images.
        frechet_floor: that of as many real test images.
        kernel: kernel distance to the real training images.
        kernel_floor: that of as many real test images.
        images: how many images stood on either side: synthetic, real, test.
        private: computed on private data, hence not to be published.
    """

    space: str
    checksum: str
    frechet: float
    frechet_floor: float
    kernel: KernelDistance
    kernel_floor: KernelDistance
    images: tuple[int, int, int]
    private: bool = True


@dataclass(frozen=True)
class Overlap:
    """Precision, recall, density and coverage in one space.

    Attributes:
        space: "pixels" or "random convolutions".
        synthetic: of the synthetic images.
        floor: of as many real test images in their place: what two draws of the same give.
        private: computed on private data, hence not to be published.
    """

    space: str
    synthetic: Manifold
    floor: Manifold
    private: bool = True


@dataclass(frozen=True)
class ImageReport:
    """Everything that an evaluation of synthetic images found.

    Attributes:
        title: the page's title.
        created: when, ISO 8601 in UTC.
        version: of Mezzotint.
        facts: shape and classes.
        synthetic_images: how many were judged.
        train_images: real images in training sets, and
        test_images: in test sets; both private.
        statements: the privacy statements that came with the images, if any.
        transfers: trained on synthetic, tested on real.
        overlaps: precision, recall, density, coverage.
        distances: LeNet-FID and its kernel distance, and Inception's where weights were given.
        neighbours: the nearest training images.
        sheet: synthetic images, one row a class, uint8 (height, width, channels); public.
        real_sheet: real training images likewise; private.
        notes: what a reader must know.
        private: it holds figures and pictures of private images.
    """

    title: str
    created: str
    version: str
    facts: ImageFacts
    synthetic_images: int
    train_images: int
    test_images: int
    statements: tuple[Statement, ...]
    transfers: tuple[Transfer, ...]
    overlaps: tuple[Overlap, ...]
    distances: tuple[Distance, ...]
    neighbours: Neighbours
    sheet: np.ndarray
    real_sheet: np.ndarray
    notes: tuple[str, ...]
    private: bool = True

    @property
    def accuracy(self) -> Transfer:
        """The last classifier's: the CNN, which the literature quotes."""
        return self.transfers[-1]

    def html(self) -> str:
        """The report as one self-contained page."""
        from mezzotint.evaluate.images.page import render

        return render(self)

    def figures(self) -> dict[str, Any]:
        """All figures as plain JSON values, without pictures."""
        plain = _plain(self)
        del plain["sheet"], plain["real_sheet"]
        for transfer, source in zip(plain["transfers"], self.transfers, strict=True):
            for name in ("synthetic", "real"):
                scores = getattr(source, name)
                if scores is not None:
                    transfer[name] |= {
                        "mean": scores.mean,
                        "spread": scores.spread if isfinite(scores.spread) else None,
                    }
        del plain["neighbours"]["pairs"]
        return {"format": FORMAT} | plain

    def write(self, path: Path) -> None:
        """Write the page, or the figures if the path ends in ``.json``; whole or not at all.

        Only the owner may read the file, for it holds private figures and pictures.
        """
        from mezzotint.sources.writing import replacing

        as_json = path.suffix.lower() == ".json"
        text = json.dumps(self.figures(), ensure_ascii=False) if as_json else self.html()
        with replacing(path) as file:
            Path(file.name).chmod(0o600)
            file.write(text.encode())


def _plain(value: Any) -> Any:
    match value:
        case Statement():
            plain = value.to_json()
        case np.ndarray() | np.generic():
            plain = None if getattr(value, "ndim", 0) > 1 else _plain(value.tolist())
        case Mapping():
            plain = {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            plain = [_plain(item) for item in value]
        case float():
            plain = value if isfinite(value) else None
        case _ if dataclasses.is_dataclass(value):
            plain = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            plain = value
    return plain
