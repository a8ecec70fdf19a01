"""The theorem against exact divergences, and Lipschitz constants against whole matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.images.vae.harmonic import Certificate
from mezzotint.images.vae.spectral import (
    circular_norm,
    dense_norm,
    max_min,
    network_constant,
    padded_bound,
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.05, 5.0),
    st.floats(0.05, 5.0),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_bound_holds_in_the_linear_case(seed, code_noise, pixel_noise, latent, pixels):
    """N(G W x, s^2 G G^T + t^2 I): its Renyi divergence is a / 2 times a Mahalanobis distance."""
    rng = np.random.default_rng(seed)
    encoder, decoder = rng.normal(size=(latent, 5)), rng.normal(size=(pixels, latent))
    gap = rng.normal(size=5)
    covariance = code_noise**2 * decoder @ decoder.T + pixel_noise**2 * np.eye(pixels)
    moved = decoder @ encoder @ gap
    exact = float(moved @ np.linalg.solve(covariance, moved)) / 2
    certificate = Certificate(
        dense_norm(encoder), 1e9, code_noise, dense_norm(decoder), pixel_noise
    )
    assert exact <= certificate.rho(float(np.linalg.norm(gap))) * (1 + 1e-9)


def test_the_bound_is_met_where_everything_is_aligned():
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    s, t, scale = 0.7, 0.4, 1.7
    gap = np.array([0.3, -0.2, 0.6])
    moved = scale * rotation @ gap
    covariance = s**2 * scale**2 * np.eye(3) + t**2 * np.eye(3)
    exact = float(moved @ np.linalg.solve(covariance, moved)) / 2
    bound = Certificate(1.0, 1e9, s, scale, t).rho(float(np.linalg.norm(gap)))
    assert bound == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("order", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("name", ["tanh", "kink", "wave"])
def test_the_bound_holds_for_decoders_that_are_not_linear(name: str, order: float):
    """One code, one pixel: the divergence by quadrature over both."""
    decoder = {
        "tanh": lambda z: 2 * np.tanh(z),
        "kink": lambda z: 2 * np.abs(z - 0.3),
        "wave": lambda z: np.sin(2 * z),
    }[name]
    s, t, first, second = 0.6, 0.5, -0.2, 0.7
    u = np.linspace(-9, 9, 3001)
    weights = np.exp(-(u**2) / 2)
    weights /= weights.sum()
    y = np.linspace(-16, 16, 4001)

    def density(mean: float) -> np.ndarray:
        centres = decoder(mean + s * u)
        return np.exp(-((y[:, None] - centres) ** 2) / (2 * t**2)) @ weights

    p, q = density(first), density(second)
    p, q = p / p.sum(), q / q.sum()
    keep = (p > 1e-200) & (q > 1e-200)
    logs = order * np.log(p[keep]) + (1 - order) * np.log(q[keep])
    exact = math.log(float(np.exp(logs).sum())) / (order - 1)
    bound = order * Certificate(1.0, 1e9, s, 2.0, t).rho(abs(first - second))
    assert 0 < exact <= bound * (1 + 1e-6)


def test_both_readings_are_stated_and_never_mixed_up():
    certificate = Certificate(1.0, 1.0, 7.46)
    # The settings of our notes: any two images within epsilon 1 or so, and unit distance below.
    assert 0.99 < certificate.epsilon(1e-5) < 1.2
    assert certificate.epsilon(1e-5, 1.0) < certificate.epsilon(1e-5, 2.0)
    assert certificate.epsilon(1e-5, 2.0) == certificate.epsilon(1e-5, 50.0)
    assert certificate.rho(0.0) == certificate.epsilon(1e-5, 0.0) == 0.0
    sentence = certificate.sentence(1e-5)
    assert f"epsilon {certificate.epsilon(1e-5):.3g}" in sentence
    assert "at d = 10" in sentence
    hidden = Certificate(1.0, 1.0, 0.5, decoder=0.5, pixel_noise=1.0)
    assert hidden.variance == pytest.approx(0.25 + 4.0)
    assert Certificate(1.0, 1.0, 0.5, decoder=0.0, pixel_noise=1.0).rho() == 0.0


def convolution_matrix(kernel: np.ndarray, height: int, width: int, *, circular: bool):
    """Every output as a row of weights of every input, written out pixel by pixel."""
    outputs, inputs, rows, columns = kernel.shape
    matrix = np.zeros((outputs, height, width, inputs, height, width))
    for i in range(height):
        for j in range(width):
            for a in range(rows):
                for b in range(columns):
                    k, m = i + a - rows // 2, j + b - columns // 2
                    if circular:
                        k, m = k % height, m % width
                    elif not (0 <= k < height and 0 <= m < width):
                        continue
                    matrix[:, i, j, :, k, m] += kernel[:, :, a, b]
    return matrix.reshape(outputs * height * width, inputs * height * width)


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (3, 2, 5, 5), (2, 4, 3, 5)])
@pytest.mark.parametrize("size", [(6, 7), (8, 5)])
def test_constants_of_convolutions(shape, size):
    kernel = np.random.default_rng(1).normal(size=shape)
    circular = convolution_matrix(kernel, *size, circular=True)
    exact = np.linalg.norm(circular, 2)
    assert exact <= circular_norm(kernel, *size) <= exact * (1 + 1e-6)
    padded = convolution_matrix(kernel, *size, circular=False)
    exact = np.linalg.norm(padded, 2)
    assert exact <= padded_bound(kernel, *size) <= exact * 1.5
    # A stride keeps some of the rows.
    assert np.linalg.norm(padded[::2], 2) <= padded_bound(kernel, *size)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_constants_of_dense_layers(seed: int, outputs: int, inputs: int):
    weights = np.random.default_rng(seed).normal(size=(outputs, inputs))
    norm = dense_norm(weights)
    assert np.linalg.norm(weights, 2) <= norm <= np.linalg.norm(weights, 2) * (1 + 1e-6)
    assert network_constant([norm, norm]) >= norm * norm


@given(st.integers(0, 2**32 - 1))
def test_max_min_keeps_norms_and_distances_do_not_grow(seed: int):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 4, 6))
    one, other = max_min(a), max_min(b)
    assert (one[:, ::2] >= one[:, 1::2]).all()
    assert np.allclose(np.linalg.norm(one, axis=1), np.linalg.norm(a, axis=1))
    gap = np.linalg.norm(one - other, axis=1)
    assert (gap <= np.linalg.norm(a - b, axis=1) * (1 + 1e-12)).all()
