"""The models trained on both tables: scikit-learn's, and the matrices they read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mezzotint.evaluate.rows import Column, Rows

_LARGEST_ONE_HOT = 50
_LARGEST_BOOSTED = 200


def one_thread() -> AbstractContextManager[Any]:
    """Keep the numerical libraries to one thread.

    The tables are small, and threads that wait for a busy machine's cores burn several times the
    work. A library is limited only once it is loaded, so enter this after importing it.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)


class LinearFeatures:
    """Standardised numbers with a missing mark, and one-hot codes; learnt from one table."""

    def __init__(self, train: Rows, predictors: Sequence[Column]) -> None:
        self._scales: dict[str, tuple[float, float, float]] = {}
        self._levels: dict[str, np.ndarray] = {}
        for column in predictors:
            if not column.numeric:
                self._levels[column.name] = _commonest(train, column, _LARGEST_ONE_HOT)
                continue
            x = train.values[column.name]
            x = x[~np.isnan(x)]
            self._scales[column.name] = (
                (float(np.median(x)), float(x.mean()), float(x.std()) or 1.0)
                if len(x)
                else (0.0, 0.0, 1.0)
            )

    def __call__(self, table: Rows) -> np.ndarray:
        """The matrix of another table, shape (table.count, features)."""
        parts = []
        for name, (middle, mean, sd) in self._scales.items():
            x = table.values[name]
            absent = np.isnan(x)
            parts += [(np.where(absent, middle, x) - mean) / sd, absent.astype(float)]
        for name, levels in self._levels.items():
            parts += [(table.codes[name] == level).astype(float) for level in levels]
        return np.column_stack(parts)


class TreeFeatures:
    """Numbers as they are, NaN where missing, and codes below the booster's limit of bins."""

    def __init__(self, train: Rows, predictors: Sequence[Column]) -> None:
        self._predictors = predictors
        # scikit-learn cannot bin a column without any number.
        self._numbers = {c.name for c in predictors if c.numeric and train.known(c.name).any()}
        self._levels = {
            c.name: np.sort(_commonest(train, c, _LARGEST_BOOSTED))
            for c in predictors
            if not c.numeric
        }

    def __call__(self, table: Rows) -> np.ndarray:
        """The matrix of another table, shape (table.count, len(predictors))."""
        parts = []
        for column in self._predictors:
            if column.numeric:
                x = table.values[column.name]
                parts.append(x if column.name in self._numbers else np.zeros(len(x)))
                continue
            levels, codes = self._levels[column.name], table.codes[column.name]
            at = np.minimum(np.searchsorted(levels, codes), len(levels) - 1)
            parts.append(np.where(levels[at] == codes, at, len(levels)).astype(float))
        return np.column_stack(parts)


@dataclass(frozen=True)
class Kind:
    """A model by its name, how to make a fresh one, and the features it reads."""

    name: str
    make: Callable[[], Any]
    features: Callable[[Rows, Sequence[Column]], Callable[[Rows], np.ndarray]]

    def train(self, table: Rows, response: np.ndarray, predictors: Sequence[Column]) -> Trained:
        """Fit a fresh model; one cut short at its iteration limit still counts."""
        features = self.features(table, predictors)
        model = self.make()
        with warnings.catch_warnings(), one_thread():
            warnings.simplefilter("ignore")
            return Trained(model.fit(features(table), response), features)


@dataclass(frozen=True)
class Trained:
    """A fitted model with the features it was fitted on."""

    model: Any
    features: Callable[[Rows], np.ndarray]

    def answer(self, table: Rows) -> np.ndarray:
        """Predicted numbers, shape (table.count,)."""
        with one_thread():
            return self.model.predict(self.features(table))

    def probabilities(self, table: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities, shape (table.count, classes), and the classes."""
        with one_thread():
            return self.model.predict_proba(self.features(table)), self.model.classes_


def classifiers(predictors: Sequence[Column], seed: int) -> list[Kind]:
    """Logistic regression and gradient boosting."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    boosting = _boosting(predictors, seed)
    return [
        Kind("Logistic regression", lambda: LogisticRegression(max_iter=200), LinearFeatures),
        Kind("Gradient boosting", lambda: HistGradientBoostingClassifier(**boosting), TreeFeatures),
    ]


def regressors(predictors: Sequence[Column], seed: int) -> list[Kind]:
    """Linear regression (with the least ridge that keeps it stable) and gradient boosting."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    boosting = _boosting(predictors, seed)
    return [
        Kind("Linear regression", lambda: Ridge(alpha=1.0), LinearFeatures),
        Kind("Gradient boosting", lambda: HistGradientBoostingRegressor(**boosting), TreeFeatures),
    ]


def _boosting(predictors: Sequence[Column], seed: int) -> dict[str, Any]:
    return {
        "max_iter": 100,
        "early_stopping": False,
        "random_state": seed,
        "categorical_features": [not column.numeric for column in predictors],
    }


def _commonest(table: Rows, column: Column, limit: int) -> np.ndarray:
    """The codes that occur, the commonest first, at most ``limit``."""
    counts = np.bincount(table.codes[column.name], minlength=1)
    return np.argsort(-counts, kind="stable")[: min(limit, int((counts > 0).sum()))]
