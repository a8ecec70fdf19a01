"""What holds for every method that the command line knows."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mezzotint
from mezzotint.images.generator import KINDS
from mezzotint.images.method import ImageMethod
from mezzotint.images.registry import METHODS, method
from mezzotint.privacy.accounting import Adjacency

QUICK = {"class-gaussians", "lipschitz-vae"}


@pytest.mark.parametrize("name", METHODS)
def test_names_settings_and_promises(name):
    kind = method(name)
    assert issubclass(kind, ImageMethod)
    assert kind.name == name
    assert name in KINDS
    maker = kind(2.0, 1e-6, effort=0.5)
    assert (maker.epsilon, maker.delta) == (2.0, 1e-6)
    assert maker.settings["effort"] == 0.5
    json.dumps(maker.settings, allow_nan=False)
    again = kind(2.0, 1e-6, **maker.settings)
    assert again.settings == maker.settings
    for word in ("Theorem", "eighbour", "epart"):  # theorem, neighbours, departures
        assert word in kind.__doc__, f"{name}: its docstring lacks {word}"
    assert str(maker.budget.unit) == f"image (at most 1 row, {kind.adjacency})"


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in METHODS]
)
def test_fit_keeps_its_plan_and_comes_back_from_a_file(name, digits, tmp_path):
    data = digits.train.take(slice(0, 300))
    population = 300
    maker = method(name)(3.0, effort=0.02)
    plan = maker.plan_for((8, 8), 10, population)
    assert len(plan.steps) == len(plan.programme.events)
    fitted = maker.fit(data, population=population).fitted_
    assert fitted.privacy.programme == plan.programme
    assert fitted.privacy.epsilon_spent <= 3.0
    assert fitted.epsilon == 3.0
    assert fitted.private
    events = {release.event for release in fitted.privacy.releases}
    assert events == set(range(len(plan.programme.events)))
    assert fitted.shares.sum() == pytest.approx(1)
    if maker.adjacency is Adjacency.REPLACE_ONE:
        assert fitted.facts.population == len(data)
    drawn = fitted.sample(40, random_state=1)
    assert drawn.x.shape == (40, 8, 8, 1)
    fitted.save(tmp_path / "m.mezzo")
    again = mezzotint.load(tmp_path / "m.mezzo")
    assert np.array_equal(again.sample(40, random_state=1).x, drawn.x)
    assert again.statements == fitted.statements
