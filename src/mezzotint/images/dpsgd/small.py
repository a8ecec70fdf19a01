"""Per-record gradients of the small parameters: biases, normalisation, embeddings, constants.

They are few enough to be made as they are, shape (n, *parameter's shape); only an embedding, whose
gradient is nought but for the rows that a record looks up, is kept by its rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.images.dpsgd.layers import Scale, Shift
from mezzotint.images.dpsgd.methods import Measured


def bias(layer: nn.Module, g: Tensor, records: int) -> Measured:
    """The bias of a Linear, Conv2d or ConvTranspose2d layer; g of shape (n K, ...)."""
    if isinstance(layer, nn.Linear):
        return whole(g.reshape(records, -1, g.shape[-1]).sum(1))
    return whole(_over_draws(g.flatten(2).sum(2), records))


def normalisation(layer: nn.Module, a: Tensor, g: Tensor, records: int) -> dict[str, Measured]:
    """Weight and bias of GroupNorm or LayerNorm.

    The weight's gradient is the sum of g times the normalised input over positions.
    """
    if isinstance(layer, nn.GroupNorm):
        by_weight, by_bias = _group_norm(layer, a.contiguous(), g.contiguous())
    else:
        assert isinstance(layer, nn.LayerNorm)
        x = functional.layer_norm(a, layer.normalized_shape, eps=layer.eps)
        keep = len(layer.normalized_shape)
        shape = (len(a), -1, *a.shape[a.dim() - keep :])
        by_weight = (g * x).reshape(shape).sum(1)
        by_bias = g.reshape(shape).sum(1)
    gradients = {"weight": by_weight, "bias": by_bias}
    return {name: whole(_over_draws(value, records)) for name, value in gradients.items()}


def _group_norm(layer: nn.GroupNorm, a: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Shape (rows, channels) each: the sums over positions of g x and of g.

    PyTorch's own kernel sums over rows too; given all rows as the channels of a single one, it
    does not.
    """
    rows, channels = a.shape[:2]
    positions, groups = a[0, 0].numel(), layer.num_groups
    _, mean, rate = torch.ops.aten.native_group_norm(
        a, None, None, rows, channels, positions, groups, layer.eps
    )
    _, by_weight, by_bias = torch.ops.aten.native_group_norm_backward(
        g.view(1, rows * channels, -1),
        a.view(1, rows * channels, -1),
        mean.view(1, -1),
        rate.view(1, -1),
        a.new_ones(rows * channels),
        1,
        rows * channels,
        positions,
        rows * groups,
        (False, True, True),
    )
    return by_weight.view(rows, channels), by_bias.view(rows, channels)


def embedding(layer: nn.Embedding, indices: Tensor, g: Tensor, records: int) -> Measured:
    """The table of an embedding; |W_i|^2 sums <g_t, g_u> over lookups t, u of the same row."""
    rows = indices.reshape(records, -1)
    m = g.reshape(records, rows.shape[1], -1)
    if layer.padding_idx is not None:
        m = m * (rows != layer.padding_idx).unsqueeze(2)
    if rows.shape[1] == 1:
        squares = m.square().sum((1, 2))
    else:
        same = rows.unsqueeze(1) == rows.unsqueeze(2)
        squares = (torch.bmm(m, m.transpose(1, 2)) * same).sum((1, 2)).clamp_(min=0)

    def total(c: Tensor) -> Tensor:
        weighted = (m * c.view(-1, 1, 1)).flatten(0, 1)
        return torch.zeros_like(layer.weight).index_add_(0, rows.flatten(), weighted)

    return Measured(squares, total)


def constant(layer: Shift | Scale, a: Tensor, g: Tensor, records: int) -> Measured:
    """The value of a Shift or a Scale."""
    g = g * a if isinstance(layer, Scale) else g
    shape = layer.value.shape
    rows = g.reshape(records, -1, *g.shape[1:])
    for dim, size in enumerate((1,) * (g.dim() - 1 - len(shape)) + tuple(shape), start=2):
        if size == 1:
            rows = rows.sum(dim, keepdim=True)
    return whole(rows.sum(1).reshape(records, *shape))


def whole(gradients: Tensor) -> Measured:
    """Per-record gradients as they are, shape (n, *parameter's shape)."""
    flat = gradients.flatten(1)
    shape = gradients.shape[1:]
    squares = torch.linalg.vector_norm(flat, dim=1).square()
    return Measured(squares, lambda c: (c @ flat).view(shape))


def _over_draws(per_row: Tensor, records: int) -> Tensor:
    """Sums the K rows of each record."""
    return per_row.reshape(records, -1, *per_row.shape[1:]).sum(1)
