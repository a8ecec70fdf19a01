"""EM against brute force, and against what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mezzotint.images.vae import deconvolution
from mezzotint.images.vae.deconvolution import channel, deconvolve

MEANS = np.array([[2.0, 0.0], [-2.0, 1.0], [0.0, -2.0]])
SPREADS = np.array([[[1.0, 0.5], [0.5, 0.6]], [[0.4, 0.0], [0.0, 0.4]], [[0.6, -0.2], [-0.2, 0.9]]])


def planted(n: int, noise: float, keep: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    roots = np.linalg.cholesky(SPREADS)
    codes = MEANS[labels] + np.einsum("nij,nj->ni", roots[labels], rng.normal(size=(n, 2)))
    told = np.where(rng.random(n) < keep, labels, (labels + rng.integers(1, 3, n)) % 3)
    return codes + noise * rng.normal(size=(n, 2)), told


def test_the_channel_is_randomised_response():
    table = channel(0.6, 5)
    assert np.allclose(table.sum(axis=1), 1)
    assert table[2, 2] == 0.6
    assert table[2, 3] == pytest.approx(0.1)
    assert channel(1.0, 1).tolist() == [[1.0]]


def test_beliefs_are_those_of_bayes():
    y, told = planted(50, 0.8, 0.7)
    table = channel(0.7, 3)
    model = deconvolve(y, told, 0.8, table, steps=2)
    belief, climb = deconvolution._belief(model, y, told, 0.8, table)
    joint = np.array(
        [
            [
                model.shares[c]
                * table[c, label]
                * stats.multivariate_normal.pdf(
                    row, model.means[c], model.covariances[c] + 0.64 * np.eye(2)
                )
                for c in range(3)
            ]
            for row, label in zip(y, told, strict=True)
        ]
    )
    assert np.allclose(belief, joint / joint.sum(axis=1, keepdims=True))
    assert climb == pytest.approx(np.log(joint.sum(axis=1)).mean())


@pytest.mark.parametrize(("noise", "keep"), [(0.1, 0.99), (1.0, 0.8), (2.5, 0.6)])
def test_what_was_planted_is_found(noise: float, keep: float):
    y, told = planted(40_000, noise, keep)
    model = deconvolve(y, told, noise, channel(keep, 3), steps=20)
    assert np.abs(model.means - MEANS).max() < 0.1 + 0.1 * noise
    assert np.abs(model.shares - [0.5, 0.3, 0.2]).max() < 0.03
    pooled = np.einsum("k,kij->ij", model.shares, model.covariances)
    expected = np.einsum("k,kij->ij", [0.5, 0.3, 0.2], SPREADS)
    assert np.abs(pooled - expected).max() < 0.1 + 0.1 * noise
    assert model.climbs[-1] >= model.climbs[0] - 1e-4
    if noise < 1:
        assert np.abs(model.covariances - SPREADS).max() < 0.1


def test_noise_that_hides_everything_leaves_a_valid_model():
    y, told = planted(60, 50.0, 0.34)
    model = deconvolve(y, told, 50.0, channel(0.34, 3))
    assert np.isfinite(model.means).all()
    assert (np.linalg.eigvalsh(model.covariances) > 0).all()
    assert model.shares.sum() == pytest.approx(1)


def test_one_class_one_number():
    rng = np.random.default_rng(0)
    y = 3 + rng.normal(size=(5000, 1)) * np.sqrt(0.5**2 + 1)
    model = deconvolve(y, np.zeros(5000, int), 1.0, channel(1.0, 1))
    assert model.means[0, 0] == pytest.approx(3, abs=0.1)
    assert model.covariances[0, 0, 0] == pytest.approx(0.25, abs=0.15)
