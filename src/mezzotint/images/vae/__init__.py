"""The Lipschitz VAE: certified constants, local or shuffled answers, deconvolution."""

from mezzotint.images.vae.method import LipschitzVae

__all__ = ["LipschitzVae"]
