"""EF-GAN: a generative adversarial network whose critic learns with error feedback."""

from mezzotint.images.gan.method import EfGan

__all__ = ["EfGan"]
