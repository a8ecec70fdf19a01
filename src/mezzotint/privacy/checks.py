"""Numbers that no privacy guarantee can be built on are refused in one place."""

from __future__ import annotations

import math
import operator

from mezzotint.errors import ParameterError

_SMALLEST_NORMAL = 2.2250738585072014e-308


def check_epsilon(epsilon: float, place: str = "epsilon") -> float:
    """`epsilon` as a float, if it is a positive, finite, normal number."""
    return check_positive(epsilon, place, "an epsilon such as 1.0")


def check_delta(delta: float, place: str = "delta") -> float:
    """`delta` as a float, if it lies strictly between 0 and 1."""
    value = check_positive(delta, place, "a delta such as 1e-9, well below 1 / (number of people)")
    if value >= 1:
        raise ParameterError(
            f"{place} = {delta!r} is not below 1: give a delta such as 1e-9, "
            "well below 1 / (number of people)"
        )
    return value


def check_rho(rho: float, place: str = "rho") -> float:
    """`rho` as a float, if it is a positive, finite, normal number."""
    return check_positive(rho, place, "a rho such as 0.01")


def check_positive(value: float, place: str, mend: str) -> float:
    """`value` as a float, if it is a positive, finite, normal number; `mend` names a good one."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{place} = {value!r} is not a number: give {mend}") from None
    # Subnormal doubles have lost digits already; no honest budget is that small.
    if isinstance(value, bool | str | bytes) or not (_SMALLEST_NORMAL <= number < math.inf):
        raise ParameterError(
            f"{place} = {value!r} must be a positive, finite, normal number: give {mend}"
        )
    return number


def check_count(value: int, least: int, place: str, mend: str) -> int:
    """`value` as an int, if it is a whole number of at least `least`; `mend` names a good one."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ParameterError(
            f"{place} = {value!r} must be a whole number of at least {least}: give {mend}"
        )
    return number
