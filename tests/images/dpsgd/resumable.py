"""A training that may be killed: run as `python resumable.py LEDGER FOLDER OUT [PROCESSES...]`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from mezzotint.images.dpsgd import (
    Block,
    Checkpoints,
    ErrorFeedback,
    PrivateTraining,
    World,
    settings_digest,
    train,
)
from mezzotint.privacy import noise
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.events import SubsampledGaussian
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.programme import Programme

EVENT = SubsampledGaussian(1.0, rate=0.2, steps=60)
RECORDS = 100


def loss(model, records, draws):
    x, y = records
    x = draws.repeat(x) + 0.05 * draws.normal(1, 8, 8)
    return nn.functional.cross_entropy(model(x), draws.repeat(y), reduction="none")


def net_and_records() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 4, 2, 1), nn.GroupNorm(2, 6), nn.SiLU(), nn.Flatten(), nn.Linear(96, 3)
    )
    return net, (torch.randn(RECORDS, 1, 8, 8), torch.randint(0, 3, (RECORDS,)))


def block_of(net: nn.Module) -> Block:
    return Block("net", net, loss, 0.3, 2, ErrorFeedback(layers=2, rank=3))


def run(ledger: Path, folder: Path | None, out: Path, *, every: int = 5) -> None:
    torch.set_num_threads(1)
    world = World.from_environment()
    net, records = net_and_records()
    block = block_of(net)
    digest = settings_digest((block,), EVENT, 20.0, 0)
    source = None
    if world.first:
        book = Ledger.open(ledger)
        started = book.begin(
            Budget(50.0, 1e-5),
            mechanism="test",
            dataset="records",
            fingerprint=b"f" * 32,
            request="r" * 64,
            programme=Programme((EVENT,)),
        )
        source = noise.training(started.training(0, f"steps, settings {digest}"))
    training = PrivateTraining(
        (block,), records, source, EVENT, batch=20.0, methods={"net": {}}, world=world
    )
    checkpoints = None
    if folder is not None:
        identity = {"settings": digest, "data": "f"}
        checkpoints = Checkpoints(folder, identity, every=every)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    train(training, {"net": optimiser}, checkpoints=checkpoints)
    if world.first:
        memory = torch.from_numpy(training.memories()["net"])
        save_file({**net.state_dict(), "memory": memory}, out)
    else:
        training.memories()
    if world.size > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    where = [Path(name) for name in sys.argv[1:4]]
    run(where[0], where[1] if where[1].name != "-" else None, where[2])
