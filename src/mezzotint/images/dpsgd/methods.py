"""How the gradients of one layer's weight are measured and summed, record by record.

The gradient of record i for a weight is a sum of outer products over positions t (and over the
K forward draws of the record): W_i = sum_t m_it x_it^T. With x and m at hand, each method gives
the squared norms |W_i|^2 and, once the clip weights c_i are known, sum_i c_i W_i:

* ghost: |W_i|^2 = <X_i^T X_i, M_i^T M_i>, two Gram matrices over positions; the sum is one
  ordinary weight gradient with m scaled by c. Cheap where maps are small.
* product: W_i itself by batched products. Cheap where a layer has few weights.
* grouped: W_i itself by one convolution with as many groups as records. Cheap where maps are
  large.

References:
    Goodfellow. Efficient per-example gradient computations. 2015 (the norm of a linear layer).
    Rochette, Manoel, Tramel. Efficient per-example gradient computations in convolutional
        neural networks. 2019 (grouped convolution).
    Li, Tramer, Liang, Hashimoto. Large language models can be strong differentially private
        learners. ICLR 2022 (ghost clipping).
    Bu, Wang, Zha, Karypis. Differentially private optimization on large model at small cost.
        ICML 2023 (book-keeping: one backward pass).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# Columns of patches are made for a few records at a time, so that they stay in the cache.
_COLUMN_BYTES = 4 << 20
# Per-record gradients of one layer stay for the sum if they take no more than this.
KEEP_BYTES = 64 << 20


@dataclass
class Measured:
    """One layer's weight on a micro-batch of n records.

    Attributes:
        squares: Squared norms of the per-record gradients, shape (n,).
        total: Gives sum_i c_i W_i for weights c of shape (n,), in the parameter's shape.
    """

    squares: Tensor
    total: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Geometry:
    """How a convolution lays its kernel over x: kernel, stride, padding, dilation, groups."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int = 1


@dataclass(frozen=True)
class Factors:
    """The two halves of a layer's gradients on a micro-batch.

    Attributes:
        x: For a product, inputs of shape (n, T, I). For a convolution, what the kernel slides
            over, (n K, C, H, W).
        m: For a product, output gradients (n, T, O). For a convolution, the map that the kernel
            makes of x, (n K, O, h, w). A transposed convolution has its input here and its
            output gradient in x.
        records: n.
        geometry: None for a product.
        shape: The weight's shape.
    """

    x: Tensor
    m: Tensor
    records: int
    geometry: Geometry | None
    shape: torch.Size


def factors_of(layer: nn.Module, a: Tensor, g: Tensor, records: int) -> Factors:
    """Factors of a Linear, Conv2d or ConvTranspose2d layer.

    Args:
        layer: The layer.
        a: Its input, shape (n K, ...).
        g: The gradient of the summed loss by its output, shape (n K, ...).
        records: n; K consecutive rows belong to a record.
    """
    if isinstance(layer, nn.Linear):
        x = a.reshape(records, -1, a.shape[-1])
        m = g.reshape(records, -1, g.shape[-1])
        return Factors(x, m, records, None, layer.weight.shape)
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    geometry = Geometry(
        _pair(layer.kernel_size),
        _pair(layer.stride),
        _pair(layer.padding),
        _pair(layer.dilation),
        layer.groups,
    )
    x, m = (g, a) if isinstance(layer, nn.ConvTranspose2d) else (a, g)
    return Factors(x.contiguous(), m.contiguous(), records, geometry, layer.weight.shape)


def methods_for(factors: Factors) -> tuple[str, ...]:
    """The names of the methods that apply, the safest guess first."""
    if factors.geometry is None:
        return ("ghost", "product")
    if factors.geometry.groups != 1:
        return ("grouped",)
    positions = factors.m.shape[2] * factors.m.shape[3] * factors.m.shape[0] // factors.records
    small = 2 * positions**2 < factors.shape.numel()
    return ("ghost", "product", "grouped") if small else ("grouped", "product", "ghost")


