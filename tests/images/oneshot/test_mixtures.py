"""Axes and mixtures of our own method, against the same thing computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images.data import ImageData
from mezzotint.images.integers import BALL, UNIT, into_ball
from mezzotint.images.oneshot import axes, gaussians, parts
from mezzotint.images.oneshot.canvas import Canvas
from mezzotint.images.oneshot.draws import Draws
from mezzotint.images.oneshot.gaussians import ClassMoments
from mezzotint.images.oneshot.parts import Cut

SHAPE = 8, 8, 1
QUIET = 1e-9


def waves(n: int, seed: int = 0) -> ImageData:
    """Two classes of smooth images; along their first wave they are bent, which no Gaussian is."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    first, second = rng.normal(size=n), rng.normal(size=n) * 0.3
    second = second + np.where(y == 0, first**2, -(first**2)) - np.where(y == 0, 1, -1)
    along = np.cos(np.pi * (np.arange(8) + 0.5) / 8)
    x = 90 + 25 * first[:, None, None] * along[:, None] + 15 * second[:, None, None] * along[None]
    x = x[..., None] + rng.normal(size=(n, *SHAPE)) * 8
    return ImageData(x.clip(0, 255).astype(np.uint8), y, ("a", "b"), "waves")


def exact_axes(data: ImageData, sigma: float = QUIET, components: int | None = 2):
    """Axes and grain, from sums without noise."""
    canvas = Canvas.of(data.facts)
    level = axes.level_from(canvas, [s.astype(float) for s in axes.level_sums(canvas, data)])
    sums = [s.astype(float) for s in axes.moment_sums(canvas, level, data)]
    return canvas, *axes.axes_from(
        canvas, level, sums, (sigma, sigma), classes=2, components=components, clear=0.1
    )


def exact_mixture(data: ImageData, sigma: float = QUIET):
    """Classes and their parts, from sums without noise."""
    canvas, basis, _ = exact_axes(data)
    sums = [s.astype(float) for s in gaussians.class_moment_sums(canvas, basis, data)]
    moments = parts.classes_from(basis, sums, QUIET)
    cuts = parts.cuts_from(moments, sigma)
    sums = [s.astype(float) for s in parts.part_sums(canvas, basis, moments, cuts, data)]
    return canvas, basis, moments, cuts, parts.mixture_from(moments, cuts, sums, sigma)


def test_axes_are_those_of_the_images_and_grain_is_what_they_leave():
    data = waves(3000)
    canvas, basis, grain = exact_axes(data)
    pixels = data.x.reshape(len(data), -1) / 255.0
    assert basis.mean == pytest.approx(pixels.mean(axis=0), abs=0.01)
    # Long images are shortened, and what that takes off the spread is given back as a whole.
    centred = pixels - pixels.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    spread = np.sqrt(np.square(lengths).mean())
    held = centred * np.minimum(1.0, 1.25 * spread / lengths)
    covariance = np.cov(held.T, bias=True)
    covariance *= spread**2 / np.trace(covariance)
    values, vectors = np.linalg.eigh(covariance)
    assert basis.variances == pytest.approx(values[::-1][:2], rel=0.02)
    cosines = np.abs(np.einsum("ij,ij->j", vectors[:, ::-1][:, :2], basis.axes))
    assert cosines.min() > 0.999
    left = covariance - (basis.axes * basis.variances) @ basis.axes.T
    assert np.square(grain) == pytest.approx(np.diag(left), rel=0.05)
    level = axes.level_from(canvas, [s.astype(float) for s in axes.level_sums(canvas, data)])
    assert level.spread == pytest.approx(spread, rel=0.01)
    assert level.total == 3000


def test_noise_leaves_only_the_clear_frequencies():
    data = waves(3000)
    canvas, basis, _ = exact_axes(data, sigma=3.0, components=6)
    cosines = np.cos(np.pi * (np.arange(8) + 0.5)[:, None] / 8 * np.arange(8))
    frame = np.kron(cosines, cosines) / np.linalg.norm(np.kron(cosines, cosines), axis=0)
    used = np.abs(frame.T @ basis.axes).max(axis=1) > 1e-6
    assert used[1]
    assert used[8]
    assert used.sum() < canvas.size / 2


