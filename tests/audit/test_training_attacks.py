"""L5 for images: canaries in the real engine."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from mezzotint.audit import training
from mezzotint.audit.attack import FALSE_ALARM
from mezzotint.audit.training import (
    CANARIES,
    OneTrainingAttack,
    SampledStepAttack,
    TrainingAttack,
    calibrated,
    released_sums,
)
from mezzotint.images.dpsgd.clipping import Clipper
from mezzotint.privacy.composition import pld_epsilon
from mezzotint.privacy.events import SubsampledGaussian

DELTA = 1e-5


def audited(attack, runs):
    return attack.audit(runs, false_alarm=FALSE_ALARM, progress=lambda share: None)


@pytest.mark.parametrize(
    ("attack", "runs", "share", "audits"),
    [
        (TrainingAttack(4.0, DELTA), 5000, 0.6, 1),
        (TrainingAttack(4.0, DELTA, steps=4, remember=True), 2000, 0.4, 1),
        (SampledStepAttack(4.0, DELTA), 5000, 0.1, 4),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_claims_hold_and_the_attack_is_no_formality(attack, runs, share, audits):
    """Every line holds, and the best one proves its share.

    One audit of a sampled step proves less than its share once in ninety times; four of them, all
    of them less, with probability 1.4e-8. A further one runs only where none before proved enough.
    """

    def proves_its_share():
        line = audited(attack, runs)
        assert line.holds
        assert line.ceiling == pytest.approx(line.claimed_epsilon, rel=1e-3)
        return share * line.ceiling <= line.lower_bound

    assert any(proves_its_share() for _ in range(audits))


@pytest.mark.parametrize("remember", [False, True])
def test_gradients_that_are_not_clipped_are_found(monkeypatch, remember):
    monkeypatch.setattr(Clipper, "_factors", lambda self, norms: norms * 0 + 1)
    assert not audited(TrainingAttack(1.0, DELTA, remember=remember), 1000).holds


def test_a_canary_adds_its_clip_at_every_step_and_nothing_elsewhere():
    """Also with error feedback, however much it remembers: 40 clips long, 1 arrives."""
    from mezzotint.images.dpsgd import ErrorFeedback

    event = SubsampledGaussian(1.0, rate=1.0, steps=2)
    feedback = ErrorFeedback(decay=1.0, bound=50.0, layers=1, rank=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mezzotint.audit.training.training_noise", _silent)
        for sums in released_sums(event, 10, feedback):
            np.testing.assert_allclose(np.abs(sums[:5]), 1, rtol=2e-3)
            np.testing.assert_allclose(sums[5:], 0, atol=1e-9)
    assert CANARIES % 2 == 0


def _silent(event):
    from tests.images.dpsgd.cases import source_of

    return source_of(event, noise_off=True)


def test_one_whole_training_holds():
    line = audited(OneTrainingAttack(4.0, DELTA, steps=20), 150)
    assert line.holds
    assert line.estimator == "one run"
    assert line.runs == 150


def test_one_run_tells_canaries_apart_where_there_is_hardly_any_noise(monkeypatch):
    """Power: the same attack, on noise a hundredth of what is recorded, which the attacker knows.

    About one guess in a hundred is wrong then; 120 guesses leave room for ten (10^-7 for more).
    """
    from mezzotint.privacy.training import TrainingNoise

    honest, presence = TrainingNoise.gaussian, training._presence
    monkeypatch.setattr(
        TrainingNoise, "gaussian", lambda *words, **more: 0.01 * honest(*words, **more)
    )
    monkeypatch.setattr(
        training, "_presence", lambda *known: presence(*known[:-1], 0.01 * known[-1])
    )
    line = audited(OneTrainingAttack(0.5, DELTA, steps=40), 600)
    assert line.lower_bound > 1.0
    assert not line.holds


def test_an_attack_needs_little_memory(monkeypatch):
    """All of the training attacks, with an eighth of a gigabyte to what the libraries take."""
    # The libraries are loaded by attacks so small that they take next to nothing themselves.
    with monkeypatch.context() as patch:
        patch.setattr(training, "CANARIES", 20)
        audited(TrainingAttack(1.0, DELTA, remember=True), 10)
        audited(OneTrainingAttack(1.0, DELTA, steps=1), 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for attack, runs in (
        (TrainingAttack(1.0, DELTA, steps=8, remember=True), 1000),
        (OneTrainingAttack(1.0, DELTA, steps=5), 400),
    ):
        attack.audit(runs, progress=lambda share: None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 * 1024


def test_the_accountant_calibrates():
    event = calibrated(2.0, DELTA, 0.25, 1)
    cost = pld_epsilon([event], DELTA)
    assert 1.98 <= cost <= 2.001
