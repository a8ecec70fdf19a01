"""Our own method with a critic: budget, whole fits, resuming, and who sees the private images."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

import mezzotint
from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageFacts
from mezzotint.images.dpsgd import ErrorFeedback, PrivateTraining
from mezzotint.images.oneshot import MezzotintImages, fine_tuning, method
from mezzotint.images.oneshot.fine_tuning import Rivals, generator_steps, training_event
from mezzotint.images.oneshot.refiner import Refiner
from mezzotint.images.oneshot.training import refined
from mezzotint.images.reading import read_images
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from tests.images.oneshot import resumable
from tests.images.oneshot.worlds import striped

FACTS = ImageFacts(28, 28, 1, tuple("0123456789"), population=60_000)
QUICK = {**resumable.QUICK, "fine_tune": 2.0}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def released():
    """One-shot releases of striped images."""
    data = striped(200, (8, 8, 1), 3)
    maker = MezzotintImages(20.0, frequencies=20, teacher_steps=2)
    programme = maker.programme(data.facts, maker.budget)
    with (
        Ledger.memory(insecure_noise=3) as ledger,
        ledger.begin(maker.budget, mechanism="m", dataset="d", programme=programme) as run,
    ):
        return maker.release(data, data.facts, programme, run, Work())


def arrays_of(made: MezzotintImages) -> dict[str, np.ndarray]:
    return dict(made.fitted_.generator.arrays())


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)


# ---- what is spent


@pytest.mark.parametrize("epsilon", [1.0, 10.0])
def test_the_programme_ends_with_one_training_and_keeps_to_the_budget(epsilon):
    maker = MezzotintImages(epsilon, fine_tune=5)
    plan = maker.plan(FACTS)
    *gaussians, training = plan.programme.events
    assert all(isinstance(event, Gaussian) for event in gaussians)
    assert isinstance(training, SubsampledGaussian)
    assert training.rate == pytest.approx(256 / 60_000)
    assert training.steps == round(5 / training.rate)
    assert 0.97 * epsilon < plan.programme.epsilon(1e-5) <= epsilon
    assert plan.steps[-1] == "training of the critic"
    assert len(plan.steps) == len(plan.programme.events)
    assert plan.to_json()["releases"][-1]["event"] == "SubsampledGaussian"
    off = MezzotintImages(epsilon)
    assert plan.estimate.seconds > off.plan(FACTS).estimate.seconds
    # The one-shot releases stand to one another as they do alone.
    alone = off.programme(FACTS, off.budget).events
    ratios = [
        one.noise_multiplier / other.noise_multiplier
        for one, other in zip(gaussians, alone, strict=True)
    ]
    assert max(ratios) == pytest.approx(min(ratios))
    assert min(ratios) > 1


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_divides_the_budget_about_as_it_says(share):
    maker = MezzotintImages(1.0, fine_tune=5, fine_tune_share=share)
    spent = maker.programme(FACTS, maker.budget).shares(1e-5)
    assert spent[-1] == pytest.approx(share, rel=0.1)


def test_without_a_declared_number_of_images_it_is_bought():
    plan = MezzotintImages(1.0, fine_tune=2).plan_for((28, 28), 10)
    assert plan.assumed
    assert plan.count_budget is not None
    assert MezzotintImages(1.0).plan_for((28, 28), 10).count_budget is None


def test_switched_off_nothing_changes(monkeypatch):
    """No population, no training, and the bits of the releases and the matching alone."""

    def never(*_, **__):
        raise AssertionError("the critic was trained")

    data = striped(100, (8, 8, 1), 3)
    quick = {**QUICK, "fine_tune": 0}
    made = []
    monkeypatch.setattr(method, "fine_tuned", never)
    for more in ({}, {"fine_tune_share": 0.9, "fine_tune_weight": 3.0, "fine_tune_feedback": True}):
        with Ledger.memory(insecure_noise=5) as ledger:
            made.append(MezzotintImages(3.0, **quick, **more).fit(data, ledger=ledger))
    assert same(arrays_of(made[0]), arrays_of(made[1]))
    assert made[0].privacy_.programme == made[1].privacy_.programme
    assert made[0].fitted_.bought is None
    count = QUICK["teacher_steps"]
    shares = (*method.SHARES, *[(1 - sum(method.SHARES)) / count] * count)
    by_hand = Programme.calibrated(
        made[0].budget, lambda scale: Programme(tuple(Gaussian(scale / s**0.5) for s in shares))
    )
    assert made[0].privacy_.programme == by_hand
    # The refiner is the one that matching alone gives.
    with Ledger.memory(insecure_noise=5) as ledger:
        maker = MezzotintImages(3.0, **quick)
        programme = maker.programme(data.facts, maker.budget)
        with ledger.begin(
            maker.budget, mechanism=maker.name, dataset=data.name, programme=programme
        ) as run:
            first = maker.release(data, data.facts, programme, run, Work())
    alone = refined(first, data.facts, Work(), steps=3, width=8).state_dict()
    held = arrays_of(made[0])
    assert all(np.array_equal(held[f"refiner.{name}"], value) for name, value in alone.items())


@pytest.mark.parametrize(
    "options",
    [
        {"fine_tune": -1.0},
        {"fine_tune": float("nan")},
        {"fine_tune": 1e9},
        {"fine_tune": "long"},
        {"fine_tune_share": 0.0},
        {"fine_tune_share": 1.0},
        {"fine_tune_share": None},
        {"fine_tune_weight": -0.1},
        {"fine_tune_weight": float("inf")},
    ],
)
def test_settings_out_of_range_are_refused_by_name(options):
    with pytest.raises(ParameterError, match=rf"^{next(iter(options))} = .*: give"):
        MezzotintImages(1.0, **options)


# ---- whole fits


@pytest.mark.parametrize("more", [{}, {"fine_tune_feedback": True, "varied": False}])
def test_a_fit_on_digits_draws_saves_and_tells_its_releases(tmp_path, more):
    data = read_images("digits").train.take(slice(0, 300))
    made = MezzotintImages(5.0, **QUICK, **more).fit(data)
    statement = made.privacy_
    assert statement.private
    assert [release.kind for release in statement.releases][-2:] == ["vector", "training"]
    assert made.fitted_.bought is not None
    assert statement.epsilon_spent + made.fitted_.bought.epsilon_spent <= 5.0
    drawn = made.sample(30, random_state=1)
    assert drawn.x.shape == (30, 8, 8, 1)
    made.save(tmp_path / "m.mezzo")
    again = mezzotint.load(tmp_path / "m.mezzo")
    assert np.array_equal(again.sample(30, random_state=1).x, drawn.x)
    # The generator alone: neither critic nor memories.
    assert {name.partition(".")[0] for name in arrays_of(made)} == {
        "gaussians",
        "teacher",
        "refiner",
    }


@pytest.mark.parametrize("shape", [(9, 11, 3), (16, 16, 1)])
def test_other_shapes_an_empty_class_and_one_class(shape):
    data = striped(60, shape, 3)
    for part in (data.take(data.y != 1), data.take(data.y == 0)):
        made = MezzotintImages(2.0, **QUICK).fit(part, population=60)
        assert made.sample(6).x.shape == (6, *shape)


def test_killed_half_way_it_goes_on_with_the_same_bits_and_pays_once(tmp_path, same_methods):
    ledger, folder = tmp_path / "l.db", tmp_path / "a"
    command = [sys.executable, "-m", "tests.images.oneshot.resumable", str(ledger), str(folder)]
    killed = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((folder / "training").glob("step-*"))
    other = tmp_path / "b"
    shutil.copytree(folder, other)
    shutil.rmtree(other / "training")
    shutil.rmtree(other / "warm start")

    heard: list[tuple[str, float]] = []

    def listen(stage, share, *, loss=None, epsilon=None):
        heard.append((stage, share))

    resumed = resumable.run(ledger, folder, listen)
    assert "training the generator" not in {stage for stage, _ in heard}
    assert min(share for stage, share in heard if stage == resumable.STAGE) > 0.4
    heard.clear()
    afresh = resumable.run(ledger, other, listen)
    assert min(share for stage, share in heard if stage == resumable.STAGE) < 0.1
    assert same(arrays_of(resumed), arrays_of(afresh))
    assert not list((folder / "training").glob("step-*"))
    with Ledger.open(ledger) as book:
        assert len(book.releases(1)) == len(resumed.privacy_.programme.events)
        assert not book.releases(2)


# ---- the two sides


def rivals_of(released, weight=0.1, **more) -> Rivals:
    facts = striped(1, (8, 8, 1), 3).facts
    refiner = Refiner(facts, 8)
    return Rivals(released, facts, Work(), refiner, weight=weight, feedback=None, **more)


def test_private_images_reach_the_result_through_the_engine_alone(monkeypatch, released):
    """Where the engine's gradients are nought, other images give the same refiner."""

    def nothing(self, step, active=None):
        self.done = step + 1
        for block in self.blocks:
            for parameter in block.model.parameters():
                parameter.grad = torch.zeros_like(parameter)

    def tuned(data):
        event = SubsampledGaussian(1.0, 0.5, 12)
        programme = Programme((event,))
        budget = Budget(programme.epsilon(1e-5) * 1.001, 1e-5)
        with (
            Ledger.memory(insecure_noise=1) as ledger,
            ledger.begin(budget, mechanism="m", dataset="d", programme=programme) as run,
        ):
            return fine_tuning.fine_tuned(
                released,
                data,
                ImageFacts(8, 8, 1, data.classes, population=60),
                run=run,
                work=Work(),
                steps=2,
                width=8,
                weight=1.0,
                feedback=None,
            ).refiner.state_dict()

    monkeypatch.setattr("mezzotint.images.dpsgd.training.tune", lambda *_: {})
    worlds = striped(60, (8, 8, 1), 3, seed=1), striped(61, (8, 8, 1), 3, seed=2)
    through = [tuned(data) for data in worlds]
    assert any(not torch.equal(through[0][name], through[1][name]) for name in through[0])
    monkeypatch.setattr(PrivateTraining, "gradients", nothing)
    without = [tuned(data) for data in worlds]
    assert all(torch.equal(without[0][name], without[1][name]) for name in without[0])