def measure(factors: Factors, method: str, keep_bytes: int = KEEP_BYTES) -> Measured:
    """Norms now, and the weighted sum when the weights are known."""
    if method == "ghost":
        return Measured(_ghost_squares(factors), lambda c: _weighted(factors, c))
    gradients = per_record if method == "product" else _grouped
    size = factors.records * factors.shape.numel() * 4
    if size <= keep_bytes:
        kept = gradients(factors)
        squares = kept.flatten(1).square().sum(1)
        return Measured(squares, lambda c: (c @ kept.flatten(1)).view(factors.shape))
    step = max(1, keep_bytes // (factors.shape.numel() * 4))
    squares = torch.cat(
        [gradients(part).flatten(1).square().sum(1) for part in _parts(factors, step)]
    )
    return Measured(squares, lambda c: _weighted(factors, c))


def per_record(factors: Factors) -> Tensor:
    """The gradients W_i themselves, shape (n, *weight's shape), by batched products."""
    n = factors.records
    if factors.geometry is None:
        return torch.bmm(factors.m.transpose(1, 2), factors.x)
    if factors.geometry.groups != 1:
        return _grouped(factors)
    parts = []
    for part in _parts(factors, _column_step(factors)):
        x, m = _columns(part)
        parts.append(torch.bmm(m, x.transpose(1, 2)))
    return torch.cat(parts).view(n, *factors.shape)


def _grouped(factors: Factors) -> Tensor:
    """The gradients W_i by one convolution with n K groups."""
    if factors.geometry is None:
        return per_record(factors)
    x, m, geometry, rows = factors.x, factors.m, factors.geometry, len(factors.x)
    weight = x.new_empty(1).expand(rows * m.shape[1], x.shape[1] // geometry.groups, 1, 1)
    weight = weight.expand(-1, -1, *geometry.kernel)
    w = _weight_gradient(
        m.reshape(1, -1, *m.shape[2:]), x.reshape(1, -1, *x.shape[2:]), weight, geometry, rows
    )
    w = w.view(factors.records, -1, *factors.shape)
    return w.squeeze(1) if w.shape[1] == 1 else w.sum(1)


def _ghost_squares(factors: Factors) -> Tensor:
    if factors.geometry is None:
        x, m = factors.x, factors.m
        if x.shape[1] == 1:
            return x.square().sum((1, 2)) * m.square().sum((1, 2))
        return _gram_product(torch.bmm(x, x.transpose(1, 2)), torch.bmm(m, m.transpose(1, 2)))
    squares = []
    for part in _parts(factors, _column_step(factors)):
        x, m = _columns(part)
        squares.append(
            _gram_product(torch.bmm(x.transpose(1, 2), x), torch.bmm(m.transpose(1, 2), m))
        )
    return torch.cat(squares)


def _gram_product(left: Tensor, right: Tensor) -> Tensor:
    # Rounding may leave a small negative number where the norm is nought.
    return left.mul_(right).sum((1, 2)).clamp_(min=0)


def _weighted(factors: Factors, c: Tensor) -> Tensor:
    """sum_i c_i W_i as one ordinary weight gradient."""
    if factors.geometry is None:
        m = factors.m * c.view(-1, 1, 1)
        return m.flatten(0, 1).T @ factors.x.flatten(0, 1)
    repeat = len(factors.m) // factors.records
    m = factors.m * c.repeat_interleave(repeat).view(-1, 1, 1, 1)
    weight = factors.x.new_empty(1).expand(factors.shape)
    return _weight_gradient(m, factors.x, weight, factors.geometry, 1)


def _weight_gradient(m: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, rows: int) -> Tensor:
    return torch.ops.aten.convolution_backward(
        m,
        x,
        weight,
        None,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        False,
        (0, 0),
        geometry.groups * rows,
        (False, True, False),
    )[1]


def _columns(factors: Factors) -> tuple[Tensor, Tensor]:
    """Patches (n, C k k, K L) and maps (n, O, K L)."""
    geometry, n = factors.geometry, factors.records
    assert geometry is not None
    x = functional.unfold(
        factors.x,
        geometry.kernel,
        dilation=geometry.dilation,
        padding=geometry.padding,
        stride=geometry.stride,
    )
    m = factors.m.flatten(2)
    # A transposed convolution with output padding has patches that no input reached.
    if len(x) == n:
        return x, m
    x = x.view(n, -1, *x.shape[1:]).transpose(1, 2).flatten(2)
    m = m.view(n, -1, *m.shape[1:]).transpose(1, 2).flatten(2)
    return x, m


def _column_step(factors: Factors) -> int:
    """How many records' columns are made at a time."""
    geometry = factors.geometry
    assert geometry is not None
    height, width = geometry.kernel
    per_row = factors.x.shape[1] * height * width * factors.m.shape[2] * factors.m.shape[3] * 4
    repeat = len(factors.m) // factors.records
    return max(1, _COLUMN_BYTES // (per_row * repeat))


def _parts(factors: Factors, step: int) -> Iterator[Factors]:
    """The same factors, `step` records at a time."""
    rows = len(factors.x) // factors.records
    for start in range(0, factors.records, step):
        stop = min(start + step, factors.records)
        yield Factors(
            factors.x[start * rows : stop * rows],
            factors.m[start * rows : stop * rows],
            stop - start,
            factors.geometry,
            factors.shape,
        )


def _pair(value: object) -> tuple[int, int]:
    if isinstance(value, tuple):
        height, width = value
        return int(height), int(width)
    assert isinstance(value, int)
    return value, value
