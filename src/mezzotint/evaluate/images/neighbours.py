"""The nearest training images: whether a generator remembers what it was fitted to.

Under the guarantee it cannot remember much; here one sees it. Real test images, which the generator
never saw, are the yardstick: synthetic images should lie no nearer to the training images than
they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.images.features import pixels
from mezzotint.evaluate.images.manifold import squared_distances
from mezzotint.images.data import ImageData

_CHUNK = 200
MOST = 2000
PER_CLASS = 2
MOST_SHOWN = 20


@dataclass(frozen=True)
class Pair:
    """A synthetic image and the training image that is nearest to it. Private.

    Attributes:
        synthetic: uint8 (height, width, channels).
        real: likewise: a private image.
        label: of the synthetic image.
        distance: root mean square difference of the pixels, in 0 to 1.
    """

    synthetic: np.ndarray
    real: np.ndarray
    label: int
    distance: float


@dataclass(frozen=True)
class Neighbours:
    """How near synthetic images lie to the training images.

    Attributes:
        pairs: a few of each class, as they come.
        synthetic: median distance of a synthetic image to its nearest training image, as in `Pair`.
        test: the same for real test images.
        nearer: share of the synthetic images that lie nearer than a hundredth of the test images
            do; about .01 for images that remember nothing.
        private: computed on private data, hence not to be published.
    """

    pairs: tuple[Pair, ...]
    synthetic: float
    test: float
    nearer: float
    private: bool = True


def nearest(synthetic: ImageData, train: ImageData, test: ImageData) -> Neighbours:
    """Look for the nearest training images, by pixels.

    Guarantee: none; it shows private images.
    Private: ``train``, ``test``. Public: ``synthetic``.
    """
    reference = pixels(train.x)
    few = synthetic.take(slice(0, MOST))
    ours, where = _nearest(pixels(few.x), reference)
    theirs, _ = _nearest(pixels(test.x[:MOST]), reference)
    shown = [
        place
        for label in range(min(len(few.classes), MOST_SHOWN // PER_CLASS))
        for place in np.flatnonzero(few.y == label)[:PER_CLASS]
    ]
    return Neighbours(
        pairs=tuple(
            Pair(few.x[i], train.x[where[i]], int(few.y[i]), float(ours[i])) for i in shown
        ),
        synthetic=float(np.median(ours)),
        test=float(np.median(theirs)),
        nearer=float((ours < np.quantile(theirs, 0.01)).mean()),
    )


def _nearest(points: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square distance to the nearest reference point, and which one it is."""
    best, where = np.empty(len(points)), np.empty(len(points), np.int64)
    for start in range(0, len(points), _CHUNK):
        part = points[start : start + _CHUNK]
        distances = squared_distances(part, reference)
        place = distances.argmin(1)
        where[start : start + len(part)] = place
        # The expansion cancels for near copies; the winner's distance is worked out again.
        exact = ((part - reference[place]) ** 2).mean(1, dtype=np.float64)
        best[start : start + len(part)] = np.sqrt(exact)
    return best, where
