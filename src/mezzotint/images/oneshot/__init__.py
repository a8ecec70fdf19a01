"""Our own method: one-shot releases, then as much post-processing as one likes."""

from mezzotint.images.oneshot.method import MezzotintImages

__all__ = ["MezzotintImages"]
