"""DP latent diffusion: desensitised latents, then a diffusion model on them."""

from mezzotint.images.latent_diffusion.method import LatentDiffusion

__all__ = ["LatentDiffusion"]
