"""Error feedback: what clipping took from a record is given back at its next turn.

Each record i has a memory e_i of its own, nought at first. When i is sampled, with gradient g_i:

    u_i = g_i + lambda e_i;  released: sum_i clip(u_i, C) + sigma C N(0, I);
    e_i <- the residual u_i - clip(u_i, C), shrunk to norm C_mem if it is longer.

Theorem. The run of T steps is dominated by T Poisson-subsampled Gaussians of multiplier sigma:
error feedback costs nothing. Neighbours differ by one record's presence (add/remove).
Proof. Let the adversary know the coins of all other records, at all steps; their law is the same
in both worlds. Given those and the releases so far, what every other record adds is fixed and
the same in both worlds, its memory included, since a memory is read and written at its own
record's turns only. The differing record adds 1[sampled] u, where |u| <= C depends on its own past
coins and on the releases, and not on the fresh coin. Integral P^a Q^(1-a) is convex in P and in
Q, so that the divergence at each step, in both directions, is at most its supremum over fixed u
with |u| <= C, the subsampled Gaussian's; composition is adaptive. []
That argument needs one memory per record: a single memory for all (Zhang et al., DiceSGD, ICLR
2024) is fed by unclipped gradients, and calibrating its noise to C does not bound its leak.

N memories as long as the model would not fit. So e_i lives in a subspace fixed before the data
is touched: the weights of some layers, each as Q E P^T with orthonormal Q and P drawn from a public
seed (or all of the weight). The residual is projected there; the proof does not mind.

The memories are private. They are kept in the process and in the private half of a checkpoint,
which is deleted when the training ends, and never in a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mezzotint.errors import ParameterError
from mezzotint.images.dpsgd.layers import trainable_layers
from mezzotint.images.dpsgd.methods import Factors, per_record


@dataclass(frozen=True)
class ErrorFeedback:
    """Settings of error feedback; public.

    Attributes:
        decay: lambda, how much of the memory comes back; in [0, 1].
        bound: C_mem / C, the longest memory.
        layers: How many of the last layers with a weight matrix remember.
        rank: The most rows and columns of a layer's memory; None for the whole weight.
    """

    decay: float = 0.7
    bound: float = 3.0
    layers: int = 2
    rank: int | None = 16

    def __post_init__(self) -> None:
        if not 0 <= self.decay <= 1:
            raise ParameterError(f"decay = {self.decay!r}: give a number in [0, 1]")
        if not 0 < self.bound < float("inf"):
            raise ParameterError(f"bound = {self.bound!r}: give a positive multiple of the clip")
        if self.layers < 1 or (self.rank is not None and self.rank < 1):
            raise ParameterError(
                f"layers = {self.layers!r}, rank = {self.rank!r}: give at least 1 of each"
            )


class Sketch:
    """The coordinates of the memories: orthonormal, and fixed before the data is touched.

    Attributes:
        decay: lambda.
        sizes: Layer name to how many numbers a record remembers of it.
    """

    def __init__(self, settings: ErrorFeedback, model: nn.Module, seed: int) -> None:
        self.decay = settings.decay
        generator = torch.Generator().manual_seed(seed)
        layers = {
            name: layer
            for name, layer in trainable_layers(model).items()
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
            and layer.weight.requires_grad
            and not (isinstance(layer, nn.Conv2d) and layer.groups > 1)
        }
        self.sizes: dict[str, int] = {}
        self._bases: dict[str, tuple[Tensor, Tensor] | None] = {}
        self._shapes: dict[str, torch.Size] = {}
        for name in list(layers)[-settings.layers :]:
            weight = layers[name].weight
            rows, columns = weight.shape[0], weight[0].numel()
            self._shapes[name] = weight.shape
            if settings.rank is None or settings.rank >= min(rows, columns) == max(rows, columns):
                self._bases[name] = None
                self.sizes[name] = rows * columns
                continue
            left = _orthonormal(rows, settings.rank, generator).to(weight)
            right = _orthonormal(columns, settings.rank, generator).to(weight)
            self._bases[name] = left, right
            self.sizes[name] = left.shape[1] * right.shape[1]

    @property
    def size(self) -> int:
        """m, the numbers that a record remembers."""
        return sum(self.sizes.values())

    def sketch(self, layer: str, factors: Factors) -> Tensor:
        """The coordinates of the per-record gradients of one layer, shape (n, size)."""
        bases = self._bases[layer]
        if bases is None:
            return per_record(factors).flatten(1)
        left, right = bases
        if factors.geometry is None:
            x, m = factors.x @ right, factors.m @ left
            return torch.bmm(m.transpose(1, 2), x).flatten(1)
        n, geometry = factors.records, factors.geometry
        kernel = right.T.reshape(-1, factors.x.shape[1], *geometry.kernel)
        x = functional.conv2d(
            factors.x, kernel, None, geometry.stride, geometry.padding, geometry.dilation
        )
        m = torch.einsum("nohw,os->nshw", factors.m, left)
        x, m = (part.reshape(n, -1, *part.shape[1:]).transpose(1, 2).flatten(2) for part in (x, m))
        return torch.bmm(m, x.transpose(1, 2)).flatten(1)

    def lift(self, coordinates: Tensor) -> dict[str, Tensor]:
        """Coordinates of shape (m,) as weights, by parameter name."""
        lifted = {}
        parts = coordinates.split(list(self.sizes.values()))
        for name, part in zip(self.sizes, parts, strict=True):
            bases, weight = self._bases[name], part
            if bases is not None:
                left, right = bases
                weight = left @ part.view(left.shape[1], right.shape[1]) @ right.T
            lifted[f"{name}.weight" if name else "weight"] = weight.reshape(self._shapes[name])
        return lifted


class RecordMemory:
    """e_i for every record, private; float32 of shape (N, m), on the host.

    Args:
        records: N.
        size: m.
        bound: C_mem.
    """

    def __init__(self, records: int, size: int, bound: float) -> None:
        self.values = np.zeros((records, size), np.float32)
        self._bound = bound

    def read(self, indices: np.ndarray, device: torch.device) -> Tensor:
        """Memories of shape (n, m)."""
        return torch.from_numpy(self.values[indices]).to(device)

    def write(self, indices: np.ndarray, residual: Tensor) -> None:
        """Keeps residuals of shape (n, m), none longer than C_mem."""
        norms = residual.norm(dim=1, keepdim=True)
        kept = residual * (self._bound / norms).clamp(max=1)
        self.values[indices] = kept.cpu().numpy()


def _orthonormal(size: int, rank: int, generator: torch.Generator) -> Tensor:
    """A matrix of `size` rows and at most `rank` orthonormal columns."""
    if rank >= size:
        return torch.eye(size)
    return torch.linalg.qr(torch.randn(size, rank, generator=generator))[0]
