"""Noisy gradients: their law, what they may not depend on, and how a training ends badly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm
from torch import nn

from mezzotint.errors import ParameterError, TrainingError
from mezzotint.images.dpsgd import Block, ErrorFeedback, PrivateTraining, settings_digest, train
from mezzotint.images.dpsgd.clipping import CLIP_MARGIN
from mezzotint.privacy.events import SubsampledGaussian
from tests.images.dpsgd.cases import (
    N,
    draws_of,
    gradient_of,
    loss,
    naive_gradients,
    net_of,
    source_of,
)

FALSE_ALARM = 1e-7


def training_of(net, x, event, source=None, **options):
    blocks = (Block("net", net, loss, options.pop("clip", 1.0), options.pop("copies", 1)),)
    source = source or source_of(event)
    return PrivateTraining(blocks, (x,), source, event, **{"batch": 3.0, **options})


def test_a_step_is_the_clipped_sum_over_its_sample_plus_the_rows_noise():
    event = SubsampledGaussian(0.8, rate=0.5, steps=6)
    net, x = net_of("conv")
    training = training_of(net, x, event, clip=2.0, copies=2, seed=11)
    source = source_of(event)
    for step in training.remaining():
        training.gradients(step)
        found = gradient_of(net)
        rows = [i for i in range(N) if source.coins(step, N)[i]]
        g = naive_gradients(net, x, 2, step)[rows]
        c = (2.0 * CLIP_MARGIN / g.norm(dim=1)).clamp(max=1)
        noise = torch.from_numpy(source.gaussian(step, len(found)))
        expected = ((c.unsqueeze(1) * g).sum(0) + 2.0 * noise) / 3.0
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("feedback", [None, ErrorFeedback(layers=1, rank=2)])
def test_the_micro_batch_does_not_change_the_result(feedback):
    event = SubsampledGaussian(1.0, rate=0.9, steps=5)
    results = []
    for micro_batch in (None, 1, 2, 100):
        net, x = net_of("conv")
        block = Block("net", net, loss, 3.0, 2, feedback)
        source = source_of(event, noise_off=True)
        training = PrivateTraining(
            (block,), (x,), source, event, batch=4.0, micro_batch=micro_batch
        )
        train(training, {"net": torch.optim.SGD(net.parameters(), 0.01)})
        results.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-5, atol=1e-6)


def test_the_noise_has_the_recorded_scale_and_is_fresh_at_every_step():
    """Chi-square and correlation, false alarms below 1e-6 in all."""
    sigma, clip, batch = 1.7, 0.3, 5.0
    event = SubsampledGaussian(sigma, rate=1e-12, steps=4)
    net = nn.Linear(200, 100)
    training = PrivateTraining(
        (Block("net", net, lambda m, r, d: m(r[0]).sum(1), clip),),
        (torch.randn(3, 200),),
        source_of(event, seed=9),
        event,
        batch=batch,
    )
    steps = []
    for step in training.remaining():
        training.gradients(step)
        steps.append(gradient_of(net).double() * batch / (sigma * clip))
    p = len(steps[0])
    low, high = chi2.ppf([FALSE_ALARM, 1 - FALSE_ALARM], p)
    reach = norm.ppf(1 - FALSE_ALARM) * math.sqrt(p)
    for i, noise in enumerate(steps):
        assert low < float(noise.square().sum()) < high
        for other in steps[:i]:
            assert abs(float(noise @ other)) < reach


def test_blocks_share_one_release():
    """Noise of sigma sqrt(2) C_b on each of two blocks; sigma C_b where one stands alone."""
    sigma, p = 1.3, 20_000
    event = SubsampledGaussian(sigma, rate=1e-12, steps=3)
    nets = [nn.Linear(200, 100, bias=False) for _ in range(2)]

    def total(m, r, d):
        return m(r[0]).sum(1)

    blocks = [Block("a", nets[0], total, 0.5), Block("b", nets[1], total, 4.0)]
    training = PrivateTraining(blocks, (torch.randn(3, 200),), source_of(event), event, batch=1.0)
    low, high = chi2.ppf([FALSE_ALARM, 1 - FALSE_ALARM], p)
    for active, scales in (
        (None, (sigma * math.sqrt(2) * 0.5, sigma * math.sqrt(2) * 4.0)),
        (("a",), (sigma * 0.5, None)),
    ):
        training.gradients(training.done, active)
        for net, scale in zip(nets, scales, strict=True):
            if scale is None:
                assert net.weight.grad is None
            else:
                assert low < float((gradient_of(net).double() / scale).square().sum()) < high
    with pytest.raises(ParameterError, match="no block"):
        training.gradients(2, ("c",))


def test_the_shares_of_blocks_keep_the_releases_sensitivity():
    """sum_b (C_b / noise scale of b)^2 = 1 / sigma^2, whatever the shares are."""
    event = SubsampledGaussian(2.0, rate=1e-12, steps=1)
    nets = [nn.Linear(300, 100, bias=False) for _ in range(3)]
    blocks = [
        Block(str(i), net, lambda m, r, d: m(r[0]).sum(1), clip, share=share)
        for i, (net, clip, share) in enumerate(
            zip(nets, (1.0, 2.0, 0.1), (1.0, 3.0, 0.5), strict=True)
        )
    ]
    training = PrivateTraining(blocks, (torch.randn(2, 300),), source_of(event), event, batch=1.0)
    training.gradients(0)
    ratios = [float(b.clip**2 / gradient_of(b.model).square().mean()) for b in blocks]
    # 30,000 numbers a block: the mean square is within 5 % with overwhelming probability.
    assert sum(ratios) == pytest.approx(1 / 4, rel=0.05)
    assert ratios[1] / ratios[0] == pytest.approx(9, rel=0.1)


def test_an_empty_sample_still_steps_and_the_realised_size_is_not_used():
    event = SubsampledGaussian(1.0, rate=1e-15, steps=2)
    net, x = net_of("linear", torch.float32)
    training = training_of(net, x, event, batch=2.0)
    training.gradients(0)
    noise = torch.from_numpy(source_of(event).gaussian(0, len(gradient_of(net))))
    torch.testing.assert_close(gradient_of(net).double(), noise / 2.0, rtol=1e-6, atol=1e-7)


def test_no_records_at_all():
    event = SubsampledGaussian(1.0, rate=0.5, steps=1)
    net, x = net_of("linear", torch.float32)
    training = training_of(net, x[:0], event)
    training.gradients(0)
    assert torch.isfinite(gradient_of(net)).all()


def test_steps_come_once_and_in_order():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    training = training_of(*net_of("linear"), event)
    training.gradients(0)
    for wrong in (0, 2, -1):
        with pytest.raises(ParameterError, match="in order"):
            training.gradients(wrong)
    training.gradients(1)
    with pytest.raises(ParameterError, match="in order"):
        training.gradients(2)


def per_row(model, records, draws):
    return model(records[0]).sum(1)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda m, r, d: per_row(m, r, d) - per_row(m, r, d).mean(), "changes with another"),
        (lambda m, r, d: per_row(m, (r[0] - r[0].mean(0),), d), "changes with another"),
        (lambda m, r, d: per_row(m, r, d) * torch.rand(len(r[0])), "two values"),
        (lambda m, r, d: per_row(m, r, d).mean(), "one loss a row"),
    ],
)
def test_losses_that_mix_records_are_refused_before_anything_is_read(bad, words: str):
    torch.manual_seed(0)  # Some weights, one in 1,500, hide what a loss mixes.
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    with pytest.raises(ParameterError, match=words):
        PrivateTraining(
            (Block("net", nn.Linear(6, 2), bad, 1.0),),
            (torch.full((5, 6), torch.nan),),
            source_of(event),
            event,
            batch=2.0,
        )


def test_dropout_is_refused():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    net = nn.Sequential(nn.Linear(6, 50), nn.Dropout(0.5))
    with pytest.raises(ParameterError, match="no dropout"):
        PrivateTraining(
            (Block("net", net, per_row, 1.0),),
            (torch.ones(5, 6),),
            source_of(event),
            event,
            batch=2.0,
        )


def test_neither_preparation_nor_tuning_reads_the_records():
    """Only their shapes: records that are no numbers leave no trace until they are sampled."""
    event = SubsampledGaussian(1.0, rate=1e-15, steps=2)
    net, x = net_of("conv", torch.float32)
    training = training_of(net, torch.full_like(x, torch.nan), event)
    assert set(training.methods["net"]) == {"parts.0", "parts.1"}
    training.gradients(0)
    assert torch.isfinite(gradient_of(net)).all()


def test_methods_that_were_picked_before_are_kept():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    net, x = net_of("conv", torch.float32)
    methods = {"net": {"parts.0": "ghost", "parts.1": "product"}}
    assert training_of(net, x, event, methods=methods).methods == methods


def test_a_training_that_diverges_stops():
    event = SubsampledGaussian(1.0, rate=0.5, steps=200)
    net, x = net_of("linear", torch.float32)
    training = training_of(net, x, event)
    with pytest.raises(TrainingError, match=r"diverged.*stays spent"):
        train(training, {"net": torch.optim.SGD(net.parameters(), 1e38)})
    assert 0 < training.done < 60


def test_a_loss_that_overflows_stops_by_its_value_on_made_up_records():
    event = SubsampledGaussian(1.0, rate=0.5, steps=200)
    net = nn.Linear(6, 2)
    training = PrivateTraining(
        (Block("net", net, lambda m, r, d: m(r[0]).sum(1).exp(), 1.0),),
        (torch.randn(5, 6),),
        source_of(event),
        event,
        batch=2.0,
    )
    net.bias.data += 200
    for step in range(50):
        training.gradients(step)
    with pytest.raises(TrainingError, match="loss of made-up records is not finite"):
        training.gradients(50)
    assert training.done == 50


def test_weights_that_are_no_numbers_are_named():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    net, x = net_of("linear", torch.float32)
    training = training_of(net, x, event)
    net.parts[0].bias.data[1] = torch.nan
    with pytest.raises(TrainingError, match=r"parts\.0\.bias is not finite"):
        training.gradients(0)


def test_exhausted_memory_suggests_a_micro_batch():
    event = SubsampledGaussian(1.0, rate=1.0, steps=2)
    net = nn.Linear(4, 2)
    tight = False

    def huge(model, records, draws):
        if tight:
            torch.empty(1 << 50)
        return per_row(model, records, draws)

    training = PrivateTraining(
        (Block("net", net, huge, 1.0),), (torch.ones(64, 4),), source_of(event), event, batch=64.0
    )
    tight = True
    with pytest.raises(TrainingError, match=r"micro-batch of at most 32 .*stays spent"):
        training.gradients(0)
    assert training.done == 1


def test_other_settings_have_another_digest():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    net, _ = net_of("linear")

    def digest(event=event, batch=2.0, seed=0, **options):
        return settings_digest(
            (Block("net", net, loss, **{"clip": 1.0, **options}),), event, batch, seed
        )

    digests = [
        digest(),
        digest(SubsampledGaussian(1.1, 0.5, 2)),
        digest(batch=3.0),
        digest(seed=1),
        digest(clip=2.0),
        digest(multiplicity=2),
        digest(feedback=ErrorFeedback()),
    ]
    assert len(set(digests)) == len(digests)
    assert digest() == digests[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda net, **k: Block("net", net, loss, 0.0),
        lambda net, **k: Block("net", net, loss, math.inf),
        lambda net, **k: Block("net", net, loss, 1.0, multiplicity=0),
        lambda net, **k: Block("net", net, loss, 1.0, share=-1.0),
    ],
)
def test_blocks_out_of_range_are_refused(make):
    with pytest.raises(ParameterError, match="block net"):
        make(net_of("linear")[0])


def test_inputs_that_do_not_fit_are_refused():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    net, x = net_of("linear", torch.float32)
    block = Block("net", net, loss, 1.0)
    for blocks, records, options, words in (
        ((), (x,), {}, "at least one"),
        ((block, block), (x,), {}, "its own name"),
        ((block, Block("other", net, loss, 1.0)), (x,), {}, "in the blocks net and other"),
        ((block,), (x, x[:2]), {}, "one length"),
        ((block,), (x,), {"batch": 0.0}, "batch = 0.0"),
        ((block,), (x,), {"micro_batch": 0}, "micro_batch = 0"),
    ):
        with pytest.raises(ParameterError, match=words):
            PrivateTraining(blocks, records, source_of(event), event, **{"batch": 2.0, **options})
    with pytest.raises(ParameterError, match="first process"):
        PrivateTraining((block,), (x,), None, event, batch=2.0)


def test_draws_belong_to_the_record():
    """They do not depend on who else was sampled, or where in the batch a record stands."""
    alone = draws_of([7], copies=3, step=4)
    among = draws_of([2, 7, 9], copies=3, step=4)
    for name, args in (("normal", (2, 3)), ("uniform", (5,)), ("integers", (10, 2))):
        mine, all_of_them = getattr(alone, name)(*args), getattr(among, name)(*args)
        assert mine.shape[0] == 3
        torch.testing.assert_close(all_of_them[3:6], mine, rtol=0, atol=0)
        assert not torch.equal(all_of_them[:3], mine)
    assert not torch.equal(draws_of([7], step=5).normal(4), draws_of([7], step=4).normal(4))
    again = among.of(np.array([1]))
    torch.testing.assert_close(again.normal(2, 3), draws_of([7], 3, 4).normal(2, 3))


def test_draws_have_their_laws():
    draws = draws_of(list(range(200)), copies=5)
    normal, uniform = draws.normal(50).double(), draws.uniform(50).double()
    reach = norm.ppf(1 - FALSE_ALARM)
    n = normal.numel()
    assert abs(float(normal.sum())) < reach * math.sqrt(n)
    low, high = chi2.ppf([FALSE_ALARM, 1 - FALSE_ALARM], n)
    assert low < float(normal.square().sum()) < high
    assert abs(float((uniform - 0.5).sum())) < reach * math.sqrt(n / 12)
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
    counts = torch.bincount(draws.integers(4, 50).flatten(), minlength=4).double()
    assert float(((counts - n / 4) ** 2 / (n / 4)).sum()) < chi2.ppf(1 - FALSE_ALARM, 3)
    torch.testing.assert_close(
        draws_of([3, 4], 2).repeat(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 1, 2, 2])
    )


def test_generators_for_post_processing_repeat():
    event = SubsampledGaussian(1.0, rate=0.5, steps=2)
    training = training_of(*net_of("linear"), event)
    first, again = (torch.randn(3, generator=training.generator(1, "noise")) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    for step, purpose in ((0, "noise"), (1, "labels")):
        assert not torch.equal(first, torch.randn(3, generator=training.generator(step, purpose)))
