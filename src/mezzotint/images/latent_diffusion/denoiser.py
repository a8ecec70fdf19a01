"""The denoiser: what is known from the moments in closed form, and a network for the rest.

For a class that is Gaussian, the best guess at a latent u from u + sigma n is linear:

    D_G = m + V diag(v / (v + sigma^2)) V^T (u + sigma n - m).

The network learns what the classes have beyond that, in units of the Gaussian's own error. With
its last layer at zero it adds nothing: the model begins as the Gaussians, and only gets better.

Source: Karras, Aittala, Aila, Laine. Elucidating the design space of diffusion-based generative
models. NeurIPS 2022 (preconditioning; here one factor a latent).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.images.latent_diffusion.latents import Latents

_TONES = 8


class Network(nn.Module):
    """A perceptron of latents, noise level and class.

    Args:
        latents: how many there are.
        classes: how many there are.
        width: of its hidden layers.
    """

    def __init__(self, latents: int, classes: int, width: int) -> None:
        super().__init__()
        self.label = nn.Embedding(classes, width)
        self.first = nn.Linear(latents + 2 * _TONES, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.last = nn.Linear(width, latents)
        nn.init.zeros_(self.label.weight)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, level: Tensor, y: Tensor) -> Tensor:
        """(rows, latents), (rows,) logarithms of sigma, (rows,) classes to (rows, latents)."""
        tones = level[:, None] * torch.linspace(0.25, 2.0, _TONES, device=x.device)
        h = torch.cat([x, torch.sin(tones), torch.cos(tones)], 1)
        h = nn.functional.silu(self.first(h) + self.label(y))
        h = h + nn.functional.silu(self.second(h))
        h = h + nn.functional.silu(self.third(h))
        return self.last(h)


class Gaussians(nn.Module):
    """The classes' Gaussians as tensors; nothing in it is trained."""

    means: Tensor
    axes: Tensor
    variances: Tensor
    spread: Tensor

    def __init__(self, latents: Latents) -> None:
        super().__init__()
        for name in ("means", "axes", "variances", "spread"):
            value = torch.from_numpy(np.ascontiguousarray(getattr(latents, name)))
            self.register_buffer(name, value.float())

    def guess(self, noisy: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
        """D_G; shapes (rows, k), (rows, 1), (rows,)."""
        mean, axes, variances = self.means[y], self.axes[y], self.variances[y]
        along = torch.einsum("nka,nk->na", axes, noisy - mean)
        return mean + torch.einsum("nka,na->nk", axes, along * variances / (variances + sigma**2))

    def units(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """How wide a noisy latent is, and how wrong the guess at it; both (rows, k)."""
        wide = (self.spread + sigma**2).sqrt()
        return wide, sigma * self.spread.sqrt() / wide


class Denoiser:
    """D = D_G + units * network."""

    def __init__(self, gaussians: Gaussians, network: Network) -> None:
        self.gaussians = gaussians
        self.network = network

    def __call__(self, noisy: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
        """The guess at the clean latents; shapes (rows, k), (rows, 1), (rows,)."""
        wide, error = self.gaussians.units(sigma)
        guess = self.gaussians.guess(noisy, sigma, y)
        inside = (noisy - self.gaussians.means[y]) / wide
        return guess + error * self.network(inside, sigma[:, 0].log(), y)

    def loss(self, network: nn.Module, clean: Tensor, noise: Tensor, sigma: Tensor, y: Tensor):
        """How far the network's guess is off, in units of the Gaussian's error; (rows,)."""
        noisy = clean + sigma * noise
        wide, error = self.gaussians.units(sigma)
        wanted = (clean - self.gaussians.guess(noisy, sigma, y)) / error
        inside = (noisy - self.gaussians.means[y]) / wide
        weight = self.gaussians.spread.sqrt()
        off = (network(inside, sigma[:, 0].log(), y) - wanted) ** 2
        return (off * (weight / weight.sum())).sum(1)


def network_arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """A network's weights by name."""
    return {f"network.{name}": value.cpu().numpy() for name, value in state.items()}
