"""The methods by the names that the command line uses; imported when they are first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mezzotint.errors import ParameterError
from mezzotint.images.extras import need
from mezzotint.schema.suggest import did_you_mean

if TYPE_CHECKING:
    from mezzotint.images.method import ImageMethod

DEFAULT = "mezzotint"
METHODS: dict[str, str] = {
    "mezzotint": "oneshot:MezzotintImages",
    "ef-gan": "gan:EfGan",
    "latent-diffusion": "latent_diffusion:LatentDiffusion",
    "lipschitz-vae": "vae:LipschitzVae",
    "dp-merf": "dp_merf:DpMerf",
    "dp-sinkhorn": "sinkhorn:DpSinkhorn",
    "class-gaussians": "class_gaussians:ClassGaussians",
}
"""Name -> "module:class" under `mezzotint.images`."""


def method(name: str) -> type[ImageMethod]:
    """The class of a method.

    Raises:
        ParameterError: if there is no method of that name.
    """
    if name not in METHODS:
        raise ParameterError(f"method {name!r} is unknown{did_you_mean(name, METHODS)}")
    module, _, attribute = METHODS[name].partition(":")
    return getattr(need(f"mezzotint.images.{module}"), attribute)
