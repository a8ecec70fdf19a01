"""Error feedback: the algorithm as it is written down, and the theorem's premises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mezzotint.errors import ParameterError
from mezzotint.images.dpsgd import Block, Clipper, ErrorFeedback, PrivateTraining
from mezzotint.images.dpsgd.clipping import CLIP_MARGIN
from mezzotint.images.dpsgd.memory import Sketch
from mezzotint.privacy.events import SubsampledGaussian
from tests.images.dpsgd.cases import (
    draws_of,
    gradient_of,
    loss,
    naive_gradients,
    net_of,
    source_of,
    trainable,
)

EVENT = SubsampledGaussian(0.5, rate=0.6, steps=12)


def basis(sketch: Sketch, net: torch.nn.Module) -> Tensor:
    """The memory's coordinates as columns in parameter space, shape (p, m)."""
    columns = []
    for j in range(sketch.size):
        unit = torch.zeros(sketch.size)
        unit[j] = 1
        lifted = sketch.lift(unit)
        parts = [lifted.get(name, torch.zeros_like(p)) for name, p in trainable(net)]
        columns.append(torch.cat([part.flatten() for part in parts]).detach())
    return torch.stack(columns, 1)


@pytest.mark.parametrize("rank", [None, 1, 2])
@pytest.mark.parametrize("name", ["conv", "linear on a sequence", "transposed"])
def test_the_coordinates_are_orthonormal_and_read_what_they_lift(name: str, rank: int | None):
    net, x = net_of(name, torch.float32)
    sketch = Sketch(ErrorFeedback(layers=2, rank=rank), net, seed=4)
    columns = basis(sketch, net)
    torch.testing.assert_close(columns.T @ columns, torch.eye(sketch.size), atol=1e-5, rtol=0)
    x /= 20
    clipper = Clipper(net, loss, 1.0)
    layers = clipper.factors((x,), draws_of(list(range(len(x)))))
    read = torch.cat([sketch.sketch(layer, layers[layer]) for layer in sketch.sizes], 1)
    torch.testing.assert_close(read, naive_gradients(net, x, 1) @ columns, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("rank", [None, 2])
def test_it_is_the_algorithm(rank: int | None, copies: int):
    """u = g + lambda e; sum clip(u, C); e <- shrink(P (u - clip(u, C)), C_mem)."""
    net, x = net_of("conv", torch.float32)
    x /= 3
    clip, settings = 5.0, ErrorFeedback(decay=0.7, bound=2.0, layers=2, rank=rank)
    block = Block("net", net, loss, clip, multiplicity=copies, feedback=settings)
    training = PrivateTraining(
        (block,), (x,), source_of(EVENT, noise_off=True), EVENT, batch=1.0, seed=11
    )
    columns = basis(Sketch(settings, net, 11), net)
    coins = source_of(EVENT, noise_off=True)
    memories = torch.zeros(len(x), columns.shape[1])
    clipped = 0
    for step in training.remaining():
        sampled = np.flatnonzero(coins.coins(step, len(x)))
        g = naive_gradients(net, x, copies, step)
        expected = torch.zeros(columns.shape[0])
        for i in sampled:
            u = g[i] + 0.7 * columns @ memories[i]
            c = min(1.0, clip * CLIP_MARGIN / float(u.norm()))
            clipped += c < 1
            expected += c * u
            residual = columns.T @ ((1 - c) * u)
            memories[i] = residual * min(1.0, 2 * clip / max(float(residual.norm()), 1e-30))
        training.gradients(step)
        torch.testing.assert_close(gradient_of(net), expected, rtol=1e-3, atol=2e-3)
        for value in net.parameters():
            value.data -= 0.003 * value.grad
    assert clipped > 5
    held = torch.from_numpy(training.memories()["net"])
    torch.testing.assert_close(held, memories, rtol=1e-2, atol=5e-3)
    assert (held.norm(dim=1) <= 2 * clip * (1 + 1e-6)).all()


def test_one_record_moves_the_sum_by_at_most_the_clip_at_its_own_steps():
    """The theorem's premise: given coins and history, a record adds 1[sampled] u with |u| <= C.

    Two trainings, one without the last record, see the same weights and the same coins. What the
    others remember must be the same in both.
    """
    net, x = net_of("conv", torch.float32)
    x[-1] *= 30
    clip = 1.0
    settings = ErrorFeedback(decay=1.0, bound=5.0, layers=2, rank=None)
    trainings = [
        PrivateTraining(
            (Block("net", net, loss, clip, feedback=settings),),
            (records,),
            source_of(EVENT, noise_off=True),
            EVENT,
            batch=1.0,
            methods={"net": {}},
        )
        for records in (x, x[:-1])
    ]
    coins = source_of(EVENT, noise_off=True)
    seen = 0
    for step in range(EVENT.steps):
        sums = []
        weights = torch.nn.utils.parameters_to_vector(net.parameters()).detach()
        for training in trainings:
            training.gradients(step)
            sums.append(gradient_of(net))
        change = float((sums[0] - sums[1]).norm())
        if coins.coins(step, len(x))[-1]:
            assert change <= clip
            seen += change > 0.5 * clip
        else:
            assert change < 1e-6
        # Both go on from the same release.
        torch.nn.utils.vector_to_parameters(weights - 0.01 * sums[0], net.parameters())
    assert seen > 2
    held = [training.memories()["net"] for training in trainings]
    np.testing.assert_allclose(held[0][:-1], held[1], rtol=1e-4, atol=1e-5)
    assert held[0][-1].any()


def test_a_gradient_that_its_memory_cancels_is_never_clipped_too_late():
    """|g + e| is bounded from above where g and e nearly cancel."""
    net, x = net_of("linear", torch.float32)
    x = x[:1]
    sketch = Sketch(ErrorFeedback(decay=1.0, layers=1, rank=None), net, 0)
    clipper = Clipper(net, loss, 1e-3, feedback=sketch)
    layers = clipper.factors((x,), draws_of([0]))
    g = torch.cat([sketch.sketch(layer, layers[layer]) for layer in sketch.sizes], 1)
    for off in (0.0, 1e-6, 1e-4, 1e-2):
        found = clipper((x,), draws_of([0]), -g * (1 + off))
        total = torch.cat([value.flatten() for value in found.sums.values()])
        assert total.norm() <= 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"decay": -0.1},
        {"decay": 1.1},
        {"bound": 0.0},
        {"bound": np.inf},
        {"layers": 0},
        {"rank": 0},
    ],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ParameterError):
        ErrorFeedback(**options)
