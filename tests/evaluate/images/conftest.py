"""Digits, and digits with noise on them in the place of synthetic ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mezzotint.images.data import ImageData, Images
from mezzotint.images.reading import read_images


@pytest.fixture(scope="session")
def digits() -> Images:
    return read_images("digits")


@pytest.fixture(scope="session")
def noisy(digits) -> ImageData:
    """Training digits with noise that a classifier can see through."""
    rng = np.random.default_rng(0)
    data = digits.train.take(rng.permutation(len(digits.train))[:600])
    x = (data.x.astype(int) + rng.integers(-60, 61, data.x.shape)).clip(0, 255).astype(np.uint8)
    return ImageData(x, data.y, data.classes, "noisy digits")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
