"""What a synthetic table is good for: two-way errors, and models that predict the target."""

from pathlib import Path

import numpy as np

from _coding import Problem
from _fidelity import CodedTable, mean_error, read_coded


def usefulness(problem: Problem, synthetic: Path) -> dict[str, float]:
    """Figures of one synthetic table.

    Args:
        problem: The real rows.
        synthetic: CSV of codes.

    Returns:
        `error`: mean over all two-way marginals of half the L1 distance of the normalised tables.
        `f1`, `accuracy`: of a logistic regression that learnt from the synthetic rows, on the
        problem's test rows.
    """
    table = read_coded(synthetic, problem.train.sizes)
    f1, accuracy = predicts(problem, table)
    return {"error": mean_error(problem.train, table, 2), "f1": f1, "accuracy": accuracy}


def predicts(problem: Problem, learnt: CodedTable) -> tuple[float, float]:
    """F1 of the target's last code, and accuracy, on the test rows.

    A table without rows, or with one code of the target only, predicts that code for everybody.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score

    positive = problem.train.sizes[problem.target] - 1
    truth = problem.test.columns[problem.target] == positive
    seen = learnt.columns[problem.target] == positive
    if learnt.rows == 0 or seen.all() or not seen.any():
        told = np.full(len(truth), bool(learnt.rows and seen.all()))
    else:
        model = LogisticRegression(max_iter=500)
        model.fit(_one_hot(problem, learnt), seen)
        told = model.predict(_one_hot(problem, problem.test))
    return (
        float(f1_score(truth, told, zero_division=0.0)),
        float(accuracy_score(truth, told)),
    )


def _one_hot(problem: Problem, table: CodedTable) -> np.ndarray:
    """float32[rows, columns of all attributes but the target]."""
    parts = [
        np.arange(size)[None, :] == table.columns[name][:, None]
        for name, size in problem.train.sizes.items()
        if name != problem.target
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)
