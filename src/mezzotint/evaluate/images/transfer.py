"""Train on synthetic images, test on real ones; the same classifiers trained on real ones beside.

The measure by which the field compares private image generators. The ceiling (the same classifier,
the same number of steps, on the real training images) says how much of a shortfall is the
classifier's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.images.recipes import RECIPES, Recipe, trained
from mezzotint.images.data import ImageData

SEEDS = 3


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on real test images, over several seeds of the training.

    Attributes:
        runs: one accuracy a seed.
        by_class: mean accuracy on the test images of each class; NaN where a class has none.
    """

    runs: tuple[float, ...]
    by_class: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.runs))

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; NaN for one seed."""
        return float(np.std(self.runs, ddof=1)) if len(self.runs) > 1 else float("nan")


@dataclass(frozen=True)
class Transfer:
    """What a classifier learnt from synthetic images, beside what it learns from real ones.

    Attributes:
        classifier: its name.
        synthetic: trained on synthetic images.
        real: trained on the real training images: the ceiling; None where it was left out.
        private: computed on private data, hence not to be published.
    """

    classifier: str
    synthetic: Accuracy
    real: Accuracy | None
    private: bool = True


def accuracy(recipe: Recipe, train: ImageData, test: ImageData, seeds: int = SEEDS) -> Accuracy:
    """Train on one set, test on another, `seeds` times.

    Private and public: private, if either set is.
    """
    runs, by_class = [], []
    for seed in range(seeds):
        right = trained(recipe, train, seed).predict(test.x) == test.y
        runs.append(float(right.mean()))
        many = np.bincount(test.y, minlength=len(test.classes))
        hits = np.bincount(test.y, weights=right, minlength=len(test.classes))
        by_class.append(np.divide(hits, many, out=np.full(len(many), np.nan), where=many > 0))
    return Accuracy(tuple(runs), tuple(np.mean(by_class, axis=0).tolist()))


def transfer(
    synthetic: ImageData,
    train: ImageData,
    test: ImageData,
    *,
    recipes: Sequence[Recipe] = RECIPES,
    seeds: int = SEEDS,
    ceilings: bool = True,
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> tuple[Transfer, ...]:
    """Every classifier on synthetic and on real images.

    Guarantee: none; exact figures of private test images.
    Private: ``train``, ``test``. Public: ``synthetic``.

    Args:
        synthetic: what is judged.
        train: real images, for the ceilings.
        test: real images that took no part in making the synthetic ones.
        recipes: which classifiers.
        seeds: how often each is trained.
        ceilings: whether to train on real images as well.
        progress: told what is trained, and the share of all that is done.
    """
    done, found = 0, []
    whole = len(recipes) * (2 if ceilings else 1)
    for recipe in recipes:
        sets = [(synthetic, "synthetic")] + ([(train, "real")] if ceilings else [])
        scores: list[Accuracy | None] = [None, None]
        for place, (data, which) in enumerate(sets):
            progress(f"{recipe.name} on {which} images", done / whole)
            scores[place] = accuracy(recipe, data, test, seeds)
            done += 1
        assert scores[0] is not None
        found.append(Transfer(recipe.name, scores[0], scores[1]))
    return tuple(found)
