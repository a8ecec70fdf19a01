"""Times the methods of `methods` once for each layer's shape and picks the fastest.

It times them on made-up records of the data's shape, so the choice tells nothing about the data.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mezzotint.images.dpsgd.clipping import Clipper
from mezzotint.images.dpsgd.draws import Draws
from mezzotint.images.dpsgd.methods import Factors, measure, methods_for

_RECORDS = 32
_REPEATS = 3
# The first guess is left only for a method that is this much faster: timings are noisy.
_CLEARLY = 0.9


def made_up(records: Sequence[Tensor], count: int) -> tuple[Tensor, ...]:
    """`count` records of the same shapes and types as the data's, and none of its values.

    Floats are normal, bytes uniform, and other integers (labels) nought.
    """
    generator = torch.Generator().manual_seed(0)
    parts = []
    for part in records:
        shape = (count, *part.shape[1:])
        if part.is_floating_point():
            made = torch.randn(shape, generator=generator).to(part.dtype)
        elif part.dtype == torch.uint8:
            made = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        else:
            made = torch.zeros(shape, dtype=part.dtype)
        parts.append(made)
    return tuple(parts)


def tune(
    clipper: Clipper,
    records: Sequence[Tensor],
    copies: int,
    micro_batch: int,
    device: torch.device,
) -> dict[str, str]:
    """Layer name to the name of its fastest method.

    Args:
        clipper: The model and its loss.
        records: Tensors of the data's shapes; their values are not read.
        copies: K.
        micro_batch: How many records a call will have.
        device: Where the model is.
    """
    n = min(micro_batch, _RECORDS)
    batch = tuple(part.to(device) for part in made_up(records, n))
    found = clipper.factors(batch, Draws(0, 0, np.arange(n), copies, device))
    known: dict[tuple[object, ...], str] = {}
    chosen = {}
    for name, factors in found.items():
        key = (factors.geometry, factors.x.shape, factors.m.shape, factors.shape)
        if key not in known:
            known[key] = _fastest(factors)
        chosen[name] = known[key]
    return chosen


def _fastest(factors: Factors) -> str:
    names = methods_for(factors)
    if len(names) == 1:
        return names[0]
    times = {name: _time(factors, name) for name in names}
    best = min(names, key=times.__getitem__)
    return best if times[best] < _CLEARLY * times[names[0]] else names[0]


def _time(factors: Factors, method: str) -> float:
    c = factors.x.new_ones(factors.records)
    best = float("inf")
    for _ in range(_REPEATS):
        _wait(factors.x.device)
        start = time.perf_counter()
        measure(factors, method).total(c)
        _wait(factors.x.device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
