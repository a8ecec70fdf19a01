"""Which layers have per-record gradients, and which mix records and are refused.

DP-SGD clips the gradient of one record. A layer that lets records see each other (batch
normalisation) has no such gradient, so it is refused by name; so is a trainable layer whose
per-record gradient this package does not know.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mezzotint.errors import ParameterError


class Shift(nn.Module):
    """A learned constant that is added: x + value, broadcast over records.

    Args:
        shape: Shape of the constant, without the dimension of the records.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Takes x of shape (n, ...), which `value` broadcasts to."""
        return x + self.value


class Scale(nn.Module):
    """A learned constant that multiplies: x * value, broadcast over records.

    Args:
        shape: Shape of the constant, without the dimension of the records.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Takes x of shape (n, ...), which `value` broadcasts to."""
        return x * self.value


KNOWN = (
    nn.Linear,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.Embedding,
    nn.GroupNorm,
    nn.LayerNorm,
    Shift,
    Scale,
)
_KNOWN_NAMES = ", ".join(kind.__name__ for kind in KNOWN)


def trainable_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers of `model` that hold trainable parameters, by their names.

    Raises:
        ParameterError: A layer mixes records, is of an unknown type, has an option that changes
            what its gradient is, or shares a parameter with another layer.
    """
    layers: dict[str, nn.Module] = {}
    owners: dict[int, str] = {}
    for name, module in model.named_modules():
        place = name or type(model).__name__
        _refuse_mixing(place, module)
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if not own:
            continue
        if type(module) not in KNOWN:
            raise ParameterError(
                f"layer {place} ({type(module).__name__}) holds trainable parameters, and its "
                f"per-record gradient is not known: build it from {_KNOWN_NAMES}, or freeze it"
            )
        _refuse_options(place, module)
        for parameter in own:
            other = owners.setdefault(id(parameter), place)
            if other != place:
                raise ParameterError(
                    f"layers {other} and {place} share a parameter, so a record's gradient is not "
                    "the two layers' side by side: use one layer twice, or two parameters"
                )
        layers[name] = module
    if not layers:
        raise ParameterError("the model has no trainable parameter: there is nothing to train")
    return layers


def parameters_of(layer: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """A layer's own trainable parameters, in the order in which gradients are given."""
    for name, parameter in layer.named_parameters(recurse=False):
        if parameter.requires_grad:
            yield name, parameter


def _refuse_mixing(place: str, module: nn.Module) -> None:
    mixes = isinstance(module, _BatchNorm) or (
        isinstance(module, _InstanceNorm) and module.track_running_stats
    )
    if mixes:
        raise ParameterError(
            f"layer {place} ({type(module).__name__}) mixes records: each output depends on the "
            "other records of the batch, so no clipping bounds what one record does. "
            "Use GroupNorm or LayerNorm"
        )


def _refuse_options(place: str, module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise ParameterError(
                f"layer {place} pads with {module.padding_mode!r}, {module.padding!r}: "
                "give padding as numbers, and pad otherwise by a layer of its own"
            )
        if module.groups != 1 and isinstance(module, nn.ConvTranspose2d):
            raise ParameterError(
                f"layer {place}: groups = {module.groups} of a transposed convolution: use 1"
            )
    if isinstance(module, nn.Embedding) and (
        module.max_norm is not None or module.scale_grad_by_freq or module.sparse
    ):
        raise ParameterError(
            f"layer {place}: an embedding with max_norm, scale_grad_by_freq or sparse changes its "
            "weights or gradients by what the batch holds: leave these options off"
        )
