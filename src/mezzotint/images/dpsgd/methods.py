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
    gradients = _product if method == "product" else _grouped
    channels_last = gradients is _product and _is_plain(factors)
    size = factors.records * factors.shape.numel() * 4
    if size <= keep_bytes:
        kept = gradients(factors)

        def total(c: Tensor) -> Tensor:
            summed = (c @ kept.flatten(1)).view(kept.shape[1:])
            return summed.permute(0, 3, 1, 2).contiguous() if channels_last else summed

        return Measured(_squares(kept), total)
    step = max(1, keep_bytes // (factors.shape.numel() * 4))
    squares = torch.cat([_squares(gradients(part)) for part in _parts(factors, step)])
    return Measured(squares, lambda c: _weighted(factors, c))


def per_record(factors: Factors) -> Tensor:
    """The gradients W_i themselves, shape (n, *weight's shape), by batched products."""
    w = _product(factors)
    return w.permute(0, 1, 4, 2, 3).contiguous() if _is_plain(factors) else w


def _product(factors: Factors) -> Tensor:
    """The gradients W_i by batched products; of a convolution (n, O, k, k, C)."""
    geometry = factors.geometry
    if geometry is None:
        return torch.bmm(factors.m.transpose(1, 2), factors.x)
    if geometry.groups != 1:
        return _grouped(factors)
    parts = []
    for part in _parts(factors, _column_step(factors)):
        x, m = _columns(part)
        parts.append(torch.bmm(m.transpose(1, 2), x))
    channels = factors.shape[1]
    return torch.cat(parts).view(factors.records, factors.shape[0], *geometry.kernel, channels)


def _is_plain(factors: Factors) -> bool:
    """Whether it is a convolution without groups."""
    return factors.geometry is not None and factors.geometry.groups == 1


def _squares(gradients: Tensor) -> Tensor:
    return torch.linalg.vector_norm(gradients.flatten(1), dim=1).square()


def _grouped(factors: Factors) -> Tensor:
    """The gradients W_i by one convolution with n K groups."""
    if factors.geometry is None:
        return _product(factors)
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
            _gram_product(torch.bmm(x, x.transpose(1, 2)), torch.bmm(m, m.transpose(1, 2)))
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
    """Patches (n, K L, k k C) and maps (n, K L, O).

    Channels come last: patches are then copied in long runs.
    """
    geometry, n = factors.geometry, factors.records
    assert geometry is not None
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel, geometry.stride, geometry.dilation
    up, left = geometry.padding
    rows, outputs, height, width = factors.m.shape
    x = functional.pad(factors.x.permute(0, 2, 3, 1), (0, 0, left, left, up, up)).contiguous()
    by_row, by_line, by_pixel, _ = x.stride()
    shape = (rows, height, width, kh, kw, x.shape[3])
    strides = (by_row, sh * by_line, sw * by_pixel, dh * by_line, dw * by_pixel, 1)
    patches = x.as_strided(shape, strides).reshape(n, -1, kh * kw * x.shape[3])
    maps = factors.m.flatten(2).transpose(1, 2)
    return patches, maps if rows == n else maps.reshape(n, -1, outputs)


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
