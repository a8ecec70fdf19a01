"""What every method inherits: budgets, populations, repeats, labels, plans."""

from __future__ import annotations

import numpy as np
import pytest

from mezzotint.errors import BudgetError, LedgerError, MezzotintError, ParameterError
from mezzotint.images.fitted import apportion
from mezzotint.images.population import buy_population
from mezzotint.images.registry import METHODS, method
from mezzotint.images.work import Work, enough_memory
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from tests.images.conftest import made_up
from tests.images.toy import Sampled, Toy


def bought(n: int, ledger: Ledger) -> tuple[int, bool]:
    """The number of n images as bought with (1, 1e-5), and whether it claims privacy."""
    facts, statement = buy_population(
        made_up(n).facts,
        made_up(n),
        ledger,
        budget=Budget(1.0, 1e-5),
        mechanism="m",
        dataset="d",
        fingerprint=None,
        request=None,
    )
    return facts.population, statement.private


def test_a_fit_spends_its_budget_once():
    ledger = Ledger.memory()
    fitted = Toy(2.0).fit(made_up(), ledger=ledger).fitted_
    (run,) = ledger.runs()
    assert (run.mechanism, run.dataset, run.state) == ("toy", "made-up", "closed")
    assert run.budget.epsilon == fitted.epsilon == 2.0
    assert str(run.budget.unit) == "image (at most 1 row, add-remove)"
    assert 1.9 < fitted.privacy.epsilon_spent <= 2.0
    assert fitted.private
    assert "(2, 1e-05)-differential privacy" in fitted.sentence()


def test_what_is_drawn():
    fitted = Toy(50.0).fit(made_up(90)).fitted_
    drawn = fitted.sample(300, random_state=1)
    assert drawn.x.shape == (300, 8, 8, 1)
    assert np.bincount(drawn.y).min() > 80
    again = fitted.sample(300, random_state=1)
    assert np.array_equal(drawn.x, again.x)
    assert not np.array_equal(drawn.x, fitted.sample(300, random_state=2).x)
    assert fitted.sample().x.shape[0] == 30
    brightness = [drawn.x[drawn.y == c].mean() for c in range(3)]
    assert brightness == sorted(brightness)


def test_labels_may_be_named():
    fitted = Toy(50.0).fit(made_up()).fitted_
    assert fitted.sample(5, "b").y.tolist() == [1] * 5
    assert fitted.sample(5, 2).y.tolist() == [2] * 5
    assert fitted.sample(labels=["c", "a"]).y.tolist() == [2, 0]
    assert fitted.sample(2, labels=np.array([1, 0])).y.tolist() == [1, 0]
    for n, labels, words in (
        (5, "d", "no class"),
        (5, 3, "no class"),
        (3, [0, 1], "there are 2 labels"),
        (-1, None, "whole number"),
        (2.5, None, "whole number"),
    ):
        with pytest.raises(ParameterError, match=words):
            fitted.sample(n, labels)


def test_shares_are_met_to_within_one():
    rng = np.random.default_rng(0)
    for _ in range(200):
        shares = rng.dirichlet(np.full(5, 0.3))
        n = int(rng.integers(0, 50))
        counts = np.bincount(apportion(shares, n, rng), minlength=5)
        assert counts.sum() == n
        assert np.all(np.abs(counts - n * shares) < 1)


def test_plans_look_at_facts_only():
    plan = Toy(1.0, rounds=3).plan_for((8, 8), 3)
    assert plan.steps == tuple(f"class sums, round {i}" for i in range(3))
    assert plan.programme.epsilon(1e-5) <= 1.0
    assert plan.count_budget is None
    assert plan.to_json()["releases"][2]["about"] == "class sums, round 2"
    spent = Toy(1.0, rounds=3).fit(made_up()).privacy_
    assert spent.programme == plan.programme
    with pytest.raises(ParameterError, match="shape"):
        Toy(1.0).plan_for((8,), 3)


def test_the_number_of_images_is_bought_where_it_is_needed():
    ledger = Ledger.memory()
    maker = Sampled(1.0).fit(made_up(600), ledger=ledger)
    count, main = ledger.runs()
    assert count.mechanism == "sampled: number of images"
    assert count.budget.epsilon == pytest.approx(0.02)
    assert count.budget.delta == pytest.approx(1e-6)
    assert main.budget.epsilon == pytest.approx(0.98)
    fitted = maker.fitted_
    assert fitted.epsilon == pytest.approx(1.0)
    assert fitted.delta == pytest.approx(1e-5)
    assert fitted.facts.population >= 100
    assert "both together are (1, 1e-05)-differentially private" in fitted.sentence()
    assert Sampled(1.0).plan_for((8, 8), 3).count_budget.epsilon == pytest.approx(0.02)


def test_a_declared_number_costs_nothing():
    ledger = Ledger.memory()
    fitted = Sampled(1.0).fit(made_up(600), ledger=ledger, population=500).fitted_
    assert len(ledger.runs()) == 1
    assert fitted.facts.population == 500
    assert fitted.privacy.epsilon == 1.0
    rates = fitted.privacy.programme.events[1].rate
    assert rates == pytest.approx(64 / 500)


