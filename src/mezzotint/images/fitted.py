"""Fitted images: the generator, the public facts, and the privacy statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.generator import Generator
from mezzotint.privacy.statement import Statement
from mezzotint.schema.suggest import did_you_mean

CHUNK = 500
"""The most images that a generator draws at once."""

Labels = Sequence[int] | Sequence[str] | np.ndarray | int | str | None


@dataclass(frozen=True)
class FittedImages:
    """What may leave the building. Everything here is public.

    Attributes:
        facts: shape, classes, and the number of images as declared or bought.
        generator: draws images.
        privacy: what is guaranteed, and the releases it rests on.
        shares: how frequent each class is, float64 of shape (classes,), summing to 1; from a
            noisy release, or uniform where none was bought.
        settings: the method's settings, as plain JSON values.
        bought: the statement of the run that bought the number of images, if there was one. Its
            epsilon and delta are part of `epsilon` and `delta`.
    """

    facts: ImageFacts
    generator: Generator
    privacy: Statement
    shares: np.ndarray
    settings: dict[str, Any]
    bought: Statement | None = None

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Every run that the model rests on, in order."""
        return (self.privacy,) if self.bought is None else (self.bought, self.privacy)

    @property
    def epsilon(self) -> float:
        """The guarantee of the whole: epsilons of the runs add up (basic composition)."""
        return sum(statement.epsilon for statement in self.statements)

    @property
    def delta(self) -> float:
        """The guarantee of the whole: deltas of the runs add up (basic composition)."""
        return sum(statement.delta for statement in self.statements)

    @property
    def private(self) -> bool:
        """False if noise was switched off or fixed for a test: nothing is guaranteed then."""
        return all(statement.private for statement in self.statements)

    def sentence(self) -> str:
        """The guarantee in plain words."""
        if self.bought is None or not self.private:
            return self.privacy.sentence()
        return (
            f"{self.privacy.sentence()} About how many images there are was bought before, for "
            f"epsilon {self.bought.epsilon:g} and delta {self.bought.delta:g}; both together are "
            f"({self.epsilon:g}, {self.delta:g})-differentially private."
        )

    def sample(
        self,
        n: int | None = None,
        labels: Labels = None,
        *,
        random_state: int | None = None,
    ) -> ImageData:
        """Draw synthetic images. Spends nothing.

        Args:
            n: how many; by default as many as there are labels, or ten of each class.
            labels: of which classes: one class (its name or number) for all, or one for each
                image. By default classes come as often as `shares` says, to within one image.
            random_state: makes the images repeatable. It touches post-processing only.

        Returns:
            Pixels uint8 (n, height, width, channels), labels int64 (n,): both public.

        Raises:
            ParameterError: for an unknown class, or if n and the number of labels differ.
        """
        rng = np.random.default_rng(random_state)
        y = self._labels(n, labels, rng)
        x = np.empty((len(y), *self.facts.shape), np.uint8)
        for start in range(0, len(y), CHUNK):
            part = slice(start, start + CHUNK)
            x[part] = self.generator.draw(y[part], int(rng.integers(2**31)))
        return ImageData(x, y, self.facts.classes, f"synthetic {self.privacy.dataset}")

    def save(self, path: str | Path) -> None:
        """Write a model file: a zip of JSON and safetensors, whole or not at all."""
        from mezzotint.images.model_file import write_images

        write_images(self, Path(path))

    def _labels(self, n: int | None, labels: Labels, rng: np.random.Generator) -> np.ndarray:
        if n is not None and (isinstance(n, bool) or not isinstance(n, Integral) or n < 0):
            raise ParameterError(f"n = {n!r}: give a whole number of images >= 0")
        many = 10 * len(self.facts.classes) if n is None else int(n)
        if labels is None:
            return rng.permutation(apportion(self.shares, many, rng))
        if isinstance(labels, str | int | np.integer):
            return np.full(many, self._class(labels), np.int64)
        numbers = np.array([self._class(label) for label in labels], np.int64)
        if n is not None and len(numbers) != n:
            raise ParameterError(
                f"n = {n}, and there are {len(numbers)} labels: give one label an image, or leave "
                "n out"
            )
        return numbers

    def _class(self, label: Any) -> int:
        names = self.facts.classes
        if isinstance(label, str):
            if label in names:
                return names.index(label)
            raise ParameterError(f"label {label!r} is no class{did_you_mean(label, names)}")
        whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
        if whole and 0 <= label < len(names):
            return int(label)
        raise ParameterError(
            f"label {label!r} is no class: give a number from 0 to {len(names) - 1}, or a name"
        )


def apportion(shares: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Labels in these shares, each class within one of its exact number; sorted."""
    exact = shares * n
    whole = np.floor(exact).astype(np.int64)
    left = exact - whole
    missing = n - int(whole.sum())
    if missing:
        chosen = rng.choice(len(shares), missing, replace=False, p=left / left.sum())
        whole[chosen] += 1
    return np.repeat(np.arange(len(shares), dtype=np.int64), whole)
