"""What a fit leaves behind: something public that draws images.

A generator is plain JSON and named arrays, so that a model file needs no pickle; its `kind` names
the class that rebuilds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from mezzotint.errors import ModelFileError
from mezzotint.images.data import ImageFacts
from mezzotint.images.extras import need


@runtime_checkable
class Generator(Protocol):
    """Draws images of given classes. Everything about it is public.

    Attributes:
        kind: its key in `KINDS`.
    """

    kind: ClassVar[str]

    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One image a label.

        Args:
            labels: int64, shape (n,); n is at most `fitted.CHUNK`, so that memory is bounded.
            seed: makes the images repeatable on one machine.

        Returns:
            uint8, shape (n, height, width, channels).
        """
        ...

    def config(self) -> Mapping[str, Any]:
        """What rebuilds it beside its arrays: plain JSON values."""
        ...

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Its weights by name: finite floats or integers."""
        ...

    @classmethod
    def restore(
        cls, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        """The inverse; raises ValueError or KeyError on a wrong shape or a missing name."""
        ...


KINDS: dict[str, str] = {
    "class-gaussians": "class_gaussians:ClassGaussiansGenerator",
    "mezzotint": "oneshot.generator:OneShotGenerator",
    "dp-merf": "dp_merf:MeanEmbeddingGenerator",
    "dp-sinkhorn": "sinkhorn.method:SinkhornGenerator",
    "ef-gan": "gan.generator:GanGenerator",
    "latent-diffusion": "latent_diffusion.generator:DiffusionGenerator",
    "lipschitz-vae": "vae.generator:VaeGenerator",
}
"""Kind -> "module:class" under `mezzotint.images`; imported when a model of that kind is read."""


def restore(
    kind: str, facts: ImageFacts, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> Generator:
    """Rebuild a generator of any kind."""
    if kind not in KINDS:
        raise ModelFileError(
            f"its generator is a {kind!r}, which this version of Mezzotint does not know. "
            "Update Mezzotint."
        )
    module, _, name = KINDS[kind].partition(":")
    home = need(f"mezzotint.images.{module}")
    return getattr(home, name).restore(facts, config, arrays)
