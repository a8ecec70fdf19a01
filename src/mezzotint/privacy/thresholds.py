"""How often a name must occur before it may be shown.

A table's names (categories, words, codes) are private: that a name occurs at all may be one unit's
secret. So all names that occur are counted with noise, and only those at or above a threshold are
shown. For neighbours D and D':

* Names in both are counted in both. Their noisy counts are rho-zCDP, and showing some of them is
  post-processing.
* A name in D alone is one unit's alone. There are at most `rows` of them, and none has a count
  above `rows`, under either adjacency; where a unit is replaced, D' has up to as many of its own.
  Let E be the event that D shows none of its own, E' that D' shows none of its own. Each fails
  with probability at most rows * P(noise >= threshold - rows) <= delta, and given E and E' the
  two results are the noisy counts of the common names, for noise is independent.

That is delta-approximate rho-zCDP: one delta, not two, although names may differ on both sides.

References:
    Korolova, Kenthapadi, Mishra, Ntoulas. Releasing Search Queries and Clicks Privately. WWW 2009.
    Bun, Steinke. Concentrated Differential Privacy. TCC 2016 (Definition 8.1: approximate zCDP).
    Canonne, Kamath, Steinke. The Discrete Gaussian for Differential Privacy. NeurIPS 2020.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, erfc, sqrt

from mezzotint.privacy.accounting import PrivacyUnit

# The C library's erfc is good to a few units in the last place; in the far tail its argument's
# rounding weighs up to 1,500 times as much. This is a thousand times more than both.
_ERFC_MARGIN = 1 + 1e-9
_STEPS = 64


def least_published(sigma: float, delta: float, unit: PrivacyUnit) -> int:
    """The least noisy count at which a name may be shown, for discrete Gaussian noise.

    Guarantee: under `unit`, a name that occurs in only one of two neighbours is shown with
        probability at most `delta`, all such names together.
    Source: a discrete Gaussian reaches a whole number m >= 1 with at most the probability that
        the continuous one reaches m - 1 (Canonne, Kamath, Steinke 2020, Proposition 25).

    Args:
        sigma: The noise scale.
        delta: The probability.
        unit: How many rows one unit contributes.
    """
    steps = 0
    while unit.rows * 0.5 * erfc(steps / _STEPS / sqrt(2)) * _ERFC_MARGIN > delta:
        steps += 1
    return unit.rows + 1 + ceil(Fraction(sigma) * steps / _STEPS)
