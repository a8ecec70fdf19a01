"""A run: one mechanism's spending on one data set, recorded release by release."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from mezzotint.errors import BudgetError, LedgerError, ParameterError
from mezzotint.privacy import planned
from mezzotint.privacy.account import RunRecord
from mezzotint.privacy.accounting import Adjacency, Budget
from mezzotint.privacy.checks import check_count, check_delta, check_epsilon, check_positive
from mezzotint.privacy.events import Gaussian, PureDP, Shuffled, SubsampledGaussian
from mezzotint.privacy.gaussian_table import LARGEST_SIGMA
from mezzotint.privacy.journal import Change, Entry, secret
from mezzotint.privacy.keyed_bits import KEY_BYTES, derive_key
from mezzotint.privacy.programme import Event, Programme
from mezzotint.privacy.releases import (
    Release,
    delta_of,
    delta_units_rounded_up,
    delta_within,
    rho_of,
    units_rounded_up,
    units_within,
)
from mezzotint.privacy.spend import Backend, NoiseSource, Spend
from mezzotint.privacy.thresholds import least_published

if TYPE_CHECKING:
    from mezzotint.privacy.ledger import Ledger

# Every row is rounded up to a whole unit, and a plan's own arithmetic rounds too. What a
# mechanism may plan with leaves this many units aside for that, or a 1024th of a small budget
# (of a tiny one, enough for three hundred rows or an eighth), so that a plan that fits exactly is
# never refused its last round.
_ROUNDING_UNITS = 100_000
_ROUNDING_ROWS = 300
_BOUND = "an integer bound that holds for every data set"


class Run:
    """Spends a reserved budget. Made by `Ledger.begin`; use it as a context manager.

    Every method that spends writes its row to the ledger first and hands out the `Spend` after
    the commit. A run with a request id repeats its recorded releases, bit for bit and at no cost,
    before it spends anew.
    """

    def __init__(self, ledger: Ledger, record: RunRecord) -> None:
        self._ledger = ledger
        self._record = record
        self._total = record.units
        self._plannable = _plannable(record.units)
        self._spent = 0
        self._delta_spent = 0
        self._next = 0
        self._handed: set[int] = set()

    @property
    def id(self) -> int:
        """The run's number in the ledger."""
        return self._record.id

    @property
    def budget(self) -> Budget:
        """What the run was granted."""
        return self._record.budget

    @property
    def mechanism(self) -> str:
        """The mechanism's name."""
        return self._record.mechanism

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self._record.dataset

    @property
    def private(self) -> bool:
        """False if the noise was switched off or fixed for a test: nothing is guaranteed then."""
        return self._record.private

    @property
    def programme(self) -> Programme | None:
        """What was fixed at the beginning; None for a run that spends zCDP as it goes."""
        return None if self._record.charge is None else self._record.charge.programme

    @property
    def total_rho(self) -> float:
        """The zCDP that a mechanism may plan with; a little under `budget.rho`, for rounding."""
        return self._plannable / 1e12

    @property
    def spent_rho(self) -> float:
        """The zCDP of the releases so far."""
        return rho_of(self._spent)

    @property
    def remaining_rho(self) -> float:
        """The zCDP that a mechanism may still plan with."""
        return max(0, self._plannable - self._spent) / 1e12

    @property
    def delta_aside(self) -> float:
        """The part of the budget's delta that thresholds may spend; rho comes from the rest."""
        return delta_within(self._record.delta_units)

    @property
    def remaining_delta(self) -> float:
        """What is left of `delta_aside`."""
        return delta_within(self._record.delta_units - self._delta_spent)

    @property
    def releases(self) -> tuple[Release, ...]:
        """The recorded releases, in their order."""
        return self._ledger.releases(self.id)

    @property
    def head(self) -> str:
        """The ledger's head, to be kept with what the run produced."""
        return self._ledger.head

    def gaussian(self, about: str, sigma: float, l2_squared: int | None = None) -> Spend:
        """Records discrete Gaussian noise on integers; costs l2_squared / (2 sigma^2).

        Args:
            about: What is measured, in words; public.
            sigma: The noise scale.
            l2_squared: Squared L2 sensitivity of what is measured; by default that of one
                marginal under the run's privacy unit.

        Source: Canonne, Kamath, Steinke 2020, Theorem 4 (for vectors: Corollary 16).
        """
        sigma = _check_sigma(sigma, about)
        l2_squared = self.budget.unit.l2_squared if l2_squared is None else l2_squared
        l2_squared = check_count(l2_squared, 1, f"{about}: l2_squared", _BOUND)
        cost = Fraction(l2_squared) / (2 * Fraction(sigma) ** 2)
        return self._spend("gaussian", about, {"sigma": sigma, "l2_squared": l2_squared}, cost)

    def threshold(self, about: str, sigma: float, delta: float) -> Spend:
        """Records counts of names that are themselves private; shown above a threshold only.

        The counts are those of all names that occur (every row counting for one), with discrete
        Gaussian noise; the least noisy count that is shown is recorded with the row, as low as
        `delta` allows. Costs l2_squared / (2 sigma^2) under the run's privacy unit, and delta out
        of what the run set aside for thresholds.

        Args:
            about: What is counted, in words; public.
            sigma: The noise scale.
            delta: The probability that a name shows that occurs in only one of two neighbours.

        Source: see `thresholds`.
        """
        sigma = _check_sigma(sigma, about)
        delta = check_delta(delta, f"{about}: delta")
        unit = self.budget.unit
        cost = Fraction(unit.l2_squared) / (2 * Fraction(sigma) ** 2)
        parameters = {
            "sigma": sigma,
            "l2_squared": unit.l2_squared,
            "threshold": least_published(sigma, delta, unit),
        }
        return self._spend("threshold", about, parameters, cost, delta_units_rounded_up(delta))

    def exponential(self, about: str, epsilon: float, sensitivity: int) -> Spend:
        """Records a choice by the exponential mechanism; costs epsilon^2 / 8.

        Bounded range epsilon gives the 8; it needs the exponential mechanism itself, with
        exp(epsilon score / (2 sensitivity)), and holds for scores that are not monotone.

        Args:
            about: What is chosen, in words; public.
            epsilon: The selection's epsilon.
            sensitivity: The most that one unit can change any score.

        Source: Cesar, Rogers 2021, Lemma 3.2.
        """
        epsilon = check_epsilon(epsilon, f"{about}: epsilon")
        sensitivity = check_count(sensitivity, 1, f"{about}: sensitivity", _BOUND)
        exact = 2 * sensitivity / Fraction(epsilon)
        scale = float(exact)
        if Fraction(scale) < exact:
            scale = math.nextafter(scale, math.inf)
        parameters = {"epsilon": epsilon, "sensitivity": sensitivity, "scale": scale}
        return self._spend("exponential", about, parameters, Fraction(epsilon) ** 2 / 8)

    def randomised_response(
        self, about: str, epsilon: float, categories: int, *, event: int | None = None
    ) -> Spend:
        """Records randomised response on a column; costs rows * epsilon^2 / 2 of zCDP.

        It publishes one answer a row, and so the number of rows: under add/remove adjacency that
        is not protected, and the run is refused.

        Args:
            about: What is asked, in words; public.
            epsilon: The pure DP parameter of one row's answer.
            categories: How many answers are possible.
            event: In a run with a programme, its number there; it costs what was planned. By
                default the one event with this epsilon.

        Source: Bun, Steinke 2016, Proposition 1.4 (epsilon-DP is epsilon^2 / 2 zCDP).
        """
        if self.programme is not None:
            if event is None:
                event = planned.find_response(self.programme, about, epsilon)
            answer = self._planned(event, "randomised-response", about)
            assert isinstance(answer, PureDP)
            parameters = planned.response(answer, about, epsilon, categories)
            return self._release(event, "randomised-response", about, parameters)
        epsilon = check_epsilon(epsilon, f"{about}: epsilon")
        categories = check_count(categories, 2, f"{about}: categories", "the number of answers")
        unit = self.budget.unit
        if unit.adjacency is not Adjacency.REPLACE_ONE:
            raise ParameterError(
                f"{about}: randomised response publishes the number of rows, which add-remove "
                "neighbours do not share: use replace-one adjacency, or a Gaussian on the counts"
            )
        cost = unit.rows * Fraction(epsilon) ** 2 / 2
        parameters = {"epsilon": epsilon, "categories": categories}
        return self._spend("randomised-response", about, parameters, cost)

    def vector(self, event: int, about: str, l2: int) -> Spend:
        """Records the release of a vector of integers: a Gaussian of the run's programme.

        The noise is `noise.integer_gaussian`, of scale noise_multiplier * l2.

        Args:
            event: The event's number in the programme.
            about: What is measured, in words; public.
            l2: L2 sensitivity of the vector under the run's privacy unit, in steps of the public
                grid that its integers count; about 2^30 is a good grid.
        """
        gaussian = self._planned(event, "vector", about)
        assert isinstance(gaussian, Gaussian)
        return self._release(event, "vector", about, planned.vector(gaussian, about, l2))

    def training(self, event: int, about: str) -> Spend:
        """Records a whole training: a subsampled Gaussian of the run's programme.

        Its coins and its noise, for all steps, are `noise.training`.

        Args:
            event: The event's number in the programme.
            about: What is trained, in words; public.
        """
        steps = self._planned(event, "training", about)
        assert isinstance(steps, SubsampledGaussian)
        return self._release(event, "training", about, planned.training(steps))

    def shuffled(self, event: int, about: str, l2: int, categories: int) -> Spend:
        """Records a noisy vector and a noisy label of every row, in an order that tells nothing.

        Args:
            event: The event's number in the programme.
            about: What is measured, in words; public.
            l2: The largest L2 distance of two rows' integer vectors, in grid steps.
            categories: How many labels are possible.
        """
        answers = self._planned(event, "shuffled", about)
        assert isinstance(answers, Shuffled)
        parameters = planned.shuffled(answers, about, l2, categories)
        return self._release(event, "shuffled", about, parameters)

    def close(self) -> None:
        """Ends the run: what was reserved and not recorded goes back to the data set."""
        with self._ledger.store.changing() as change:
            row = change.db.execute(
                "SELECT state, spent FROM runs WHERE id = ?", (self.id,)
            ).fetchone()
            if row[0] == "open":
                change.append("close", {"run": self.id, "spent": row[1]})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A run that may be repeated stays open after an error: the retry completes it.
        if error is None or self._record.request is None:
            self.close()

    def _spend(
        self,
        kind: str,
        about: str,
        parameters: Mapping[str, float | int],
        cost: Fraction,
        delta_units: int = 0,
    ) -> Spend:
        if self.programme is not None:
            raise LedgerError(
                f"run {self.id} ({self.mechanism} on {self.dataset!r}) has a programme, and "
                f"{about} is not in it; nothing was released. Release its events (vector, "
                "training, randomised_response), or begin a run without a programme"
            )
        units = units_rounded_up(cost)
        repeatable = self._record.request is not None
        with self._ledger.store.changing() as change:
            state, spent, delta_spent, seq = change.db.execute(
                "SELECT state, spent, delta_spent, releases FROM runs WHERE id = ?", (self.id,)
            ).fetchone()
            if repeatable and self._next < seq:
                asked = {"kind": kind, "about": about, "parameters": dict(parameters)}
                entry, key = self._recorded(change, self._next, asked)
            else:
                self._require_open(state)
                self._require_units(about, units, spent)
                self._require_delta(about, delta_units, delta_spent)
                body = {
                    "run": self.id,
                    "seq": seq,
                    "kind": kind,
                    "about": about,
                    "parameters": dict(parameters),
                    "units": units,
                    "delta_units": delta_units,
                }
                entry, key = self._append(change, body)
        release = release_of(entry)
        self._next = release.seq + 1
        self._spent += release.units
        self._delta_spent += release.delta_units
        return Spend(release, self._source(release, key))

    def _planned(self, place: int, kind: str, about: str) -> Event:
        if self.programme is None:
            raise LedgerError(
                f"run {self.id} ({self.mechanism} on {self.dataset!r}) has no programme, and "
                f"{about} is released as an event of one; nothing was released. "
                "Give begin the programme, or spend zCDP (gaussian, exponential)"
            )
        return planned.require_event(self.programme, place, kind, about)

    def _release(
        self, place: int, kind: str, about: str, parameters: Mapping[str, float | int]
    ) -> Spend:
        """Records an event of the programme, once; a repeated request gets its row again."""
        body = {"kind": kind, "about": about, "parameters": dict(parameters), "event": place}
        with self._ledger.store.changing() as change:
            if place in self._handed:
                self._refuse_twice(place, about)
            state, seq = change.db.execute(
                "SELECT state, releases FROM runs WHERE id = ?", (self.id,)
            ).fetchone()
            held = change.db.execute(
                "SELECT seq FROM releases WHERE run = ? AND event = ?", (self.id, place)
            ).fetchone()
            if held is None:
                self._require_open(state)
                fixed = {"run": self.id, "seq": seq, "units": 0, "delta_units": 0}
                entry, key = self._append(change, body | fixed)
            elif self._record.request is not None:
                entry, key = self._recorded(change, held[0], body)
            else:
                self._refuse_twice(place, about)
        self._handed.add(place)
        release = release_of(entry)
        return Spend(release, self._source(release, key))

    def _refuse_twice(self, place: int, about: str) -> NoReturn:
        raise LedgerError(
            f"{about}: event {place} of the programme of run {self.id} has been released already; "
            "nothing was released. Plan another event for another release"
        )

    def _append(self, change: Change, body: Mapping[str, object]) -> tuple[Entry, bytes | None]:
        """A release's row and, if the run may be repeated, its key: committed together."""
        key = None if self._record.request is None else os.urandom(KEY_BYTES)
        # The digest binds the noise to the row without telling anything about it.
        digest = None if key is None else hashlib.sha256(key).hexdigest()
        entry = change.append("release", {**body, "noise": digest})
        if key is not None:
            change.keep_secret(f"noise {entry.entry}", key)
        return entry, key

    def _recorded(
        self, change: Change, seq: int, asked: Mapping[str, object]
    ) -> tuple[Entry, bytes]:
        """The row that an earlier attempt at this request recorded at this place."""
        entry = entry_of(change, self.id, seq)
        content = entry.content
        held = {name: content[name] for name in asked}
        if held != asked:
            raise LedgerError(
                f"run {self.id} repeats request {self._record.request} and asks for {asked} as "
                f"release {seq}, where {held} is recorded; nothing was released. "
                "Repeat it with the same software and settings, or make a new request"
            )
        key = secret(change.db, f"noise {entry.entry}")
        if key is None:
            raise LedgerError(
                f"release {seq} of run {self.id} can no longer be repeated, because its "
                "noise key was forgotten: make a new request; nothing was released"
            )
        if hashlib.sha256(key).hexdigest() != content["noise"]:
            raise LedgerError(
                f"the noise key of release {seq} of run {self.id} is not the one that was "
                "recorded: restore the ledger from a copy that verifies; nothing was released"
            )
        return entry, key

    def _require_open(self, state: str) -> None:
        if state != "open":
            raise LedgerError(
                f"run {self.id} ({self.mechanism} on {self.dataset!r}) is {state} and spends no "
                "more: begin another run"
            )

    def _require_units(self, about: str, units: int, spent: int) -> None:
        if spent + units > self._total:
            raise BudgetError(
                f"run {self.id} ({self.mechanism} on {self.dataset!r}): {about} would cost rho "
                f"{rho_of(units):.6g}, and of the {rho_of(self._total):.6g} in {self.budget} only "
                f"{rho_of(self._total - spent):.6g} is left; nothing was released. "
                "Add more noise, measure less, or ask for a larger epsilon"
            )

    def _require_delta(self, about: str, delta_units: int, spent: int) -> None:
        aside = self._record.delta_units
        if spent + delta_units > aside:
            raise BudgetError(
                f"run {self.id} ({self.mechanism} on {self.dataset!r}): {about} would cost delta "
                f"{delta_of(delta_units):.6g}, and of the {delta_within(aside):.6g} that the run "
                f"set aside only {delta_within(aside - spent):.6g} is left; nothing was released. "
                "Set more of delta aside when the run begins, or show fewer kinds of names"
            )

    def _source(self, release: Release, key: bytes | None) -> NoiseSource:
        insecure = self._ledger.insecure_noise
        if insecure is not None:
            seed = hashlib.sha256(f"insecure {insecure}".encode()).digest()
            fixed = derive_key(seed, f"{self.id} {release.seq}")
            return NoiseSource(Backend.KEYED, fixed, silent=insecure == "off")
        return NoiseSource(self._ledger.backend, key)


