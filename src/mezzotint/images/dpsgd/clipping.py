"""The clipped sum of per-record gradients, by book-keeping: one forward, one backward.

The backward pass gives the loss's gradient by every layer's output. From it and the layer's input
come the norm of every record's gradient, and then, weighted by the clip factors, the sum over the
records (`methods`, `small`). No gradient of a whole record is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mezzotint.errors import ParameterError
from mezzotint.images.dpsgd import small
from mezzotint.images.dpsgd.draws import Draws
from mezzotint.images.dpsgd.layers import Scale, Shift, parameters_of, trainable_layers
from mezzotint.images.dpsgd.memory import Sketch
from mezzotint.images.dpsgd.methods import Factors, Measured, factors_of, measure, methods_for
from mezzotint.images.dpsgd.taps import walk_back, watching

Loss = Callable[[nn.Module, tuple[Tensor, ...], Draws], Tensor]
"""(model, records, draws) -> losses of shape (n K,) or (n,), record by record."""

LayerVisit = Callable[[str, Tensor, Tensor], None]
"""Is told a layer's name, its input and the gradient by its output."""

# A record is clipped a little below C, for what float32 rounds off its norm and the sum.
CLIP_MARGIN = 1 - 2.0**-10
# Relative error of a squared norm that is a difference of larger ones.
_CANCELLATION = 1e-5


@dataclass
class Clipped:
    """What a micro-batch of n records adds to a step; private until noise is added.

    Attributes:
        sums: Parameter name to sum_i clip(u_i).
        norms: |u_i| before clipping, shape (n,).
        residual: What clipping took away, in the memory's coordinates, shape (n, m); None
            without error feedback.
    """

    sums: dict[str, Tensor]
    norms: Tensor
    residual: Tensor | None


