"""A small variational autoencoder whose Lipschitz constants are certified, not hoped for.

It is trained on synthetic images only, drawn from the noisy moments: post-processing of a release.
Every layer is brought back to spectral norm 1 after every step, and once more, exactly, at the end;
between layers stands `max_min`. So encoder and decoder are 1-Lipschitz whatever the training did.
The code's noise is fixed and known while it trains: a variance that depended on the image would
make the Renyi divergence infinite beyond some order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.images.vae.encoder import Frame, Moments
from mezzotint.images.vae.spectral import dense_norm, network_constant, padded_bound
from mezzotint.images.work import Work

_CHANNELS, _HIDDEN, _BATCH, _STEPS = 8, 128, 128, 400


class MaxMin(nn.Module):
    """Sorts pairs of neighbouring channels."""

    def forward(self, values: Tensor) -> Tensor:
        """Channels are the second of all dimensions, and even in number."""
        pairs = values.unflatten(1, (-1, 2))
        low, high = pairs.amin(2), pairs.amax(2)
        return torch.stack([high, low], 2).flatten(1, 2)


@dataclass(frozen=True)
class NetworkEncoder:
    """A convolution with stride 2, and two dense layers; certified.

    Attributes:
        net: the layers.
        centre: the image that is taken off first, shape (h, w, c).
        constant: the certified Lipschitz constant.
        radius: codes are shortened to this norm.
    """

    net: nn.Sequential
    centre: np.ndarray
    constant: float
    radius: float

    @property
    def rounding(self) -> float:
        """A multiple of what float32 rounds off numbers as large as the radius; not proved."""
        return self.constant * self.centre.size**0.5 * 2.0**-20

    def codes(self, x: np.ndarray) -> np.ndarray:
        """uint8 images (n, h, w, c) to codes (n, d), each image's own alone."""
        scaled = x / 255.0 if x.dtype == np.uint8 else x
        images = torch.from_numpy(scaled - self.centre).float().permute(0, 3, 1, 2)
        with torch.no_grad():
            return self.net(images).double().numpy()


@dataclass(frozen=True)
class Networks:
    """What training gives. Public, like the moments that it is made from.

    Attributes:
        encoder: for the private images.
        layers: the decoder's weights and biases, from codes of unit `encoder.radius` on.
    """

    encoder: NetworkEncoder
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]


def train(  # noqa: PLR0917 - one call
    moments: Moments, frame: Frame, latent: int, relative_noise: float, effort: float, work: Work
) -> Networks:
    """Train encoder and decoder on images drawn from the moments; nothing private is seen.

    Args:
        moments: of all images.
        frame: in which the moments are, and in which the decoder answers.
        latent: numbers in a code.
        relative_noise: the codes' noise in units of their radius.
        effort: scales the number of steps.
        work: seed and progress.
    """
    torch_rng = torch.Generator().manual_seed(work.seed)
    numpy_rng = np.random.default_rng(work.seed)
    centre = frame.pictures(moments.mean[None])[0]
    encoder, decoder = _encoder(frame, latent, torch_rng), _decoder(frame, latent, torch_rng)
    _project(encoder, frame, exactly=False)
    _project(decoder, frame, exactly=False)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
    steps = max(2, round(_STEPS * effort))
    root = moments.directions * np.sqrt(moments.values)
    for step in range(steps):
        rows = numpy_rng.standard_normal((_BATCH, frame.size)) @ root.T
        images = torch.from_numpy(frame.pictures(rows)).float().permute(0, 3, 1, 2)
        codes = encoder(images)
        radius = codes.square().sum(1).mean().sqrt()
        noise = torch.randn(codes.shape, generator=torch_rng) * relative_noise * radius
        target = torch.from_numpy(rows).float()
        # The scalar lets a 1-Lipschitz decoder answer; it is the best one, by least squares.
        made = decoder((codes + noise) / radius)
        share = (made * target).sum() / made.square().sum().clamp_min(1e-9)
        loss = (share.detach().clamp_min(0.1) * made - target).square().sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        _project(encoder, frame, exactly=False)
        _project(decoder, frame, exactly=False)
        shown = float(loss.detach())
        work.require_finite("training the autoencoder", shown)
        if step % 20 == 0:
            work.progress("training the autoencoder", step / steps, loss=shown)
    encoder_norms = _project(encoder, frame, exactly=True)
    _project(decoder, frame, exactly=True)
    trained = NetworkEncoder(encoder.eval(), centre, network_constant(encoder_norms), 1.0)
    rows = numpy_rng.standard_normal((2000, frame.size)) @ root.T
    codes = trained.codes(frame.pictures(rows) + centre)
    radius = float(np.sqrt(np.square(codes).sum(1).mean()))
    layers = tuple(
        (_array(layer.weight), _array(layer.bias))
        for layer in decoder
        if isinstance(layer, nn.Linear)
    )
    certified = NetworkEncoder(trained.net, centre, trained.constant, radius)
    return Networks(certified, layers)


def _encoder(frame: Frame, latent: int, rng: torch.Generator) -> nn.Sequential:
    height, width, channels = frame.shape
    inner = _CHANNELS * ((height + 1) // 2) * ((width + 1) // 2)
    net = nn.Sequential(
        nn.Conv2d(channels, _CHANNELS, 5, stride=2, padding=2),
        MaxMin(),
        nn.Flatten(),
        nn.Linear(inner, _HIDDEN),
        MaxMin(),
        nn.Linear(_HIDDEN, latent),
    )
    return _started(net, rng)


def _decoder(frame: Frame, latent: int, rng: torch.Generator) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(latent, _HIDDEN), MaxMin(), nn.Linear(_HIDDEN, frame.size))
    return _started(net, rng)


def _started(net: nn.Sequential, rng: torch.Generator) -> nn.Sequential:
    for layer in _weighted(net):
        nn.init.orthogonal_(layer.weight, generator=rng)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return net


def _project(net: nn.Sequential, frame: Frame, *, exactly: bool) -> list[float]:
    """Brings every layer to norm 1 (dense: or below); the certified norms, if `exactly`.

    On the way a convolution counts as the matrix of its kernel, which is quick and needs no proof:
    the last call measures every layer in full, and divides by what it finds.
    """
    norms = []
    with torch.no_grad():
        for layer in _weighted(net):
            if not exactly:
                norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
                layer.weight /= norm.clamp_min(1.0)
                continue
            found = _certified(layer, frame)
            layer.weight /= max(found, 1.0)
            norms.append(_certified(layer, frame))
    return norms


def _certified(layer: nn.Linear | nn.Conv2d, frame: Frame) -> float:
    weights = _array(layer.weight)
    if isinstance(layer, nn.Conv2d):
        return padded_bound(weights, *frame.shape[:2])
    return dense_norm(weights)


def _weighted(net: nn.Sequential) -> Iterator[nn.Linear | nn.Conv2d]:
    return (layer for layer in net if isinstance(layer, nn.Linear | nn.Conv2d))


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().numpy().copy()
