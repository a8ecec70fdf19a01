"""Draws codes of a class from the deconvolved distribution, and decodes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from mezzotint.images.data import ImageFacts
from mezzotint.images.vae.encoder import Frame
from mezzotint.images.vae.spectral import dense_norm, max_min, network_constant

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class VaeGenerator:
    """Codes, one Gaussian a class, and a decoder: linear, or a small network.

    Attributes:
        facts: of the images.
        side: of the frame in which images are decoded.
        guarantee: the certificate in words.
        weights: means (classes, d), roots (classes, d, d) of the codes' covariances, centre
            (size,), and the decoder: directions (size, d), or layers 0, 1, .. of a network with
            `max_min` between them; texture (size, k), what the codes leave out, as Gaussian noise.
    """

    kind: ClassVar[str] = "lipschitz-vae"
    facts: ImageFacts
    side: int
    guarantee: str
    weights: Arrays

    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """See `Generator`."""
        rng, w = np.random.default_rng(seed), self.weights
        fresh = rng.standard_normal((len(labels), w["means"].shape[1]))
        codes = w["means"][labels] + np.einsum("nij,nj->ni", w["roots"][labels], fresh)
        rows = w["centre"] + forward(w, codes)
        rows = rows + rng.standard_normal((len(labels), w["texture"].shape[1])) @ w["texture"].T
        images = Frame(self.facts.shape, self.side).decode(rows)
        return np.rint(images * 255).astype(np.uint8)

    def config(self) -> Mapping[str, Any]:
        """See `Generator`."""
        return {"side": self.side, "guarantee": self.guarantee}

    def arrays(self) -> Arrays:
        """See `Generator`."""
        return dict(self.weights)

    @classmethod
    def restore(cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Arrays) -> Self:
        """See `Generator`."""
        made = cls(facts, int(config["side"]), str(config["guarantee"]), dict(arrays))
        size, classes = Frame(facts.shape, made.side).size, len(facts.classes)
        means, roots = arrays["means"], arrays["roots"]
        d = means.shape[1]
        ends = [arrays["directions"].T] if "directions" in arrays else _layers(arrays)
        shapes = [means.shape == (classes, d), roots.shape == (classes, d, d)]
        shapes += [arrays["centre"].shape == (size,), arrays["texture"].shape[0] == size]
        shapes += [1 <= made.side <= min(facts.height, facts.width)]
        if "directions" in arrays:
            shapes += [ends[0].shape == (d, size)]
        else:
            inputs = [d, *(layer.shape[0] for layer in ends[:-1])]
            shapes += [layer.shape[1] == k for layer, k in zip(ends, inputs, strict=True)]
            shapes += [ends[-1].shape[0] == size, arrays["scale"].shape == (1,)]
            shapes += [arrays[f"bias{i}"].shape == layer.shape[:1] for i, layer in enumerate(ends)]
            shapes += [layer.shape[0] % 2 == 0 for layer in ends[:-1]]
        if not all(shapes):
            raise ValueError("the arrays of the generator do not fit each other")
        return made


def forward(weights: Arrays, codes: np.ndarray) -> np.ndarray:
    """Codes to rows of the frame about its centre, by whichever decoder there is."""
    if "directions" in weights:
        return codes @ weights["directions"].T
    layers = _layers(weights)
    values = codes / weights["scale"][0]
    for i, layer in enumerate(layers):
        values = values @ layer.T + weights[f"bias{i}"]
        if i < len(layers) - 1:
            values = max_min(values)
    return values * weights["scale"][0]


def decoder_constant(weights: Arrays) -> float:
    """The decoder's certified constant; the frame is orthonormal, and the scales cancel."""
    if "directions" in weights:
        return dense_norm(weights["directions"])
    return network_constant([dense_norm(layer) for layer in _layers(weights)])


def _layers(arrays: Arrays) -> list[np.ndarray]:
    count = sum(name.startswith("layer") for name in arrays)
    return [arrays[f"layer{i}"] for i in range(max(count, 1))]
