"""DP-Sinkhorn: the private gradient's bound, and the transport against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images.dp_sinkhorn import clipped_gradient, noised_gradient, transport_gradient
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme


def labelled(n, classes, seed, extreme=False):
    rng = np.random.default_rng(seed)
    x = rng.random((n, 1, 8, 8), dtype=np.float32)
    if extreme:
        x = (x > 0.5).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(rng.integers(0, classes, n))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 12),
    st.integers(0, 1000),
    st.sampled_from([1e-3, 0.05, 10.0]),
    st.booleans(),
)
def test_one_record_moves_the_clipped_gradient_by_at_most_twice_the_clip(n, seed, clip, extreme):
    ours = labelled(6, 2, seed + 1)
    x, y = labelled(n + 1, 2, seed, extreme)
    without = clipped_gradient(ours, (x[:n], y[:n]), clip)
    with_one = clipped_gradient(ours, (x, y), clip)
    assert without.norm() <= clip * (1 + 1e-5)
    assert (without - with_one).norm() <= 2 * clip * (1 + 1e-5)


def test_transport_against_plain_loops():
    ours, others = labelled(4, 2, 0), labelled(5, 2, 1)
    a = ours[0].flatten(1).double().numpy()
    b = others[0].flatten(1).double().numpy()
    plan = np.empty((4, 5))
    for i in range(4):
        for j in range(5):
            cost = ((a[i] - b[j]) ** 2).sum() / 2 + 64 * (ours[1][i] != others[1][j]).item()
            plan[i, j] = np.exp(-cost / 0.64)
    for _ in range(30):
        plan = plan / plan.sum(axis=0, keepdims=True)
        plan = plan / plan.sum(axis=1, keepdims=True)
    expected = (a - plan @ b) / 4
    got = transport_gradient(ours, others).flatten(1).numpy()
    assert got == pytest.approx(expected, abs=1e-4)


def test_noise_is_twice_the_clip_times_the_multiplier():
    """240,000 draws; a scale off by 2 % is 14 standard errors away (false alarm below 1e-6)."""
    programme = Programme((SubsampledGaussian(3.0, 0.5, 10),))
    budget = Budget(programme.epsilon(1e-5) * 1.001, 1e-5)
    ours = torch.full((375, 1, 8, 8), 0.5), torch.zeros(375, dtype=torch.int64)
    empty = torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)
    with (
        Ledger.memory() as ledger,
        ledger.begin(budget, mechanism="m", dataset="d", programme=programme) as run,
    ):
        source = noise.training(run.training(0, "gradients"))
        drawn = torch.cat(
            [noised_gradient(ours, empty, source, step, 0.25).flatten() for step in range(10)]
        )
    assert float(drawn.double().std()) == pytest.approx(2 * 0.25 * 3.0, rel=0.02)
