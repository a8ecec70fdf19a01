"""EF-GAN: its parts one by one, then whole fits on the bundled digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import mezzotint
from mezzotint.errors import ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dpsgd import ErrorFeedback
from mezzotint.images.gan import EfGan
from mezzotint.images.gan.adversaries import Adversaries, Settings
from mezzotint.images.gan.generator import GanGenerator, noise_maps
from mezzotint.images.gan.networks import Refiner
from mezzotint.images.gan.start import Painter, Start
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.reading import read_images
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian, SubsampledGaussian

SHAPES = [(8, 8, 1), (9, 11, 3), (64, 40, 1)]
SHORT = {"effort": 0.2, "width": 8, "critic_width": 4}


def facts_of(shape: tuple[int, int, int]) -> ImageFacts:
    return ImageFacts(*shape, ("a", "b", "c"), population=300)


def start_of(facts: ImageFacts, k: int = 5) -> Start:
    rng = np.random.default_rng(0)
    canvas, classes = Canvas.of(facts), len(facts.classes)
    axes = np.linalg.qr(rng.normal(size=(canvas.size, k)))[0]
    factors = np.eye(k) + 0.2 * rng.normal(size=(classes, k, k))
    parts = (np.full(canvas.size, 0.4), axes, rng.normal(size=(classes, k)), factors)
    return Start(*(part.astype(np.float32) for part in parts), np.array([5.0, 10.0, -3.0]))


def settings_of(**options) -> Settings:
    return Settings(
        **{
            "width": 8,
            "critic_width": 4,
            "feedback": ErrorFeedback(),
            "injection": True,
            "reconstruction": True,
            "reconstruct_every": 2,
            "critic_steps": 2,
            "fakes": 6,
            "learning_rate": 1e-3,
            "average": 0.9,
            "spread": 0.1,
            "fidelity": 0.0,
            **options,
        }
    )


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return read_images("digits").train


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 11, 3)])
def test_the_painter_reads_what_it_paints(shape):
    facts = facts_of(shape)
    painter = Painter(start_of(facts), Canvas.of(facts))
    y, z = torch.arange(6) % 3, torch.randn(6, 5)
    x = painter.paint(z, y)
    assert x.shape == (6, shape[2], shape[0], shape[1])
    torch.testing.assert_close(painter.read(x, y), z, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("injection", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_refiner_begins_as_the_identity(shape, injection: bool):
    facts = facts_of(shape)
    refiner = Refiner(facts.channels, 8, injection=injection)
    x = torch.rand(4, shape[2], shape[0], shape[1])
    maps = noise_maps(4, shape[0], shape[1], torch.Generator().manual_seed(0))
    torch.testing.assert_close(refiner(x, maps), x)


def test_noise_is_injected_only_where_it_is_asked_for():
    for injection in (True, False):
        refiner = Refiner(1, 8, injection=injection)
        torch.nn.init.normal_(refiner.leave.weight)
        x = torch.rand(4, 1, 8, 8)
        first, second = (
            refiner(x, noise_maps(4, 8, 8, torch.Generator().manual_seed(seed))) for seed in (0, 1)
        )
        assert torch.equal(first, second) is not injection


@pytest.mark.parametrize("shape", SHAPES)
def test_a_generator_comes_back_as_it_was(shape):
    facts = facts_of(shape)
    refiner = Refiner(facts.channels, 8, injection=True)
    torch.nn.init.normal_(refiner.leave.weight, std=0.1)
    generator = GanGenerator(facts, start_of(facts), refiner, 8)
    labels = np.array([0, 1, 2, 0, 1])
    images = generator.draw(labels, 3)
    assert images.shape == (5, *shape)
    assert images.dtype == np.uint8
    again = GanGenerator.restore(facts, dict(generator.config()), dict(generator.arrays()))
    np.testing.assert_array_equal(again.draw(labels, 3), images)
    assert not np.array_equal(again.draw(labels, 4), images)
    arrays = dict(generator.arrays())
    for name, wrong in (("axes", arrays["axes"][:-1]), ("refiner.up.weight", np.zeros(3))):
        with pytest.raises(ValueError, match=name):
            GanGenerator.restore(facts, generator.config(), arrays | {name: wrong})
    del arrays["refiner.leave.weight"]
    with pytest.raises(KeyError):
        GanGenerator.restore(facts, generator.config(), arrays)


def test_the_generators_step_makes_fakes_look_more_real_and_leaves_the_critic_alone():
    facts = facts_of((8, 8, 1))
    adversaries = Adversaries(settings_of(), facts, start_of(facts), Work())
    before = [p.detach().clone() for p in adversaries.critic.parameters()]

    def realness() -> float:
        random = torch.Generator().manual_seed(1)
        with torch.no_grad():
            return float(adversaries.critic(*adversaries.fakes(200, random)).mean())

    first = realness()
    for step in range(30):
        adversaries.improve(torch.Generator().manual_seed(step))
        adversaries.keep(step)
    assert realness() > first
    for held, now in zip(before, adversaries.critic.parameters(), strict=True):
        assert torch.equal(held, now)
        assert now.grad is None
    moved = [
        not torch.equal(a, b)
        for a, b in zip(
            adversaries.average.parameters(), adversaries.refiner.parameters(), strict=True
        )
    ]
    assert all(moved)


def test_fakes_are_drawn_from_released_shares_and_none_from_an_empty_class():
    facts = facts_of((8, 8, 1))
    adversaries = Adversaries(settings_of(), facts, start_of(facts), Work())
    _, y = adversaries.fakes(500, torch.Generator().manual_seed(0))
    counts = np.bincount(y.numpy(), minlength=3)
    assert counts[2] == 0
    assert counts[1] > counts[0] > 0


def test_clips_and_blocks_come_from_public_things():
    facts = facts_of((8, 8, 1))
    for reconstruction in (True, False):
        settings = settings_of(reconstruction=reconstruction, feedback=None)
        adversaries = Adversaries(settings, facts, start_of(facts), Work())
        blocks = adversaries.blocks()
        names = [block.name for block in blocks]
        assert names == ["critic", "branch"] if reconstruction else ["critic"]
        assert all(block.clip > 0 and block.feedback is None for block in blocks)
        again = Adversaries(settings, facts, start_of(facts), Work()).blocks()
        assert [block.clip for block in again] == [block.clip for block in blocks]
        steps = [adversaries.active(step) for step in range(4)]
        assert all(set(step) <= set(names) for step in steps)
        assert ("branch" in steps[0]) is reconstruction
        assert "branch" not in steps[1]


def test_the_programme_keeps_to_the_budget_and_the_switches_do_not_change_it():
    facts = ImageFacts(28, 28, 1, tuple("0123456789"), population=60_000)
    budget = Budget(3.0, 1e-5)
    programme = EfGan(3.0).programme(facts, budget)
    first, second, training = programme.events
    assert isinstance(first, Gaussian)
    assert first == second
    assert isinstance(training, SubsampledGaussian)
    assert training.rate == pytest.approx(256 / 60_000)
    assert programme.epsilon(1e-5) <= 3.0
    switched = EfGan(3.0, error_feedback=False, noise_injection=False, reconstruction=False)
    assert switched._schedule(facts) == (training.rate, training.steps)


def test_a_fit_draws_saves_and_tells_its_releases(tmp_path, digits):
    method = EfGan(20.0, **SHORT).fit(digits, population=1500)
    statement = method.privacy_
    assert [release.kind for release in statement.releases] == ["vector", "vector", "training"]
    images = method.sample(20, random_state=3)
    assert images.x.shape == (20, 8, 8, 1)
    method.save(tmp_path / "m.mezzo")
    again = mezzotint.load(tmp_path / "m.mezzo").sample(20, random_state=3)
    np.testing.assert_array_equal(again.x, images.x)
    # The generator alone: neither critic, encoder nor memories.
    names = set(method.fitted_.generator.arrays())
    assert all(
        name.startswith("refiner.") or name in ("mean", "axes", "centres", "factors")
        for name in names
    )


@pytest.mark.parametrize("switch", ["error_feedback", "noise_injection", "reconstruction"])
def test_every_switch_can_be_off(digits, switch: str):
    method = EfGan(20.0, **SHORT, **{switch: False}).fit(digits, population=1500)
    assert method.settings[switch] is False
    assert method.sample(10).x.shape == (10, 8, 8, 1)


def test_a_fit_that_is_stopped_goes_on_and_pays_once(tmp_path, digits):
    class Stop(Exception):
        pass

    options = {"population": 1500, "ledger": tmp_path / "l.db", "dataset": "digits"}

    def interrupted(stage, share, *, loss=None, epsilon=None):
        if stage == "training the adversaries" and share > 0.5:
            raise Stop

    longer = {**SHORT, "effort": 5.0}
    with pytest.raises(Stop):
        EfGan(20.0, **longer).fit(
            digits, **options, checkpoint=tmp_path / "a", progress=interrupted
        )
    assert list((tmp_path / "a" / "training").glob("*.private.safetensors"))
    whole = EfGan(20.0, **longer).fit(digits, **options, checkpoint=tmp_path / "a")
    assert not list((tmp_path / "a" / "training").glob("step-*"))
    with mezzotint.Ledger.open(tmp_path / "l.db") as ledger:
        assert len(ledger.releases(1)) == 3
    assert np.isfinite(whole.fitted_.generator.arrays()["refiner.up.weight"]).all()


def test_the_memories_stay_in_the_private_half(tmp_path, digits):
    def interrupted(stage, share, *, loss=None, epsilon=None):
        if stage == "training the adversaries" and share > 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EfGan(20.0, **{**SHORT, "effort": 5.0}).fit(
            digits,
            population=1500,
            ledger=tmp_path / "l.db",
            checkpoint=tmp_path / "a",
            progress=interrupted,
        )
    folder = tmp_path / "a" / "training"
    (private,) = folder.glob("*.private.safetensors")
    memories = load_file(private)
    assert set(memories) == {"critic", "branch"}
    assert all(len(value) == len(digits) for value in memories.values())
    assert memories["critic"].any()


@pytest.mark.parametrize(
    "options",
    [
        {"critic_steps": 0},
        {"batch": 0},
        {"epochs": 0.0},
        {"effort": -1.0},
        {"reconstruct_every": 0},
        {"width": 1},
        {"fidelity": -1.0},
        {"decay": 1.5},
        {"memory": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ParameterError):
        EfGan(1.0, **options)
