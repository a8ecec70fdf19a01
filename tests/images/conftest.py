"""Digits, few and small; the toy method among the known ones; an engine that rounds alike."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mezzotint.images import generator, registry
from mezzotint.images.data import ImageData
from mezzotint.images.reading import read_images
from tests.images import toy


@pytest.fixture(scope="session")
def digits():
    return read_images("digits")


@pytest.fixture
def toys(monkeypatch):
    """The toy method can be named, and its models can be read."""
    monkeypatch.setitem(sys.modules, "mezzotint.images.toy", toy)
    monkeypatch.setitem(generator.KINDS, "toy", "toy:ToyGenerator")
    monkeypatch.setitem(registry.METHODS, "class-gaussians", "toy:Toy")


@pytest.fixture
def same_methods(monkeypatch):
    """Timings pick the engine's methods, and methods round differently."""
    monkeypatch.setattr("mezzotint.images.dpsgd.training.tune", lambda *_: {})


def made_up(n: int = 60, classes: int = 3, size: int = 8, channels: int = 1, seed: int = 0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.integers(0, 120, (n, size, size, channels)) + 40 * y[:, None, None, None]
    names = tuple("abcdefghijkl"[:classes])
    return ImageData(x.astype(np.uint8), y.astype(np.int64), names, "made-up")
