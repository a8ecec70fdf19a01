"""The whole method: programmes within budgets, noise as recorded, resumed fits, model files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import mezzotint
from mezzotint.errors import BudgetError, ModelFileError, ParameterError
from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.generator import restore
from mezzotint.images.vae import LipschitzVae
from mezzotint.privacy.accounting import Adjacency, Budget
from mezzotint.privacy.events import Gaussian, PureDP, Shuffled
from mezzotint.privacy.ledger import Ledger


def toy(n: int = 240, seed: int = 0, *, size: int = 8, channels: int = 1) -> ImageData:
    """Bars: the class says which third of the image is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.integers(0, 60, (n, size, size, channels))
    third = np.arange(size) * 3 // size
    x += 150 * (third[None, :] == y[:, None])[:, :, None, None]
    return ImageData(x.astype(np.uint8), y.astype(np.int64), ("top", "middle", "bottom"), "bars")


class Watched(LipschitzVae):
    """Keeps what was released, for the tests."""

    def train(self, released, facts, work):
        self.released = released
        return super().train(released, facts, work)


@pytest.mark.parametrize(
    ("encoder", "shuffle", "epsilon"),
    [
        ("components", True, 1.0),
        ("components", False, 8.0),
        ("frequencies", True, 8.0),
        ("frequencies", False, 1.0),
    ],
)
def test_programmes_stay_within_their_budgets(encoder: str, shuffle: bool, epsilon: float):
    method = LipschitzVae(epsilon, 1e-5, encoder=encoder, shuffle=shuffle)
    plan = method.plan_for((8, 8), 3, 5000)
    assert plan.budget.unit.adjacency is Adjacency.REPLACE_ONE
    cost = plan.programme.epsilon(1e-5)
    assert 0.97 * epsilon < cost <= epsilon
    kinds = [type(event) for event in plan.programme.events]
    first = [] if encoder == "frequencies" else [Gaussian]
    assert kinds == first + ([Shuffled] if shuffle else [Gaussian, PureDP])
    assert len(plan.steps) == len(kinds)


def test_a_plan_needs_no_number_of_images_and_buys_none():
    plan = LipschitzVae(5.0, encoder="frequencies", shuffle=False).plan_for((8, 8), 3)
    assert plan.count_budget is None
    assert plan.programme.epsilon(1e-5) <= 5.0


def test_shuffling_buys_less_noise():
    def noise(shuffle: bool) -> float:
        method = LipschitzVae(1.0, encoder="frequencies", shuffle=shuffle)
        return method.plan_for((8, 8), 3, 20_000).programme.events[0].noise_multiplier

    assert noise(True) < noise(False) / 2


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_noise_drawn_is_the_noise_recorded(shuffle: bool):
    """The same images with noise and without: the difference has the certified scale."""
    data = toy(3000)
    method = Watched(6.0, latent=6, encoder="frequencies", shuffle=shuffle)
    method.fit(data, ledger=Ledger.memory(insecure_noise="off"))
    clean = method.released
    method.fit(data, ledger=Ledger.memory())
    noisy, scale = method.released, method.released.certificate.code_noise
    (row,) = [r for r in method.privacy_.releases if r.kind in ("vector", "shuffled")]
    assert row.parameters["sigma"] == pytest.approx(
        scale / noisy.certificate.radius * row.parameters["l2"] / 2
    )
    # Codes are small against the noise: their own variance is added where the order is lost.
    if not shuffle:
        z = (noisy.codes - clean.codes).ravel() / scale
        assert stats.kstest(z, "norm").pvalue > 1e-7
        kept = int((noisy.labels == data.y).sum())
        assert stats.binomtest(kept, len(data), noisy.keep).pvalue > 1e-7
    assert (clean.labels == data.y).all()
    whole = noisy.codes / (noisy.certificate.radius / (2**14 * 2**13))
    assert np.abs(whole - np.rint(whole)).max() < 1e-4


def test_with_plenty_of_budget_classes_come_out_right():
    data = toy(3000)
    method = LipschitzVae(30.0, latent=6).fit(data, ledger=Ledger.memory(insecure_noise=3))
    drawn = method.sample(60, random_state=0)
    thirds = np.arange(8) * 3 // 8
    brightness = np.stack([drawn.x[:, thirds == k].mean(axis=(1, 2, 3)) for k in range(3)], axis=1)
    assert (brightness.argmax(axis=1) == drawn.y).mean() > 0.9
    assert np.abs(method.fitted_.shares - 1 / 3).max() < 0.1


