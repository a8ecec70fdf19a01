"""What the engine's tests share: little nets, a naive loop, sources from a real ledger."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.images.dpsgd import Draws, Scale, Shift
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from mezzotint.privacy.training import TrainingNoise

CPU = torch.device("cpu")
N = 5


class Layer(nn.Module):
    """A net around one layer, which gives one number a row."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return (self.parts(x).flatten(1).sin()).sum(1)


class Twice(nn.Module):
    """One convolution and one linear layer, each used twice, on the same and on other shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.linear = nn.Linear(6, 6)
        self.table = nn.Embedding(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(torch.tanh(self.conv(x)))
        rows = y.flatten(2)[:, :, :6]
        where = (x.flatten(1)[:, :2] * 1.7).long().abs() % 4
        mixed = self.linear(rows).sum(1) + self.table(where).sum(1) + self.table(where).sum(1)
        return self.linear(torch.tanh(mixed)).sin().sum(1)


class Words(nn.Module):
    """An embedding whose rows a record looks up several times."""

    def __init__(self, **options: int) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 4, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.table((x.flatten(1)[:, :6] * 3).long().abs() % 3).flatten(1).sin().sum(1)


def _frozen() -> nn.Module:
    net = Layer(nn.Linear(6, 4), nn.Linear(4, 4))
    net.parts[0].weight.requires_grad = False
    return net


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: Layer(nn.Linear(6, 4)), (6,)),
    "linear without bias": (lambda: Layer(nn.Linear(6, 4, bias=False)), (6,)),
    "linear on a sequence": (lambda: Layer(nn.Linear(6, 4), nn.Linear(4, 5)), (7, 6)),
    "conv": (lambda: Layer(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 2)), (2, 6, 5)),
    "strided conv": (lambda: Layer(nn.Conv2d(2, 3, 4, 2, 1), nn.Conv2d(3, 5, 3, 2, 1)), (2, 7, 8)),
    "dilated conv": (lambda: Layer(nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 2), (1, 2))), (2, 7, 8)),
    "grouped conv": (lambda: Layer(nn.Conv2d(4, 6, 3, padding=1, groups=2)), (4, 5, 5)),
    "transposed": (lambda: Layer(nn.ConvTranspose2d(3, 2, 4, 2, 1)), (3, 4, 3)),
    "transposed with output padding": (
        lambda: Layer(nn.ConvTranspose2d(3, 2, 3, 2, 1, output_padding=1)),
        (3, 4, 3),
    ),
    "group norm": (lambda: Layer(nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1)), (4, 3, 3)),
    "layer norm": (lambda: Layer(nn.LayerNorm(6), nn.Linear(6, 3)), (4, 6)),
    "layer norm of maps": (lambda: Layer(nn.LayerNorm((2, 3, 3)), nn.Conv2d(2, 2, 1)), (2, 3, 3)),
    "embedding": (Words, (6,)),
    "embedding with padding": (lambda: Words(padding_idx=1), (6,)),
    "shift": (lambda: Layer(Shift(2, 1, 3), nn.Conv2d(2, 2, 1)), (2, 3, 3)),
    "scale": (lambda: Layer(Scale(3, 3), nn.Conv2d(2, 2, 1)), (2, 3, 3)),
    "layers used twice": (Twice, (2, 3, 4)),
    "frozen weight": (_frozen, (6,)),
}


def net_of(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    """A net with weights that are not special, and N records."""
    generator = torch.Generator().manual_seed(3)
    make, shape = NETS[name]
    net = make().to(dtype)
    for value in net.parameters():
        value.data = torch.randn(value.shape, generator=generator, dtype=dtype) * 0.7 + 0.1
    # Records of very different sizes, so that some are clipped and some are not.
    sizes = torch.logspace(-1, 1, N, dtype=dtype).view(-1, *[1] * len(shape))
    return net, torch.randn(N, *shape, generator=generator, dtype=dtype) * sizes


def loss(model: nn.Module, records: tuple[Tensor, ...], draws: Draws) -> Tensor:
    """Each draw of a record sees it with a little noise of its own."""
    (x,) = records
    return model(draws.repeat(x) + 0.1 * draws.normal(*x.shape[1:]).to(x)) ** 2


def draws_of(indices: list[int], copies: int = 1, step: int = 0) -> Draws:
    return Draws(11, step, np.asarray(indices), copies, CPU)


def naive_gradients(net: nn.Module, x: Tensor, copies: int, step: int = 0) -> Tensor:
    """One backward pass a record; shape (n, parameters)."""
    rows = []
    for i in range(len(x)):
        net.zero_grad()
        loss(net, (x[i : i + 1],), draws_of([i], copies, step)).mean().backward()
        rows.append(flat([p.grad for _, p in trainable(net)]))
    net.zero_grad()
    return torch.stack(rows)


def trainable(net: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in net.named_parameters() if p.requires_grad]


def flat(parts: list[Tensor | None]) -> Tensor:
    return torch.cat([part.flatten() for part in parts if part is not None]).detach().clone()


def gradient_of(net: nn.Module) -> Tensor:
    return flat([p.grad for _, p in trainable(net)])


def source_of(
    event: SubsampledGaussian, *, noise_off: bool = False, seed: int = 5
) -> TrainingNoise:
    """Coins and noise from a ledger's row; fixed for the test, or without noise."""
    ledger = Ledger.memory(insecure_noise="off" if noise_off else seed)
    run = ledger.begin(
        Budget(1e4, 1e-5), mechanism="test", dataset="records", programme=Programme((event,))
    )
    return noise.training(run.training(0, "steps"))