@pytest.mark.parametrize("sigma", [0.01, 10.0])
def test_classes_without_noise_are_their_own_moments(sigma):
    data = waves(1000)
    canvas, basis, _ = exact_axes(data)
    sums = [s.astype(float) for s in gaussians.class_moment_sums(canvas, basis, data)]
    moments = parts.classes_from(basis, sums, sigma)
    ((coordinates, _),) = gaussians.coordinates(canvas, basis, data)
    coordinates = into_ball(coordinates, basis.radius) * basis.radius / BALL
    # Noise that is only claimed draws classes together, by little where they have many images.
    close = 0.05 if sigma < 1 else 0.3
    for label in (0, 1):
        own = coordinates[data.y == label]
        found = moments.factors[label] @ moments.factors[label].T
        assert found == pytest.approx(np.cov(own.T), abs=close * np.trace(np.cov(own.T)))
        assert moments.centres[label] == pytest.approx(own.mean(axis=0), abs=close * 0.5)


def test_parts_without_noise_are_their_own_moments():
    data = waves(6000)
    canvas, basis, moments, cuts, mixture = exact_mixture(data)
    assert [cut.pieces for cut in cuts] == [(2, 2), (2, 2)]  # there are but two axes
    ((found, labels),) = [
        tuple(map(np.concatenate, zip(*gaussians.coordinates(canvas, basis, data), strict=True)))
    ]
    part = 0
    for label, cut in enumerate(cuts):
        rows = into_ball(found[labels == label] - moments.centres[label], cut.radius)
        places = cut.places(rows)
        near = rows * cut.radius / BALL
        for place in range(cut.parts):
            own = near[places == place]
            assert mixture.shares[label, part] == pytest.approx((places == place).mean(), abs=1e-3)
            assert mixture.centres[part] - moments.centres[label] == pytest.approx(
                own.mean(axis=0), abs=1e-2
            )
            covariance = mixture.factors[part] @ mixture.factors[part].T
            assert covariance == pytest.approx(np.cov(own.T), abs=0.03 * np.trace(np.cov(near.T)))
            part += 1
    assert part == mixture.shares.shape[1]
    assert mixture.shares.sum(axis=1) == pytest.approx([1, 1])


def test_places_cut_a_gaussian_into_equal_parts():
    rng = np.random.default_rng(3)
    spread = np.array([2.0, 1.0, 0.5, 0.1])
    rows = into_ball(rng.normal(size=(40_000, 4)) * spread, radius := 30.0)
    cut = Cut((4, 2, 2), np.diag(1 / spread)[:, :3], radius)
    counts = np.bincount(cut.places(rows), minlength=16)
    # Binomial: six standard deviations, for sixteen parts: false alarms below 1e-7.
    assert np.abs(counts - 2500).max() < 6 * np.sqrt(2500 * 15 / 16)


def test_noise_makes_fewer_parts_and_never_too_many():
    moments = ClassMoments(np.full(3, 5000.0), np.zeros((3, 6)), np.stack([np.eye(6)] * 3))
    found = [parts.cuts_from(moments, sigma)[0].parts for sigma in (0.1, 3.0, 10.0, 20.0, 1e3)]
    assert found == [16, 8, 4, 2, 1]
    crowd = ClassMoments(np.full(100, 5e6), np.zeros((100, 6)), np.stack([np.eye(6)] * 100))
    assert sum(cut.parts for cut in parts.cuts_from(crowd, 1.0)) <= 320
    empty = ClassMoments(np.full(2, -3.0), np.zeros((2, 6)), np.zeros((2, 6, 6)))
    assert [cut.parts for cut in parts.cuts_from(empty, 1.0)] == [1, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 1e4), st.floats(1.0, 1e4))
