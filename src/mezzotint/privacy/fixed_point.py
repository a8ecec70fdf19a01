"""exp(-x) in fixed point, to a proven error."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

# 150 digits are 498 bits; the largest precision asked for is 320.
_CONTEXT = Context(prec=150, rounding=ROUND_HALF_EVEN, Emin=-(10**9), Emax=10**9)
MAX_BITS = 448


def exp_minus(x: Fraction, bits: int) -> int:
    """exp(-x) * 2**bits for x >= 0 as an integer, off by less than 1.

    `Decimal.exp` is correctly rounded, and beyond x = bits the value is below 2**-bits * 2**bits
    = 1 anyway. So the relative error before the final truncation is below
    (x + 2) * 10**-149 <= 2**-485, and 2**bits times that is below 2**-37.
    """
    assert 0 < bits <= MAX_BITS
    if x > bits:
        return 0
    exponent = _CONTEXT.divide(Decimal(-x.numerator), Decimal(x.denominator))
    return int(_CONTEXT.multiply(_CONTEXT.exp(exponent), Decimal(1 << bits)))
