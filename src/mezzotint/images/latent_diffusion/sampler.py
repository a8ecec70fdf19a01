"""The stochastic sampler of Karras et al. 2022, Algorithm 2: from pure noise to latents."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from mezzotint.images.latent_diffusion.denoiser import Denoiser

SIGMA_MIN = 0.02
SIGMA_MAX = 8.0
_RHO = 7.0
_CHURN = 12.0
_CHURN_FROM, _CHURN_TO, _CHURN_NOISE = 0.05, 4.0, 1.003


def sample(denoise: Denoiser, y: Tensor, k: int, steps: int, draw: torch.Generator) -> Tensor:
    """Latents of the wanted classes.

    Args:
        denoise: the model.
        y: classes, shape (n,).
        k: how many latents an image has.
        steps: noise levels between the first and zero.
        draw: where the randomness comes from; post-processing.

    Returns:
        shape (n, k).
    """
    n = len(y)

    def normal() -> Tensor:
        return torch.randn(n, k, generator=draw)

    def slope(x: Tensor, t: float) -> Tensor:
        return (x - denoise(x, torch.full((n, 1), t), y)) / t

    levels = noise_levels(steps)
    x = levels[0] * normal()
    for now, after in pairwise(levels):
        # Raise the noise a little, so that errors made so far are forgotten.
        gamma = min(_CHURN / steps, math.sqrt(2) - 1) if _CHURN_FROM <= now <= _CHURN_TO else 0.0
        raised = now * (1 + gamma)
        if gamma:
            x = x + math.sqrt(raised**2 - now**2) * _CHURN_NOISE * normal()
        d = slope(x, raised)
        ahead = x + (after - raised) * d
        if after > 0:  # Heun: average the slopes at both ends
            ahead = x + (after - raised) * (d + slope(ahead, after)) / 2
        x = ahead
    return x


def noise_levels(steps: int) -> list[float]:
    """From `SIGMA_MAX` down to `SIGMA_MIN`, then 0 (Equation 5)."""
    top, bottom = SIGMA_MAX ** (1 / _RHO), SIGMA_MIN ** (1 / _RHO)
    share = [i / max(steps - 1, 1) for i in range(steps)]
    return [(top + s * (bottom - top)) ** _RHO for s in share] + [0.0]
