"""A linear classifier on whitened scattering features, by noisy gradient descent on all images.

Every step is one Gaussian release: the sum over records of the gradient, which is the outer product
of two integer vectors, the features and the clipped residual, and so has norm at most `UNIT`.

References:
    Tramer, Boneh. Differentially Private Learning Needs Better Features. ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mezzotint.images.integers import (
    BALL,
    UNIT,
    Block,
    chunks,
    cross_sums,
    into_ball,
    product,
    release,
    rounded,
)
from mezzotint.images.oneshot.features import Whitening, whiten
from mezzotint.privacy.run import Run

_CLIP = 1.0
# The learning rate where noise in the mean gradient is below the second number; above that it falls
# with the root.
_RATE, _QUIET = 30.0, 1e-3
_MOMENTUM = 0.9


def gradient_blocks(size: int, classes: int) -> tuple[Block, ...]:
    """What one record adds to a step."""
    return (Block("gradient of the teacher", (size, classes), UNIT),)


def gradient_sums(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The exact sum of clipped gradients of the cross-entropy. Private.

    Args:
        features: int16 of shape (n, size), rows within `BALL`.
        labels: int64 of shape (n,).
        weights: float64 of shape (size, K), public.

    Returns:
        int64 of shape (size, K): grid steps of `_CLIP / UNIT`.
    """
    size, classes = weights.shape
    total = np.zeros((size, classes), np.int64)
    whole, step = rounded(weights, BALL)
    for part in chunks(len(features)):
        rows = features[part].astype(np.float64)
        logits = product(rows, whole, step / BALL)
        # Column by column, so that no record's rounding depends on its company.
        top = logits.max(axis=1, initial=-np.inf, keepdims=True)
        scores = np.exp(np.maximum(logits - top, -700.0))
        chances = scores / scores.sum(axis=1, keepdims=True)
        residual = chances - (labels[part, None] == np.arange(classes))
        total += cross_sums(rows, into_ball(residual, _CLIP))
    return total


class Descent:
    """Heavy-ball descent on the noised gradients: post-processing.

    Args:
        size: features.
        classes: K.
        total: about how many images there are.
        sigma: noise multiplier of a step.

    Attributes:
        weights: float64 of shape (size, K).
    """

    def __init__(self, size: int, classes: int, total: float, sigma: float) -> None:
        self.weights = np.zeros((size, classes))
        self._speed = np.zeros((size, classes))
        self._total = total
        self._rate = _RATE * min(1.0, (_QUIET * total / sigma) ** 0.5)

    def step(self, noised: np.ndarray) -> None:
        """Go on by one noised gradient sum."""
        gradient = noised * (_CLIP / UNIT / self._total)
        self._speed = _MOMENTUM * self._speed + gradient
        self.weights = self.weights - self._rate * self._speed


def taught(
    private: np.ndarray,
    labels: np.ndarray,
    whitening: Whitening,
    *,
    run: Run,
    first: int,
    about: Sequence[str],
    sigma: float,
    total: float,
    classes: int,
    done: Callable[[int], None],
) -> np.ndarray:
    """Whiten the features and descend by one release a step.

    Guarantee: one Gaussian of multiplier `sigma` a step, under add/remove of one record.
    Sensitivity: `gradient_blocks`.
    Private and public: features and labels are private; all else is public, and so is the result.

    Args:
        private: centred integer features of shape (n, size); overwritten by whitened ones.
        labels: int64 of shape (n,).
        whitening: a released one.
        run: where the steps are booked,
        first: from this event on,
        about: in these words, one a step.
        sigma: noise multiplier of a step.
        total: about how many images there are, as released.
        classes: K.
        done: told each event before it happens.

    Returns:
        The weights on whitened features: float64 of shape (size, K).
    """
    size = private.shape[1]
    whiten(private, whitening)
    blocks = gradient_blocks(size, classes)
    descent = Descent(size, classes, total, sigma)
    for event, words in enumerate(about, first):
        done(event)
        sums = [gradient_sums(private, labels, descent.weights)]
        (gradient,) = release(run, event, words, blocks, sums)
        descent.step(gradient)
    return descent.weights
