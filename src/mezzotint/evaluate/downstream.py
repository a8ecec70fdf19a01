"""Would a model learnt from the synthetic rows serve on real ones?

Two classifiers (or regressors) are trained on the synthetic rows and again on real rows, with the
same settings, and both are tested on the same real rows ("train on synthetic, test on real";
C. Esteban, S. Hyland and G. Rätsch, arXiv 1706.02633). The guess that knows no predictor stands
beside them as the floor.

All scores are exact functions of private rows, outside any differentially private mechanism: they
carry ``private=True`` and are not to be published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.models import Kind, classifiers, regressors
from mezzotint.evaluate.rows import Column, Rows
from mezzotint.evaluate.scores import class_scores, number_scores

HELD_OUT = 0.3
"""The share of the real rows held out for testing when no separate table is given."""

MOST_TRAINING_ROWS = 50_000
MOST_CLASSES = 20
_FEWEST_ROWS = 20


@dataclass(frozen=True)
class Score:
    """One metric of one model: trained on real rows, on synthetic rows, and guessed.

    Attributes:
        model: the model's name in words.
        metric: the metric's name in words; larger is better unless ``smaller_is_better``.
        real: after training on real rows.
        synthetic: after training on synthetic rows.
        guess: for the constant guess (the commonest class, or the median).
        smaller_is_better: whether the metric is an error.
    """

    model: str
    metric: str
    real: float
    synthetic: float
    guess: float
    smaller_is_better: bool = False


@dataclass(frozen=True)
class Downstream:
    """Train on synthetic, test on real, beside train on real, test on real.

    Attributes:
        target: the attribute that the models predict.
        task: "classification" or "regression".
        test_rows: real rows that all scores are taken on.
        real_rows: real rows trained on.
        synthetic_rows: synthetic rows trained on.
        separate_test: whether the test rows came from a table of their own. If not, the synthetic
            table may have been made from rows that also serve as test rows.
        scores: the metrics; empty when there was nothing to train, as ``notes`` explain.
        notes: what a reader must know about this comparison.
        private: computed on private data, hence not to be published.
    """

    target: str
    task: str
    test_rows: int
    real_rows: int
    synthetic_rows: int
    separate_test: bool
    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    private: bool = True


@dataclass(frozen=True)
class _Split:
    real: Rows
    synthetic: Rows
    test: Rows


def default_target(columns: Mapping[str, Column]) -> str | None:
    """The last class-like attribute, if it can be one with 2 to 20 values; None without any."""
    varying = [c for c in columns.values() if len(c.present) >= 2]
    classes = [c for c in varying if is_classification(c)]
    small = [c for c in classes if len(c.present) <= MOST_CLASSES]
    last = small or classes or varying
    return last[-1].name if last else None


def is_classification(column: Column) -> bool:
    """Whether a target is predicted as a class: no number, or a number with two values."""
    return not column.numeric or len(column.present) <= 2


def compare_models(
    real: Rows,
    synthetic: Rows,
    target: str,
    *,
    holdout: Rows | None = None,
    random_state: int = 0,
) -> Downstream:
    """Train on each table, test on real rows.

    Guarantee: none. Private: ``real``, ``holdout``. Public: ``synthetic``.

    Args:
        real: the real rows; 30 % of them become the test rows unless ``holdout`` is given.
        synthetic: the synthetic rows.
        target: the attribute to predict; rows where it is missing are left out.
        holdout: real rows that took no part in making the synthetic ones.
        random_state: seeds the split and the models.
    """
    column = real.columns[target]
    task = "classification" if is_classification(column) else "regression"
    rng = np.random.default_rng(random_state)
    train = real.known(target)
    if holdout is None:
        order = rng.permutation(np.flatnonzero(train))
        held = np.zeros(real.count, bool)
        held[order[: round(HELD_OUT * len(order))]] = True
        train &= ~held
        test_rows = real.sample(MOST_TRAINING_ROWS, rng, where=held)
    else:
        test_rows = holdout.sample(MOST_TRAINING_ROWS, rng, where=holdout.known(target))
    split = _Split(
        real.sample(MOST_TRAINING_ROWS, rng, where=train),
        synthetic.sample(MOST_TRAINING_ROWS, rng, where=synthetic.known(target)),
        test_rows,
    )
    notes = _warnings_about(split, real, synthetic, target, separate=holdout is not None)
    predictors = [c for name, c in real.columns.items() if name != target]
    scores: tuple[Score, ...] = ()
    smallest = min(split.real.count, split.synthetic.count, split.test.count)
    if smallest < _FEWEST_ROWS:
        notes.append(
            f"Too few rows to train and test on ({smallest}; at least {_FEWEST_ROWS} are needed "
            "in each part): no model was trained."
        )
    elif not predictors:
        notes.append("There is no other attribute to predict from: no model was trained.")
    elif task == "classification":
        scores = _classify(split, column, predictors, notes, random_state)
    else:
        scores = _regress(split, column, predictors, random_state)
    return Downstream(
        target=target,
        task=task,
        test_rows=split.test.count,
        real_rows=split.real.count,
        synthetic_rows=split.synthetic.count,
        separate_test=holdout is not None,
        scores=scores,
        notes=tuple(notes),
    )


def _warnings_about(
    split: _Split, real: Rows, synthetic: Rows, target: str, *, separate: bool
) -> list[str]:
    notes = []
    if not separate:
        notes.append(
            f"No separate test table was given: the models were tested on {100 * HELD_OUT:.0f} % "
            "of the real rows. If the synthetic table was made from all real rows, its score is "
            "slightly flattered, because the test rows took part in making it."
        )
    dropped = int((~real.known(target)).sum())
    if dropped:
        notes.append(f"{dropped:,} real rows without a value of {target} were left out.")
    if split.real.count == MOST_TRAINING_ROWS or real.total > real.count:
        notes.append(
            f"Models were trained on at most {MOST_TRAINING_ROWS:,} rows, drawn at random."
        )
    if synthetic.count and not split.synthetic.count:
        notes.append(f"Every synthetic value of {target} is missing.")
    return notes


def _classify(
    split: _Split, column: Column, predictors: Sequence[Column], notes: list[str], seed: int
) -> tuple[Score, ...]:
    truth = split.test.codes[column.name].astype(int)
    responses = [t.codes[column.name].astype(int) for t in (split.real, split.synthetic)]
    classes = [np.unique(response) for response in responses]
    if len(classes[0]) < 2:
        notes.append(
            f"{column.name} takes one value only in the real training rows: there is nothing to "
            "learn, and no model was trained."
        )
        return ()
    if len(classes[1]) < 2:
        notes.append(
            f"{column.name} takes one value only in the synthetic rows: models trained on them "
            "always answer it."
        )
    if len(np.unique(truth)) < 2:
        notes.append(f"{column.name} takes one value only in the test rows.")
    kinds = classifiers(predictors, seed)
    if len(classes[0]) > MOST_CLASSES:
        kinds = kinds[:1]
        notes.append(
            f"{column.name} has {len(classes[0])} classes: gradient boosting, which grows one "
            f"tree a class and round, was left out above {MOST_CLASSES}."
        )

    def trained(kind: Kind, train: Rows, response: np.ndarray) -> dict[str, float]:
        labels = np.unique(response)
        if len(labels) < 2:
            return class_scores(np.ones((len(truth), 1)), labels, truth)
        model = kind.train(train, response, predictors)
        return class_scores(*model.probabilities(split.test), truth)

    commonest = np.array([np.bincount(responses[0]).argmax()])
    guess = class_scores(np.ones((len(truth), 1)), commonest, truth)
    scores = []
    for kind in kinds:
        on_real = trained(kind, split.real, responses[0])
        on_synthetic = trained(kind, split.synthetic, responses[1])
        scores += [Score(kind.name, m, on_real[m], on_synthetic[m], guess[m]) for m in on_real]
    return tuple(scores)


def _regress(
    split: _Split, column: Column, predictors: Sequence[Column], seed: int
) -> tuple[Score, ...]:
    truth = split.test.values[column.name]
    responses = [t.values[column.name] for t in (split.real, split.synthetic)]
    guess = number_scores(np.full(len(truth), np.median(responses[0])), truth)
    scores = []
    for kind in regressors(predictors, seed):
        on_real, on_synthetic = (
            number_scores(kind.train(train, response, predictors).answer(split.test), truth)
            for train, response in zip((split.real, split.synthetic), responses, strict=True)
        )
        scores += [
            Score(kind.name, m, on_real[m], on_synthetic[m], guess[m], m == "Mean absolute error")
            for m in on_real
        ]
    return tuple(scores)
