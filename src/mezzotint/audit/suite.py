"""All attacks by name, and the whole audit."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mezzotint.audit.attack import FALSE_ALARM, Attack, Line, Progress
from mezzotint.errors import MissingExtraError, ParameterError
from mezzotint.privacy.checks import check_count, check_delta, check_epsilon


@dataclass(frozen=True)
class Listed:
    """An attack that the command line knows.

    Attributes:
        name: As the command line calls it.
        make: Builds it from epsilon and delta.
        runs: Runs a world in a whole audit,
        quick: and in a quick one. By default there are as many as the attack itself wants.
        extra: The optional dependencies that it needs, if any.
    """

    name: str
    make: Callable[[float, float], Attack]
    runs: int
    quick: int
    extra: str | None = None


def _gaussian(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.single import GaussianAttack

    return GaussianAttack(epsilon, delta)


def _gaussian_opendp(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.single import GaussianAttack
    from mezzotint.privacy.spend import Backend

    return GaussianAttack(epsilon, delta, Backend.OPENDP)


def _selection(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.single import SelectionAttack

    return SelectionAttack(epsilon, delta)


def _selection_opendp(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.single import SelectionAttack
    from mezzotint.privacy.spend import Backend

    return SelectionAttack(epsilon, delta, Backend.OPENDP)


def _response(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.single import ResponseAttack

    return ResponseAttack(epsilon, delta)


def _white_box(mechanism: str) -> Callable[[float, float], Attack]:
    def make(epsilon: float, delta: float) -> Attack:
        from mezzotint.audit.tables import WhiteBoxAttack

        return WhiteBoxAttack(mechanism, epsilon, delta)

    return make


def _black_box(mechanism: str) -> Callable[[float, float], Attack]:
    def make(epsilon: float, delta: float) -> Attack:
        from mezzotint.audit.tables import BlackBoxAttack

        return BlackBoxAttack(mechanism, epsilon, delta)

    return make


def _role(role: str) -> Callable[[float, float], Attack]:
    def make(epsilon: float, delta: float) -> Attack:
        from mezzotint.audit.roles import RoleAttack

        return RoleAttack(role, epsilon, delta)

    return make


def _training(**settings: Any) -> Callable[[float, float], Attack]:
    def make(epsilon: float, delta: float) -> Attack:
        from mezzotint.audit.training import TrainingAttack

        return TrainingAttack(epsilon, delta, **settings)

    return make


def _sampled(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.training import SampledStepAttack

    return SampledStepAttack(epsilon, delta)


def _one_training(epsilon: float, delta: float) -> Attack:
    from mezzotint.audit.training import OneTrainingAttack

    return OneTrainingAttack(epsilon, delta)


def _one_shot(method: str) -> Callable[[float, float], Attack]:
    def make(epsilon: float, delta: float) -> Attack:
        from mezzotint.audit.images import OneShotAttack

        return OneShotAttack(method, epsilon, delta)

    return make


def _answer(part: str) -> Callable[[float, float], Attack]:
    def make(epsilon: float, delta: float) -> Attack:
        from mezzotint.audit.answers import AnswerAttack

        return AnswerAttack(part, epsilon, delta)

    return make


LISTED = (
    Listed("gaussian", _gaussian, 1_000_000, 100_000),
    Listed("gaussian-opendp", _gaussian_opendp, 100_000, 5_000),
    Listed("selection", _selection, 100_000, 2_000),
    Listed("selection-opendp", _selection_opendp, 20_000, 500),
    Listed("randomised-response", _response, 1_000_000, 100_000),
    Listed("independent", _white_box("independent"), 100_000, 2_000),
    Listed("mst", _white_box("mst"), 100_000, 1_000),
    Listed("aim", _white_box("aim"), 100_000, 500),
    Listed("mezzotint", _white_box("mezzotint"), 20_000, 500),
    Listed("independent-rows", _black_box("independent"), 2_000, 50),
    Listed("mst-rows", _black_box("mst"), 2_000, 50),
    Listed("aim-rows", _black_box("aim"), 1_000, 50),
    Listed("encrypted-public", _role("public"), 100_000, 2_000, "encrypted"),
    Listed("encrypted-keyholder", _role("keyholder"), 100_000, 2_000, "encrypted"),
    Listed("encrypted-cheating-provider", _role("cheating-provider"), 100_000, 2_000, "encrypted"),
    Listed("dp-sgd", _training(), 200_000, 5_000, "images"),
    Listed("dp-sgd-sampled", _sampled, 200_000, 5_000, "images"),
    Listed("error-feedback", _training(steps=8, remember=True), 40_000, 2_000, "images"),
    Listed("image-training", _one_training, 400, 100, "images"),
    Listed("image-class-gaussians", _one_shot("class-gaussians"), 100_000, 2_000, "images"),
    Listed("image-dp-merf", _one_shot("dp-merf"), 100_000, 2_000, "images"),
    Listed("image-mezzotint", _one_shot("mezzotint"), 20_000, 500, "images"),
    Listed("vae-code", _answer("code"), 1_000_000, 20_000, "images"),
    Listed("vae-metric", _answer("metric"), 1_000_000, 20_000, "images"),
    Listed("vae-label", _answer("label"), 1_000_000, 20_000, "images"),
)
"""Every attack, in the order of the page."""


def listed(name: str) -> Listed:
    """The attack of that name."""
    by_name = {entry.name: entry for entry in LISTED}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ParameterError(
            f"mechanism = {name!r} is not one that can be audited{meant} "
            f"(there are {', '.join(by_name)})"
        )
    return by_name[name]


def available(entry: Listed) -> bool:
    """Whether the optional dependencies of an attack are installed."""
    needs = {"images": "torch", "encrypted": "tenseal"}.get(entry.extra or "")
    return needs is None or importlib.util.find_spec(needs) is not None


def audit(
    name: str,
    epsilon: float,
    delta: float,
    *,
    runs: int | None = None,
    jobs: int = 1,
    false_alarm: float = FALSE_ALARM,
    progress: Progress = lambda share: None,
) -> Line:
    """Attack one mechanism.

    Args:
        name: One of `LISTED`.
        epsilon: What it shall claim,
        delta: at this delta.
        runs: Runs on each of two neighbouring data sets; by default what the attack wants.
        jobs: How many processes run it.
        false_alarm: The probability that the line of a correct mechanism does not hold.
        progress: Called with the share that is done.
    """
    entry = listed(name)
    if not available(entry):
        raise MissingExtraError(
            f"auditing {name} needs optional packages: "
            f'install them with pip install "mezzotint[{entry.extra}]"'
        )
    attack = entry.make(check_epsilon(epsilon), check_delta(delta))
    runs = attack.runs if runs is None else check_count(runs, 10, "runs", "a number such as 10000")
    return attack.audit(runs, jobs=jobs, false_alarm=false_alarm, progress=progress)


def audit_all(
    epsilon: float,
    delta: float,
    *,
    quick: bool = False,
    runs: int | None = None,
    jobs: int = 1,
    began: Callable[[str], Progress] = lambda name: lambda share: None,
) -> list[Line]:
    """Attack everything that is installed; the alarms of all lines together are `FALSE_ALARM`.

    Bonferroni: each of n lines may fail a correct mechanism with probability `FALSE_ALARM` / n.

    Args:
        epsilon: What every mechanism shall claim,
        delta: at this delta.
        quick: Few runs, for continuous integration.
        runs: So many runs for every attack, instead of what the list says.
        jobs: How many processes run each attack.
        began: Called with an attack's name when it begins; returns where its progress goes.
    """
    entries = [entry for entry in LISTED if available(entry)]
    return [
        audit(
            entry.name,
            epsilon,
            delta,
            runs=runs or (entry.quick if quick else entry.runs),
            jobs=jobs,
            false_alarm=FALSE_ALARM / len(entries),
            progress=began(entry.name),
        )
        for entry in entries
    ]
