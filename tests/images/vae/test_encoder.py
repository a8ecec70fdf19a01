"""Sensitivities in whole numbers, on the worst neighbours that can be made; and isometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images.data import ImageFacts
from mezzotint.images.integers import BALL
from mezzotint.images.vae.encoder import (
    CODE_STEPS,
    CODES_L2,
    MOMENTS_L2,
    Frame,
    LinearEncoder,
    moment_sums,
    whole_codes,
)

SHAPES = [(8, 8, 1), (12, 17, 1), (16, 16, 3), (28, 28, 1)]


def an_image(rng: np.random.Generator, shape) -> np.ndarray:
    """Noise, black, white, half and half, or stripes: what is far apart from each other."""
    kind = rng.integers(5)
    image = rng.integers(0, 256, shape)
    if kind == 1:
        image[:] = 0
    elif kind == 2:
        image[:] = 255
    elif kind == 3:
        image[: shape[0] // 2] = 255 * rng.integers(2)
        image[shape[0] // 2 :] = 255 * rng.integers(2)
    elif kind == 4:
        image = 255 * (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 3 % 2)
        image = np.repeat(image[:, :, None], shape[2], axis=2)
    return image.astype(np.uint8)


def squared(values: np.ndarray) -> int:
    """An exact squared norm."""
    return sum(int(v) ** 2 for v in values.ravel())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SHAPES[:3]))
def test_replacing_an_image_changes_no_more_than_declared(seed: int, shape):
    rng = np.random.default_rng(seed)
    frame = Frame.of(ImageFacts(*shape, ("a", "b")))
    x = np.stack([an_image(rng, shape) for _ in range(4)])
    other = x.copy()
    other[2] = an_image(rng, shape)
    difference = moment_sums(x, frame) - moment_sums(other, frame)
    assert squared(difference) <= MOMENTS_L2**2
    directions = np.linalg.qr(rng.normal(size=(frame.size, 6)))[0]
    centre, radius = rng.normal(size=frame.size), float(rng.uniform(0.01, 5))
    encoder = LinearEncoder(frame, centre, directions, radius)
    one, two = whole_codes(encoder, x), whole_codes(encoder, other)
    assert squared(one - two) <= CODES_L2**2
    assert all(squared(row) <= (BALL * CODE_STEPS) ** 2 for row in one)
    # Everybody else's code stays the same to the last bit, in any company.
    others = [0, 1, 3]
    assert (one[others] == two[others]).all()
    assert (whole_codes(encoder, x[1:2]) == one[1:2]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_frame_is_an_isometry_from_what_it_holds(shape):
    rng = np.random.default_rng(0)
    frame = Frame.of(ImageFacts(*shape, ("a", "b")))
    rows = rng.normal(size=(5, frame.size))
    images = frame.pictures(rows)
    assert images.shape == (5, *shape)
    assert np.allclose(np.square(images).sum(axis=(1, 2, 3)), np.square(rows).sum(axis=1))
    assert np.allclose(frame.encode(images), rows)
    pairs = rng.integers(0, 256, (2, 9, *shape)).astype(np.uint8)
    far = np.linalg.norm((pairs[0] / 255 - pairs[1] / 255).reshape(9, -1), axis=1)
    coded = np.linalg.norm(frame.encode(pairs[0]) - frame.encode(pairs[1]), axis=1)
    assert (coded <= far * (1 + 1e-9)).all()


def test_the_linear_encoder_says_its_constant_and_keeps_to_it():
    rng = np.random.default_rng(0)
    frame = Frame.of(ImageFacts(8, 8, 1, ("a", "b")))
    directions = np.linalg.qr(rng.normal(size=(frame.size, 7)))[0]
    encoder = LinearEncoder(frame, rng.normal(size=frame.size), directions, 2.0)
    assert 1 <= encoder.constant < 1 + 1e-6
    x = rng.integers(0, 256, (2, 40, 8, 8, 1)).astype(np.uint8)
    far = np.linalg.norm((x[0] / 255 - x[1] / 255).reshape(40, -1), axis=1)
    coded = np.linalg.norm(encoder.codes(x[0]) - encoder.codes(x[1]), axis=1)
    # The grid of whole numbers moves a number by up to radius / BALL.
    slack = 2 * np.sqrt(frame.size) * frame.radius / BALL
    assert (coded <= encoder.constant * far + slack).all()


def test_frequencies_come_lowest_first():
    frame = Frame((8, 8, 1), 4)
    flat = frame.encode(np.full((1, 8, 8, 1), 255, np.uint8))[0]
    assert flat[0] == pytest.approx(8.0)
    assert np.abs(flat[1:]).max() < 1e-9
    slope = frame.encode(np.linspace(0, 1, 8)[None, :, None, None] * np.ones((1, 8, 8, 1)))[0]
    assert np.abs(slope[1:3]).max() > 5 * np.abs(slope[3:]).max()
