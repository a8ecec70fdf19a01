"""Judging synthetic images: everything that stands in the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from mezzotint.errors import DataError
from mezzotint.evaluate.images.distances import frechet_distance, kernel_distance
from mezzotint.evaluate.images.features import (
    Inception,
    LeNet,
    pixels,
    random_convolutions,
)
from mezzotint.evaluate.images.manifold import NEIGHBOURS, manifold
from mezzotint.evaluate.images.neighbours import nearest
from mezzotint.evaluate.images.recipes import LENET, RECIPES
from mezzotint.evaluate.images.report import Distance, ImageReport, Overlap
from mezzotint.evaluate.images.transfer import SEEDS, transfer
from mezzotint.images.data import ImageData, Images
from mezzotint.images.sheets import sheet
from mezzotint.privacy.statement import Statement

MOST_POINTS = 5000
"""The most images of each kind whose neighbourhoods are compared."""
MOST_FEATURES = 10_000
"""The most images of each kind whose features' distributions are compared."""
_HELD_OUT = 5
_LEAST = 2 * (NEIGHBOURS + 1)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class _Parts:
    """Real images by their roles; all private.

    `held_out` trains the LeNet, `reference` is what distributions are compared with, `test` is what
    neither a generator nor a classifier was trained on.
    """

    train: ImageData
    held_out: ImageData
    reference: ImageData
    test: ImageData
    note: str | None


def evaluate_images(
    synthetic: ImageData,
    real: Images,
    *,
    statements: Sequence[Statement] = (),
    seeds: int = SEEDS,
    quick: bool = False,
    ceilings: bool = True,
    inception: Path | None = None,
    title: str | None = None,
    progress: Progress = lambda stage, share: None,
) -> ImageReport:
    """Compare synthetic images with real ones.

    Guarantee: none: exact figures and pictures of private images, each marked ``private``.
    Private: ``real``. Public: ``synthetic``, ``statements``.

    Args:
        synthetic: from any tool.
        real: the real images; without a test part, every fifth image is taken for one.
        statements: the privacy statements that came with the synthetic images.
        seeds: how often each classifier is trained.
        quick: an eighth of the training, one seed, fewer images: for a first look.
        ceilings: whether classifiers are trained on real images too.
        inception: a TorchScript file of the network of the standard FID.
        title: the page's title.
        progress: told what is done, and which share of it.

    Raises:
        DataError: if sizes or classes differ, or there are too few images.
    """
    require_comparable(synthetic, real)
    parts = _divided(real)
    recipes = tuple(r.quick() for r in RECIPES) if quick else RECIPES
    notes = [] if parts.note is None else [parts.note]
    if quick:
        notes.append(
            "Quick: an eighth of the training and a single seed. Accuracies are lower than they "
            "would be; take the full evaluation for anything that is quoted."
        )
    transfers = transfer(
        synthetic,
        parts.train,
        parts.test,
        recipes=recipes,
        seeds=1 if quick else seeds,
        ceilings=ceilings,
        progress=progress,
    )
    progress("comparing neighbourhoods", 0.0)
    overlaps = _overlaps(synthetic, parts, 1000 if quick else MOST_POINTS)
    progress("training a LeNet", 0.0)
    lenet = LeNet.trained_on(parts.held_out, LENET.quick() if quick else LENET)
    spaces: list[tuple[str, LeNet | Inception]] = [("LeNet", lenet)]
    if inception is not None:
        spaces.append(("Inception", Inception(inception)))
    distances = []
    for name, network in spaces:
        progress(f"comparing features of {name}", 0.0)
        distances.append(_distance(name, network, synthetic, parts))
    progress("looking for the nearest training images", 0.0)
    return ImageReport(
        title=title or "Synthetic images",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=_version(),
        facts=synthetic.facts,
        synthetic_images=len(synthetic),
        train_images=len(parts.train),
        test_images=len(parts.test),
        statements=tuple(statements),
        transfers=transfers,
        overlaps=overlaps,
        distances=tuple(distances),
        neighbours=nearest(synthetic, parts.train, parts.test),
        sheet=sheet(synthetic),
        real_sheet=sheet(parts.train),
        notes=tuple(notes),
    )


def require_comparable(synthetic: ImageData, real: Images) -> None:
    """Refuse sets that cannot be compared.

    Raises:
        DataError: if they differ in size, colours or number of classes, or are too small.
    """
    ours, theirs = synthetic.facts, real.train.facts
    if ours.shape != theirs.shape:
        raise DataError(
            f"{synthetic.name}: images of {_size(ours.shape)}, and {real.name} has "
            f"{_size(theirs.shape)}; compare images of one size"
        )
    if len(ours.classes) != len(theirs.classes) and not set(np.unique(synthetic.y)) <= set(
        range(len(theirs.classes))
    ):
        raise DataError(
            f"{synthetic.name}: {len(ours.classes)} classes, and {real.name} has "
            f"{len(theirs.classes)}; give both the same classes"
        )
    for data in (synthetic, real.train, *([] if real.test is None else [real.test])):
        if len(data) < _LEAST:
            raise DataError(
                f"{data.name}: {len(data)} images are too few to compare; give at least {_LEAST}"
            )


def _divided(real: Images) -> _Parts:
    train, test, note = real.train, real.test, None
    if test is None:
        tested = np.arange(len(train)) % 5 == 4
        train, test = train.take(~tested), train.take(tested)
        note = (
            "The real images have no test part, so every fifth was taken for one. If the synthetic "
            "images were fitted to all of them, accuracies and distances flatter."
        )
    held = np.arange(len(train)) % _HELD_OUT == _HELD_OUT - 1
    return _Parts(train, train.take(held), train.take(~held), test, note)


def _overlaps(synthetic: ImageData, parts: _Parts, most: int) -> tuple[Overlap, ...]:
    spaces = (("pixels", pixels), ("random convolutions", random_convolutions))
    many = min(most, len(synthetic), len(parts.test))
    sets = (parts.reference.x, synthetic.x, parts.test.x)
    found = []
    for name, features in spaces:
        real, ours, test = (
            features(_some(x, n)) for x, n in zip(sets, (most, many, many), strict=True)
        )
        found.append(Overlap(name, manifold(real, ours), manifold(real, test)))
    return tuple(found)


def _distance(
    name: str, network: LeNet | Inception, synthetic: ImageData, parts: _Parts
) -> Distance:
    many = min(MOST_FEATURES, len(synthetic), len(parts.test))
    counts = (many, MOST_FEATURES, many)
    sets = (synthetic.x, parts.reference.x, parts.test.x)
    ours, real, test = (network.features(_some(x, n)) for x, n in zip(sets, counts, strict=True))
    return Distance(
        space=name,
        checksum=network.checksum,
        frechet=frechet_distance(ours, real),
        frechet_floor=frechet_distance(test, real),
        kernel=kernel_distance(ours, real),
        kernel_floor=kernel_distance(test, real),
        images=(len(ours), len(real), len(test)),
    )


def _some(x: np.ndarray, most: int) -> np.ndarray:
    """At most so many images, spread evenly, so that every class is there however they lie."""
    if len(x) <= most:
        return x
    return x[np.linspace(0, len(x) - 1, most).astype(np.int64)]


def _size(shape: tuple[int, int, int]) -> str:
    return f"{shape[0]} x {shape[1]} pixels and {shape[2]} channel" + ("s" if shape[2] > 1 else "")


def _version() -> str:
    try:
        return version("mezzotint")
    except PackageNotFoundError:
        return "unknown"
