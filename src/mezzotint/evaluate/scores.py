"""How good predictions are, as plain functions of arrays."""

from __future__ import annotations

import numpy as np


def class_scores(
    probabilities: np.ndarray, labels: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """Accuracy, balanced accuracy, F1 and, for two classes, AUC.

    A model may know fewer or other classes than the test rows hold, so every score is defined
    over the classes in ``truth``.

    Args:
        probabilities: one column per label, shape (n, len(labels)).
        labels: the classes the model knows, ascending.
        truth: the true classes, shape (n,), n >= 1.

    Returns:
        Metric in words -> value. "AUC" only where ``truth`` has exactly two classes.
    """
    answer = labels[probabilities.argmax(axis=1)]
    classes = np.unique(truth)
    hits = np.array([(answer[truth == c] == c).sum() for c in classes])
    actual = np.array([(truth == c).sum() for c in classes])
    answered = np.array([(answer == c).sum() for c in classes])
    scores = {
        "Accuracy": float((answer == truth).mean()),
        "Balanced accuracy": float((hits / actual).mean()),
        "F1, mean over classes": float((2 * hits / (actual + answered)).mean()),
    }
    if len(classes) == 2:
        at = np.flatnonzero(labels == classes[1])
        rank = probabilities[:, at[0]] if len(at) else np.zeros(len(truth))
        scores["AUC"] = area_under_curve(rank, truth == classes[1])
    return scores


def area_under_curve(rank: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive row ranks above a negative one, ties counting half."""
    _, place, ties = np.unique(rank, return_inverse=True, return_counts=True)
    middle = np.cumsum(ties) - (ties - 1) / 2
    positives = int(positive.sum())
    pairs = positives * (len(positive) - positives)
    return float((middle[place][positive].sum() - positives * (positives + 1) / 2) / pairs)


def number_scores(answer: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """R² (NaN when the truth is constant) and the mean absolute error."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    missed = float(((truth - answer) ** 2).sum())
    return {
        "R²": 1 - missed / spread if spread else float("nan"),
        "Mean absolute error": float(np.abs(truth - answer).mean()),
    }
