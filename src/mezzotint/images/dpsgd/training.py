"""DP-SGD: noisy, clipped sums of per-record gradients over Poisson samples.

    for step in training.remaining():
        training.gradients(step)        # fills .grad of every trainable parameter
        optimizer.step()                # whatever follows is post-processing

The coins of the Poisson samples and the noise come from one row of the ledger.

References:
    Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar, Zhang. Deep learning with differential
        privacy. CCS 2016.
    Dockhorn, Cao, Vahdat, Kreis. Differentially private diffusion models. TMLR 2023 (several
        draws of a record, averaged before clipping).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.errors import ParameterError, TrainingError
from mezzotint.images.dpsgd.clipping import Clipper, Loss
from mezzotint.images.dpsgd.draws import Draws
from mezzotint.images.dpsgd.memory import ErrorFeedback, RecordMemory, Sketch
from mezzotint.images.dpsgd.rehearsal import rehearse, still_finite
from mezzotint.images.dpsgd.tuner import tune
from mezzotint.images.dpsgd.world import World
from mezzotint.privacy.events import SubsampledGaussian

if TYPE_CHECKING:
    from mezzotint.privacy.training import TrainingNoise

_REHEARSE_EVERY = 50
_CPU_MICRO_BATCH = 64


@dataclass(frozen=True)
class Block:
    """Parameters that are clipped together: a model, its loss and its bound.

    Attributes:
        name: Its name; public.
        model: What is trained; see `layers` for what it may be built from.
        loss: (model, records, draws) -> one loss a row, shape (n K,).
        clip: C, the bound on one record's gradient.
        multiplicity: K, how many forward draws of a record are averaged before clipping.
        feedback: Error feedback, or None.
        share: How the privacy of a step is shared between blocks: a block of twice the share
            has half the noise for its clip.
    """

    name: str
    model: nn.Module
    loss: Loss
    clip: float
    multiplicity: int = 1
    feedback: ErrorFeedback | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        for field in ("clip", "share"):
            value = getattr(self, field)
            if not 0 < value < math.inf:
                raise ParameterError(f"block {self.name}: {field} = {value!r} is not above 0")
        if self.multiplicity < 1:
            raise ParameterError(
                f"block {self.name}: multiplicity = {self.multiplicity!r}: give at least 1 draw"
            )

    def settings(self) -> dict[str, object]:
        """What a checkpoint must agree with; public."""
        shapes = {name: list(p.shape) for name, p in self.model.named_parameters()}
        return {
            "name": self.name,
            "model": str(self.model),
            "parameters": shapes,
            "clip": self.clip,
            "multiplicity": self.multiplicity,
            "feedback": None if self.feedback is None else asdict(self.feedback),
            "share": self.share,
        }


def settings_digest(
    blocks: Sequence[Block], event: SubsampledGaussian, batch: float, seed: int
) -> str:
    """Names the settings of a training in 16 hexadecimal digits.

    It belongs into what the ledger's row is about: the same row then cannot be asked for again
    with other settings, which would give the same noise to another sum.
    """
    settings = {
        "blocks": [block.settings() for block in blocks],
        "event": asdict(event),
        "batch": batch,
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


class PrivateTraining:
    """Gives noisy gradients, step by step.

    Guarantee: the gradients of all steps, together with the weights and whatever is computed
        from them, are a `SubsampledGaussian(sigma, rate, steps)`, the event of the ledger's row,
        whose epsilon the programme has by privacy loss distribution. Neighbours: add or remove
        one record. Each step releases the sums of its blocks b side by side, each clipped at C_b,
        with noise of sigma C_b / w_b where sum w_b^2 = 1: divided by C_b / w_b, a record adds
        a vector of norm at most sqrt(sum w_b^2) = 1. Error feedback: see `memory`.
    Sensitivity: C_b a block. Records are clipped 1/1024 below C_b, and what lies between pays for
        rounding the sum to the noise's grid (at most sqrt(parameters) grid steps) and for
        float32's rounding of norms and sums, which is not proved to stay within it.
    Private and public: records, coins, memories, clipped sums and norms are private and stay in
        here; the gradients are public; rate, batch, steps, clips, models and seed are public
        inputs. The batch is the public expected one: dividing by the realised size would
        release it.
    Source: Abadi et al. 2016; Koskela, Jälkö, Honkela 2020 (accounting by PLD).

    Args:
        blocks: What is trained.
        records: Private tensors of shape (N, ...), on the host.
        source: Coins and noise, `privacy.noise.training` of the row; None in processes other
            than the first.
        event: The row's event.
        batch: The public expected size of a sample: rate times a public number of records.
        micro_batch: How many records go through a model at once; None for 64 on a CPU, where
            more are no faster, and for all of a sample elsewhere. The result does not depend on
            it, but for rounding.
        seed: Seeds the losses' draws and the memory's coordinates; public.
        methods: Block name to layer name to method, as `methods` of an earlier training; by
            default the tuner picks.
        device: Where the models are.
        world: The processes that train together.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        records: tuple[Tensor, ...],
        source: TrainingNoise | None,
        event: SubsampledGaussian,
        *,
        batch: float,
        micro_batch: int | None = None,
        seed: int = 0,
        methods: Mapping[str, Mapping[str, str]] | None = None,
        device: torch.device | str = "cpu",
        world: World | None = None,
    ) -> None:
        self.blocks = tuple(blocks)
        self.event = event
        self.world = world or World()
        self.digest = settings_digest(blocks, event, batch, seed)
        self.done = 0
        self._records = records
        self._source = source
        self._batch = _positive(batch, "batch")
        self._seed = seed
        self._device = torch.device(device)
        most = _CPU_MICRO_BATCH if self._device.type == "cpu" else None
        self._micro_batch = _micro_batch(micro_batch) or most
        _check_blocks(self.blocks, self.world, source)
        n = _count(records)
        self._clippers: dict[str, Clipper] = {}
        self._memories: dict[str, RecordMemory] = {}
        for block in self.blocks:
            self._prepare(block, n, methods)

    @property
    def methods(self) -> dict[str, dict[str, str]]:
        """Block name to layer name to the method that measures its weight; public."""
        return {name: clipper.methods for name, clipper in self._clippers.items()}

    @methods.setter
    def methods(self, methods: Mapping[str, Mapping[str, str]]) -> None:
        for name, clipper in self._clippers.items():
            clipper.methods = dict(methods[name])

    def remaining(self) -> Iterator[int]:
        """The steps that are left, counted from 0."""
        while self.done < self.event.steps:
            yield self.done

    def gradients(self, step: int, active: Sequence[str] | None = None) -> None:
        """Sets `.grad` of every trainable parameter to the noisy mean gradient of this step.

        Args:
            step: The step's number; each is given once, in order.
            active: Names of the blocks that take part; the others' gradients become None. Which
                blocks take part must not depend on the data. By default all.

        Raises:
            TrainingError: The weights or the losses are no numbers any more, or the memory of
                the machine is exhausted.
        """
        if step != self.done or step >= self.event.steps:
            raise ParameterError(
                f"step {step} was asked for where step {self.done} of {self.event.steps} is next: "
                "every step is released once, in order"
            )
        blocks = [b for b in self.blocks if active is None or b.name in active]
        if not blocks:
            raise ParameterError(f"active = {active!r} names no block of this training")
        self.check(step)
        if step and step % _REHEARSE_EVERY == 0:
            for block in blocks:
                self._rehearse(block, step)
        # From here on the step counts as released, whatever happens to it.
        self.done = step + 1
        mine = self._sample(step)
        sums = [self._clipped_sum(block, step, mine) for block in blocks]
        joined = sums[0] if len(sums) == 1 else torch.cat(sums)
        noisy = self._add_noise(blocks, joined, step)
        self._assign(blocks, noisy)

    def check(self, step: int) -> None:
        """Refuses weights that are no numbers any more.

        Raises:
            TrainingError: The training diverged.
        """
        for block in self.blocks:
            still_finite(block.name, block.model, step)

    def generator(self, step: int, purpose: str) -> torch.Generator:
        """A generator for post-processing at one step: the same after a crash."""
        name = hashlib.sha256(f"{self._seed} {step} {purpose}".encode()).digest()
        generator = torch.Generator(self._device)
        return generator.manual_seed(int.from_bytes(name[:8], "big") >> 1)

    def memories(self) -> dict[str, np.ndarray]:
        """Block name to the records' memories, shape (N, m): private, for checkpoints only."""
        return {name: self._gathered(memory) for name, memory in self._memories.items()}

    def resume(self, done: int, memories: Mapping[str, np.ndarray]) -> None:
        """Goes on after `done` steps, with the memories of that time."""
        if set(memories) != set(self._memories):
            raise ParameterError(
                f"the checkpoint has memories of {sorted(memories)} and the training of "
                f"{sorted(self._memories)}: resume with the settings that it was saved with"
            )
        for name, memory in self._memories.items():
            memory.values[:] = memories[name]
        self.done = done

    def _prepare(
        self, block: Block, n: int, methods: Mapping[str, Mapping[str, str]] | None
    ) -> None:
        sketch = None
        if block.feedback is not None:
            sketch = Sketch(block.feedback, block.model, self._seed)
            bound = block.feedback.bound * block.clip
            self._memories[block.name] = RecordMemory(n, sketch.size, bound)
        clipper = Clipper(block.model, block.loss, block.clip, feedback=sketch)
        self._clippers[block.name] = clipper
        for value in (*block.model.parameters(), *block.model.buffers()):
            self.world.send_(value.data)
        self._rehearse(block, 0)
        if methods is not None:
            clipper.methods = dict(methods[block.name])
        else:
            size = self._rows_at_once()
            with self._out_of_memory():
                clipper.methods = tune(
                    clipper, self._records, block.multiplicity, size, self._device
                )

    def _rows_at_once(self) -> int:
        """How many records go through a model together, as a rule; public."""
        expected = max(1, round(self._batch))
        return expected if self._micro_batch is None else min(self._micro_batch, expected)

    def _rehearse(self, block: Block, step: int) -> None:
        rehearse(self._clippers[block.name], block, self._records, step, self._device)

    def _sample(self, step: int) -> np.ndarray:
        """Indices of the sampled records that this process takes; private."""
        n = len(self._records[0])
        coins = np.zeros(n, bool) if self._source is None else self._source.coins(step, n)
        return self.world.share(np.flatnonzero(self.world.tell(coins)))

    def _clipped_sum(self, block: Block, step: int, indices: np.ndarray) -> Tensor:
        """sum_i clip(u_i) as one float64 vector; private."""
        clipper, memory = self._clippers[block.name], self._memories.get(block.name)
        size = self._micro_batch or max(1, len(indices))
        total: Tensor | None = None
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            with self._out_of_memory():
                rows = torch.from_numpy(part)
                batch = tuple(values[rows].to(self._device) for values in self._records)
                draws = Draws(self._seed, step, part, block.multiplicity, self._device)
                held = None if memory is None else memory.read(part, self._device)
                clipped = clipper(batch, draws, held)
                sums = [clipped.sums[name].flatten() for name, _ in _trainable(block.model)]
                joined = torch.cat(sums).double()
                total = joined if total is None else total.add_(joined)
            if memory is not None and clipped.residual is not None:
                memory.write(part, clipped.residual)
        if total is None:
            return torch.zeros(_size(block.model), dtype=torch.float64, device=self._device)
        return total

    def _add_noise(self, blocks: Sequence[Block], sums: Tensor, step: int) -> Tensor:
        sums = self.world.sum_(sums.to(self.world.device))
        if self._source is not None:
            noise = torch.from_numpy(self._source.gaussian(step, len(sums)))
            whole = math.sqrt(sum(block.share**2 for block in blocks))
            start = 0
            for block in blocks:
                part = slice(start, start + _size(block.model))
                unit, grid = block.clip * whole / block.share, self._source.grid
                # On the noise's own grid, so that the sum's last digits tell nothing.
                steps = sums[part].div_(unit * grid).round_()
                steps.add_(noise[part].div_(grid).to(steps)).mul_(unit * grid)
                start = part.stop
        return self.world.send_(sums).to(self._device)

    def _assign(self, blocks: Sequence[Block], noisy: Tensor) -> None:
        for block in self.blocks:
            for _, parameter in _trainable(block.model):
                parameter.grad = None
        parameters = [p for block in blocks for _, p in _trainable(block.model)]
        parts = noisy.div_(self._batch).split([p.numel() for p in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter).to(parameter.dtype)

    def _gathered(self, memory: RecordMemory) -> np.ndarray:
        if self.world.size == 1:
            return memory.values
        return self.world.sum_(torch.from_numpy(memory.values.copy())).numpy()

    @contextmanager
    def _out_of_memory(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            text = str(error)
            exhausted = "allocate memory" in text or "out of memory" in text.lower()
            if isinstance(error, RuntimeError) and not exhausted:
                raise
            size = self._rows_at_once()
            raise TrainingError(
                f"the memory does not hold the gradients of {size} records at once: use a "
                f"micro-batch of at most {max(1, size // 2)} (micro_batch), which changes neither "
                "the guarantee nor the result; what is on the ledger stays spent, and a request "
                "with the same id repeats it at no cost"
            ) from error


def _trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def _size(model: nn.Module) -> int:
    return sum(p.numel() for _, p in _trainable(model))


def _count(records: tuple[Tensor, ...]) -> int:
    counts = {len(part) for part in records}
    if len(counts) != 1:
        raise ParameterError(
            f"the records' tensors have {sorted(counts)} rows: give tensors of one length"
        )
    return counts.pop()


def _check_blocks(blocks: Sequence[Block], world: World, source: TrainingNoise | None) -> None:
    names = [block.name for block in blocks]
    if not names or len(set(names)) != len(names):
        raise ParameterError(f"blocks are named {names}: give at least one, each its own name")
    owners: dict[int, str] = {}
    for block in blocks:
        for name, parameter in _trainable(block.model):
            other = owners.setdefault(id(parameter), block.name)
            if other != block.name:
                raise ParameterError(
                    f"parameter {name} is in the blocks {other} and {block.name}: each parameter "
                    "is clipped in one block"
                )
    if (source is not None) != world.first:
        raise ParameterError(
            "the first process, and no other, gives the source of coins and noise: "
            f"process {world.rank} of {world.size} has {'one' if source is not None else 'none'}"
        )


def _positive(value: float, name: str) -> float:
    if not 0 < value < math.inf:
        raise ParameterError(f"{name} = {value!r}: give a number above 0")
    return value


def _micro_batch(value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ParameterError(f"micro_batch = {value!r}: give at least 1 record, or None")
    return value
