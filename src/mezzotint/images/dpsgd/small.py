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
        rows, channels = a.shape[:2]
        # One pass over the input for the statistics, and dot products; x itself is not made.
        variance, mean = torch.var_mean(
            a.reshape(rows, layer.num_groups, -1), 2, correction=0, keepdim=True
        )
        per_group = channels // layer.num_groups
        rate = (variance + layer.eps).rsqrt().expand(-1, -1, per_group).reshape(rows, channels)
        mean = mean.expand(-1, -1, per_group).reshape(rows, channels)
        flat_a, flat_g = a.reshape(rows * channels, 1, -1), g.reshape(rows * channels, -1, 1)
        centred = flat_a - mean.reshape(-1, 1, 1)
        by_weight = torch.bmm(centred, flat_g).view(rows, channels) * rate
        by_bias = flat_g.sum(1).view(rows, channels)
    else:
        assert isinstance(layer, nn.LayerNorm)
        x = functional.layer_norm(a, layer.normalized_shape, eps=layer.eps)
        keep = len(layer.normalized_shape)
        shape = (len(a), -1, *a.shape[a.dim() - keep :])
        by_weight = (g * x).reshape(shape).sum(1)
        by_bias = g.reshape(shape).sum(1)
    gradients = {"weight": by_weight, "bias": by_bias}
    return {name: whole(_over_draws(value, records)) for name, value in gradients.items()}


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
    return Measured(flat.square().sum(1), lambda c: (c @ flat).view(shape))


def _over_draws(per_row: Tensor, records: int) -> Tensor:
    """Sums the K rows of each record."""
    return per_row.reshape(records, -1, *per_row.shape[1:]).sum(1)
