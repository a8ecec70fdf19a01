"""The codes behind the noise: EM for class-conditional Gaussians seen through known noise.

Seen are y = z + s u and a label that randomised response may have changed. The model is
z | c ~ N(m_c, S_c); so y | c ~ N(m_c, S_c + s^2 I), and the true class is a hidden variable with a
known channel to the label that is seen. Every step of EM raises the posterior density under priors
that say what the noise leaves open: class means lie about the common one as far apart as they seem
to, and class covariances resemble their average. All of it is post-processing.

Source: Dempster, Laird, Rubin 1977 (EM); Bovy, Hogg, Roweis 2011 (Gaussian mixtures through known
    noise: "extreme deconvolution").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST_SHARE = 1e-3
_FLOOR = 0.02


@dataclass(frozen=True)
class CodeModel:
    """The distribution of codes. Public.

    Attributes:
        shares: of the classes, shape (classes,), summing to 1.
        means: shape (classes, d).
        covariances: shape (classes, d, d), positive definite.
        climbs: the mean log-likelihood of what was seen, before each step of EM.
    """

    shares: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    climbs: tuple[float, ...]


def channel(keep: float, classes: int) -> np.ndarray:
    """P(label seen | class), shape (classes, classes)."""
    if classes == 1:
        return np.ones((1, 1))
    table = np.full((classes, classes), (1 - keep) / (classes - 1))
    np.fill_diagonal(table, keep)
    return table


def deconvolve(
    y: np.ndarray, labels: np.ndarray, noise: float, table: np.ndarray, *, steps: int = 20
) -> CodeModel:
    """Fit the codes' distribution to what was released.

    Args:
        y: noisy codes, shape (n, d).
        labels: labels as they were released, shape (n,).
        noise: s.
        table: P(label seen | class); see `channel`.
        steps: of EM.
    """
    model, spread, strength = _moments(y, labels, noise, table)
    centre = model.shares @ model.means
    climbs = []
    for _ in range(steps):
        belief, climb = _belief(model, y, labels, noise, table)
        climbs.append(climb)
        model = _step(model, y, belief, noise, (centre, spread, strength))
    return CodeModel(model.shares, model.means, model.covariances, tuple(climbs))


def _moments(
    y: np.ndarray, labels: np.ndarray, noise: float, table: np.ndarray
) -> tuple[CodeModel, np.ndarray, float]:
    """Where EM begins, and the priors: moments of the classes with the channel undone."""
    n, d = y.shape
    classes = len(table)
    undo = np.linalg.inv(table)
    seen = (labels[:, None] == np.arange(classes)).astype(np.float64)
    counts = np.maximum(undo.T @ seen.sum(0), _LEAST_SHARE * n)
    shares = counts / counts.sum()
    means = undo.T @ (seen.T @ y) / counts[:, None]
    whole = np.cov(y, rowvar=False).reshape(d, d) - noise**2 * np.eye(d)
    # A mean's error, from the noise and from the labels that were changed.
    sharpness = 1.0 if classes == 1 else table[0, 0] - table[0, 1]
    error = (noise**2 + np.maximum(np.diag(whole), 0.0)) * classes / (n * sharpness**2)
    spread = np.maximum(means.var(axis=0) - error, 0.02 * error) if classes > 1 else error
    centre = shares @ means
    means = centre + (means - centre) * (spread / (spread + error))
    offset = means - centre
    within = _positive(whole - (offset * shares[:, None]).T @ offset)
    typical = float(np.trace(within)) / d
    # What n images tell about a covariance falls with the square of noise against spread.
    strength = 20.0 * ((typical + noise**2) / typical) ** 2
    covariances = np.repeat(within[None], classes, axis=0)
    return CodeModel(shares, means, covariances, ()), spread, strength


def _belief(
    model: CodeModel, y: np.ndarray, labels: np.ndarray, noise: float, table: np.ndarray
) -> tuple[np.ndarray, float]:
    """P(class | y, label) of every row, shape (n, classes); the mean log-likelihood."""
    d = y.shape[1]
    logs = np.log(model.shares) + np.log(table[:, labels].T)
    for k, (mean, covariance) in enumerate(zip(model.means, model.covariances, strict=True)):
        root = np.linalg.cholesky(covariance + noise**2 * np.eye(d))
        white = np.linalg.solve(root, (y - mean).T)
        logs[:, k] -= 0.5 * np.square(white).sum(0) + np.log(np.diag(root)).sum()
    top = logs.max(axis=1, keepdims=True)
    belief = np.exp(logs - top)
    total = belief.sum(axis=1, keepdims=True)
    climb = float((np.log(total) + top).mean()) - 0.5 * d * float(np.log(2 * np.pi))
    return belief / total, climb


def _step(
    model: CodeModel,
    y: np.ndarray,
    belief: np.ndarray,
    noise: float,
    priors: tuple[np.ndarray, np.ndarray, float],
) -> CodeModel:
    """One step of EM under the priors."""
    centre, spread, strength = priors
    d, weights = y.shape[1], np.maximum(belief.sum(axis=0), 1.0)
    means, scatters = np.empty_like(model.means), np.empty_like(model.covariances)
    for k, (mean, covariance) in enumerate(zip(model.means, model.covariances, strict=True)):
        # E[z | y] = mean + gain (y - mean)
        gain = np.linalg.solve(covariance + noise**2 * np.eye(d), covariance).T
        gap = y - mean
        average = belief[:, k] @ gap / weights[k]
        code = mean + gain @ average
        precision = weights[k] * np.linalg.inv(covariance)
        tied = np.diag(1 / spread)
        means[k] = np.linalg.solve(precision + tied, precision @ code + tied @ centre)
        off = gap - average
        scatter = (off * belief[:, k, None]).T @ off / weights[k]
        moved = code - means[k]
        scatters[k] = gain @ scatter @ gain.T + covariance - gain @ covariance
        scatters[k] += np.outer(moved, moved)
    pooled = np.einsum("k,kij->ij", weights / weights.sum(), scatters)
    mixed = (weights[:, None, None] * scatters + strength * pooled) / (weights + strength)[
        :, None, None
    ]
    shares = weights / weights.sum()
    return CodeModel(shares, means, np.array([_positive(s) for s in mixed]), ())


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The nearest covariance whose least variance is a fiftieth of the largest, or more."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    least = max(_FLOOR * float(values[-1]), 1e-12)
    return (vectors * np.maximum(values, least)) @ vectors.T
