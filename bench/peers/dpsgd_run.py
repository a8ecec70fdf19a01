"""Times the steps of one engine on one net, and prints JSON.

    python dpsgd_run.py --engine NAME --net critic|unet --batch 256 --seconds 5

A step is all of it: per-record gradients, clipping, noise, the optimiser. Runs inside the engine's
own environment, so it imports an engine only when that engine is asked for.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from _nets import NETS, losses
from torch import nn

Step = Callable[[], None]
CLIP, SIGMA, RATE = 1.0, 1.0, 1e-3


def plain(net: str, model: nn.Module, x: torch.Tensor, label: torch.Tensor) -> Step:
    """SGD without any privacy."""
    optimiser = torch.optim.SGD(model.parameters(), RATE)

    def step() -> None:
        optimiser.zero_grad()
        losses(net, model, x, label).mean().backward()
        optimiser.step()

    return step


def mezzotint(net: str, model: nn.Module, x: torch.Tensor, label: torch.Tensor) -> Step:
    """Ours: every record is in every sample, so that the batch has the size that is asked for."""
    from mezzotint.images.dpsgd import Block, PrivateTraining
    from mezzotint.privacy import noise
    from mezzotint.privacy.accounting import Budget
    from mezzotint.privacy.events import SubsampledGaussian
    from mezzotint.privacy.ledger import Ledger
    from mezzotint.privacy.programme import Programme

    event = SubsampledGaussian(40 * SIGMA, rate=1.0, steps=1000)
    run = Ledger.memory().begin(
        Budget(1e3, 1e-5), mechanism="bench", dataset="made up", programme=Programme((event,))
    )

    def loss(model: nn.Module, records: tuple[torch.Tensor, ...], _: object) -> torch.Tensor:
        return losses(net, model, *records)

    training = PrivateTraining(
        (Block("net", model, loss, CLIP),),
        (x, label),
        noise.training(run.training(0, "steps")),
        event,
        batch=float(len(x)),
    )
    optimiser = torch.optim.SGD(model.parameters(), RATE)

    def step() -> None:
        training.gradients(training.done)
        optimiser.step()

    return step


def opacus_hooks(net: str, model: nn.Module, x: torch.Tensor, label: torch.Tensor) -> Step:
    """Opacus, per-sample gradients by hooks (its default)."""
    from opacus import GradSampleModule

    return _opacus(GradSampleModule, net, model, x, label)


def opacus_expanded(net: str, model: nn.Module, x: torch.Tensor, label: torch.Tensor) -> Step:
    """Opacus, per-sample gradients by PyTorch's ExpandedWeights."""
    from opacus.grad_sample import GradSampleModuleExpandedWeights

    return _opacus(GradSampleModuleExpandedWeights, net, model, x, label)


def _opacus(
    wrap: Callable[..., nn.Module],
    net: str,
    model: nn.Module,
    x: torch.Tensor,
    label: torch.Tensor,
) -> Step:
    from opacus.optimizers import DPOptimizer

    wrapped = wrap(model, loss_reduction="mean")
    optimiser = DPOptimizer(
        torch.optim.SGD(model.parameters(), RATE),
        noise_multiplier=SIGMA,
        max_grad_norm=CLIP,
        expected_batch_size=len(x),
    )

    def step() -> None:
        optimiser.zero_grad()
        losses(net, wrapped, x, label).mean().backward()
        optimiser.step()

    return step


def opacus_ghost(net: str, model: nn.Module, x: torch.Tensor, label: torch.Tensor) -> Step:
    """Opacus, fast gradient clipping with ghost norms where it has them."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    wrapped = GradSampleModuleFastGradientClipping(
        model, max_grad_norm=CLIP, use_ghost_clipping=True, loss_reduction="mean"
    )
    optimiser = DPOptimizerFastGradientClipping(
        torch.optim.SGD(model.parameters(), RATE),
        noise_multiplier=SIGMA,
        max_grad_norm=CLIP,
        expected_batch_size=len(x),
    )

    class Rows(nn.Module):
        reduction = "mean"

        def __call__(self, rows: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return rows if self.reduction == "none" else rows.mean()

    criterion = DPLossFastGradientClipping(wrapped, optimiser, Rows(), loss_reduction="mean")

    def step() -> None:
        optimiser.zero_grad()
        criterion(losses(net, wrapped, x, label), label).backward()
        optimiser.step()

    return step


ENGINES = {
    "plain": plain,
    "mezzotint": mezzotint,
    "opacus-hooks": opacus_hooks,
    "opacus-ghost": opacus_ghost,
    "opacus-expanded": opacus_expanded,
}


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--net", choices=NETS, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU seconds of steps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = NETS[options.net]()
    x, label = torch.randn(options.batch, 1, 28, 28), torch.arange(options.batch) % 10
    step = ENGINES[options.engine](options.net, model, x, label)
    step()
    step()
    times: list[float] = []
    while sum(times) < options.seconds or len(times) < 3:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    # The median: a step that shares its core with another program costs more.
    typical = sorted(times)[len(times) // 2]
    package = "opacus" if options.engine.startswith("opacus") else None
    result = {
        "samples_per_cpu_second": round(options.batch / typical, 1),
        "step_ms": round(typical * 1e3, 2),
        "steps": len(times),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
        "parameters": sum(value.numel() for value in model.parameters()),
        "torch": torch.__version__,
        "version": version(package) if package else None,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
