"""DP-Sinkhorn: one record's pull, the potentials, the noise; each against something simpler."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images.data import ImageData
from mezzotint.images.sinkhorn import DpSinkhorn
from mezzotint.images.sinkhorn.method import noised_sums
from mezzotint.images.sinkhorn.transport import Sources, clipped_pull, joint_bound
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme

BLUR = 0.3


def a_world(seed, *, n=9, each=4, classes=2, d=6):
    """Sources with their potentials, and records of which some lie on a source."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.random((classes, each, d)))
    others = torch.from_numpy(rng.random((classes, 3 * each, d)))
    y = torch.from_numpy(rng.random((n, d)))
    labels = torch.from_numpy(rng.integers(0, classes, n))
    y[: n // 3] = points[labels[: n // 3], 0] + 1e-7
    y[n // 3 : n // 2] *= 100
    return Sources.towards(points, others, BLUR), y, labels


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 8), st.sampled_from([1e-6, 1e-3, 0.2, 50.0]))
def test_one_record_moves_the_sum_by_at_most_the_clip(seed, left_out, clip):
    sources, y, labels = a_world(seed)
    others = torch.arange(len(y)) != left_out
    moved = clipped_pull(sources, y, labels, clip) - clipped_pull(
        sources, y[others], labels[others], clip
    )
    assert moved.norm() <= clip * (1 + 1e-6) + 1e-12
    # It pulls at images of its own class alone.
    assert not moved[1 - labels[left_out]].any()


def test_a_pull_that_is_not_clipped_is_the_gradient_of_the_semi_dual():
    """Against automatic differentiation of the cost as the module writes it."""
    sources, y, labels = a_world(1)
    points = sources.points.clone().requires_grad_()
    cost = torch.zeros(())
    for record, label in zip(y, labels, strict=True):
        squares = (points[label] - record).square().sum(1) / 2
        cost = cost - BLUR * torch.logsumexp(sources.potentials[label] - squares / BLUR, 0)
    cost.backward()
    got = clipped_pull(sources, y, labels, 1e9)
    assert torch.allclose(got, points.grad, rtol=1e-6, atol=1e-9)


def test_clipping_shortens_each_record_by_itself():
    sources, y, labels = a_world(2)
    expected = torch.zeros_like(sources.points)
    for i in range(len(y)):
        alone = clipped_pull(sources, y[i : i + 1], labels[i : i + 1], 1e9)
        expected += alone * min(1.0, 0.1 / float(alone.norm()))
    got = clipped_pull(sources, y, labels, 0.1)
    assert torch.allclose(got, expected, rtol=1e-6, atol=1e-9)


def test_potentials_share_the_others_out_equally():
    """At the optimum every source stands for as much of the others as any source does."""
    sources, _, _ = a_world(3)
    others = torch.from_numpy(np.random.default_rng(3).random((2, 50, 6)))
    sources = Sources.towards(sources.points, others, BLUR)
    for x, potentials, targets in zip(sources.points, sources.potentials, others, strict=True):
        squares = (targets[:, None] - x[None]).square().sum(2)
        shares = torch.softmax(potentials - squares / (2 * BLUR), dim=1).mean(0)
        assert shares.numpy() == pytest.approx(np.full(4, 0.25), abs=1e-3)


def test_where_the_data_is_what_was_drawn_nothing_moves():
    """The Sinkhorn divergence's gradient at its minimum."""
    sources, _, _ = a_world(4)
    y = torch.from_numpy(np.random.default_rng(4).random((2, 50, 6)))
    labels = torch.arange(2).repeat_interleave(50)
    sources = Sources.towards(sources.points, y, BLUR)
    twice = torch.cat([y.flatten(0, 1)] * 2)
    one = clipped_pull(sources, y.flatten(0, 1), labels, 0.3)
    two = clipped_pull(sources, twice, torch.cat([labels] * 2), 0.3)
    assert torch.allclose(one, two / 2)


def test_noise_is_the_joint_bound_times_the_multiplier():
    """240,000 draws; a scale off by 2 % is 14 standard errors away (false alarm below 1e-6)."""
    programme = Programme((SubsampledGaussian(3.0, 0.5, 10),))
    budget = Budget(programme.epsilon(1e-5) * 1.001, 1e-5)
    points = torch.full((60, 4, 100), 0.5, dtype=torch.float64)
    sources = Sources.towards(points, points, BLUR)
    empty = torch.zeros(0, 100, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    with (
        Ledger.memory() as ledger,
        ledger.begin(budget, mechanism="m", dataset="d", programme=programme) as run,
    ):
        source = noise.training(run.training(0, "gradients"))
        steps = [noised_sums(sources, empty, source, step, 0.4) for step in range(10)]
    drawn = torch.cat([pulled.flatten() for pulled, _ in steps])
    assert joint_bound(0.4, 0.1) == math.hypot(0.4, 0.1)
    assert float(drawn.std()) == pytest.approx(math.hypot(0.4, 0.1) * 3.0, rel=0.02)
    # 600 numbers of records: 20 % is 7 standard errors (false alarm below 1e-10).
    counts = torch.cat([counts for _, counts in steps])
    assert float(counts.std()) == pytest.approx(math.hypot(0.4, 0.1) * 3.0 / 0.1, rel=0.2)


def test_classes_get_their_brightness_and_their_shares():
    """Dark images and, thrice as many, bright ones; a budget that leaves hardly any noise."""
    rng = np.random.default_rng(0)
    y = np.arange(800) % 4 > 0
    x = np.where(y, 220, 30)[:, None, None, None] + rng.integers(-20, 20, (800, 8, 8, 1))
    data = ImageData(x.astype(np.uint8), y.astype(np.int64), ("dark", "bright"))
    made = DpSinkhorn(200.0, steps_of_training=800, synthetic=16)
    drawn = made.fit(data, population=800).sample(400, random_state=0)
    means = [drawn.x[drawn.y == label].mean() for label in (0, 1)]
    assert means[0] < 100 < 150 < means[1]
    assert 0.6 < (drawn.y == 1).mean() < 0.9
