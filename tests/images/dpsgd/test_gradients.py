"""Clipped sums equal a naive loop: every layer type, every method, several draws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mezzotint.images.dpsgd import Clipper
from mezzotint.images.dpsgd.clipping import CLIP_MARGIN, has_factors
from mezzotint.images.dpsgd.methods import measure, methods_for, per_record
from tests.images.dpsgd.cases import (
    NETS,
    Layer,
    N,
    draws_of,
    flat,
    loss,
    naive_gradients,
    net_of,
    trainable,
)


def clipped_sum(gradients: Tensor, clip: float) -> Tensor:
    norms = gradients.norm(dim=1)
    return ((clip * CLIP_MARGIN / norms).clamp(max=1).unsqueeze(1) * gradients).sum(0)


def every_layer(clipper: Clipper, method: str) -> dict[str, str]:
    """The method for every layer to which it applies."""
    layers = clipper.layers.items()
    return {
        name: method
        for name, layer in layers
        if has_factors(layer) and getattr(layer, "groups", 1) == 1
    }


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("method", ["ghost", "product", "grouped"])
@pytest.mark.parametrize("name", list(NETS))
def test_sums_and_norms_equal_a_naive_loop(name: str, method: str, copies: int):
    net, x = net_of(name)
    expected = naive_gradients(net, x, copies)
    clip = float(expected.norm(dim=1).median())
    clipper = Clipper(net, loss, clip)
    clipper.methods = every_layer(clipper, method)
    found = clipper((x,), draws_of(list(range(N)), copies))
    torch.testing.assert_close(found.norms, expected.norm(dim=1), rtol=1e-9, atol=1e-12)
    sums = flat([found.sums[name] for name, _ in trainable(net)])
    torch.testing.assert_close(sums, clipped_sum(expected, clip), rtol=1e-9, atol=1e-9 * clip)


@pytest.mark.parametrize("method", ["ghost", "product", "grouped"])
@pytest.mark.parametrize("name", ["conv", "linear on a sequence", "transposed", "group norm"])
def test_float32_is_exact_to_its_precision(name: str, method: str):
    net, x = net_of(name, torch.float32)
    x /= 20  # where the sine is tame, so that rounding stays rounding
    expected = naive_gradients(net, x, 1)
    clip = float(expected.norm(dim=1).median())
    clipper = Clipper(net, loss, clip)
    clipper.methods = every_layer(clipper, method)
    found = clipper((x,), draws_of(list(range(N))))
    torch.testing.assert_close(found.norms, expected.norm(dim=1), rtol=2e-5, atol=1e-6)
    sums = flat([found.sums[name] for name, _ in trainable(net)])
    torch.testing.assert_close(sums, clipped_sum(expected, clip), rtol=1e-4, atol=2e-5 * clip)


@pytest.mark.parametrize("keep", [0, 200, 10**9])
def test_gradients_that_are_not_kept_are_made_again(keep: int):
    net, x = net_of("conv")
    clipper = Clipper(net, loss, 1.0)
    c = torch.linspace(0, 1, N, dtype=torch.float64)
    for factors in clipper.factors((x,), draws_of(list(range(N)))).values():
        whole = per_record(factors)
        for method in methods_for(factors):
            measured = measure(factors, method, keep)
            torch.testing.assert_close(measured.squares, whole.flatten(1).square().sum(1))
            torch.testing.assert_close(
                measured.total(c), (c @ whole.flatten(1)).view(factors.shape)
            )


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    size=st.integers(4, 9),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    transposed=st.booleans(),
    copies=st.integers(1, 2),
)
def test_any_geometry(kernel, stride, padding, size, channels, transposed, copies):
    if transposed:
        padding = min(padding, kernel - 1)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    torch.manual_seed(1)
    net = Layer(kind(*channels, kernel, stride, padding)).double()
    x = torch.randn(3, channels[0], size, size + 1, dtype=torch.float64)
    expected = naive_gradients(net, x, copies)
    for method in ("ghost", "product", "grouped"):
        clipper = Clipper(net, loss, 1e3)
        clipper.methods = every_layer(clipper, method)
        found = clipper((x,), draws_of([0, 1, 2], copies))
        torch.testing.assert_close(found.norms, expected.norm(dim=1), rtol=1e-8, atol=1e-10)


def test_no_record_adds_more_than_the_clip():
    """Guarantee: each record adds a vector of norm at most C, whatever the others are."""
    net, x = net_of("conv", torch.float32)
    x[0] *= 1e6
    for clip in (1e-4, 1.0, 1e4):
        clipper = Clipper(net, loss, clip)
        indices = list(range(N))
        whole = clipper((x,), draws_of(indices)).sums
        for i in indices:
            rest = [j for j in indices if j != i]
            without = clipper((x[rest],), draws_of(rest)).sums
            change = flat([whole[name] - without[name] for name, _ in trainable(net)])
            assert change.norm() <= clip


def test_a_record_whose_gradient_overflows_adds_nothing():
    net, x = net_of("conv", torch.float32)
    clipper = Clipper(net, loss, 1.0)
    rest = [0, 1, 3, 4]
    without = clipper((x[rest],), draws_of(rest)).sums
    for broken in (math.inf, math.nan, 1e38):
        x[2] = broken
        found = clipper((x,), draws_of(list(range(N))))
        assert not torch.isfinite(found.norms[2])
        assert torch.isfinite(found.norms[rest]).all()
        for name, expected in without.items():
            torch.testing.assert_close(found.sums[name], expected)


def test_no_records_add_nothing():
    net, x = net_of("conv")
    found = Clipper(net, loss, 1.0)((x[:0],), draws_of([]))
    assert {name: tuple(value.shape) for name, value in found.sums.items()} == {
        name: tuple(value.shape) for name, value in trainable(net)
    }
    assert not any(value.any() for value in found.sums.values())


def test_a_layer_that_the_loss_does_not_reach_has_no_gradient():
    net = Layer(nn.Linear(6, 4)).double()
    net.add_module("unused", nn.Linear(2, 2).double())
    found = Clipper(net, loss, 1.0)((torch.ones(2, 6, dtype=torch.float64),), draws_of([0, 1]))
    assert not found.sums["unused.weight"].any()
    assert found.sums["parts.0.weight"].any()
