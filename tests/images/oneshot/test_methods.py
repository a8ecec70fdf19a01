"""The one-shot methods end to end: what they release, what they draw, bad data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzotint
from mezzotint.errors import ParameterError
from mezzotint.images.class_gaussians import ClassGaussians
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.dp_merf import DpMerf
from mezzotint.images.oneshot import MezzotintImages
from mezzotint.images.oneshot.generator import OneShotGenerator
from mezzotint.images.oneshot.judge import Judge
from mezzotint.images.oneshot.releases import release_all
from mezzotint.images.oneshot.scattering import Scattering
from mezzotint.images.oneshot.training import train
from mezzotint.images.reading import read_images
from mezzotint.images.sinkhorn import DpSinkhorn
from mezzotint.images.work import Work
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import Gaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme
from tests.images.oneshot.worlds import images, striped

QUICK = {
    MezzotintImages: {
        "frequencies": 40,
        "teacher_steps": 3,
        "steps_of_training": 4,
        "width": 8,
        "tries": 2,
    },
    ClassGaussians: {},
    DpMerf: {"features": 40, "steps_of_training": 4},
    DpSinkhorn: {"steps_of_training": 3, "batch": 20, "synthetic": 10},
}
METHODS = list(QUICK)


def quick(method, epsilon=3.0, **more):
    return method(epsilon, **{**QUICK[method], **more})


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (10, 15, 3)])
def test_fit_sample_save_load(method, shape, tmp_path):
    data = striped(60, shape, 3)
    fitted = quick(method).fit(data, population=60)
    sample = fitted.sample(30, random_state=4)
    assert sample.x.shape == (30, *shape)
    # Much noise saturates pixels, so that some of the images may be alike.
    assert len(np.unique(sample.x.reshape(30, -1), axis=0)) > 1
    fitted.save(tmp_path / "m.mezzo")
    again = mezzotint.load(tmp_path / "m.mezzo").sample(30, random_state=4)
    assert np.array_equal(sample.x, again.x)
    assert np.array_equal(sample.y, again.y)
    statement = fitted.privacy_
    assert statement.private
    assert statement.epsilon_spent <= 3.0
    assert len(statement.releases) == len(fitted.steps(data.facts))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("world", ["one image", "empty class", "constant", "extremes"])
def test_poor_data_gives_images_all_the_same(method, world):
    data = {
        "one image": lambda: images(1, (8, 8, 1), 2, 0),
        "empty class": lambda: _without_class(striped(60, (8, 8, 1), 3), 1),
        "constant": lambda: ImageData(
            np.full((30, 8, 8, 1), 77, np.uint8), np.arange(30) % 2, ("a", "b")
        ),
        "extremes": lambda: images(50, (8, 8, 1), 3, 1),
    }[world]()
    sample = quick(method, 1.0).fit(data, population=100).sample(12, random_state=0)
    assert sample.x.shape == (12, 8, 8, 1)


def _without_class(data, label):
    return data.take(data.y != label)


@pytest.mark.parametrize("method", METHODS)
def test_programme_follows_from_public_facts_and_fits_the_budget(method):
    facts = ImageFacts(28, 28, 1, tuple("0123456789"), 60_000)
    for epsilon in (0.5, 10.0):
        made = method(epsilon)
        programme = made.programme(facts, made.budget)
        assert programme == made.programme(facts, made.budget)
        assert 0.97 * epsilon < programme.epsilon(made.delta) <= epsilon
        assert len(made.steps(facts)) == len(programme.events)
        assert made.estimate(facts, "cpu").seconds > 0


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (MezzotintImages, {"width": 10}),
        (MezzotintImages, {"tries": 0}),
        (MezzotintImages, {"effort": float("nan")}),
        (ClassGaussians, {"components": 0}),
        (ClassGaussians, {"basis_share": 1.0}),
        (DpMerf, {"features": 0}),
        (DpMerf, {"length": -1.0}),
        (DpSinkhorn, {"batch": 0}),
        (DpSinkhorn, {"clip": 0.0}),
    ],
)
def test_bad_settings_are_refused_by_name(method, settings):
    with pytest.raises(ParameterError, match=next(iter(settings))):
        method(1.0, **settings)


def _released(data, *, insecure="off", teacher_steps=8, work=None):
    """Releases without noise (or with fixed noise), and the facts."""
    events = tuple(Gaussian(1.0) for _ in range(6 + teacher_steps))
    programme = Programme(events)
    budget = Budget(programme.epsilon(1e-5) * 1.001, 1e-5)
    with Ledger.memory(insecure_noise=insecure) as ledger:  # noqa: SIM117
        with ledger.begin(
            budget, mechanism="mezzotint", dataset="world", programme=programme
        ) as run:
            return release_all(
                data,
                data.facts,
                programme,
                run,
                work or Work(),
                components=6,
                frequencies=50,
            )


def test_without_noise_the_releases_are_the_datas_own_moments():
    data = striped(300, (8, 8, 1), 3)
    released = _released(data)
    assert released.basis.total == pytest.approx(300)
    assert released.moments.counts == pytest.approx(np.bincount(data.y))
    pixels = data.x.reshape(300, -1) / 255.0
    norms = np.linalg.norm(pixels, axis=1, keepdims=True)
    held = pixels * np.minimum(1, 4.0 / norms)  # the canvas's radius is half of root 64
    assert released.basis.mean == pytest.approx(held.mean(axis=0), abs=1e-3)
    values = np.linalg.eigvalsh(np.cov(held.T, bias=True))[::-1][:6]
    assert released.basis.variances[:2] == pytest.approx(values[:2], rel=0.05)
    # The other directions are specks, alike in all of them; most frequencies are left out as noise.
    assert np.all(released.basis.variances[2:] <= 1.05 * values[2:])
    scattering = Scattering(data.facts)
    assert released.whitening.mean == pytest.approx(scattering.exact(data.x).mean(axis=0), abs=1e-3)
    # Embeddings: the mean over a class, by hand.
    phases = pixels @ released.frequencies.pixels
    rows = np.concatenate([np.cos(phases), np.sin(phases)], 1) / 50**0.5
    for label in range(3):
        mean = rows[data.y == label].mean(axis=0)
        assert released.targets[0][label] == pytest.approx(mean, abs=1e-3)


def test_the_teacher_learns():
    data = striped(300, (8, 8, 1), 3)
    released = _released(data)
    judge = Judge(data.facts, released.whitening.mean, released.whitening.matrix @ released.weights)
    other = striped(200, (8, 8, 1), 3, seed=9)
    pixels = torch.from_numpy(other.x.astype(np.float32) / 255.0).movedim(3, 1)
    right = judge.margins(pixels, torch.from_numpy(other.y)) > 0
    assert right.float().mean() > 0.95


def test_training_is_a_function_of_releases_and_seed():
    data = striped(100, (8, 8, 1), 3)
    released = _released(data, insecure=5)
    made = []
    for seed, disturbance in ((1, 10), (1, 20), (2, 10)):
        torch.manual_seed(disturbance)
        np.random.seed(disturbance)
        work = Work(seed=seed)
        made.append(
            train(released, data.facts, work, steps=3, width=8, tries=2, varied=True).arrays()
        )
    first, same, other = made
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_training_comes_closer_to_the_releases():
    data = striped(200, (8, 8, 1), 3)
    distances = []
    work = Work(progress=lambda stage, share, *, loss=None, epsilon=None: distances.append(loss))
    train(_released(data), data.facts, work, steps=40, width=8, tries=1, varied=True)
    assert np.mean(distances[-5:]) < 0.8 * np.mean(distances[:3])


def test_shares_of_refinement_lie_between_the_draw_and_the_refined_image():
    """All refined wholly, or each by its own share: between a draw and what becomes of it."""
    data = striped(200, (8, 8, 1), 3)
    generator = train(_released(data), data.facts, Work(), steps=20, width=8, tries=1, varied=True)
    wholly = OneShotGenerator.restore(
        data.facts, {**generator.config(), "varied": False}, generator.arrays()
    )
    labels = np.arange(60) % 3
    refined = wholly.draw(labels, 7).astype(int)
    varied = generator.draw(labels, 7).astype(int)
    apart = np.abs(refined - varied).reshape(60, -1).max(axis=1)
    # Shares are sin^2 of a uniform angle: below 0.1 or above 0.9 with a probability of 0.41.
    assert (apart <= 1).any()
    assert (apart > 20).any()


def test_exact_and_differentiable_scattering_agree():
    data = striped(40, (28, 28, 1), 4)
    scattering = Scattering(data.facts)
    pixels = torch.from_numpy(data.x.astype(np.float32) / 255.0).movedim(3, 1)
    assert np.abs(scattering.exact(data.x) - scattering(pixels).detach().numpy()).max() < 5e-3


@pytest.mark.parametrize("shape", [(16, 16, 1), (33, 64, 1), (64, 50, 3)])
def test_scattering_of_every_shape(shape):
    facts = ImageFacts(*shape, ("a",))
    scattering = Scattering(facts)
    x = images(5, shape, 1, 0).x
    rows = scattering.exact(x)
    assert rows.shape == (5, scattering.size)
    norms = np.linalg.norm(rows, axis=1)
    assert np.all((np.abs(norms - 1) < 1e-6) | (norms == 0))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(64, 64, 3), (32, 32, 3), (9, 64, 1)])
def test_large_images(shape):
    data = striped(50, shape, 2)
    assert quick(MezzotintImages).fit(data).sample(6).x.shape == (6, *shape)


def test_digits_come_out_as_digits():
    """A nearest-mean classifier made from synthetic digits reads real ones.

    Without noise it reads 0.88 to 0.90 of them; noise at epsilon 10 costs about 0.02. Untrained or
    mislabelled images give 0.1.
    """
    train_part = read_images("digits").train
    sample = ClassGaussians(10.0).fit(train_part).sample(2000, random_state=0)
    means = np.stack([sample.x[sample.y == c].reshape(-1, 64).mean(axis=0) for c in range(10)])
    flat = train_part.x.reshape(-1, 64).astype(float)
    nearest = ((flat[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == train_part.y).mean() > 0.7
