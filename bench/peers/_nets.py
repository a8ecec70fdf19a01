"""The two nets on which DP-SGD engines are timed. They need PyTorch and nothing else."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def critic() -> nn.Module:
    """A DCGAN critic for 28 x 28 pixels; 432 thousand parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 256, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4096, 1),
    )


class Block(nn.Module):
    """A residual block with two convolutions, group normalisation and a condition."""

    def __init__(self, inside: int, outside: int, condition: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, inside), nn.GroupNorm(8, outside)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.condition = nn.Linear(condition, outside)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Takes x of shape (n, inside, h, w) and a condition of shape (n, condition)."""
        y = self.conv1(functional.silu(self.norm1(x)))
        y = y + self.condition(condition)[:, :, None, None]
        return self.skip(x) + self.conv2(functional.silu(self.norm2(y)))


class UNet(nn.Module):
    """A class-conditional denoiser for 28 x 28 pixels; about half a million parameters."""

    def __init__(self, width: int = 32, condition: int = 96) -> None:
        super().__init__()
        self.label = nn.Embedding(10, condition)
        self.time = nn.Linear(16, condition)
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.down1 = Block(width, width, condition)
        self.pool1 = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.down2 = Block(2 * width, 2 * width, condition)
        self.pool2 = nn.Conv2d(2 * width, 2 * width, 3, 2, 1)
        self.middle1 = Block(2 * width, 2 * width, condition)
        self.middle2 = Block(2 * width, 2 * width, condition)
        self.up2 = Block(4 * width, 2 * width, condition)
        self.up1 = Block(3 * width, width, condition)
        self.norm = nn.GroupNorm(8, width)
        self.leave = nn.Conv2d(width, 1, 3, padding=1)
        self.register_buffer("rates", torch.logspace(-1, 1, 8))

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Takes x of shape (n, 1, 28, 28), times (n,) and labels (n,)."""
        angles = time[:, None] * self.rates
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        condition = functional.silu(self.time(waves) + self.label(label))
        one = self.down1(self.enter(x), condition)
        two = self.down2(self.pool1(one), condition)
        three = self.middle2(self.middle1(self.pool2(two), condition), condition)
        y = functional.interpolate(three, scale_factor=2)
        y = self.up2(torch.cat([y, two], 1), condition)
        y = functional.interpolate(y, scale_factor=2)
        y = self.up1(torch.cat([y, one], 1), condition)
        return self.leave(functional.silu(self.norm(y)))


def losses(net: str, model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """One loss a row, shape (n,)."""
    if net == "critic":
        return functional.softplus(model(x).squeeze(1))
    time = torch.linspace(-2, 2, len(x))
    noisy = x * 0.7 + 0.3
    return (model(noisy, time, label) - x).square().flatten(1).mean(1)


NETS = {"critic": critic, "unet": UNet}
