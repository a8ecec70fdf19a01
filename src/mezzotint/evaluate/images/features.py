"""What images are compared in: pixels, random convolutions, a small classifier's features.

    pixels       as they are, in 0 to 1
    random       a fixed, untrained convolutional network: sees texture and place, knows no data
    LeNet        the 84 features of a LeNet trained on held-out real images: what matters to tell
                 the classes apart. Private, for it was trained on private images; its checksum
                 says which one it was
    Inception    2048 features of the network that the literature uses, from a file of the user's

Distances in one space mean nothing in another; LeNet's are never comparable with Inception's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mezzotint.errors import DataError
from mezzotint.evaluate.images.recipes import LENET, Classifier, Recipe, scaled, trained
from mezzotint.images.data import ImageData

_CHUNK = 500
_RANDOM_SEED = 20_211_027


def pixels(x: np.ndarray) -> np.ndarray:
    """float32 (n, height * width * channels) in 0 to 1."""
    return x.reshape(len(x), -1).astype(np.float32) / 255


def random_convolutions(x: np.ndarray) -> np.ndarray:
    """float32 (n, 512) from three layers of fixed random filters.

    Filters have unit norm and no mean, so that flat areas answer nothing; each layer halves the
    side; maps are averaged over a 2 x 2 grid at last.
    """
    channels = x.shape[3]
    generator = torch.Generator().manual_seed(_RANDOM_SEED)
    sizes = (channels, 32, 64, 128)
    filters = []
    for inside, outside in pairwise(sizes):
        weight = torch.randn(outside, inside, 3, 3, generator=generator)
        weight = weight - weight.mean((2, 3), keepdim=True)
        filters.append(weight / weight.flatten(1).norm(dim=1)[:, None, None, None])
    parts = []
    with torch.no_grad():
        for start in range(0, len(x), _CHUNK):
            maps = torch.from_numpy(x[start : start + _CHUNK]).permute(0, 3, 1, 2).float() / 255
            for weight in filters:
                maps = functional.leaky_relu(functional.conv2d(maps, weight, padding=1), 0.2)
                maps = functional.avg_pool2d(maps, 2) if min(maps.shape[2:]) > 2 else maps
            parts.append(functional.adaptive_avg_pool2d(maps, 2).flatten(1))
    return torch.cat(parts).numpy()


@dataclass(frozen=True)
class LeNet:
    """A frozen classifier whose last hidden layer is the space of LeNet-FID. Private.

    Attributes:
        classifier: the trained network.
        checksum: SHA-256 of its weights, first 16 hexadecimal digits.
    """

    classifier: Classifier
    checksum: str

    @classmethod
    def trained_on(cls, held_out: ImageData, recipe: Recipe = LENET) -> LeNet:
        """Train one, with a fixed seed.

        Private and public: private: trained on private images without noise.
        """
        classifier = trained(recipe, held_out, seed=0)
        digest = hashlib.sha256()
        for name, tensor in sorted(classifier.network.state_dict().items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
        return cls(classifier, digest.hexdigest()[:16])

    def features(self, x: np.ndarray) -> np.ndarray:
        """float32 (n, 84)."""
        assert isinstance(self.classifier.network, nn.Sequential)
        body = self.classifier.network[:-1]
        with torch.no_grad():
            parts = [
                body(scaled(x[i : i + _CHUNK], self.classifier.mean, self.classifier.scale))
                for i in range(0, len(x), _CHUNK)
            ]
        return torch.cat(parts).numpy()


class Inception:
    """The network of the standard FID, from a TorchScript file that the user names.

    The file is the one that StyleGAN and EDM are evaluated with (`inception-2015-12-05.pt`), or any
    other TorchScript module that takes uint8 images (n, 3, height, width) and gives features
    (n, d). TorchScript holds a program in PyTorch's own small language beside the weights; no
    Python code and no pickled object is run. Weights files in pickle (.pth) are refused: reading
    one runs whatever is in it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._module: Any = torch.jit.load(str(path), map_location="cpu").eval()
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "unreadable"
            raise DataError(
                f"{path}: this is no TorchScript module ({reason}); give the file "
                "inception-2015-12-05.pt, or another network saved by torch.jit.save"
            ) from None
        with path.open("rb") as file:
            self.checksum = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        self._path = path

    def features(self, x: np.ndarray) -> np.ndarray:
        """float32 (n, d); grey images become RGB."""
        if x.shape[3] == 1:
            x = x.repeat(3, axis=3)
        images = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)
        with torch.no_grad():
            parts = [
                self._forward(images[i : i + 50]).flatten(1).float()
                for i in range(0, len(images), 50)
            ]
        return torch.cat(parts).numpy()

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        known = {argument.name for argument in self._module.forward.schema.arguments}
        options = {"return_features": True} if "return_features" in known else {}
        try:
            return self._module(images, **options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise DataError(
                f"{self._path}: the network does not take uint8 images (n, 3, height, width) "
                f"({reason}); give the file inception-2015-12-05.pt"
            ) from None
