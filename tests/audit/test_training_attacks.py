"""L5 for images: canaries in the real engine."""

from __future__ import annotations

import pytest

from mezzotint.audit.attack import FALSE_ALARM
from mezzotint.audit.training import (
    OneTrainingAttack,
    SampledStepAttack,
    TrainingAttack,
    calibrated,
)
from mezzotint.images.dpsgd.clipping import Clipper
from mezzotint.privacy.composition import pld_epsilon

DELTA = 1e-5


def audited(attack, runs):
    return attack.audit(runs, false_alarm=FALSE_ALARM, progress=lambda share: None)


@pytest.mark.parametrize(
    ("attack", "runs", "share"),
    [
        (TrainingAttack(4.0, DELTA), 5000, 0.6),
        (TrainingAttack(4.0, DELTA, steps=4, remember=True), 2000, 0.4),
        (SampledStepAttack(4.0, DELTA), 5000, 0.1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_claims_hold_and_the_attack_is_no_formality(attack, runs, share):
    line = audited(attack, runs)
    assert line.holds
    assert share * line.ceiling <= line.lower_bound
    assert line.ceiling == pytest.approx(line.claimed_epsilon, rel=1e-3)


@pytest.mark.parametrize("remember", [False, True])
def test_gradients_that_are_not_clipped_are_found(monkeypatch, remember):
    monkeypatch.setattr(Clipper, "_factors", lambda self, norms: norms * 0 + 1)
    assert not audited(TrainingAttack(1.0, DELTA, remember=remember), 1000).holds


def test_one_whole_training_holds():
    line = audited(OneTrainingAttack(4.0, DELTA, steps=20), 150)
    assert line.holds
    assert line.estimator == "one run"
    assert line.runs == 150


def test_the_accountant_calibrates():
    event = calibrated(2.0, DELTA, 0.25, 1)
    cost = pld_epsilon([event], DELTA)
    assert 1.98 <= cost <= 2.001
