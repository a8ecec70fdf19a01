"""What a latent diffusion leaves behind: decoder, Gaussians and network. Public."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from mezzotint.images.data import ImageFacts
from mezzotint.images.frequencies import Frequencies
from mezzotint.images.latent_diffusion.denoiser import (
    Denoiser,
    Gaussians,
    Network,
    network_arrays,
)
from mezzotint.images.latent_diffusion.latents import Latents
from mezzotint.images.latent_diffusion.sampler import sample
from mezzotint.images.oneshot.draws import arcsine_shares, as_pixels, sharpened
from mezzotint.images.oneshot.judge import Judge, persuaded

_MOST_TRIES = 1000
_ARRAYS = ("centre", "components", "means", "axes", "variances", "spread")


class DiffusionGenerator:
    """Draws latents by the diffusion, and decodes them."""

    kind: ClassVar[str] = "latent-diffusion"

    def __init__(
        self,
        latents: Latents,
        network: Network,
        judge: Judge | None,
        *,
        width: int,
        levels: int,
        tries: int,
    ) -> None:
        self.latents = latents
        self.network = network.cpu().eval()
        self.judge = judge
        self.width = width
        self.levels = levels
        self.tries = tries

    @torch.no_grad()
    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label, uint8 (n, h, w, c).

        The decoder is linear and leaves edges soft; they are raised, by a share that differs from
        image to image. What the teacher takes for another class is drawn again.
        """
        denoise = Denoiser(Gaussians(self.latents), self.network)
        source = torch.Generator().manual_seed(seed)

        def images(y: Tensor) -> Tensor:
            found = sample(denoise, y, self.latents.size, self.levels, source)
            decoded = torch.from_numpy(self.latents.decode(found.numpy())).movedim(3, 1)
            return sharpened(decoded, arcsine_shares(len(y), source))

        wanted = torch.from_numpy(np.asarray(labels, np.int64))
        if self.judge is None:
            return as_pixels(images(wanted))
        return as_pixels(persuaded(self.judge, wanted, self.tries, images))

    def config(self) -> Mapping[str, Any]:
        """Sizes, and the latents' scale."""
        return {
            "side": self.latents.frame.side,
            "latents": self.latents.size,
            "scale": self.latents.scale,
            "width": self.width,
            "levels": self.levels,
            "tries": self.tries,
            "taught": self.judge is not None,
        }

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The encoder, the Gaussians and the network's weights."""
        own = {name: np.asarray(getattr(self.latents, name), np.float32) for name in _ARRAYS}
        own |= network_arrays(self.network.state_dict())
        if self.judge is not None:
            own |= {f"teacher.{name}": array for name, array in self.judge.arrays().items()}
        return own

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
        judge, tries = None, int(config["tries"])
        if config["taught"]:
            judge = Judge(facts, arrays["teacher.mean"], arrays["teacher.weights"])
        if not 0 < tries <= _MOST_TRIES:
            raise ValueError(f"tries = {tries}")
        levels = int(config["levels"])
        return cls(latents, network, judge, width=width, levels=levels, tries=tries)