class Clipper:
    """Clipped sums for one model and one loss.

    Args:
        model: Layers of `layers.KNOWN` where it is trainable; anything else that has no
            parameters and keeps records apart.
        loss: See `Loss`. Rows of a record's K draws stand together.
        clip: C, the bound on a record's gradient (the mean over its K draws).
        methods: Layer name to the name of a method; others take the likely best.
        feedback: Error feedback's coordinates (`memory.Sketch`), or None.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        clip: float,
        *,
        methods: Mapping[str, str] | None = None,
        feedback: Sketch | None = None,
    ) -> None:
        self.model = model
        self.layers = trainable_layers(model)
        self.methods = dict(methods or {})
        self.feedback = feedback
        self._loss = loss
        self._clip = clip
        self._parameters = sum(1 for value in model.parameters() if value.requires_grad)

    def __call__(
        self, records: tuple[Tensor, ...], draws: Draws, memory: Tensor | None = None
    ) -> Clipped:
        """Sums over a micro-batch.

        Guarantee: each record adds a vector of norm at most C, whatever the others are.
        Sensitivity: C, by adding or removing a record.
        Private and public: records, memory and everything returned are private; the model is
            public.
        Source: Abadi et al. 2016, Algorithm 1 (clipping); `methods` for how.

        Args:
            records: Tensors of shape (n, ...).
            draws: Random numbers of these records.
            memory: What the records remember, shape (n, m), with error feedback.
        """
        n = len(records[0])
        if n == 0:
            return self._nothing(memory)
        measured, sketch = self._measure(records, draws)
        squares = torch.stack([part.squares for part in measured.values()]).sum(0)
        finite = torch.isfinite(squares)
        if not finite.all():
            return self._without(~finite, records, draws, memory)
        # The loss was summed over a record's draws; its gradient is their mean.
        mean = 1.0 / draws.copies
        norms = squares.sqrt() * mean
        if self.feedback is None or memory is None:
            c = self._factors(norms)
            return Clipped(self._totals(measured, c * mean), norms, None)
        sketch = sketch * mean
        kept = self.feedback.decay * memory.to(sketch)
        # |g + e|^2, and never less: g and e may cancel.
        parts = norms.square() + kept.square().sum(1)
        norms = (parts * (1 + _CANCELLATION) + 2 * (sketch * kept).sum(1)).clamp(min=0).sqrt()
        c = self._factors(norms)
        totals = self._totals(measured, c * mean)
        for name, lifted in self.feedback.lift(c @ kept).items():
            totals[name] += lifted
        return Clipped(totals, norms, (1 - c).unsqueeze(1) * (sketch + kept))

    def backward(self, records: tuple[Tensor, ...], draws: Draws, visit: LayerVisit) -> None:
        """One forward and one backward; visits every layer that the loss depends on.

        A visit is told the layer's name, its input and the gradient of the summed losses by its
        output, n K rows each, a record's rows together.
        """
        n, rows = len(records[0]), len(records[0]) * draws.copies
        with watching(self.layers) as uses, torch.enable_grad():
            losses = self._loss(self.model, records, draws)
        if losses.shape not in ((rows,), (n,), (n, draws.copies)):
            raise ParameterError(
                f"the loss has shape {tuple(losses.shape)} for {n} records of {draws.copies} "
                f"draws: return one loss a row, shape ({rows},), not averaged over records"
            )
        if losses.shape == (n,):
            # A mean over a record's draws: back to their sum.
            losses = losses * draws.copies

        def merged(name: str, calls: list[tuple[Tensor, Tensor]]) -> None:
            visit(name, *_merged(name, self.layers[name], calls, n))

        walk_back(losses, uses, rows, merged)

    def factors(self, records: tuple[Tensor, ...], draws: Draws) -> dict[str, Factors]:
        """The factors of every layer that has a choice of methods."""
        found: dict[str, Factors] = {}

        def visit(name: str, a: Tensor, g: Tensor) -> None:
            layer = self.layers[name]
            if has_factors(layer):
                found[name] = factors_of(layer, a, g, len(records[0]))

        self.backward(records, draws, visit)
        return found

    def _measure(
        self, records: tuple[Tensor, ...], draws: Draws
    ) -> tuple[dict[str, Measured], Tensor]:
        """Every parameter's measure, and the memory's coordinates of the gradients."""
        n = len(records[0])
        measured: dict[str, Measured] = {}
        sketches: dict[str, Tensor] = {}

        def visit(name: str, a: Tensor, g: Tensor) -> None:
            layer = self.layers[name]
            parts = self._layer(name, layer, a, g, n)
            for parameter, _ in parameters_of(layer):
                measured[parameter_name(name, parameter)] = parts[parameter]
            if self.feedback is not None and name in self.feedback.sizes:
                sketches[name] = self.feedback.sketch(name, factors_of(layer, a, g, n))

        self.backward(records, draws, visit)
        if not measured:
            raise ParameterError("the loss uses no trainable layer of the model")
        if self.feedback is None:
            return measured, torch.empty(n, 0)
        like = next(iter(measured.values())).squares
        parts = [
            sketches[name] if name in sketches else like.new_zeros(n, size)
            for name, size in self.feedback.sizes.items()
        ]
        return measured, torch.cat(parts, 1)

    def _layer(
        self, name: str, layer: nn.Module, a: Tensor, g: Tensor, n: int
    ) -> dict[str, Measured]:
        if isinstance(layer, nn.Embedding):
            return {"weight": small.embedding(layer, a, g, n)}
        if isinstance(layer, nn.GroupNorm | nn.LayerNorm):
            return small.normalisation(layer, a, g, n)
        if isinstance(layer, Shift | Scale):
            return {"value": small.constant(layer, a, g, n)}
        parts = {}
        names = {parameter for parameter, _ in parameters_of(layer)}
        if "weight" in names:
            factors = factors_of(layer, a, g, n)
            parts["weight"] = measure(factors, self.methods.get(name) or methods_for(factors)[0])
        if "bias" in names:
            parts["bias"] = small.bias(layer, g, n)
        return parts

    def _totals(self, measured: dict[str, Measured], weights: Tensor) -> dict[str, Tensor]:
        totals = {name: part.total(weights) for name, part in measured.items()}
        return totals if len(totals) == self._parameters else self._zeros() | totals

    def _without(
        self, broken: Tensor, records: tuple[Tensor, ...], draws: Draws, memory: Tensor | None
    ) -> Clipped:
        """Records whose gradient overflows add nothing, and remember what they did."""
        rest = torch.nonzero(~broken).squeeze(1)
        result = self(
            tuple(part[rest] for part in records),
            draws.of(rest.cpu().numpy()),
            None if memory is None else memory[rest],
        )
        norms = torch.full((len(broken),), math.inf, device=broken.device)
        norms[rest] = result.norms.to(norms)
        residual = None
        if memory is not None:
            residual = memory.clone()
            if result.residual is not None:
                residual[rest] = result.residual
        return Clipped(result.sums, norms, residual)

    def _factors(self, norms: Tensor) -> Tensor:
        return (self._clip * CLIP_MARGIN / norms).clamp(max=1.0)

    def _nothing(self, memory: Tensor | None) -> Clipped:
        return Clipped(self._zeros(), torch.zeros(0), memory)

    def _zeros(self) -> dict[str, Tensor]:
        return {
            parameter_name(name, parameter): torch.zeros_like(value, requires_grad=False)
            for name, layer in self.layers.items()
            for parameter, value in parameters_of(layer)
        }


def has_factors(layer: nn.Module) -> bool:
    """Whether the layer's weight has a choice of methods."""
    return isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)


def parameter_name(layer: str, parameter: str) -> str:
    """The parameter's name as `Module.named_parameters` gives it."""
    return f"{layer}.{parameter}" if layer else parameter


def _merged(
    name: str, layer: nn.Module, calls: list[tuple[Tensor, Tensor]], n: int
) -> tuple[Tensor, Tensor]:
    """Several calls of a layer as one, with more positions or more rows a record."""
    if len(calls) == 1:
        return calls[0]
    inputs, outputs = ([call[k] for call in calls] for k in (0, 1))
    if len({a.shape[1:] for a in inputs}) == 1:
        return _rows_together(inputs, n), _rows_together(outputs, n)
    if isinstance(layer, nn.Linear):
        return _positions_together(inputs, n), _positions_together(outputs, n)
    raise ParameterError(
        f"layer {name} is used {len(calls)} times on inputs of different shapes: "
        "use a layer of its own for each shape"
    )


def _rows_together(parts: list[Tensor], n: int) -> Tensor:
    return torch.cat([part.reshape(n, -1, *part.shape[1:]) for part in parts], 1).flatten(0, 1)


def _positions_together(parts: list[Tensor], n: int) -> Tensor:
    return torch.cat([part.reshape(n, -1, part.shape[-1]) for part in parts], 1)
