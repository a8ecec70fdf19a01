"""The loop around a private training: optimisers, what follows each step, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mezzotint.images.dpsgd.saving import Checkpoints, Saved
from mezzotint.images.dpsgd.training import PrivateTraining


class Stateful(Protocol):
    """A module, an optimiser, an average of weights."""

    def state_dict(self) -> dict[str, Any]:
        """Its state: tensors, numbers and text in dicts and lists."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Takes a state back."""
        ...


def train(
    training: PrivateTraining,
    optimisers: Mapping[str, Any],
    *,
    before: Callable[[int], None] | None = None,
    after: Callable[[int], None] | None = None,
    active: Callable[[int], Sequence[str]] | None = None,
    parts: Mapping[str, Stateful] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Does the steps that are left.

    Everything but `training.gradients` is post-processing. Randomness in `after` has to come from
    `training.generator`, or a resumed training differs from one that was not interrupted.

    Args:
        training: Gives the gradients.
        optimisers: Block name to its optimiser.
        before: Called with the step's number between the gradients and the optimisers: what is
            public may be added to the gradients.
        after: Called with the step's number after the optimisers (generator steps, averages).
        active: Gives the names of the blocks that take part in a step; by default all.
        parts: What else a checkpoint must hold, by name: a generator, its optimiser, averages.
        checkpoints: Where to save and to resume from; None for neither.
        progress: Called with (steps done, steps in all).

    Raises:
        TrainingError: The training diverged, or memory does not hold it.
        ParameterError, ModelFileError: The checkpoint cannot be resumed from.
    """
    everything: dict[str, Stateful] = {
        **{f"model {block.name}": block.model for block in training.blocks},
        **{f"optimiser {name}": optimiser for name, optimiser in optimisers.items()},
        **dict(parts or {}),
    }
    if checkpoints is not None:
        _resume(training, everything, checkpoints)
    total = training.event.steps
    for step in training.remaining():
        names = None if active is None else active(step)
        training.gradients(step, names)
        if before is not None:
            before(step)
        for name, optimiser in optimisers.items():
            if names is None or name in names:
                optimiser.step()
        if after is not None:
            after(step)
        if checkpoints is not None and (step + 1) % checkpoints.every == 0 and step + 1 < total:
            _save(training, everything, checkpoints)
        if progress is not None:
            progress(step + 1, total)
    training.check(total)


def _resume(
    training: PrivateTraining, everything: Mapping[str, Stateful], checkpoints: Checkpoints
) -> None:
    saved = checkpoints.load()
    if saved is None:
        _save(training, everything, checkpoints)
        return
    for name, part in everything.items():
        part.load_state_dict(saved.states[name])
    training.methods = saved.methods
    training.resume(saved.step, saved.memories)


def _save(
    training: PrivateTraining, everything: Mapping[str, Stateful], checkpoints: Checkpoints
) -> None:
    memories = training.memories()
    if training.world.first:
        states = {name: part.state_dict() for name, part in everything.items()}
        checkpoints.save(Saved(training.done, states, memories, training.methods))
