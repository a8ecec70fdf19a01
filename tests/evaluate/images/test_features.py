"""Spaces of features: fixed, checked, and refused by name where they cannot be read."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from mezzotint.errors import DataError
from mezzotint.evaluate.images.features import Inception, LeNet, pixels, random_convolutions
from mezzotint.evaluate.images.neighbours import nearest
from mezzotint.evaluate.images.recipes import LENET
from mezzotint.images.data import ImageData

# PyTorch calls TorchScript deprecated; files of it are what the literature's network comes as.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Network(torch.nn.Module):
    """Takes what the standard network takes."""

    def forward(self, images: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        x = images.float().mean(dim=[2, 3])
        return x * 2 if return_features else x


class Plain(torch.nn.Module):
    """Gives features without being asked."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean(dim=[2, 3])


def saved(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), str(path))
    return path


def test_pixels():
    x = np.full((2, 8, 8, 1), 255, np.uint8)
    assert np.array_equal(pixels(x), np.ones((2, 64), np.float32))


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (64, 64, 3)])
def test_random_convolutions_are_fixed(shape):
    x = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    first = random_convolutions(x)
    assert first.shape == (3, 512)
    torch.manual_seed(5)
    assert np.array_equal(first, random_convolutions(x))
    flat = np.full((1, *shape), 200, np.uint8)
    inner = random_convolutions(flat)
    assert np.abs(inner).max() < np.abs(first).max()


def test_a_lenet_and_its_checksum(digits):
    recipe = replace(LENET, steps=5)
    held = digits.train.take(slice(0, 200))
    one, two = LeNet.trained_on(held, recipe), LeNet.trained_on(held, recipe)
    other = LeNet.trained_on(digits.train.take(slice(200, 400)), recipe)
    assert one.checksum == two.checksum != other.checksum
    features = one.features(digits.test.x)
    assert features.shape == (299, 84)
    assert features.min() >= 0
    # The last layer on these features is the classifier itself.
    last = one.classifier.network[-1]
    with torch.no_grad():
        logits = last(torch.from_numpy(features))
        assert torch.allclose(logits, one.classifier.logits(digits.test.x), atol=1e-5)


@pytest.mark.parametrize(("network", "factor"), [(Network(), 2), (Plain(), 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_users_network(tmp_path, network, factor, channels):
    path = saved(network, tmp_path / "n.pt")
    x = np.random.default_rng(0).integers(0, 256, (120, 8, 8, channels)).astype(np.uint8)
    inception = Inception(path)
    expected = factor * np.broadcast_to(x.mean((1, 2)), (120, 3))
    assert np.allclose(inception.features(x), expected, atol=1e-3)
    assert len(inception.checksum) == 16


def test_pickles_are_no_networks(tmp_path):
    torch.save(Plain().state_dict(), tmp_path / "weights.pth")
    (tmp_path / "text.pt").write_text("hello")
    for name in ("weights.pth", "text.pt", "missing.pt"):
        with pytest.raises(DataError, match="no TorchScript module"):
            Inception(tmp_path / name)


def test_networks_that_take_something_else(tmp_path):
    path = saved(torch.nn.Linear(3, 4), tmp_path / "n.pt")
    with pytest.raises(DataError, match="does not take uint8 images"):
        Inception(path).features(np.zeros((2, 8, 8, 3), np.uint8))


def test_the_nearest_are_found(digits):
    rng = np.random.default_rng(0)
    places = rng.permutation(len(digits.train))[:100]
    few = digits.train.take(places)
    x = few.x.copy()
    x[:, 0, 0, 0] ^= 3
    near = nearest(ImageData(x, few.y, few.classes), digits.train, digits.test)
    for pair in near.pairs:
        assert pair.distance == pytest.approx(3 / 255 / 8, rel=1e-4)
        changed = pair.real.copy()
        changed[0, 0, 0] ^= 3
        assert np.array_equal(changed, pair.synthetic)
    assert near.nearer == 1.0
    assert near.synthetic < near.test
    assert len(near.pairs) == 20


def test_strangers_lie_farther_than_test_images(digits):
    x = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1)).astype(np.uint8)
    far = nearest(
        ImageData(x, np.arange(100) % 10, digits.train.classes), digits.train, digits.test
    )
    assert far.nearer == 0
    assert far.synthetic > far.test
