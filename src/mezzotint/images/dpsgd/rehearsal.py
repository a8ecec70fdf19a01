"""Checks of a model and its loss on made-up records: nothing of the data is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.errors import ParameterError, TrainingError
from mezzotint.images.dpsgd.clipping import Clipper
from mezzotint.images.dpsgd.draws import Draws
from mezzotint.images.dpsgd.tuner import made_up

if TYPE_CHECKING:
    from mezzotint.images.dpsgd.training import Block

_TOLERANCE = 1e-4


def rehearse(
    clipper: Clipper, block: Block, records: tuple[Tensor, ...], step: int, device: torch.device
) -> None:
    """Refuses a loss in which records see each other, or whose values are no numbers any more.

    The losses of three made-up records may not change when a fourth one does.

    Raises:
        ParameterError: The losses are not a function of step, record and weights alone.
        TrainingError: They are not finite: the training diverged.
    """
    several = made_up(records, 5)
    first = tuple(part[:4].to(device) for part in several)
    second = tuple(part[[0, 1, 2, 4]].to(device) for part in several)
    draws = Draws(0, step, np.arange(4), block.multiplicity, device)
    with torch.no_grad():
        losses = [
            block.loss(clipper.model, batch, draws.of(np.arange(4))) for batch in (first, first)
        ]
        other = block.loss(clipper.model, second, draws.of(np.arange(4)))
    rows = 4 * block.multiplicity
    for values in losses:
        if values.shape not in ((rows,), (4,), (4, block.multiplicity)):
            raise ParameterError(
                f"block {block.name}: the loss has shape {tuple(values.shape)} for 4 records of "
                f"{block.multiplicity} draws: return one loss a row, shape ({rows},), without "
                "averaging over records"
            )
    if not torch.isfinite(losses[0]).all():
        raise TrainingError(
            f"block {block.name}: the loss of made-up records is not finite at step {step}: the "
            "training diverged and was stopped; what is on the ledger stays spent. Use a smaller "
            "learning rate, a smaller clip or a larger batch"
        )
    if not _close(losses[0], losses[1]):
        raise ParameterError(
            f"block {block.name}: the loss gave two values for the same records: draw random "
            "numbers from `draws`, which a crash does not change, and use no dropout"
        )
    count = len(losses[0]) // 4 * 3
    if not _close(losses[0].flatten()[:count], other.flatten()[:count]):
        raise ParameterError(
            f"block {block.name}: the loss of a record changes with another record of its batch, "
            "so no clipping bounds what one record does: keep records apart (no batch statistics, "
            "no pairs)"
        )


def still_finite(name: str, model: nn.Module, step: int) -> None:
    """Refuses weights that are no numbers.

    Raises:
        TrainingError: A parameter is infinite or not a number.
    """
    for parameter, value in model.named_parameters():
        if not torch.isfinite(value.detach().sum()):
            raise TrainingError(
                f"block {name}: parameter {parameter} is not finite before step {step}: the "
                "training diverged and was stopped; what is on the ledger stays spent. Use a "
                "smaller learning rate, a smaller clip or a larger batch"
            )


def _close(left: Tensor, right: Tensor) -> bool:
    scale = 1 + left.abs().max()
    return bool(((left - right).abs() <= _TOLERANCE * scale).all())
