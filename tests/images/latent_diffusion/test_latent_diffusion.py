"""Latent diffusion: what is released is bounded, what is computed from it is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images.data import ImageData, ImageFacts
from mezzotint.images.integers import l2_bound
from mezzotint.images.latent_diffusion import LatentDiffusion
from mezzotint.images.latent_diffusion.denoiser import Denoiser, Gaussians, Network
from mezzotint.images.latent_diffusion.generator import DiffusionGenerator
from mezzotint.images.latent_diffusion.latents import Latents, shrunk
from mezzotint.images.latent_diffusion.method import public_clip
from mezzotint.images.latent_diffusion.moments import (
    Moments,
    blocks,
    bound,
    frame_of,
    integer_sums,
    moments,
)
from mezzotint.images.latent_diffusion.sampler import noise_levels, sample
from mezzotint.images.oneshot.judge import Judge
from mezzotint.images.oneshot.scattering import Scattering
from mezzotint.privacy.ledger import Ledger
from tests.images.oneshot.worlds import norm_squared, with_record


def pictures(n: int, shape=(8, 8, 1), classes: int = 3, seed: int = 0) -> ImageData:
    """Blobs whose place is their class's."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centre = 2 + 4 * y / max(classes - 1, 1) + rng.normal(0, 0.4, n)
    wide = rng.uniform(1.0, 2.0, n)[:, None, None]
    light = np.exp(-((rows - centre[:, None, None]) ** 2 + (columns - 4) ** 2) / (2 * wide**2))
    x = np.repeat((200 * light)[..., None], shape[2], axis=3).astype(np.uint8)
    return ImageData(x, y.astype(np.int64), tuple(map(str, range(classes))), "blobs")


def latents_of(data: ImageData, k: int = 6) -> Latents:
    """Without noise."""
    frame = frame_of(data.facts)
    return Latents.of(exact_moments(data), frame, k)


def exact_moments(data: ImageData) -> Moments:
    """Without noise."""
    frame = frame_of(data.facts)
    noised = [total.astype(np.float64) for total in integer_sums(data, frame)]
    return moments(noised, 0.0, frame)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (12, 9, 3), (64, 64, 3)])
def test_the_frame_is_an_orthonormal_projection(shape):
    facts = ImageFacts(*shape, ("a", "b"))
    frame = frame_of(facts)
    x = np.random.default_rng(1).random((5, *shape))
    codes = frame.encode(x)
    assert codes.shape == (5, frame.size)
    norms = np.linalg.norm(x.reshape(5, -1), axis=1)
    assert (np.linalg.norm(codes, axis=1) <= norms * (1 + 1e-12)).all()
    smooth = frame.decode(codes * 0.1 + frame.encode(np.full((1, *shape), 0.45)))
    assert np.allclose(frame.decode(frame.encode(smooth)), smooth, atol=1e-9)
    assert np.allclose(x.reshape(5, -1) @ frame.axes(), codes)
    assert np.allclose(frame.axes().T @ frame.axes(), np.eye(frame.size))


def test_many_classes_take_fewer_frequencies():
    facts = ImageFacts(32, 32, 3, tuple(map(str, range(1000))))
    assert sum(block.size for block in blocks(frame_of(facts), 1000)) < 1 << 24


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(8, 8, 1), (10, 8, 3)]),
    st.sampled_from(["zero", "full", "random", "one pixel", "stripes"]),
    st.integers(0, 2),
    st.integers(0, 2**32 - 1),
)
def test_one_image_changes_the_sums_by_at_most_the_bound(shape, look, label, seed):
    """Sensitivity with the noise off: exact, in integers, for extreme images too, wherever."""
    rng = np.random.default_rng(seed)
    image = {
        "zero": np.zeros(shape),
        "full": np.full(shape, 255),
        "random": rng.integers(0, 256, shape),
        "one pixel": np.where(np.arange(np.prod(shape)).reshape(shape) == 5, 255, 0),
        "stripes": 255 * (np.arange(shape[0])[:, None, None] % 2) * np.ones(shape),
    }[look].astype(np.uint8)
    others = pictures(40, shape, seed=seed % 100)
    frame = frame_of(others.facts)
    more = with_record(others, int(rng.integers(41)), image, label)
    with_it, without = integer_sums(more, frame), integer_sums(others, frame)
    difference = [a - b for a, b in zip(with_it, without, strict=True)]
    assert norm_squared(difference) <= l2_bound(blocks(frame, 3)) ** 2


