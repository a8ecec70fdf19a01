"""Noise that several parties draw: each adds its share, and no one of them knows the sum.

A sum of discrete Gaussians is not a discrete Gaussian, but so near to one that the difference can
be charged for. With independent shares of scales s_1, ..., s_k, total variance S = s_1^2 + ... and
d cells, counts of squared L2 sensitivity q plus the sum are rho-zCDP for

    rho = q / (2 S) + tau d / 4,     tau = 10 sum_j exp(-2 pi^2 / (1 / S_j + 1 / s_{j+1}^2)),

where S_j is the variance of the first j shares. For scales above 4 and a million cells tau d is
below 10^-60; every term is computed and rounded up all the same.

References:
    Kairouz, Liu, Steinke. The Distributed Discrete Gaussian Mechanism for Federated Learning with
    Secure Aggregation. ICML 2021. Theorem 1 for equal shares; its proof adds up a bound for two
    (their convolution theorem), which holds for unequal shares as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ParameterError
from mezzotint.privacy.checks import check_count, check_positive
from mezzotint.privacy.noise import _gaussian
from mezzotint.privacy.run import Run
from mezzotint.privacy.spend import Spend

KIND = "shared-gaussian"
_PI_SQUARED_BELOW = Fraction(98696044, 10**7)
_UP = Context(prec=40, rounding=ROUND_CEILING, Emin=-(10**12), Emax=10**12, traps=[])
_SMALLEST = 0.5
_LARGEST_EXPONENT = 2000
"""exp of minus more than this takes long, and is nothing beside a unit of the ledger."""


def excess(scales: Sequence[float], cells: int) -> Fraction:
    """What the sum of shares costs more than one discrete Gaussian: tau d / 4, rounded up.

    Args:
        scales: of every share, each at least 1/2; in any order.
        cells: how many cells each share covers.
    """
    variances = [Fraction(check_positive(s, "scale", "a noise scale")) ** 2 for s in scales]
    if min(variances) < Fraction(_SMALLEST) ** 2:
        raise ParameterError(
            f"a share of noise of scale {min(scales):g} is below {_SMALLEST:g}, where sums of "
            "shares are not accounted for: ask for a smaller epsilon"
        )
    total, tau = variances[0], Decimal(0)
    for variance in variances[1:]:
        exponent = 2 * _PI_SQUARED_BELOW / (1 / total + 1 / variance)
        # A smaller exponent rounds the exponential up.
        power = math.floor(min(exponent, _LARGEST_EXPONENT) * 2**20)
        tau = _UP.add(tau, _UP.exp(_UP.divide(Decimal(-power), Decimal(2**20))))
        total += variance
    # The library's exp is correctly rounded to even; one unit in the last place covers it.
    return Fraction(tau) * 10 * (1 + Fraction(1, 10**30)) * cells / 4


def cost(scales: Sequence[float], l2_squared: int, cells: int) -> Fraction:
    """The zCDP of counts plus the sum of shares; never below the truth.

    Args:
        scales: of every share.
        l2_squared: squared L2 sensitivity of the counts.
        cells: how many counts there are.
    """
    total = sum((Fraction(scale) ** 2 for scale in scales), Fraction(0))
    return Fraction(l2_squared) / (2 * total) + (excess(scales, cells) if len(scales) > 1 else 0)


def record(
    run: Run,
    about: str,
    *,
    own: float,
    others: Sequence[float],
    cells: int,
    l2_squared: int | None = None,
) -> Spend:
    """Records counts to which others have added noise already, and this ledger adds its share.

    Guarantee: `cost` of all shares, for whoever knows none of them. Who knows the own share, or
        has left out the others', sees what the other part alone hides: see `views`.
    Sensitivity: ``l2_squared``; by default that of one marginal under the run's privacy unit.
    Source: see the module.

    Args:
        run: A run that spends zCDP.
        about: What is measured, in words; public.
        own: The scale of the share that this ledger's holder draws.
        others: The scales of the shares that are in the counts already.
        cells: How many counts there are.
        l2_squared: Squared L2 sensitivity.
    """
    l2_squared = run.budget.unit.l2_squared if l2_squared is None else l2_squared
    cells = check_count(cells, 1, f"{about}: cells", "how many counts there are")
    parameters: dict[str, float | int] = {
        "sigma": math.sqrt(sum(scale * scale for scale in (own, *others))),
        "l2_squared": l2_squared,
        "cells": cells,
        "own": own,
    }
    parameters |= {f"other_{number}": scale for number, scale in enumerate(others, 1)}
    price = cost((own, *others), l2_squared, cells)
    return run._spend(KIND, about, parameters, price)


def own_share(spend: Spend, size: int) -> NDArray[np.int64]:
    """Independent draws of the ledger's own share, int64[size].

    Guarantee: see `record`. Private and public: the draws are secret.
    """
    scale = float(spend.release.parameters["own"])
    return _gaussian(spend.open(KIND), scale, size)
