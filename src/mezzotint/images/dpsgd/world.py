"""The processes that train together: one, or several started by torchrun.

Each process takes the sampled records whose index is its rank modulo the number of processes.
Process 0 holds the ledger row: it draws the coins and tells them to the others, receives the sum
of all clipped gradients, adds the noise once and sends the noisy sum to everybody. So what leaves
is what one process would have released, and all processes hold the same weights, bit for bit. The
processes trust each other: all of them see private records.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    Attributes:
        rank: Its number, from 0.
        size: How many they are.
        device: Where tensors that are exchanged have to be.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def from_environment(cls, device: torch.device | str = "cpu") -> World:
        """Joins the processes that torchrun started, or stands alone."""
        device = torch.device(device)
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(device=device)
        if not torch.distributed.is_initialized():
            # Loaded later, by the first optimiser, its functions would hold the group as a default
            # argument, whose threads then outlive it and may abort the process as it ends.
            import_module("torch.distributed.nn")
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        return cls(rank, size, device)

    @property
    def first(self) -> bool:
        """Whether this process holds the ledger row, and writes files."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Those of the sampled records that this process takes."""
        return indices if self.size == 1 else indices[indices % self.size == self.rank]

    def tell(self, array: np.ndarray) -> np.ndarray:
        """The first process's bool array, to everybody."""
        if self.size == 1:
            return array
        values = torch.from_numpy(array.astype(np.uint8)).to(self.device)
        torch.distributed.broadcast(values, 0)
        return values.cpu().numpy().astype(bool)

    def sum_(self, values: Tensor) -> Tensor:
        """The sum over the processes, in place; whole in the first process only."""
        if self.size > 1:
            torch.distributed.reduce(values, 0)
        return values

    def send_(self, values: Tensor) -> Tensor:
        """The first process's tensor, to everybody, in place."""
        if self.size > 1:
            torch.distributed.broadcast(values, 0)
        return values