def test_without_noise_the_moments_are_the_classes_own():
    data = pictures(900)
    frame, found = frame_of(data.facts), exact_moments(data)
    codes = frame.encode(data.x)
    assert np.linalg.norm(codes, axis=1).max() < bound(frame)  # nothing was clipped
    for label in range(3):
        own = codes[data.y == label]
        assert found.counts[label] == pytest.approx(len(own), rel=1e-6)
        assert np.allclose(found.means[label], own.mean(0), atol=1e-3)
        assert np.allclose(found.covariances[label], np.cov(own.T, bias=True), atol=2e-3)


def test_noisy_covariances_are_drawn_towards_the_pooled_one():
    """Where classes are alike, that takes most of the noise away; without noise it does nothing."""
    rng, d = np.random.default_rng(3), 12
    root = rng.normal(size=(d, 2 * d))
    truth = np.stack([root @ root.T / d] * 5)
    level = 2.0
    drawn = rng.normal(size=(5, d, d)) * level
    noisy = truth + (drawn + drawn.transpose(0, 2, 1)) / np.sqrt(2)
    counts, levels = np.full(5, 100.0), np.full(5, level)
    assert np.abs(shrunk(noisy, counts, levels) - truth).mean() < 0.7 * np.abs(noisy - truth).mean()
    assert np.allclose(shrunk(truth, counts, 0 * levels), truth)
    assert np.linalg.eigvalsh(shrunk(noisy - 5 * np.eye(d), counts, levels)).min() > -1e-9


def test_the_guess_is_the_mean_of_what_may_be_beneath():
    """D_G against the textbook posterior of a Gaussian in Gaussian noise."""
    latents = latents_of(pictures(900))
    gaussians = Gaussians(latents)
    rng = np.random.default_rng(5)
    noisy = rng.normal(size=(30, 6))
    y = rng.integers(3, size=30)
    sigma = rng.uniform(0.05, 3.0, size=(30, 1))
    mine = gaussians.guess(
        torch.from_numpy(noisy).float(), torch.from_numpy(sigma).float(), torch.from_numpy(y)
    )
    for i in range(30):
        axes, mean = latents.axes[y[i]], latents.means[y[i]]
        covariance = axes @ np.diag(latents.variances[y[i]]) @ axes.T
        gain = covariance @ np.linalg.inv(covariance + sigma[i] ** 2 * np.eye(6))
        assert np.allclose(mine[i].numpy(), mean + gain @ (noisy[i] - mean), atol=1e-4)


def test_an_untrained_network_leaves_the_classes_gaussian():
    """The sampler brings noise to the classes' own means and covariances.

    2,000 draws: a mean is off by 0.022 standard deviations, so that 0.14 (with the sampler's own
    error) is exceeded with a probability far below 1e-6; variances likewise.
    """
    latents = latents_of(pictures(900))
    denoise = Denoiser(Gaussians(latents), Network(6, 3, 16))
    y = torch.full((2000,), 1)
    with torch.no_grad():
        found = sample(denoise, y, 6, 24, torch.Generator().manual_seed(2)).numpy()
    along = (found - latents.means[1]) @ latents.axes[1]
    widths = np.sqrt(latents.variances[1])
    assert (np.abs(along.mean(0)) < 0.14 * widths + 0.01).all()
    wide = latents.variances[1] > 0.01
    assert np.allclose(along.std(0)[wide], widths[wide], rtol=0.14)


def test_the_loss_is_least_at_the_truth():
    """For Gaussian classes no constant answer of the network beats zero."""
    latents = latents_of(pictures(900))
    gaussians, rng = Gaussians(latents), torch.Generator().manual_seed(7)
    denoiser = Denoiser(gaussians, Network(6, 3, 16))
    n = 20_000
    y = torch.randint(3, (n,), generator=rng)
    wide = torch.randn(n, 6, generator=rng) * gaussians.variances[y].sqrt()
    clean = gaussians.means[y] + torch.einsum("nka,na->nk", gaussians.axes[y], wide)
    drawn = torch.randn(n, 6, generator=rng)
    sigma = torch.full((n, 1), 0.4)

    def loss(answer: float) -> float:
        return float(
            denoiser.loss(
                lambda x, level, y: torch.full_like(x, answer), clean, drawn, sigma, y
            ).mean()
        )

    assert loss(0.0) < min(loss(0.2), loss(-0.2))


