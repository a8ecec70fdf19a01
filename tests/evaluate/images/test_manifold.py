"""Precision, recall, density and coverage equal their definitions, point by point."""

from __future__ import annotations

import numpy as np
import pytest

from mezzotint.evaluate.images import manifold as module
from mezzotint.evaluate.images.manifold import manifold, squared_distances


def slowly(real, synthetic, k):
    def reach(points, i):
        return sorted(np.linalg.norm(points[i] - p) for j, p in enumerate(points) if j != i)[k - 1]

    near_real = [reach(real, i) for i in range(len(real))]
    near_synthetic = [reach(synthetic, i) for i in range(len(synthetic))]
    inside = [
        sum(np.linalg.norm(s - r) <= d for r, d in zip(real, near_real, strict=True))
        for s in synthetic
    ]
    recalled = [
        any(np.linalg.norm(s - r) <= d for s, d in zip(synthetic, near_synthetic, strict=True))
        for r in real
    ]
    covered = [
        min(np.linalg.norm(s - r) for s in synthetic) <= d
        for r, d in zip(real, near_real, strict=True)
    ]
    return (
        np.mean([count > 0 for count in inside]),
        np.mean(recalled),
        np.mean(inside) / k,
        np.mean(covered),
    )


@pytest.mark.parametrize(("k", "shift"), [(1, 0.0), (3, 0.5), (5, 2.0)])
def test_by_definition(monkeypatch, k, shift):
    monkeypatch.setattr(module, "_CHUNK", 7)
    rng = np.random.default_rng(k)
    real, synthetic = rng.normal(size=(40, 2)), rng.normal(size=(31, 2)) * 0.7 + shift
    found = manifold(real, synthetic, k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(
        slowly(real, synthetic, k)
    )


def test_copies_and_strangers():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(100, 3))
    same = manifold(real, real)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    far = manifold(real, real + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    # One point over and over: plausible, and nothing else is there.
    lone = manifold(real, np.repeat(real[:1], 50, axis=0))
    assert lone.precision == 1
    assert lone.recall <= 0.01
    assert lone.coverage < 0.3


def test_distances():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 4)), rng.normal(size=(6, 4))
    expected = ((a[:, None] - b[None]) ** 2).sum(2)
    assert squared_distances(a, b) == pytest.approx(expected)
    assert squared_distances(a, a).min() >= 0
