"""DP-Sinkhorn: a generator that follows the transport of its images to the private ones."""

from mezzotint.images.sinkhorn.method import DpSinkhorn

__all__ = ["DpSinkhorn"]