def test_noise_levels_fall_to_zero():
    levels = noise_levels(24)
    assert levels == sorted(levels, reverse=True)
    assert (len(levels), levels[-1]) == (25, 0.0)


def test_the_clip_is_public():
    """It depends on what was released, not on the images."""
    latents = latents_of(pictures(900))
    network = Network(6, 3, 16)
    denoiser = Denoiser(Gaussians(latents), network)
    first = public_clip(network, denoiser, latents, 4, seed=1)
    assert first == public_clip(network, denoiser, latents, 4, seed=1) > 0


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 8, 3)])
def test_from_images_to_images(tmp_path, shape, same_methods):
    """Two fits of one request are one: the same model, spent once; and the file gives it back."""
    data = pictures(600, shape)
    ledger = tmp_path / "l.db"

    def fit() -> LatentDiffusion:
        method = LatentDiffusion(
            8.0, latents=8, width=16, epochs=2, multiplicity=2, levels=6, teacher_steps=2
        )
        return method.fit(data, population=600, ledger=ledger, checkpoint=tmp_path / "c")

    first, second = fit(), fit()
    with Ledger.open(ledger, read_only=True) as book:
        assert len(book.runs()) == 1
        (account,) = book.accounts()
        assert account.epsilon <= 8.0
    drawn = first.sample(40, random_state=1)
    assert drawn.x.shape == (40, *shape)
    assert np.array_equal(drawn.x, second.sample(40, random_state=1).x)
    kinds = [release.kind for release in first.privacy_.releases]
    assert kinds == ["vector"] * 5 + ["training"]
    generator = first.fitted_.generator
    assert isinstance(generator, DiffusionGenerator)
    again = DiffusionGenerator.restore(data.facts, generator.config(), generator.arrays())
    labels = np.arange(30) % 3
    assert np.abs(again.draw(labels, 4).astype(int) - generator.draw(labels, 4)).max() <= 2


def test_classes_can_be_told_apart():
    """At a generous budget, drawn blobs lie where their class has them."""
    data = pictures(3000)
    method = LatentDiffusion(
        20.0, latents=8, width=16, epochs=1, multiplicity=1, levels=8, teacher_steps=0
    )
    method.fit(data, population=3000)
    places = []
    for label in range(3):
        drawn = method.sample(100, labels=label, random_state=0).x[..., 0].astype(float)
        light = drawn.sum((1, 2)) + 1e-9
        places.append(float(((drawn.sum(2) * np.arange(8)).sum(1) / light).mean()))
    assert places[0] + 1 < places[1] < places[2] - 1


def taught(data: ImageData, tries: int = 3) -> DiffusionGenerator:
    """A generator with a teacher who knows nothing, but has opinions."""
    size = Scattering(data.facts).size
    weights = np.random.default_rng(0).normal(size=(size, 3))
    judge = Judge(data.facts, np.zeros(size), weights)
    return DiffusionGenerator(
        latents_of(data), Network(6, 3, 16), judge, width=16, levels=4, tries=tries
    )


def test_what_the_teacher_takes_for_another_is_drawn_again():
    data = pictures(900)
    labels = np.arange(300) % 3

    def agreed(generator: DiffusionGenerator) -> float:
        x = torch.from_numpy(generator.draw(labels, 1)).movedim(3, 1).float() / 255
        assert generator.judge is not None
        margins = generator.judge.margins(x, torch.from_numpy(labels))
        return float((margins > 0).float().mean())

    once, often = agreed(taught(data, tries=1)), agreed(taught(data, tries=20))
    assert often > once + 0.2


def test_arrays_of_a_wrong_shape_are_refused():
    generator = taught(pictures(300))
    facts, config, arrays = pictures(3).facts, generator.config(), dict(generator.arrays())
    for name in list(arrays):
        with pytest.raises((ValueError, KeyError)):
            DiffusionGenerator.restore(facts, config, {**arrays, name: arrays[name][..., :-1]})
        with pytest.raises(KeyError):
            DiffusionGenerator.restore(
                facts, config, {n: a for n, a in arrays.items() if n != name}
            )
    with pytest.raises(ValueError, match="tries"):
        DiffusionGenerator.restore(facts, {**config, "tries": 0}, arrays)
