"""Distances between features equal what their definitions give."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from mezzotint.evaluate.images.distances import frechet_distance, kernel_distance

RNG = np.random.default_rng(0)


def test_frechet_by_its_formula():
    a = RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 6)) + 1
    b = RNG.normal(size=(200, 6)) @ RNG.normal(size=(6, 6))
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    difference = a.mean(0) - b.mean(0)
    expected = difference @ difference + np.trace(first + second - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_a_move_and_of_a_scale():
    a = RNG.normal(size=(500, 4))
    assert frechet_distance(a, a + 3) == pytest.approx(36)
    assert frechet_distance(a, 2 * a - a.mean(0)) == pytest.approx(
        np.trace(np.cov(a, rowvar=False)), rel=1e-9
    )
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_of_features_that_hang_together():
    """Fewer points than features: covariances without full rank.

    Roots of eigenvalues that are zero but for rounding (1e-16) are about 1e-8, thirty of them.
    """
    a, b = RNG.normal(size=(20, 50)), RNG.normal(size=(20, 50))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)


def test_kernel_distance_pair_by_pair():
    x, y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 3)) + 0.5

    def k(u, v):
        return (u @ v / 3 + 1) ** 3

    n = 7
    within = sum(k(z[i], z[j]) for z in (x, y) for i in range(n) for j in range(n) if i != j) / (
        n * (n - 1)
    )
    across = sum(k(u, v) for u in x for v in y) / n**2
    assert kernel_distance(x, y, subsets=1).mean == pytest.approx(within - 2 * across)


def test_kernel_distance_is_unbiased():
    """Two draws of the same: within 6 standard errors of 0, so 1e-8 false alarms."""
    values = [
        kernel_distance(RNG.normal(size=(60, 5)), RNG.normal(size=(60, 5)), subsets=1).mean
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 6 * np.std(values) / np.sqrt(300)


def test_kernel_distance_sees_a_move():
    x = RNG.normal(size=(500, 8))
    near = kernel_distance(x, RNG.normal(size=(500, 8)), subsets=10, size=200)
    far = kernel_distance(x, RNG.normal(size=(500, 8)) + 1, subsets=10, size=200)
    assert far.mean > 10 * abs(near.mean)
    again = kernel_distance(x, x + 1, subsets=10, size=200, random_state=5)
    assert again == kernel_distance(x, x + 1, subsets=10, size=200, random_state=5)