def test_whatever_the_noise_a_mixture_is_one(seed, sigma, count):
    rng = np.random.default_rng(seed)
    k, classes = 5, 2
    factors = rng.normal(size=(classes, k, k))
    moments = ClassMoments(np.full(classes, count), rng.normal(size=(classes, k)), factors)
    cuts = [
        Cut((2, 2), np.linalg.qr(rng.normal(size=(k, 2)))[0], 3.0),
        Cut((), np.empty((k, 0)), 3.0),
    ]
    noised = [rng.normal(size=block.shape) * sigma * UNIT for block in gaussians.class_blocks(5, k)]
    mixture = parts.mixture_from(moments, cuts, noised, sigma)
    assert mixture.shares.sum(axis=1) == pytest.approx([1, 1])
    assert mixture.shares.min() >= 0
    assert np.isfinite(mixture.factors).all()
    # Where all is noise, the class is what it was: no more than four times as wide.
    if sigma > count:
        for label, own in enumerate((slice(0, 4), slice(4, 5))):
            wide = np.square(mixture.factors[own]).sum(axis=(1, 2))
            assert wide.max() < 4 * np.square(factors[label]).sum()


def test_parts_follow_a_bend_that_a_gaussian_cannot():
    data = waves(6000)
    canvas, basis, moments, _, mixture = exact_mixture(data)
    labels = torch.from_numpy(data.y)

    def drawn(draws: Draws) -> np.ndarray:
        images = draws(labels, torch.Generator().manual_seed(0)).numpy()
        return (images.reshape(len(data), -1) - basis.mean) @ basis.axes

    plain = drawn(Draws(canvas, basis.mean, basis.axes, moments.centres, moments.factors))
    mixed = drawn(
        Draws(
            canvas,
            basis.mean,
            basis.axes,
            mixture.centres,
            mixture.factors,
            shares=mixture.shares,
        )
    )
    real = (data.x.reshape(len(data), -1) / 255.0 - basis.mean) @ basis.axes

    def bend(rows: np.ndarray) -> float:
        """The correlation of one coordinate with the square of the other, in class 0."""
        own = rows[data.y == 0]
        own = (own - own.mean(axis=0)) / own.std(axis=0)
        return max(abs(float((own[:, i] ** 2 * own[:, 1 - i]).mean())) for i in (0, 1))

    assert bend(real) > 0.8
    assert bend(plain) < 0.1
    assert bend(mixed) > 0.4 * bend(real)


def test_grain_is_as_wide_as_it_says():
    canvas = Canvas.of(waves(2).facts)
    grain = np.linspace(0.0, 0.1, canvas.size)
    draws = Draws(
        canvas,
        np.full(canvas.size, 0.5),
        np.eye(canvas.size)[:, :1],
        np.zeros((2, 1)),
        np.zeros((2, 1, 1)),
        grain=grain,
    )
    source = torch.Generator().manual_seed(0)
    images = draws(torch.zeros(4000, dtype=torch.int64), source)
    shares = torch.full((4000, 1, 1, 1), 0.5)
    spread = draws.grained(images, shares, source).reshape(4000, -1).std(dim=0)
    assert spread.numpy() == pytest.approx(grain / 2, rel=0.1, abs=1e-6)


@pytest.mark.parametrize("shares", [-np.eye(2), np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_shares_that_are_none_are_refused(shares):
    canvas = Canvas.of(waves(2).facts)
    arrays = np.zeros(64), np.eye(64)[:, :1], np.zeros((2, 1)), np.zeros((2, 1, 1))
    with pytest.raises(ValueError, match="shares"):
        Draws(canvas, *arrays, shares=shares)


def test_every_class_needs_a_gaussian():
    canvas = Canvas.of(waves(2).facts)
    arrays = np.zeros(64), np.eye(64)[:, :1], np.zeros((2, 1)), np.zeros((2, 1, 1))
    with pytest.raises(ValueError, match="without any"):
        Draws(canvas, *arrays, shares=np.ones((3, 2)))
