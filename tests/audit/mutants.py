"""Seeded privacy bugs, and for each the test that finds it.

Every mutant is a small change to the real code, applied while its killer runs: a wrong scale, a
cost that is not charged, a coin that is not tossed. The killer is a test of this suite; unmutated
it passes, mutated it must fail. `docs/referee.md` lists them all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import inf, log, sqrt
from os import urandom
from typing import Any

import numpy as np
import pytest

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """A privacy bug.

    Attributes:
        name: Its name in the list.
        room: Where it sits.
        bug: What is wrong, in words.
        killer: The test that finds it, as module:function.
        apply: Makes the bug.
        arguments: What the killer is called with; "ledger", "overheard" and "tmp_path" are made.
        errors: What the killer may raise beside a failed assertion: the guard that stopped the bug.
    """

    name: str
    room: str
    bug: str
    killer: str
    apply: Patch = field(repr=False)
    arguments: tuple[Any, ...] = ()
    errors: tuple[str, ...] = ()


MUTANTS: list[Mutant] = []


def mutant(
    room: str, bug: str, killer: str, *arguments: object, errors: tuple[str, ...] = ()
) -> Callable[[Patch], Patch]:
    """Adds a bug to the list, named after its function."""

    def add(apply: Patch) -> Patch:
        name = apply.__name__.strip("_").replace("_", "-")
        MUTANTS.append(Mutant(name, room, bug, killer, apply, arguments, errors))
        return apply

    return add


def of(module: str) -> Any:
    """A module of the package, imported when it is needed."""
    return importlib.import_module(f"mezzotint.{module}")


def scaled(original: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """A sampler of key, sigma, size whose sigma is wrong by a factor."""
    return lambda key, sigma, size: original(key, sigma * factor, size)


NOISE = "tests.privacy.test_noise"
SCALE = "tests.audit.test_scale"
CURATOR = "tests.tables.test_curator"
LEDGER = "tests.privacy.test_ledger"
IMAGES = "tests.audit.test_image_attacks"


# Noise


@mutant(
    "privacy/noise",
    "keyed Gaussian noise too small by sqrt(2)",
    f"{NOISE}:test_noise_drawn_is_noise_recorded",
    "keyed",
    3000,
)
def _keyed_sigma_over_root_two(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    patch.setattr(
        noise, "keyed_discrete_gaussian", scaled(noise.keyed_discrete_gaussian, sqrt(0.5))
    )


@mutant(
    "privacy/noise",
    "OpenDP's Gaussian noise too small by sqrt(2)",
    f"{NOISE}:test_noise_drawn_is_noise_recorded",
    "opendp",
    3000,
)
def _opendp_sigma_over_root_two(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    original = noise._opendp_gaussian
    patch.setattr(noise, "_opendp_gaussian", lambda s, size: original(s * sqrt(0.5), size))


@mutant(
    "privacy/noise",
    "the variance is drawn where the standard deviation was recorded",
    f"{SCALE}:test_what_was_drawn_is_what_was_recorded",
    "independent",
    "unit",
)
def _root_of_sigma(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    original = noise._gaussian
    patch.setattr(noise, "_gaussian", lambda source, s, size: original(source, sqrt(s), size))


@mutant(
    "privacy/noise",
    "noise from a fixed seed: every run adds the same",
    f"{SCALE}:test_no_two_releases_share_their_noise",
    "keyed",
)
def _seeded_noise(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    patch.setattr(noise, "_key", lambda source: source.key or bytes(32))


@mutant(
    "privacy/noise",
    "the exponential mechanism without its half, as for monotone scores (keyed)",
    f"{NOISE}:test_exponential_mechanism_is_the_exact_softmax",
    "keyed",
    10_000,
    1.0,
    1,
)
def _selection_without_half(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    original = noise.keyed_exponential
    patch.setattr(
        noise, "keyed_exponential", lambda key, rate, scores: original(key, 2 * rate, scores)
    )


@mutant(
    "privacy/noise",
    "the exponential mechanism without its half (OpenDP)",
    f"{NOISE}:test_exponential_mechanism_is_the_exact_softmax",
    "opendp",
    3000,
    1.0,
    1,
)
def _opendp_selection_without_half(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    original = noise._opendp_exponential
    patch.setattr(noise, "_opendp_exponential", lambda scale, s: original(scale / 2, s))


@mutant(
    "privacy/noise",
    "randomised response that lies as for two categories, whatever their number",
    f"{NOISE}:test_randomised_response_keeps_and_lies_as_recorded",
)
def _response_with_wrong_k(patch: pytest.MonkeyPatch) -> None:
    from fractions import Fraction

    noise = of("privacy.noise")
    original = noise.keyed_randomised_response

    def patched(key, epsilon, categories, values):
        return original(key, epsilon + Fraction(log(categories - 1)), categories, values)

    patch.setattr(noise, "keyed_randomised_response", patched)


@mutant(
    "privacy/spend",
    "one ledger row is drawn from twice",
    f"{NOISE}:test_a_spend_is_drawn_once",
    "keyed",
)
def _spend_drawn_twice(patch: pytest.MonkeyPatch) -> None:
    spend = of("privacy.spend").Spend
    patch.setattr(spend, "open", lambda self, kind: self._source)


@mutant(
    "privacy/run",
    "all rows of a repeatable run share one noise key",
    f"{SCALE}:test_rows_of_a_repeatable_run_have_noise_of_their_own",
)
def _one_key_a_run(patch: pytest.MonkeyPatch) -> None:
    run = of("privacy.run")

    class FixedEntropy:
        urandom = staticmethod(bytes)

        def __getattr__(self, name: str) -> Any:
            import os

            return getattr(os, name)

    patch.setattr(run, "os", FixedEntropy())


# Costs


@mutant(
    "privacy/run",
    "every release is charged half of its rho",
    "tests.privacy.test_run:test_costs_are_those_of_the_papers",
)
def _half_charged(patch: pytest.MonkeyPatch) -> None:
    run = of("privacy.run")
    original = run.units_rounded_up
    patch.setattr(run, "units_rounded_up", lambda cost: original(cost / 2))


@mutant(
    "privacy/releases",
    "costs are rounded down to the ledger's units",
    f"{SCALE}:test_rows_cost_what_their_noise_costs",
    "independent",
    "unit",
)
def _rounded_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("privacy.run"), "units_rounded_up", lambda cost: int(cost * 10**12))


@mutant(
    "privacy/accounting",
    "the squared sensitivity grows with a unit's rows, not with their square",
    f"{CURATOR}:test_the_worst_case_meets_the_declared_sensitivity_exactly",
)
def _sensitivity_of_one_row(patch: pytest.MonkeyPatch) -> None:
    unit = of("privacy.accounting").PrivacyUnit
    patch.setattr(
        unit,
        "l2_squared",
        property(lambda self: self.rows * (2 if self.adjacency == "replace-one" else 1)),
    )


@mutant(
    "privacy/accounting",
    "add/remove noise under replace-one adjacency",
    "tests.privacy.test_run:test_a_marginal_costs_what_its_unit_demands",
    "replace-one",
    1,
    2,
)
def _replace_one_as_add_remove(patch: pytest.MonkeyPatch) -> None:
    unit = of("privacy.accounting").PrivacyUnit
    patch.setattr(unit, "l2_squared", property(lambda self: self.rows**2))


@mutant(
    "privacy/accounting",
    "a choice's sensitivity forgets the second half of a replacement",
    f"{SCALE}:test_the_worst_score_moves_by_the_declared_sensitivity",
)
def _selection_sensitivity_halved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("privacy.accounting").PrivacyUnit, "l1", property(lambda self: self.rows))


@mutant(
    "privacy/run",
    "delta that thresholds spend is not charged",
    "tests.privacy.test_thresholds:test_a_threshold_costs_rho_like_a_marginal_and_its_delta",
    "unit",
)
def _delta_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("privacy.run"), "delta_units_rounded_up", lambda delta: 0)


@mutant(
    "privacy/thresholds",
    "the threshold for showing a name is two sigma too low",
    "tests.privacy.test_thresholds:test_audit_of_a_category_held_by_one_unit_only",
    "unit",
    "auto",
)
def _threshold_too_low(patch: pytest.MonkeyPatch) -> None:
    run = of("privacy.run")
    original = run.least_published
    patch.setattr(
        run, "least_published", lambda sigma, delta, unit: original(sigma, delta, unit) - 60
    )


@mutant(
    "privacy/zcdp",
    "epsilon is converted to rho twice as generously as proved",
    "tests.audit.test_attacks:test_claims_hold_and_the_attack_is_no_formality",
    "independent",
)
def _generous_conversion(patch: pytest.MonkeyPatch) -> None:
    releases = of("privacy.releases")
    original = releases.zcdp_rho
    patch.setattr(releases, "zcdp_rho", lambda epsilon, delta: 2 * original(epsilon, delta))


@mutant(
    "privacy/run",
    "randomised response is allowed where the number of rows is private",
    f"{SCALE}:test_randomised_response_is_refused_where_it_would_tell_how_many_there_are",
)
def _response_under_add_remove(patch: pytest.MonkeyPatch) -> None:
    run = of("privacy.run")

    class Confused:
        ADD_REMOVE = REPLACE_ONE = run.Adjacency.ADD_REMOVE

    patch.setattr(run, "Adjacency", Confused)


# The ledger


@mutant(
    "privacy/run",
    "a run may spend more than it was granted",
    "tests.privacy.test_run:test_overspending_is_refused_and_records_nothing",
)
def _overspending_allowed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("privacy.run").Run, "_require_units", lambda self, about, units, spent: None)


@mutant(
    "privacy/account",
    "the cap on all runs of a data set is not looked at",
    f"{LEDGER}:test_the_cap_refuses_in_words_that_help",
    "ledger",
)
def _cap_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("privacy.account").Account, "require", lambda self, *words, **more: None)


@mutant(
    "privacy/account",
    "an open run books what it has released, not what it may release",
    f"{LEDGER}:test_a_reservation_counts_until_the_run_ends",
    "ledger",
)
def _no_reservation(patch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    lineage = of("privacy.lineage")
    original = lineage.account

    def account(*words):
        whole = original(*words)
        return replace(whole, booked=whole.booked - whole.reserved, reserved=0)

    patch.setattr(lineage, "account", account)


@mutant(
    "privacy/lineage",
    "the same rows under another name have a budget of their own",
    f"{LEDGER}:test_the_same_content_under_another_name_draws_on_the_same_budget",
    "ledger",
)
def _renamed_data_is_fresh(patch: pytest.MonkeyPatch) -> None:
    import os

    patch.setattr(of("privacy.lineage"), "content_mac", lambda db, digest: os.urandom(16).hex())


@mutant(
    "tables/synthesizer",
    "a second fit on the same data is not charged",
    f"{SCALE}:test_a_second_fit_is_charged_again",
    "independent",
)
def _refit_is_free(patch: pytest.MonkeyPatch) -> None:
    synthesizer = of("tables.synthesizer").Synthesizer
    original = synthesizer.fit

    def fit(self, *words, **more):
        return self if hasattr(self, "fitted_") else original(self, *words, **more)

    patch.setattr(synthesizer, "fit", fit)


# Mechanisms for tables


@mutant(
    "tables/curator",
    "cells that hold nobody get no noise",
    f"{SCALE}:test_what_was_drawn_is_what_was_recorded",
    "mst",
    "unit",
    # With 4,000 residuals it survives once in a thousand times.
    12_000,
)
def _empty_cells_without_noise(patch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    curator = of("tables.curator").TrustedCurator
    original = curator.measure

    def measure(self, query, sigma):
        measured = original(self, query, sigma)
        counts = query.project(self._counts.marginal(query.clique))
        return replace(measured, values=np.where(counts == 0, 0, measured.values))

    patch.setattr(curator, "measure", measure)


@mutant(
    "tables/curator",
    "negative noisy counts are set to 0 by adding less noise",
    f"{SCALE}:test_what_was_drawn_is_what_was_recorded",
    "independent",
    "unit",
)
def _noise_cut_off(patch: pytest.MonkeyPatch) -> None:
    curator = of("tables.curator")
    original = curator.discrete_gaussian
    patch.setattr(curator, "discrete_gaussian", lambda spend, size: np.abs(original(spend, size)))


@mutant(
    "tables/curator",
    "a choice's sensitivity ignores the weights of the scores",
    f"{CURATOR}:test_a_choice_costs_an_eighth_of_epsilon_squared",
)
def _weight_ignored(patch: pytest.MonkeyPatch) -> None:
    run = of("privacy.run").Run
    original = run.exponential

    def exponential(self, about, epsilon, sensitivity):
        return original(self, about, epsilon, self.budget.unit.l1 << 10)

    patch.setattr(run, "exponential", exponential)


@mutant(
    "tables/curator",
    "scores are not clamped, and wrap around beyond 64 bits",
    f"{CURATOR}:test_huge_scores_are_clamped_and_do_not_wrap_around",
    "overheard",
)
def _scores_unclamped(patch: pytest.MonkeyPatch) -> None:
    curator = of("tables.curator").TrustedCurator

    def score(self, candidate):
        counts = candidate.query.project(self._counts.marginal(candidate.query.clique))
        with np.errstate(all="ignore"):
            estimate = np.rint(candidate.estimate.clip(-(2.0**50), 2.0**50) * 1024)
            distances = np.abs(counts * 1024 - estimate.astype(np.int64))
            penalty = int(min(candidate.penalty, 2.0**50) * 1024)
            total = np.int64(candidate.weight) * (distances.sum() - np.int64(penalty))
        return int(total)

    patch.setattr(curator, "_score", score)


@mutant(
    "tables/mst",
    "the noise grows with the number of rows, which tells it",
    "tests.tables.test_mst:test_kinds_and_parameters_do_not_depend_on_the_data",
    errors=("BudgetError",),
)
def _scale_depends_on_the_data(patch: pytest.MonkeyPatch) -> None:
    curator = of("tables.curator").TrustedCurator
    original = curator.measure

    def measure(self, query, sigma):
        rows = int(self._counts.marginal(query.clique).sum())
        return original(self, query, sigma * (1 + rows / 1e6))

    patch.setattr(curator, "measure", measure)


@mutant(
    "tables/independent",
    "rho is taken for twice what it is when scales are planned",
    f"{SCALE}:test_what_was_drawn_is_what_was_recorded",
    "independent",
    "unit",
    errors=("BudgetError",),
)
def _planned_with_twice_the_budget(patch: pytest.MonkeyPatch) -> None:
    independent = of("tables.independent")
    original = independent.one_way_sigmas
    patch.setattr(
        independent, "one_way_sigmas", lambda domain, rho, unit: original(domain, 2 * rho, unit)
    )


@mutant(
    "schema/contribution",
    "a unit's rows beyond its bound are kept",
    "tests.tables.test_counting:test_sensitivity_adding_a_unit_moves_no_other_units_rows",
)
def _contribution_unbounded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        of("schema.contribution").ContributionBound, "__call__", lambda self, batch: batch
    )


@mutant(
    "schema",
    "a value that the schema does not know raises an error",
    "tests.audit.test_shape:test_neighbours_leave_artefacts_of_one_shape",
    "tmp_path",
    "independent",
    "a new category",
)
def _unknown_values_are_told(patch: pytest.MonkeyPatch) -> None:
    counting = of("tables.counting")
    original = counting.coded
    errors = of("errors")

    def coded(source, schema):
        for batch in source.batches(schema.columns):
            for name in schema.columns:
                if "purple" in batch.column(name).to_pylist():
                    raise errors.DataError(f"{name}: purple is not among its categories")
        yield from original(source, schema)

    patch.setattr(counting, "coded", coded)


@mutant(
    "cli/failures",
    "the text of an unforeseen error, which may quote a row, is shown",
    "tests.audit.test_shape:test_an_unforeseen_error_quotes_no_row",
)
def _errors_quote_rows(patch: pytest.MonkeyPatch) -> None:
    failures = of("cli.failures")
    patch.setattr(failures, "_bug", str)


# Programmes and training noise


@mutant(
    "privacy/training",
    "samples of a fixed size (a shuffled data set) instead of a coin for each row",
    "tests.privacy.test_training:test_coins_fall_at_their_rate_and_independently",
)
def _shuffled_instead_of_poisson(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.training").TrainingNoise

    def coins(self, step, n):
        size = max(1, int(self.rate * n))
        taken = np.zeros(n, bool)
        taken[(np.arange(size) + step * size) % n] = True
        return taken

    patch.setattr(noise, "coins", coins)


@mutant(
    "privacy/training",
    "every step of a training adds the same noise",
    "tests.privacy.test_training:test_steps_and_blocks_are_independent",
)
def _noise_of_step_reused(patch: pytest.MonkeyPatch) -> None:
    training = of("privacy.training")
    original = training.TrainingNoise._step_key
    patch.setattr(
        training.TrainingNoise, "_step_key", lambda self, step, purpose: original(self, 0, purpose)
    )


@mutant(
    "privacy/training",
    "training noise too small by sqrt(2)",
    "tests.privacy.test_training:test_noise_has_the_recorded_scale_on_its_grid",
)
def _training_sigma_over_root_two(patch: pytest.MonkeyPatch) -> None:
    training = of("privacy.training")
    patch.setattr(training, "fine_gaussian", scaled(training.fine_gaussian, sqrt(0.5)))


@mutant(
    "privacy/training",
    "a resumed training draws fresh noise for a sum that was released before",
    "tests.privacy.test_training:test_a_resumed_training_is_the_same_to_the_last_bit",
    "tmp_path",
)
def _resumed_with_fresh_noise(patch: pytest.MonkeyPatch) -> None:
    import os

    run = of("privacy.run").Run
    original = run._source

    def source(self, release, key):
        return original(self, release, None if key is None else os.urandom(32))

    patch.setattr(run, "_source", source)


@mutant(
    "privacy/programme",
    "an event of a programme is released twice",
    "tests.privacy.test_programme_runs:test_events_are_released_once_each_in_any_order",
    "ledger",
)
def _event_released_twice(patch: pytest.MonkeyPatch) -> None:
    run = of("privacy.run").Run
    original = run._release

    def release(self, place, kind, about, parameters):
        try:
            return original(self, place, kind, about, parameters)
        except of("errors").LedgerError as refused:
            if "already" not in str(refused):
                raise
            made = of("privacy.releases").Release(0, kind, about, parameters, 0, 0, "", 0, "")
            return of("privacy.spend").Spend(made, self._source(made, None))

    patch.setattr(run, "_release", release)


@mutant(
    "privacy/programme",
    "one step of a training is accounted for, and not all of them",
    "tests.audit.test_scale:test_a_programme_costs_all_of_its_steps",
)
def _one_step_accounted(patch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    programme = of("privacy.programme")
    original = programme._losses

    def losses(events, interval):
        kind = programme.SubsampledGaussian
        shortened = tuple(replace(e, steps=1) if isinstance(e, kind) else e for e in events)
        return original(shortened, interval)

    patch.setattr(programme, "_losses", losses)
    # What was computed before must not be remembered.
    patch.setattr(programme, "_epsilon", programme._epsilon.__wrapped__)


# DP-SGD

DPSGD = "tests.images.dpsgd.test_training"


@mutant(
    "images/dpsgd",
    "gradients are not clipped",
    "tests.images.dpsgd.test_memory:"
    "test_one_record_moves_the_sum_by_at_most_the_clip_at_its_own_steps",
)
def _unclipped(patch: pytest.MonkeyPatch) -> None:
    clipper = of("images.dpsgd.clipping").Clipper
    patch.setattr(clipper, "_factors", lambda self, norms: norms * 0 + 1)


@mutant(
    "images/dpsgd",
    "the memory is added after clipping, so that a record adds more than the clip",
    "tests.images.dpsgd.test_memory:"
    "test_one_record_moves_the_sum_by_at_most_the_clip_at_its_own_steps",
)
def _clipped_before_memory(patch: pytest.MonkeyPatch) -> None:
    clipping = of("images.dpsgd.clipping")
    original = clipping.Clipper.__call__

    def call(self, records, draws, memory=None):
        if memory is None or not len(memory):
            return original(self, records, draws, memory)
        alone = original(self, records, draws, memory * 0)
        for name, lifted in self.feedback.lift(self.feedback.decay * memory.sum(0)).items():
            alone.sums[name] = alone.sums[name] + lifted
        return alone

    patch.setattr(clipping.Clipper, "__call__", call)


@mutant(
    "images/dpsgd",
    "the noise is not multiplied by the clip",
    f"{DPSGD}:test_the_noise_has_the_recorded_scale_and_is_fresh_at_every_step",
)
def _noise_without_clip(patch: pytest.MonkeyPatch) -> None:
    import torch

    training = of("images.dpsgd.training").PrivateTraining

    def add(self, blocks, sums, step):
        return sums + torch.from_numpy(self._source.gaussian(step, len(sums)))

    patch.setattr(training, "_add_noise", add)


@mutant(
    "images/dpsgd",
    "an empty sample is skipped, which tells that it was empty",
    f"{DPSGD}:test_an_empty_sample_still_steps_and_the_realised_size_is_not_used",
)
def _empty_batch_skipped(patch: pytest.MonkeyPatch) -> None:
    training = of("images.dpsgd.training").PrivateTraining
    original = training._add_noise
    patch.setattr(
        training,
        "_add_noise",
        lambda self, blocks, sums, step: original(self, blocks, sums, step) if sums.any() else sums,
    )


@mutant(
    "images/dpsgd",
    "the mean divides by the realised size of the sample",
    f"{DPSGD}:test_an_empty_sample_still_steps_and_the_realised_size_is_not_used",
)
def _realised_batch_size(patch: pytest.MonkeyPatch) -> None:
    training = of("images.dpsgd.training").PrivateTraining
    original = training._sample

    def sample(self, step):
        taken = original(self, step)
        self._batch = max(1, len(taken))
        return taken

    patch.setattr(training, "_sample", sample)


@mutant(
    "images/dpsgd",
    "two blocks are each clipped and noised as if they stood alone",
    f"{DPSGD}:test_blocks_share_one_release",
)
def _blocks_noised_alone(patch: pytest.MonkeyPatch) -> None:
    training = of("images.dpsgd.training")

    class Alone:
        pi, inf = training.math.pi, training.math.inf
        sqrt = staticmethod(lambda value: 1.0)

    patch.setattr(training, "math", Alone)


@mutant(
    "images/dpsgd",
    "a record's random draws depend on its place in the batch, and so on who else was sampled",
    f"{DPSGD}:test_draws_belong_to_the_record",
)
def _draws_by_place(patch: pytest.MonkeyPatch) -> None:
    draws = of("images.dpsgd.draws").Draws
    original = draws.__init__

    def init(self, seed, step, records, copies, device):
        original(self, seed, step, np.arange(len(records)), copies, device)

    patch.setattr(draws, "__init__", init)


# Images: one-shot releases and answers


def _afresh(patch: pytest.MonkeyPatch) -> None:
    """What the referee computed before must not be remembered."""
    images = of("audit.images")
    patch.setattr(images, "transcript", cache(images.transcript.__wrapped__))


@mutant(
    "images/integers",
    "a release is noised for its largest part, and not for all parts together",
    f"{IMAGES}:one_shot_holds",
    "class-gaussians",
    2500,
)
def _bound_of_one_block(patch: pytest.MonkeyPatch) -> None:
    integers = of("images.integers")
    patch.setattr(integers, "l2_bound", lambda blocks: max(block.bound for block in blocks))
    _afresh(patch)


@mutant(
    "images/integers",
    "images are not shortened to the radius",
    f"{IMAGES}:one_shot_holds",
    "class-gaussians",
    2500,
)
def _images_unshortened(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("images.oneshot.gaussians"), "into_ball", _unshortened)
    _afresh(patch)


def _unshortened(values: Any, radius: float) -> Any:
    return np.trunc(values * (2**14 / radius))


@mutant(
    "images/oneshot/axes",
    "centred images are not shortened",
    f"{IMAGES}:one_shot_holds",
    "mezzotint",
    2500,
)
def _centred_images_unshortened(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("images.oneshot.axes"), "into_ball", _unshortened)
    _afresh(patch)


@mutant(
    "images/oneshot/parts",
    "coordinates from a class's centre are not shortened",
    f"{IMAGES}:one_shot_holds",
    "mezzotint",
    2500,
)
def _coordinates_unshortened(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(of("images.oneshot.parts"), "into_ball", _unshortened)
    _afresh(patch)


@mutant(
    "images/integers",
    "the noise of a released vector is two thirds of what was recorded",
    f"{IMAGES}:one_shot_holds",
    "dp-merf",
    2500,
)
def _vector_of_two_thirds(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    original = noise.integer_gaussian
    patch.setattr(noise, "integer_gaussian", lambda spend, size: original(spend, size) * 2 // 3)


@mutant(
    "images/integers",
    "the number of images is released without noise",
    f"{IMAGES}:noise_is_recorded",
    "dp-merf",
)
def _exact_counts(patch: pytest.MonkeyPatch) -> None:
    integers = of("images.integers")
    original = integers.release

    def release(run: Any, event: int, about: str, blocks: Any, sums: Any) -> Any:
        noised = original(run, event, about, blocks, sums)
        return [sums[0].astype(np.float64), *noised[1:]]

    patch.setattr(integers, "release", release)


@mutant(
    "images/integers",
    "all releases of a fit share one draw of noise",
    f"{IMAGES}:noise_is_recorded",
    "mezzotint",
)
def _one_draw_for_all_events(patch: pytest.MonkeyPatch) -> None:
    noise, integers = of("privacy.noise"), of("images.integers")
    original, fine = integers.release, noise.fine_gaussian
    keys: list[bytes] = [b""]

    def release(run: Any, event: int, *parts: Any) -> Any:
        keys[0] = keys[0] if event else urandom(32)
        return original(run, event, *parts)

    patch.setattr(integers, "release", release)
    patch.setattr(noise, "fine_gaussian", lambda key, sigma, size: fine(keys[0], sigma, size))


@mutant(
    "images/vae/encoder",
    "codes are noised for one radius, and two of them are two radii apart",
    f"{IMAGES}:answers_hold",
    "code",
    20_000,
)
def _codes_one_radius_apart(patch: pytest.MonkeyPatch) -> None:
    method = of("images.vae.method")
    patch.setattr(method, "CODES_L2", method.CODES_L2 // 2)


@mutant(
    "images/vae/method",
    "labels lie as for epsilon + 1",
    f"{IMAGES}:answers_hold",
    "label",
    20_000,
)
def _labels_too_honest(patch: pytest.MonkeyPatch) -> None:
    noise = of("privacy.noise")
    original = noise.keyed_randomised_response
    patch.setattr(
        noise,
        "keyed_randomised_response",
        lambda key, epsilon, *rest: original(key, epsilon + 1, *rest),
    )


@mutant(
    "images/vae/harmonic",
    "the certificate states the noise as twice what is drawn",
    f"{IMAGES}:answers_hold",
    "metric",
    100_000,
)
def _certificate_of_twice_the_noise(patch: pytest.MonkeyPatch) -> None:
    certificate = of("images.vae.harmonic").Certificate
    original = certificate.rho
    patch.setattr(certificate, "rho", lambda self, distance=inf: original(self, distance) / 4)


# Checkpoints, and caps


@mutant(
    "images/dpsgd/saving",
    "damage to a checkpoint's arrays goes unnoticed",
    "tests.images.dpsgd.test_saving:test_damage_is_told",
    "tmp_path",
)
def _checkpoint_unverified(patch: pytest.MonkeyPatch) -> None:
    checkpoints = of("images.dpsgd.saving").Checkpoints
    patch.setattr(
        checkpoints, "_content", lambda self, name, digest: (self.folder / name).read_bytes()
    )


@mutant(
    "images/dpsgd/saving",
    "a checkpoint's index may say that other steps were done",
    "tests.images.dpsgd.test_saving:test_damage_is_told",
    "tmp_path",
)
def _checkpoint_of_another_step(patch: pytest.MonkeyPatch) -> None:
    saving = of("images.dpsgd.saving")
    original = saving._digest
    patch.setattr(saving, "_digest", lambda index: original({**index, "step": 0}))


@mutant(
    "images/dpsgd/saving",
    "the records' memories may be read by everybody",
    "tests.images.dpsgd.test_saving:test_one_checkpoint_stands_and_its_private_half_is_the_owners",
    "tmp_path",
)
def _memories_for_everybody(patch: pytest.MonkeyPatch) -> None:
    saving = of("images.dpsgd.saving")
    original = saving.os.open
    patch.setattr(saving.os, "open", lambda path, flags, mode=0o777: original(path, flags, 0o644))


@mutant(
    "privacy/caps",
    "a cap takes the best Renyi order afterwards, which adaptive runs may choose",
    "tests.privacy.test_caps:test_the_best_order_afterwards_is_not_taken",
)
def _best_order_afterwards(patch: pytest.MonkeyPatch) -> None:
    caps, account = of("privacy.caps"), of("privacy.account")

    def filtered(self: Any, booked: Any) -> float:
        return account.total_epsilon(
            booked.units, self.cap.delta, booked.delta_units, booked.charges
        )

    patch.setattr(caps.Order, "_filtered", filtered)


@mutant(
    "privacy/caps",
    "where runs split delta, what they take of it is not added up",
    "tests.privacy.test_caps:test_a_plan_that_splits_epsilon_and_delta_may_fill_the_cap",
)
def _deltas_not_added(patch: pytest.MonkeyPatch) -> None:
    sums = of("privacy.caps").Sums
    original = sums._sums
    patch.setattr(sums, "_sums", lambda self, booked: (original(self, booked)[0], Fraction(0)))


@mutant(
    "images/checkpoint",
    "a damaged request is taken for a new one, and spends again",
    "tests.faults.test_foreign_images:a_damaged_request_is_refused",
    "tmp_path",
)
def _request_unverified(patch: pytest.MonkeyPatch) -> None:
    checkpoint = of("images.checkpoint")
    patch.setattr(checkpoint, "_digest", lambda nonce, fit: "same")


# The encrypted path


@mutant(
    "encrypted/keyholder",
    "the key holder leaves its share of the noise out",
    "tests.audit.test_role_attacks:test_what_the_public_sees_holds",
)
def _keyholder_adds_nothing(patch: pytest.MonkeyPatch) -> None:
    desk = of("encrypted.keyholder")._Desk
    patch.setattr(desk, "_noise", staticmethod(lambda spend, size: np.zeros(size, np.int64)))


@mutant(
    "encrypted/holder",
    "the data holders' stocks of noise have half of their scale",
    "tests.audit.test_role_attacks:test_what_the_key_holder_sees_holds_and_is_twice_the_rho",
)
def _stocks_of_half_the_scale(patch: pytest.MonkeyPatch) -> None:
    holder = of("encrypted.holder")
    original = holder.discrete_gaussian
    patch.setattr(holder, "discrete_gaussian", lambda spend, size: original(spend, size) // 2)


@mutant(
    "encrypted/views",
    "the key holder's view is stated as the public's",
    "tests.audit.test_role_attacks:test_what_the_key_holder_sees_holds_and_is_twice_the_rho",
)
def _view_of_the_keyholder_understated(patch: pytest.MonkeyPatch) -> None:
    views, roles = of("encrypted.views"), of("audit.roles")
    patch.setattr(views, "_without_own", lambda release: release.units)
    # What was found before must not be remembered.
    patch.setattr(roles, "probe", roles.probe.__wrapped__)


@mutant(
    "encrypted/pool",
    "entries of the noise pool are used again",
    "tests.encrypted.test_pool:test_an_exhausted_pool_says_so",
)
def _pool_entries_reused(patch: pytest.MonkeyPatch) -> None:
    book = of("encrypted.pool").Book
    original = book.take

    def take(self, sigma, cells):
        return original(self.copy(), sigma, cells)

    patch.setattr(book, "take", take)
