"""What every trainable layer saw in a forward, and the gradients by its outputs in the backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from mezzotint.errors import ParameterError

Visit = Callable[[str, list[tuple[Tensor, Tensor]]], None]
"""Is told a layer's name and its calls: input, and gradient by output."""


@dataclass
class Use:
    """One call of a layer: its input, its output, and their versions when it ended.

    Attributes:
        layer: The layer's name.
        input: Its input.
        output: Its output.
        versions: Counters of changes in place, of both.
        first: Whether no trainable layer came before it.
    """

    layer: str
    input: Tensor
    output: Tensor
    versions: tuple[int, int]
    first: bool


@contextmanager
def watching(layers: dict[str, nn.Module]) -> Iterator[list[Use]]:
    """Records every call of `layers` while it is open."""
    uses: list[Use] = []

    def hook(name: str):
        def record(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen = inputs[0]
            versions = seen._version, output._version
            uses.append(Use(name, seen.detach(), output, versions, not seen.requires_grad))

        return record

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield uses
    finally:
        for handle in handles:
            handle.remove()


def walk_back(losses: Tensor, uses: list[Use], rows: int, visit: Visit) -> None:
    """One backward pass, without gradients of weights; visits each layer when it is complete.

    What a visit does not keep is freed at once, as in an ordinary backward pass. A layer that the
    losses do not depend on is not visited.

    Args:
        losses: Losses of shape (n,), record by record.
        uses: The layers' calls; emptied.
        rows: n K, what every layer's first dimension has to be.
        visit: Told every layer.

    Raises:
        ParameterError: A layer saw another number of rows, or its output was changed in place.
    """
    for use in uses:
        _check(use, rows)
    first = [use for use in uses if use.first]
    later = [use for use in uses if not use.first]
    uses.clear()
    missing: dict[str, int] = {}
    for use in (*first, *later):
        missing[use.layer] = missing.get(use.layer, 0) + 1
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def arrived(layer: str, seen: Tensor, g: Tensor) -> None:
        calls.setdefault(layer, []).append((seen, g))
        missing[layer] -= 1
        if not missing[layer]:
            visit(layer, calls.pop(layer))

    # Hooks of an intermediate result run when its gradient is whole. Every layer's output lies on
    # the way to the output of a first one, so that asking for those alone meets all of them.
    for use in later:
        use.output.register_hook(partial(arrived, use.layer, use.input))
    outputs = [use.output for use in first]
    seen = [(use.layer, use.input) for use in first]
    later.clear()
    first.clear()
    found = torch.autograd.grad(losses.sum(), outputs, allow_unused=True)
    for (layer, x), g in zip(seen, found, strict=True):
        if g is not None:
            arrived(layer, x, g)
    # Of a layer that is used several times, some calls may not have reached the losses.
    for layer, some in calls.items():
        visit(layer, some)


def _check(use: Use, rows: int) -> None:
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