def test_the_bought_number_is_one_apart_on_neighbours():
    """Sensitivity of the count: without noise, neighbours differ by exactly one."""
    pairs = [bought(n, Ledger.memory(insecure_noise="off")) for n in (400, 401)]
    assert pairs == [(400, False), (401, False)]


def test_the_bought_number_is_noisy():
    """Each of eight is exactly 600 once in 400 runs; all eight by chance: once in 10^20."""
    numbers = {bought(600, Ledger.memory())[0] for _ in range(8)}
    assert numbers != {600}


def test_neighbours_of_the_toy_stay_within_its_sensitivity():
    rng = np.random.default_rng(0)
    toy, data = Toy(1.0), made_up(30)
    for _ in range(20):
        left_out = rng.integers(30)
        without = data.take(np.arange(30) != left_out)
        moved = toy.sums(data, data.facts) - toy.sums(without, data.facts)
        assert np.sqrt((moved.astype(float) ** 2).sum()) <= toy.bound(data.facts)


def test_a_cap_is_kept(tmp_path):
    with Ledger.open(tmp_path / "l.db") as ledger:
        Toy(1.0).fit(made_up(), ledger=ledger)
        ledger.set_cap("made-up", Budget(1.5, 1e-5, Toy(1.0).unit))
        with pytest.raises(BudgetError):
            Toy(1.0).fit(made_up(), ledger=ledger)
        # A renamed copy draws on the same budget.
        with pytest.raises(BudgetError):
            Toy(1.0).fit(made_up(), ledger=ledger, dataset="another name")


class Interrupted(Exception):
    pass


def stopping(stage, share, *, loss=None, epsilon=None):
    if share > 0.5:
        raise Interrupted


def test_a_fit_resumes_without_spending_twice(tmp_path):
    book, folder = tmp_path / "l.db", tmp_path / "keep"
    with pytest.raises(Interrupted):
        Toy(1.0, rounds=3).fit(made_up(), ledger=book, checkpoint=folder, progress=stopping)
    with Ledger.open(book) as ledger:
        (run,) = ledger.runs()
        assert len(ledger.releases(run.id)) == 2
    first = Toy(1.0, rounds=3).fit(made_up(), ledger=book, checkpoint=folder).fitted_
    second = Toy(1.0, rounds=3).fit(made_up(), ledger=book, checkpoint=folder).fitted_
    with Ledger.open(book) as ledger:
        assert len(ledger.runs()) == 1
        assert len(ledger.releases(run.id)) == 3
    assert np.array_equal(first.generator.means, second.generator.means)
    fresh = Toy(1.0, rounds=3).fit(made_up(), ledger=book).fitted_
    assert not np.array_equal(first.generator.means, fresh.generator.means)


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    book, folder = tmp_path / "l.db", tmp_path / "keep"
    Toy(1.0).fit(made_up(), ledger=book, checkpoint=folder)
    with pytest.raises(ParameterError, match="a fit with other epsilon"):
        Toy(2.0).fit(made_up(), ledger=book, checkpoint=folder)
    with pytest.raises(ParameterError, match="a fit with other settings"):
        Toy(1.0, spread=3.0).fit(made_up(), ledger=book, checkpoint=folder)
    with pytest.raises(LedgerError, match="other data or settings"):
        Toy(1.0).fit(made_up(seed=5), ledger=book, checkpoint=folder)
    with pytest.raises(ParameterError, match="give a ledger in a file"):
        Toy(1.0).fit(made_up(), checkpoint=folder)
    (folder / "fit.json").write_text("{")
    with pytest.raises(MezzotintError, match="damaged"):
        Toy(1.0).fit(made_up(), ledger=book, checkpoint=folder)
    with Ledger.open(book) as ledger:
        assert len(ledger.runs()) == 1


def test_a_bought_number_resumes_too(tmp_path):
    book, folder = tmp_path / "l.db", tmp_path / "keep"
    numbers = [
        Sampled(1.0).fit(made_up(600), ledger=book, checkpoint=folder).fitted_.facts.population
        for _ in range(2)
    ]
    assert numbers[0] == numbers[1]
    with Ledger.open(book) as ledger:
        assert len(ledger.runs()) == 2


def test_work_is_checked():
    for wrong in ({"device": "gpu"}, {"device": "cuda:x"}, {"micro_batch": 0}):
        with pytest.raises(ParameterError):
            Work(**wrong)
    with pytest.raises(ParameterError, match="there is no such GPU"):
        Work(device="cuda:99")


def test_a_diverging_loss_stops():
    Work().require_finite("training", 1.0)
    for loss in (float("nan"), float("inf")):
        with pytest.raises(MezzotintError, match="has diverged and was stopped"):
            Work().require_finite("training", loss)


def test_memory_that_runs_out_names_the_mend():
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(MezzotintError, match="--micro-batch 64"), enough_memory(None):
            raise error
    with pytest.raises(MezzotintError, match="--micro-batch 8"), enough_memory(16):
        raise MemoryError
    with pytest.raises(RuntimeError, match="something else"), enough_memory(None):
        raise RuntimeError("something else")


def test_unknown_methods_are_refused():
    with pytest.raises(ParameterError, match="did you mean 'dp-merf'"):
        method("dp-murf")
    assert next(iter(METHODS)) == "mezzotint"
