"""Linear and logistic regressions by maximum likelihood, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.evaluate.rows import Rows


@dataclass(frozen=True)
class Term:
    """A column of the design: standardised numbers, a missing mark, or a set of codes."""

    name: str
    attribute: str
    codes: tuple[int, ...] = ()
    centre: float = 0.0
    scale: float = 1.0
    marks_missing: bool = False

    def column(self, table: Rows) -> np.ndarray:
        """The term on each row of a table."""
        if self.codes:
            return np.isin(table.codes[self.attribute], self.codes).astype(float)
        x = table.values[self.attribute]
        if self.marks_missing:
            return np.isnan(x).astype(float)
        return np.where(np.isnan(x), 0.0, (x - self.centre) / self.scale)


def independent(terms: list[Term], tables: Sequence[Rows], dropped: list[str]) -> list[Term]:
    """The terms that no earlier ones determine in either table; `dropped` gets the others."""
    kept: list[Term] = []
    bases = [[np.full(t.count, 1 / np.sqrt(max(t.count, 1)))] for t in tables]
    for term in terms:
        residuals = []
        for table, basis in zip(tables, bases, strict=True):
            x = term.column(table)
            size = np.linalg.norm(x)
            for _ in range(2):
                for direction in basis:
                    x = x - (x @ direction) * direction
            left = np.linalg.norm(x)
            residuals.append(x / left if left > 1e-6 * size else None)
        if any(r is None for r in residuals):
            dropped.append(term.name)
            continue
        kept.append(term)
        for basis, residual in zip(bases, residuals, strict=True):
            basis.append(residual)
    return kept


def fit(
    table: Rows, response: np.ndarray, terms: Sequence[Term], *, logistic: bool
) -> np.ndarray | None:
    """Estimates and 95 % limits, shape (terms, 3), or None without convergence."""
    design = np.column_stack([np.ones(table.count), *(term.column(table) for term in terms)])
    estimate = _newton(design, response) if logistic else _least_squares(design, response)
    if estimate is None:
        return None
    beta, covariance, quantile = estimate
    half = quantile * np.sqrt(np.diag(covariance))
    return np.column_stack([beta, beta - half, beta + half])[1:]


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    from scipy.special import stdtrit

    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    freedom = len(y) - x.shape[1]
    variance = float(((y - x @ beta) ** 2).sum()) / freedom
    return beta, variance * np.linalg.inv(x.T @ x), float(stdtrit(freedom, 0.975))


def _newton(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Maximum likelihood of the logistic regression by Newton's method with step halving."""

    def loss(beta: np.ndarray) -> float:
        z = x @ beta
        return float((np.logaddexp(0, z) - y * z).sum())

    beta = np.zeros(x.shape[1])
    current = loss(beta)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        information = (x * (p * (1 - p))[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (y - p))
        except np.linalg.LinAlgError:
            return None
        if float(step @ (x.T @ (y - p))) < 1e-9:
            covariance = np.linalg.inv(information)
            sane = np.abs(beta).max() < 30 and bool((np.diag(covariance) > 0).all())
            return (beta, covariance, 1.959963984540054) if sane else None
        size = 1.0
        while size > 1e-6 and loss(beta + size * step) > current:
            size /= 2
        beta = beta + size * step
        current = loss(beta)
    return None
