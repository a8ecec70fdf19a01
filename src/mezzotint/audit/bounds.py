"""Lower bounds on epsilon from what an attacker guessed right.

A mechanism ran often on each of two neighbouring data sets (worlds 0 and 1), and every run was
given a score by an attacker who knows both. The first runs choose the attack (a threshold and a
direction): a fifth of them, or fewer where the law is known. The rest evaluates it, so that the
choice cannot flatter the result. Every bound is a lower confidence bound: a mechanism that keeps
its claim has a bound above the claim with probability at most 1 - confidence.

    score_bound     any (epsilon, delta)-DP mechanism; exact (Clopper, Pearson)
    gaussian_bound  Gaussian claims only; far tighter, because no tail has to be visited
    one_run_bound   one training run with many independent canaries

References:
    Clopper, Pearson. The Use of Confidence or Fiducial Limits. Biometrika 1934.
    Jagielski, Ullman, Oprea. Auditing Differentially Private Machine Learning. NeurIPS 2020.
    Nasr et al. Tight Auditing of Differentially Private Machine Learning. USENIX Security 2023
        (auditing by Gaussian DP).
    Hoeffding. On the Distribution of the Number of Successes in Independent Trials. 1956.
    Steinke, Nasr, Jagielski. Privacy Auditing with One (1) Training Run. NeurIPS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom, norm

from mezzotint.audit.claims import GaussianClaim, gaussian_epsilon
from mezzotint.errors import ParameterError

PILOT = 0.2
"""The share of the runs that chooses the threshold."""
# The middle of two normal laws is found with so many runs, or with this share of all.
_MIDDLE_RUNS, _MIDDLE_SHARE = 500, 0.05
CONFIDENCE = 0.95
_THRESHOLDS = 199
_LARGEST_EPSILON = 60.0

Scores = NDArray[np.float64]


def proportion_below(successes: int, trials: int, alpha: float) -> float:
    """The exact lower confidence bound of a proportion; wrong with probability at most alpha."""
    if successes == 0:
        return 0.0
    return float(beta.ppf(alpha, successes, trials - successes + 1))


def proportion_above(successes: int, trials: int, alpha: float) -> float:
    """The exact upper confidence bound of a proportion; wrong with probability at most alpha."""
    if successes == trials:
        return 1.0
    return float(beta.ppf(1 - alpha, successes + 1, trials - successes))


@dataclass(frozen=True)
class Rule:
    """An attack: world `world` is guessed where a score is above (or not above) a threshold.

    Attributes:
        threshold: Where the guess turns.
        above: Whether scores above the threshold speak for `world`.
        world: Which world is guessed.
    """

    threshold: float
    above: bool
    world: int

    def rates(self, worlds: tuple[Scores, Scores]) -> tuple[float, float]:
        """How often the guess is made in its own world, and in the other one."""
        own, other = (
            float(np.mean((w > self.threshold) == self.above))
            for w in (worlds[self.world], worlds[1 - self.world])
        )
        return own, other


def score_bound(
    world0: Scores, world1: Scores, delta: float, confidence: float = CONFIDENCE
) -> float:
    """Lower bound on epsilon at delta, for any mechanism.

    For an (epsilon, delta)-DP mechanism P1(E) <= e^epsilon P0(E) + delta for every event E, so
    epsilon >= log((P1(E) - delta) / P0(E)); both probabilities are replaced by exact confidence
    bounds, each at half of what `confidence` leaves.

    Args:
        world0: Scores of runs on one data set, shape (runs,).
        world1: Scores of runs on its neighbour, shape (runs,).
        delta: Where epsilon is stated.
        confidence: The probability with which the bound is right, at least.
    """
    pilot, rest = _split(world0, world1)
    return _bound(_best_rule(pilot, len(rest[0]), delta, confidence), rest, delta, confidence)


def gaussian_bound(
    world0: Scores, world1: Scores, claim: GaussianClaim, confidence: float = CONFIDENCE
) -> float:
    """Lower bound on epsilon at the claim's delta, where the claim is Gaussian DP.

    Under mu-Gaussian DP no guess is right in both worlds together more often than Phi(mu / 2) on
    average. The number of right guesses over all runs is a sum of independent coins; its upper
    tail is no heavier than that of a binomial with their mean (Hoeffding 1956), so the exact
    binomial bound stands, and mu >= 2 Phi^-1(it).

    Args:
        world0: Scores of runs on one data set, shape (runs,).
        world1: Scores of runs on its neighbour, as many.
        claim: The claim; it says at which delta epsilon is stated. Its mu is not used.
        confidence: The probability with which the bound is right, at least.
    """
    share = max(_MIDDLE_SHARE, min(PILOT, _MIDDLE_RUNS / max(1, len(world0))))
    pilot, rest = _split(world0, world1, share)
    means = [float(np.mean(world)) for world in pilot]
    threshold, upward = sum(means) / 2, means[1] >= means[0]
    right = int(((rest[1] > threshold) == upward).sum() + ((rest[0] > threshold) != upward).sum())
    share = proportion_below(right, len(rest[0]) + len(rest[1]), 1 - confidence)
    mu = 2 * float(norm.ppf(share)) if share > 0.5 else 0.0
    return gaussian_epsilon(mu, claim.delta)


def one_run_bound(
    canaries: int, guesses: int, right: int, delta: float, confidence: float = CONFIDENCE
) -> float:
    """Lower bound on epsilon at delta from one run with many canaries.

    Each of `canaries` units was in the data with probability one half, independently. The attacker
    guessed for `guesses` of them (how many was fixed beforehand) and was right `right` times.

    Source: Steinke, Nasr, Jagielski 2023, Theorem 5.2 and its p-value.

    Args:
        canaries: How many units were tossed for.
        guesses: For how many the attacker said "in" or "out".
        right: How many of those guesses were right.
        delta: Where epsilon is stated.
        confidence: The probability with which the bound is right, at least.
    """
    if not 0 <= right <= guesses <= canaries:
        raise ParameterError(
            f"right = {right}, guesses = {guesses}, canaries = {canaries}: each must be at most "
            "the next, and none negative"
        )
    alpha = 1 - confidence
    low, high = 0.0, _LARGEST_EPSILON
    if one_run_p(0.0, canaries, guesses, right, delta) > alpha:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        if one_run_p(middle, canaries, guesses, right, delta) <= alpha:
            low = middle
        else:
            high = middle
    return low


def one_run_p(epsilon: float, canaries: int, guesses: int, right: int, delta: float) -> float:
    """The largest probability of `right` right guesses under (epsilon, delta)-DP.

    Source: Steinke, Nasr, Jagielski 2023, Theorem 5.2.
    """
    chance = 1 / (1 + np.exp(-epsilon))
    tail = float(binom.sf(right - 1, guesses, chance))
    # P(right - i <= B < right), for i = 1, 2, ..., over i.
    below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, chance))
    steepest = float((below / np.arange(1, right + 1)).max(initial=0.0))
    return min(1.0, tail + steepest * delta * 2 * canaries)


def _split(
    world0: Scores, world1: Scores, share: float = PILOT
) -> tuple[tuple[Scores, Scores], tuple[Scores, Scores]]:
    if len(world0) != len(world1) or len(world0) < 10:
        raise ParameterError(
            f"there are {len(world0)} and {len(world1)} runs: give both worlds as many, at least 10"
        )
    pilot = int(share * len(world0))
    return (world0[:pilot], world1[:pilot]), (world0[pilot:], world1[pilot:])


def _bound(rule: Rule, worlds: tuple[Scores, Scores], delta: float, confidence: float) -> float:
    own, other = rule.rates(worlds)
    trials = len(worlds[0])
    return _plug_in(round(own * trials), round(other * trials), trials, delta, confidence)


def _plug_in(own: int, other: int, trials: int, delta: float, confidence: float) -> float:
    half = (1 - confidence) / 2
    numerator = proportion_below(own, trials, half) - delta
    denominator = proportion_above(other, trials, half)
    return max(0.0, float(np.log(numerator / denominator))) if numerator > 0 else 0.0


def _best_rule(pilot: tuple[Scores, Scores], trials: int, delta: float, confidence: float) -> Rule:
    """The rule that promises most on the pilot runs, were its rates those of the other runs."""
    runs = len(pilot[0])
    values = np.unique(np.concatenate(pilot))
    middles = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    if len(middles) > _THRESHOLDS:
        middles = middles[np.linspace(0, len(middles) - 1, _THRESHOLDS).astype(int)]
    beyond = [1 - np.searchsorted(np.sort(w), middles, side="right") / runs for w in pilot]
    # A far tail that a few pilot runs fell into promises much and holds little.
    least = max(5, runs // 2000) / runs
    half = (1 - confidence) / 2
    best, promise = Rule(float(middles[0]), above=True, world=1), -1.0
    for world in (0, 1):
        for above in (True, False):
            own, other = (b if above else 1 - b for b in (beyond[world], beyond[1 - world]))
            usable = own >= least
            own, other = own * trials, np.maximum(other, 1 / runs) * trials
            low = beta.ppf(half, np.maximum(own, 1), trials - own + 1)
            high = beta.ppf(1 - half, other + 1, np.maximum(trials - other, 1e-9))
            with np.errstate(divide="ignore", invalid="ignore"):
                promised = np.where(usable & (low > delta), np.log((low - delta) / high), -1.0)
            at = int(np.nanargmax(promised))
            if promised[at] > promise:
                best, promise = Rule(float(middles[at]), above, world), float(promised[at])
    return best
