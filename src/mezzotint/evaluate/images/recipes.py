"""The classifiers by which synthetic images are judged, and how they are trained.

Every training set gets the same number of steps of the same size, whatever its own size and
wherever it comes from; nothing is chosen by looking at a test set, and nothing is stopped early.
Batches are drawn from shuffled passes; AdamW with a one-cycle learning rate (Smith 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mezzotint.images.data import ImageData

BATCH = 256
_SMOOTHING = 0.05
_DECAY = 0.01


@dataclass(frozen=True)
class Recipe:
    """A classifier and its training.

    Attributes:
        name: in words.
        build: (channels, height, width, classes) -> an untrained network.
        steps: batches of `BATCH` images.
        rate: the highest learning rate.
        shift: images are moved at random by up to so many pixels in training.
    """

    name: str
    build: Callable[[int, int, int, int], nn.Module]
    steps: int
    rate: float
    shift: int = 0

    def quick(self) -> Recipe:
        """The same with an eighth of the steps, for a first look."""
        return replace(self, steps=max(1, self.steps // 8))


@dataclass(frozen=True)
class Classifier:
    """A trained network with the scaling of its inputs.

    Attributes:
        network: in evaluation mode.
        mean: of the training pixels, per channel, shape (channels, 1, 1).
        scale: their standard deviation, likewise.
    """

    network: nn.Module
    mean: torch.Tensor
    scale: torch.Tensor

    def logits(self, x: np.ndarray, chunk: int = 1000) -> torch.Tensor:
        """float32, shape (n, classes), for uint8 images (n, height, width, channels)."""
        parts = [
            self.network(scaled(x[i : i + chunk], self.mean, self.scale))
            for i in range(0, len(x), chunk)
        ]
        return torch.cat(parts)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The most likely class of each image, int64 (n,)."""
        with torch.no_grad():
            return self.logits(x).argmax(1).numpy()


def logistic(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """Logistic regression on pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))


def perceptron(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """Two hidden layers of 256."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * width, 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, classes),
    )


def convolutional(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """Three blocks of convolution, pooling, batch normalisation; 16, 32 and 64 channels.

    Pooling comes first: what follows has a quarter of the work.
    """
    layers: list[nn.Module] = []
    for inside, outside in ((channels, 16), (16, 32), (32, 64)):
        layers += [
            nn.Conv2d(inside, outside, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        ]
    flat = 64 * (height // 8) * (width // 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(flat, classes))


def lenet(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """LeNet-5 with ReLU and maximum pooling; its last layer but one has 84 units."""
    flat = 16 * (height // 4) * (width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


RECIPES = (
    Recipe("logistic regression", logistic, steps=1500, rate=0.003),
    Recipe("MLP", perceptron, steps=2000, rate=0.002),
    Recipe("CNN", convolutional, steps=2000, rate=0.01, shift=2),
)
"""In the order of the reports; the last one is the one that papers quote."""

LENET = Recipe("LeNet", lenet, steps=1000, rate=0.002, shift=1)


def trained(recipe: Recipe, data: ImageData, seed: int) -> Classifier:
    """Train a classifier; the same seed gives the same one on the same machine.

    Args:
        recipe: which, and how.
        data: the training images.
        seed: of initial weights, order and shifts.
    """
    height, width, channels = data.facts.shape
    with torch.random.fork_rng(devices=[]):
        # Initialisers and dropout draw from PyTorch's one global generator.
        torch.manual_seed(seed)
        network = recipe.build(channels, height, width, len(data.classes))
        mean, scale = pixel_scaling(data.x)
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.rate, total_steps=recipe.steps + 1, pct_start=0.2
        )
        network.train()
        for rows in _batches(len(data), recipe.steps, generator):
            x = scaled(data.x[rows], mean, scale)
            if recipe.shift:
                x = shifted(x, recipe.shift, (-mean / scale).flatten(), generator)
            loss = functional.cross_entropy(
                network(x), torch.from_numpy(data.y[rows]), label_smoothing=_SMOOTHING
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return Classifier(network.eval(), mean, scale)


def pixel_scaling(x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the pixels, per channel, each of shape (channels, 1, 1)."""
    counts = np.stack([np.bincount(x[..., c].ravel(), minlength=256) for c in range(x.shape[3])])
    values = np.arange(256)
    total = counts.sum(1)
    mean = counts @ values / total
    variance = counts @ values.astype(np.float64) ** 2 / total - mean**2
    scale = np.sqrt(np.maximum(variance, 1.0))  # one colour only: leave it as it is
    return tuple(torch.tensor(a, dtype=torch.float32)[:, None, None] for a in (mean, scale))  # type: ignore[return-value]


def scaled(x: np.ndarray, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """uint8 (n, height, width, channels) as standardised float32 (n, channels, height, width)."""
    return (torch.from_numpy(x).permute(0, 3, 1, 2).float() - mean) / scale


def shifted(
    x: torch.Tensor, most: int, paper: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Each image moved by up to `most` pixels; what is uncovered takes the colour `paper`."""
    n, channels, height, width = x.shape
    around = functional.pad(x - paper[:, None, None], (most,) * 4) + paper[:, None, None]
    down, right = torch.randint(0, 2 * most + 1, (2, n), generator=generator)
    rows = (down[:, None] + torch.arange(height))[:, None, :, None]
    columns = (right[:, None] + torch.arange(width))[:, None, None, :]
    images = torch.arange(n)[:, None, None, None]
    return around[images, torch.arange(channels)[None, :, None, None], rows, columns]


def _batches(n: int, steps: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Rows of each step: shuffled passes, joined end to end."""
    left = np.empty(0, np.int64)
    for _ in range(steps):
        while len(left) < BATCH:
            left = np.concatenate([left, torch.randperm(n, generator=generator).numpy()])
        rows, left = left[:BATCH], left[BATCH:]
        yield rows
