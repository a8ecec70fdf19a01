"""Amplification by shuffling: what n noisy answers in random order say about one of them.

Every one of n rows gives a noisy vector and a noisy label (a Gaussian of noise multiplier sigma on
what can differ by 1, and epsilon-DP randomised response), and only the multiset of answers is seen.
Neighbours differ in one row's content; n is public.

Theorem (the clones of Feldman, McMillan, Talwar 2021, Theorems 3.2 and 3.8, with the constants of
the proof below). Let every pair of rows be (e0, d0)-indistinguishable by one answer R. With
p = (1 - d0) exp(-e0) and q = exp(e0) / (1 + exp(e0)), let C ~ Bin(n - 1, p), A ~ Bin(C, 1/2),
D ~ Bernoulli(q), and let H(e) be the hockey-stick divergence of (A + D, C - A + 1 - D) from
(A + 1 - D, C - A + D) at e. Then the shuffled answers are (e, d)-DP for every e and

    d = H(e) + d0 + (1 + exp(e)) (n - 1) exp(-e0) d0.

Proof. Rows x0, x1 differ. By Kairouz, Oh, Viswanath 2015 there are laws Q0, Q1, L0, L1 with
R(xb) = d0 Lb + (1 - d0) (q Qb + (1 - q) Q(1-b)): with probability d0 everything is lost. For any
other row x let Rb = min(R(xb), exp(e0) R(x)), of mass at least 1 - d0. R(x) is
exp(-e0) (R0 + R1) / 2 plus a non-negative rest; putting R(xb) for Rb and scaling the rest moves it
by at most exp(-e0) d0 in total variation, and n - 1 such moves in both worlds cost the last term.
Afterwards every other row is, with probability p / 2 each and whatever it holds, a draw from Q0 or
from Q1, and else something that does not depend on which of x0, x1 is there. Given how many draws
of Q0 and of Q1 there are, the shuffled answers are made without knowing which: choose at random who
of the others was no clone, draw, shuffle. So they are post-processing of the two counts. Where the
ratio of the counts' laws exceeds exp(e) is a threshold on the first count, given their sum.

Every d0 gives a valid bound, and the least of a few is taken. Without the shuffling the answers are
what they are, so the local epsilon bounds epsilon as well.

Units: probabilities. References: Feldman, McMillan, Talwar. Hiding Among the Clones. FOCS 2021.
    Kairouz, Oh, Viswanath. The Composition Theorem for Differential Privacy. ICML 2015.
    Balle, Wang. Improving the Gaussian Mechanism. ICML 2018 (Theorem 8: one Gaussian exactly).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

# What doubles may be off by, relative to sums of this kind and absolutely; far more than they are.
_RELATIVE = 1 + 1e-6
_ABSOLUTE = 1e-22
_REACH = 14.0
_LARGEST = 200.0


def local_delta(epsilon: float, noise_multiplier: float, answer: float) -> float:
    """Delta of one answer, unshuffled, at `epsilon`; never below the truth.

    Args:
        epsilon: Any real number.
        noise_multiplier: Of the Gaussian.
        answer: Epsilon of the randomised response.
    """
    keep = 1 / (1 + math.exp(-answer))
    ahead = _gaussian_delta(epsilon - answer, noise_multiplier)
    behind = _gaussian_delta(epsilon + answer, noise_multiplier)
    return (keep * ahead + (1 - keep) * behind) * _RELATIVE + _ABSOLUTE


@lru_cache(maxsize=4096)
def local_epsilon(delta: float, noise_multiplier: float, answer: float) -> float:
    """The epsilon at which `local_delta` is at most `delta`; infinite beyond 200."""
    return _least(lambda epsilon: local_delta(epsilon, noise_multiplier, answer) <= delta)


def clone_delta(epsilon: float, local: float, lost: float, rows: int) -> float:
    """H(epsilon) of the theorem.

    Args:
        epsilon: Where delta is stated.
        local: e0, and
        lost: d0: what one answer guarantees.
        rows: n.
    """
    from scipy.stats import binom

    others, p = rows - 1, (1 - lost) * math.exp(-local)
    spread = _REACH * math.sqrt(others * p * (1 - p)) + _REACH**2
    low = max(0, math.floor(others * p - spread))
    high = min(others, math.ceil(others * p + spread))
    c = np.arange(low, high + 1)
    weight = binom.pmf(c, others, p)
    beyond = 0.0 if (low, high) == (0, others) else 1e-30  # Bernstein: both tails are far below
    q = 1 / (1 + math.exp(-local))
    factor = math.exp(epsilon)
    share = (q * factor - (1 - q)) / ((2 * q - 1) * (1 + factor))
    if share >= 1:
        return beyond
    k = np.floor(share * (c + 1)).astype(np.int64) + 1
    first, second = binom.sf(k - 2, c, 0.5), binom.sf(k - 1, c, 0.5)
    gained = (q - factor * (1 - q)) * first + ((1 - q) - factor * q) * second
    # A threshold off by one, where rounding decides it, changes nothing: the terms vanish there.
    # The two tails nearly cancel; what doubles lose of them is far below 1e-12 of the larger.
    charged = weight * (np.maximum(gained, 0.0) + 1e-12 * first)
    return float(charged.sum()) * _RELATIVE + beyond + _ABSOLUTE


@lru_cache(maxsize=4096)
def shuffled_epsilon(delta: float, noise_multiplier: float, answer: float, rows: int) -> float:
    """Epsilon of the shuffled answers at `delta`; never above that of one answer, unshuffled.

    Args:
        delta: Where epsilon is stated.
        noise_multiplier: Of the Gaussian.
        answer: Epsilon of the randomised response.
        rows: How many answers are shuffled.
    """
    unshuffled = local_epsilon(delta, noise_multiplier, answer)
    best = unshuffled
    # d0 costs about n exp(-e0) d0 (1 + e^epsilon): the right size differs with e0.
    for exponent in range(1, 8):
        lost = delta * 10.0**-exponent / math.sqrt(rows)
        local = local_epsilon(lost, noise_multiplier, answer)
        if math.isinf(local):
            continue

        def fits(epsilon: float, local: float = local, lost: float = lost) -> bool:
            charged = lost + (1 + math.exp(epsilon)) * (rows - 1) * math.exp(-local) * lost
            return charged < delta and charged + clone_delta(epsilon, local, lost, rows) <= delta

        if math.isfinite(best) and not fits(best):
            continue
        best = min(best, _least(fits, best))
    return best


def _gaussian_delta(epsilon: float, noise_multiplier: float) -> float:
    """Balle, Wang 2018, Theorem 8, for any real epsilon."""
    from scipy.special import log_ndtr

    mu = 1 / noise_multiplier
    ahead = float(log_ndtr(mu / 2 - epsilon / mu))
    behind = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return max(0.0, -math.expm1(min(0.0, behind - ahead))) * math.exp(ahead)


def _least(fits: Callable[[float], bool], high: float = math.inf) -> float:
    """The least epsilon that fits, to a millionth, from above."""
    if math.isinf(high):
        high = 1.0
        while not fits(high):
            high *= 2
            if high > _LARGEST:
                return math.inf
    low = 0.0
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