@pytest.mark.parametrize("encoder", ["components", "frequencies", "network"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_fit_is_saved_and_read_again(tmp_path, encoder: str, channels: int):
    method = LipschitzVae(9.0, latent=4, encoder=encoder, effort=0.02)
    method.fit(toy(200, channels=channels))
    method.save(tmp_path / "m.mezzo")
    again = mezzotint.load(tmp_path / "m.mezzo")
    assert (again.sample(9, random_state=1).x == method.sample(9, random_state=1).x).all()
    assert method.privacy_.epsilon_spent <= 9.0
    guarantee = again.generator.guarantee
    assert "images at Euclidean distance d" in guarantee
    assert "any two images" in guarantee
    config, arrays = again.generator.config(), again.generator.arrays()
    for name in arrays:
        if name != "scale":
            with pytest.raises((ValueError, KeyError, IndexError)):
                restore(
                    again.generator.kind, again.facts, config, arrays | {name: arrays[name][:1]}
                )


def test_the_network_is_certified_whatever_its_training_did():
    from mezzotint.images.vae import network

    data = toy(200, size=9)
    method = Watched(9.0, latent=4, encoder="network", effort=0.05).fit(data)
    encoder = method.released.encoder
    assert isinstance(encoder, network.NetworkEncoder)
    assert 0 < encoder.constant <= 1 + 1e-6
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, 60, 9, 9, 1)).astype(np.uint8)
    far = np.linalg.norm((x[0] / 255 - x[1] / 255).reshape(60, -1), axis=1)
    coded = np.linalg.norm(encoder.codes(x[0]) - encoder.codes(x[1]), axis=1)
    assert (coded <= encoder.constant * far * (1 + 1e-4)).all()
    # Nobody's code depends on the others'.
    other = x[0].copy()
    other[7] = 255
    one, two = encoder.codes(x[0]), encoder.codes(other)
    assert (np.delete(one, 7, 0) == np.delete(two, 7, 0)).all()


def test_a_fit_that_is_repeated_costs_nothing_and_is_the_same(tmp_path):
    data, ledger = toy(300), tmp_path / "l.db"
    models = []
    for _ in range(2):
        method = LipschitzVae(9.0, latent=4).fit(data, ledger=ledger, checkpoint=tmp_path / "kept")
        models.append(method.sample(6, random_state=0).x)
    assert (models[0] == models[1]).all()
    with Ledger.open(ledger) as book:
        assert len(book.runs()) == 1
        assert len(book.releases(1)) == 2


def test_what_cannot_be_done_is_refused_before_anything_is_spent():
    data, ledger = toy(100), Ledger.memory()
    with pytest.raises(ParameterError, match="100 images, and 120 were declared"):
        LipschitzVae(5.0, latent=4).fit(data, ledger=ledger, population=120)
    assert ledger.account("bars").epsilon == 0
    with pytest.raises(ParameterError, match="encoder = 'deep' is unknown"):
        LipschitzVae(1.0, encoder="deep")
    with pytest.raises(ParameterError, match="latent = 0"):
        LipschitzVae(1.0, latent=0)
    facts = ImageFacts(8, 8, 1, ("a", "b"), 2**22)
    method = LipschitzVae(1.0, latent=32)
    with pytest.raises(ParameterError, match="take latent = 4 or less"):
        method.programme(facts, method.budget)
    with pytest.raises(BudgetError, match="too little for 10 images that answer each for itself"):
        tiny = Budget(0.01, 1e-9, method.unit)
        method.programme(ImageFacts(8, 8, 1, ("a", "b"), 10), tiny)


def test_one_class_needs_no_labels():
    x = toy(150).x
    data = ImageData(x, np.zeros(150, np.int64), ("only",), "bars")
    drawn = LipschitzVae(8.0, latent=4).fit(data).sample(5, random_state=0)
    assert drawn.x.shape == (5, 8, 8, 1)
    assert math.isfinite(drawn.x.mean())


def test_a_model_of_another_shape_is_refused():
    method = LipschitzVae(8.0, latent=4).fit(toy(150))
    generator = method.fitted_.generator
    facts = ImageFacts(12, 12, 1, method.fitted_.facts.classes)
    with pytest.raises((ValueError, KeyError, ModelFileError)):
        restore(generator.kind, facts, {**generator.config(), "side": 14}, generator.arrays())
