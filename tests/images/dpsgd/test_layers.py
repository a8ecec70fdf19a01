"""What mixes records, or has a gradient that nobody wrote down, is refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mezzotint.errors import ParameterError
from mezzotint.images.dpsgd import Clipper, trainable_layers
from tests.images.dpsgd.cases import draws_of


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(3))


def shared() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    return net


REFUSED = {
    "batch norm": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), "1 .BatchNorm2d"),
    "frozen batch norm": (
        lambda: nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2, affine=False)),
        "mixes records",
    ),
    "synchronised": (lambda: nn.Sequential(nn.SyncBatchNorm(2)), "mixes records"),
    "instance norm with statistics": (
        lambda: nn.Sequential(nn.InstanceNorm2d(2, affine=True, track_running_stats=True)),
        "mixes records",
    ),
    "attention": (lambda: nn.MultiheadAttention(4, 2), "MultiheadAttention"),
    "recurrent": (lambda: nn.GRU(3, 3), "GRU"),
    "bare parameter": (Bare, "Bare"),
    "shared weight": (shared, "layers 0 and 1 share"),
    "reflecting": (lambda: nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "'reflect'"),
    "same": (lambda: nn.Conv2d(1, 1, 3, padding="same"), "'same'"),
    "grouped transposed": (lambda: nn.ConvTranspose2d(2, 2, 3, groups=2), "groups = 2"),
    "renormalised": (lambda: nn.Embedding(3, 2, max_norm=1.0), "max_norm"),
    "by frequency": (lambda: nn.Embedding(3, 2, scale_grad_by_freq=True), "scale_grad_by_freq"),
    "nothing": (lambda: nn.Sequential(nn.ReLU()), "no trainable parameter"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refused_by_name(name: str):
    make, words = REFUSED[name]
    with pytest.raises(ParameterError, match=words):
        trainable_layers(make())


def test_frozen_layers_of_any_type_pass():
    net = nn.Sequential(nn.Linear(3, 4), nn.GRUCell(4, 2))
    for value in net[1].parameters():
        value.requires_grad = False
    assert list(trainable_layers(net)) == ["0"]


def loss(model, records, draws):
    return model(records[0]).flatten(1).sum(1)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True)), "changed in place"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(1, 1)), "rows where"),
    ],
)
def test_refused_when_they_run(net: nn.Module, words: str):
    if isinstance(net[0], nn.Flatten):
        net = nn.Sequential(nn.Unflatten(1, (4, 1)), nn.Flatten(0, 1), nn.Linear(1, 1))

        def per_record(model, records, draws):
            return model(records[0]).view(len(records[0]), -1).sum(1)
    else:
        per_record = loss
    with pytest.raises(ParameterError, match=words):
        Clipper(net, per_record, 1.0)((torch.randn(3, 4),), draws_of([0, 1, 2]))


def test_an_averaged_loss_is_refused():
    net = nn.Linear(4, 1)
    with pytest.raises(ParameterError, match="not averaged"):
        Clipper(net, lambda m, r, d: loss(m, r, d).mean(), 1.0)(
            (torch.randn(3, 4),), draws_of([0, 1, 2])
        )


def test_one_layer_on_inputs_of_other_shapes_is_refused():
    net = nn.Conv2d(1, 1, 3, padding=1)

    def twice(model, records, draws):
        x = records[0]
        return model(x).sum((1, 2, 3)) + model(x[:, :, ::2]).sum((1, 2, 3))

    with pytest.raises(ParameterError, match="different shapes"):
        Clipper(net, twice, 1.0)((torch.randn(2, 1, 4, 4),), draws_of([0, 1]))
