"""Classifiers learn, the same way each time, and shifts move images as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mezzotint.evaluate.images.recipes import (
    LENET,
    RECIPES,
    pixel_scaling,
    scaled,
    shifted,
    trained,
)
from mezzotint.evaluate.images.transfer import Accuracy, accuracy, transfer
from mezzotint.images.data import ImageData


@pytest.mark.parametrize("recipe", [*RECIPES, LENET], ids=lambda r: r.name)
def test_every_classifier_learns_digits(digits, recipe):
    score = accuracy(replace(recipe, steps=100), digits.train, digits.test, seeds=1)
    assert score.mean > 0.6  # a tenth is guessing
    assert len(score.by_class) == 10


@pytest.mark.parametrize("recipe", [*RECIPES, LENET], ids=lambda r: r.name)
@pytest.mark.parametrize("shape", [(8, 8, 1), (17, 64, 3), (64, 8, 1)])
def test_every_size_fits(recipe, shape):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, *shape)).astype(np.uint8)
    data = ImageData(x, np.arange(40) % 4, tuple("abcd"))
    assert trained(replace(recipe, steps=2), data, 0).predict(x).shape == (40,)


def test_the_same_seed_gives_the_same_classifier(digits):
    recipe = replace(RECIPES[-1], steps=5)
    torch.manual_seed(77)
    before = torch.get_rng_state()
    one, two, other = (trained(recipe, digits.train, seed) for seed in (1, 1, 2))
    x = digits.test.x
    assert torch.equal(one.logits(x), two.logits(x))
    assert not torch.equal(one.logits(x), other.logits(x))
    assert torch.equal(torch.get_rng_state(), before)


def test_scaling_is_that_of_the_training_images(digits):
    mean, scale = pixel_scaling(digits.train.x)
    x = scaled(digits.train.x, mean, scale)
    assert x.mean().item() == pytest.approx(0, abs=1e-4)
    assert x.std().item() == pytest.approx(1, abs=1e-4)
    flat = np.full((4, 8, 8, 3), 9, np.uint8)
    assert torch.equal(scaled(flat, *pixel_scaling(flat)), torch.zeros(4, 3, 8, 8))


def test_shifts_move_whole_images():
    x = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5) + 1
    paper = torch.tensor([-1.0, -2.0, -3.0])
    moves = set()
    for seed in range(40):
        moved = shifted(x, 1, paper, torch.Generator().manual_seed(seed))
        for image, original in zip(moved, x, strict=True):
            padded = torch.nn.functional.pad(original - paper[:, None, None], (1,) * 4)
            padded = padded + paper[:, None, None]
            found = [
                (i, j)
                for i in range(3)
                for j in range(3)
                if torch.equal(image, padded[:, i : i + 4, j : j + 5])
            ]
            assert len(found) == 1
            moves |= set(found)
    assert len(moves) == 9


def test_quick_is_an_eighth():
    assert [r.quick().steps for r in RECIPES] == [r.steps // 8 for r in RECIPES]


def test_transfer_compares_with_the_ceiling(digits, noisy):
    recipes = tuple(replace(r, steps=60) for r in RECIPES[:2])
    told = []
    found = transfer(
        noisy,
        digits.train,
        digits.test,
        recipes=recipes,
        seeds=2,
        progress=lambda stage, share: told.append(stage),
    )
    assert [t.classifier for t in found] == ["logistic regression", "MLP"]
    assert told[1] == "logistic regression on real images"
    for t in found:
        assert t.private
        assert len(t.synthetic.runs) == len(t.real.runs) == 2
        assert t.synthetic.mean > 0.6
        assert t.real.mean > 0.7
    (alone,) = transfer(
        noisy, digits.train, digits.test, recipes=recipes[:1], seeds=1, ceilings=False
    )
    assert alone.real is None


def test_mixed_labels_teach_nothing(digits):
    rng = np.random.default_rng(0)
    data = digits.train
    mixed = ImageData(data.x, rng.permutation(data.y), data.classes)
    score = accuracy(replace(RECIPES[1], steps=60), mixed, digits.test, seeds=1)
    assert score.mean < 0.35


def test_accuracies_over_seeds():
    score = Accuracy((0.8, 0.9), (0.5, float("nan")))
    assert score.mean == pytest.approx(0.85)
    assert score.spread == pytest.approx(0.0707, abs=1e-4)
    assert np.isnan(Accuracy((0.8,), ()).spread)