def plannable_rho(budget: Budget, delta_aside: float = 0.0) -> float:
    """The `Run.total_rho` that a run with this budget will have."""
    return _plannable(units_within(budget, delta_units_rounded_up(delta_aside))) / 1e12


def _plannable(units: int) -> int:
    least = min(_ROUNDING_ROWS, units >> 3)
    return units - min(_ROUNDING_UNITS, max(units >> 10, least))


def _check_sigma(sigma: float, about: str) -> float:
    sigma = check_positive(sigma, f"{about}: sigma", "a noise scale such as 10.0")
    if sigma > LARGEST_SIGMA:
        raise ParameterError(
            f"{about}: sigma = {sigma!r} is above 2^40, where noise drowns any count: "
            "measure less, or give a larger epsilon"
        )
    return sigma


def entry_of(change: Change, run: int, seq: int) -> Entry:
    """The journal's row of a release."""
    return Entry(
        *change.db.execute(
            "SELECT journal.entry, journal.time, kind, body, hash FROM releases"
            " JOIN journal USING (entry) WHERE run = ? AND seq = ?",
            (run, seq),
        ).fetchone()
    )


def release_of(entry: Entry) -> Release:
    """The public face of a journal row."""
    content = entry.content
    return Release(
        seq=content["seq"],
        kind=content["kind"],
        about=content["about"],
        parameters=content["parameters"],
        units=content["units"],
        delta_units=content["delta_units"],
        time=entry.time,
        entry=entry.entry,
        hash=entry.hash,
        event=content.get("event"),
    )