def test_the_refiner_learns_to_persuade_the_critic_and_keeps_to_the_releases(released):
    def realness_and_distance(rivals):
        random = torch.Generator().manual_seed(100)
        with torch.no_grad():
            labels = rivals.matching.labels(random)
            images = rivals.matching.images(labels.flatten(), random)
            realness = float(rivals.critic(images, labels.flatten()).mean())
            return realness, rivals.matching.loss(images, labels)[1]

    def trained(weight):
        rivals = rivals_of(released, weight)
        before = [p.detach().clone() for p in rivals.critic.parameters()]
        for step in range(40):
            rivals.improve(torch.Generator().manual_seed(step))
            rivals.keep(step)
        for held, now in zip(before, rivals.critic.parameters(), strict=True):
            assert torch.equal(held, now)
            assert now.grad is None
        return realness_and_distance(rivals)

    realness, distance = realness_and_distance(rivals_of(released))
    little, matched = trained(0.1)
    much, _ = trained(10.0)
    assert much > little
    assert much > realness
    assert matched < 0.9 * distance


def test_clip_and_fakes_come_from_releases_alone(released):
    (block,) = rivals_of(released).blocks()
    assert block.feedback is None
    assert block.clip > 0
    torch.manual_seed(77)
    (again,) = rivals_of(released).blocks()
    assert again.clip == block.clip
    assert (again.name, again.share, again.multiplicity) == ("critic", 1.0, 1)
    _, y = rivals_of(released).fakes(600, torch.Generator().manual_seed(0))
    counts = np.maximum(released.moments.counts, 0)
    assert np.bincount(y, minlength=3) / 600 == pytest.approx(counts / counts.sum(), abs=0.1)


def test_error_feedback_is_the_critics_alone(released):
    facts = striped(1, (8, 8, 1), 3).facts
    feedback = ErrorFeedback()
    rivals = Rivals(released, facts, Work(), Refiner(facts, 8), weight=0.1, feedback=feedback)
    assert [block.feedback for block in rivals.blocks()] == [feedback]


def test_the_refiner_waits_for_the_critic():
    event = training_event(FACTS, 5.0, 1.0)
    assert generator_steps(event) == (event.steps - event.steps // 10) // 3
    assert generator_steps(SubsampledGaussian(1.0, 0.5, 1)) == 0
