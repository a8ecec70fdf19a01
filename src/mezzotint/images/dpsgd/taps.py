"""What every trainable layer saw and gave in one forward, and the gradients by its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mezzotint.errors import ParameterError


@dataclass
class Use:
    """One call of a layer: its input, its output, and their versions when it ended."""

    layer: str
    input: Tensor
    output: Tensor
    versions: tuple[int, int]


@contextmanager
def watching(layers: dict[str, nn.Module]) -> Iterator[list[Use]]:
    """Records every call of `layers` while it is open."""
    uses: list[Use] = []

    def hook(name: str):
        def record(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen = inputs[0]
            uses.append(Use(name, seen.detach(), output, (seen._version, output._version)))

        return record

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield uses
    finally:
        for handle in handles:
            handle.remove()


def output_gradients(losses: Tensor, uses: list[Use], rows: int) -> list[Tensor]:
    """The gradient of the summed losses by every use's output; one backward pass, no weights.

    Args:
        losses: Losses of shape (n,), record by record.
        uses: The layers' calls.
        rows: n K, what every layer's first dimension has to be.

    Raises:
        ParameterError: A layer saw another number of rows, or its output was changed in place.
    """
    for use in uses:
        if len(use.output) != rows or len(use.input) != rows:
            raise ParameterError(
                f"layer {use.layer} saw {len(use.input)} rows where the micro-batch has {rows}: "
                "the first dimension of every layer's input must be that of the records (times "
                "the draws of each), in their order"
            )
        if (use.input._version, use.output._version) != use.versions:
            raise ParameterError(
                f"the input or output of layer {use.layer} was changed in place after it was "
                "used, so its gradient is lost: use inplace=False"
            )
    found = torch.autograd.grad(losses.sum(), [use.output for use in uses], allow_unused=True)
    return [
        torch.zeros_like(use.output) if grad is None else grad
        for use, grad in zip(uses, found, strict=True)
    ]
