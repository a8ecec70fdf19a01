"""How a method works: where, how it tells of its progress, where it keeps what it may resume."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mezzotint.errors import MezzotintError, ParameterError


class Progress(Protocol):
    """Told what is going on. Everything that it is told is public."""

    def __call__(
        self,
        stage: str,
        share: float,
        *,
        loss: float | None = None,
        epsilon: float | None = None,
    ) -> None:
        """Take notice.

        Args:
            stage: what is being done, such as "training the generator".
            share: how much of this stage is done, 0 to 1.
            loss: of the model that is trained; public, so from noisy releases only.
            epsilon: what the releases have cost so far.
        """
        ...


def silent(
    stage: str, share: float, *, loss: float | None = None, epsilon: float | None = None
) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Work:
    """What a method needs to know beside data, facts and budget. Everything here is public.

    Attributes:
        device: "cpu", "cuda" or "cuda:1".
        seed: for initial weights and whatever else is post-processing; never for noise.
        progress: told what is going on.
        checkpoint: a folder in which a method keeps what it may resume after a crash; None if
            nothing is kept.
        micro_batch: the most images whose gradients are in memory at once; None to choose.
    """

    device: str = "cpu"
    seed: int = 0
    progress: Progress = silent
    checkpoint: Path | None = None
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        from mezzotint.images.extras import need

        if self.micro_batch is not None and self.micro_batch < 1:
            raise ParameterError(
                f"micro_batch = {self.micro_batch!r}: give a whole number of images >= 1"
            )
        kind, _, number = self.device.partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise ParameterError(
                f"device = {self.device!r} is unknown: give 'cpu', 'cuda' or 'cuda:1'"
            )
        if kind == "cuda":
            cuda = need("torch").cuda
            if not cuda.is_available() or int(number or 0) >= cuda.device_count():
                raise ParameterError(
                    f"device = {self.device!r}: there is no such GPU here; take 'cpu'"
                )

    def require_finite(self, stage: str, loss: float) -> None:
        """Stop a training whose loss is no number any more.

        Raises:
            MezzotintError: what was spent until then stays on the ledger.
        """
        if not math.isfinite(loss):
            raise MezzotintError(
                f"{stage}: the loss is {loss}, so the training has diverged and was stopped; what "
                "was spent stays booked. Take a smaller learning rate"
            )


@contextmanager
def enough_memory(micro_batch: int | None) -> Iterator[None]:
    """Turn PyTorch's ways of running out of memory into one error that names the mend."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, RuntimeError) and not (
            "out of memory" in text or "allocate memory" in text
        ):
            raise
        mend = 64 if micro_batch is None else max(1, micro_batch // 2)
        raise MezzotintError(
            "there is not enough memory; what was spent stays booked. "
            f"Take a smaller micro-batch, such as {mend} (--micro-batch {mend})"
        ) from error
