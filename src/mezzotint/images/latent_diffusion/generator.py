"""What a latent diffusion leaves behind: decoder, Gaussians and network. Public."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch

from mezzotint.images.data import ImageFacts
from mezzotint.images.latent_diffusion.denoiser import (
    Denoiser,
    Gaussians,
    Network,
    network_arrays,
)
from mezzotint.images.latent_diffusion.frequencies import Frequencies
from mezzotint.images.latent_diffusion.latents import Latents
from mezzotint.images.latent_diffusion.sampler import sample

_ARRAYS = ("centre", "components", "means", "axes", "variances", "spread")


class DiffusionGenerator:
    """Draws latents by the diffusion, and decodes them."""

    kind: ClassVar[str] = "latent-diffusion"

    def __init__(self, latents: Latents, network: Network, *, width: int, levels: int) -> None:
        self.latents = latents
        self.network = network.cpu().eval()
        self.width = width
        self.levels = levels

    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label, uint8 (n, h, w, c)."""
        denoise = Denoiser(Gaussians(self.latents), self.network)
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            y = torch.from_numpy(labels)
            found = sample(denoise, y, self.latents.size, self.levels, draw)
        return self.latents.decode(found.numpy())

    def config(self) -> Mapping[str, Any]:
        """Sizes, and the latents' scale."""
        return {
            "side": self.latents.frame.side,
            "latents": self.latents.size,
            "scale": self.latents.scale,
            "width": self.width,
            "levels": self.levels,
        }

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The encoder, the Gaussians and the network's weights."""
        own = {name: np.asarray(getattr(self.latents, name), np.float32) for name in _ARRAYS}
        return own | network_arrays(self.network.state_dict())

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse of `config` and `arrays`."""
        frame = Frequencies(facts.shape, int(config["side"]))
        k, classes, width = int(config["latents"]), len(facts.classes), int(config["width"])
        shapes = {
            "centre": (frame.size,),
            "components": (frame.size, k),
            "means": (classes, k),
            "axes": (classes, k, k),
            "variances": (classes, k),
            "spread": (k,),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
        own = {name: arrays[name].astype(np.float64) for name in _ARRAYS}
        network = Network(k, classes, width)
        wanted = network.state_dict()
        given = {name: arrays[f"network.{name}"] for name in wanted}
        for name, value in given.items():
            if value.shape != tuple(wanted[name].shape):
                raise ValueError(f"network.{name} has shape {value.shape}")
        network.load_state_dict({name: torch.from_numpy(v.copy()) for name, v in given.items()})
        latents = Latents(frame=frame, scale=float(config["scale"]), **own)
        return cls(latents, network, width=width, levels=int(config["levels"]))
