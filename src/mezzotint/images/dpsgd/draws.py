"""Random numbers for one record at one step: augmentations, diffusion times and noise.

They are a function of (seed, step, record), not of the record's place in the batch. So they are
the same whatever the micro-batch, on however many devices, and after a crash; and another
record's presence does not change them, which the proof of the guarantee needs where the seed is
known.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Random numbers for the records of a micro-batch, the same number for every record.

    Args:
        seed: Seeds post-processing; public.
        step: The training step.
        records: The records' indices in the data set, shape (n,).
        copies: K: how many forward draws each record has.
        device: Where the numbers are to be.
    """

    def __init__(
        self, seed: int, step: int, records: np.ndarray, copies: int, device: torch.device
    ) -> None:
        self.copies = copies
        self._seed = seed
        self._step = step
        self._records = records
        self._device = device
        self._streams = [
            np.random.Generator(
                np.random.Philox(key=seed % 2**64 << 64 | step, counter=int(record) << 128)
            )
            for record in records
        ]

    def __len__(self) -> int:
        return len(self._streams)

    def of(self, rows: np.ndarray) -> Draws:
        """The numbers of some of the records, from their beginning."""
        return Draws(self._seed, self._step, self._records[rows], self.copies, self._device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32 of shape (n K, *shape), a record's rows together."""
        parts = [
            stream.standard_normal((self.copies, *shape), np.float32) for stream in self._streams
        ]
        return self._tensor(parts, shape, np.float32)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), float32 of shape (n K, *shape)."""
        parts = [stream.random((self.copies, *shape), np.float32) for stream in self._streams]
        return self._tensor(parts, shape, np.float32)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform integers in [0, high), int64 of shape (n K, *shape)."""
        parts = [stream.integers(0, high, (self.copies, *shape)) for stream in self._streams]
        return self._tensor(parts, shape, np.int64)

    def repeat(self, values: Tensor) -> Tensor:
        """A record's values, shape (n, ...), once for each of its K draws: (n K, ...)."""
        return values if self.copies == 1 else values.repeat_interleave(self.copies, 0)

    def _tensor(self, parts: list[np.ndarray], shape: tuple[int, ...], dtype: type) -> Tensor:
        joined = np.concatenate(parts) if parts else np.empty((0, *shape), dtype)
        return torch.from_numpy(joined).to(self._device)
