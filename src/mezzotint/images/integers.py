"""One-shot releases: sums of bounded integer vectors, one vector a record, and Gaussian noise.

A record's vector is made of blocks. Every block has an integer bound on its L2 norm that holds for
every possible record, checked in integers and not by rounding's good will, and the bound of the
whole vector is the root of the sum of their squares. Adding or removing one record then changes the
exact integer sum by at most that.

The bound is only worth something if the other records' vectors stay the same to the last bit when
one is added: a matrix product in floating point may round a row differently in other company. So
everything that mixes numbers of a private record with public ones (`product`) is a product of
integers, small enough that every partial sum is exact in a double, in whatever order it is added
up; what stands between (roots, logarithms, exponentials) works on one number at a time.

References:
    Mironov. On Significance of the Least Significant Bits for Differential Privacy. CCS 2012.
    Casacuberta et al. Widespread Underestimation of Sensitivity in DP Libraries. CCS 2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mezzotint.privacy import noise
from mezzotint.privacy.run import Run

BALL = 2**14
"""The radius, in grid steps, of the ball into which vectors are brought before they are summed."""
UNIT = BALL**2
"""The bound, in grid steps, of a product of two such vectors; the unit of all blocks."""
CHUNK = 1000
"""So many records are worked on at a time."""
_EXACT = 2**53


@dataclass(frozen=True)
class Block:
    """A part of every record's vector. Public.

    Attributes:
        name: what it holds, in words.
        shape: of the sum.
        bound: L2 norm that no record's part exceeds, in grid steps.
    """

    name: str
    shape: tuple[int, ...]
    bound: int = UNIT

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def l2_bound(blocks: Sequence[Block]) -> int:
    """The L2 norm that no record's whole vector exceeds, in grid steps."""
    return math.isqrt(sum(block.bound**2 for block in blocks) - 1) + 1


def release(
    run: Run, event: int, about: str, blocks: Sequence[Block], sums: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The sums with one draw of discrete Gaussian noise, in units of grid steps.

    Guarantee: that of a Gaussian of the event's noise multiplier, under add/remove of one record;
        `Run.vector` records it first.
    Sensitivity: `l2_bound`, for sums over records of vectors whose blocks meet their bounds.
    Private and public: the sums are private; the blocks and the result are public.
    Units: grid steps, float64.
    Source: Canonne, Kamath, Steinke 2020.
    """
    spend = run.vector(event, about, l2=l2_bound(blocks))
    draws = noise.integer_gaussian(spend, sum(block.size for block in blocks))
    noised, start = [], 0
    for block, total in zip(blocks, sums, strict=True):
        if total.shape != block.shape or total.dtype != np.int64:
            raise ValueError(f"{block.name}: {total.dtype} {total.shape}, planned {block.shape}")
        part = draws[start : start + block.size].reshape(block.shape)
        noised.append((total + part).astype(np.float64))
        start += block.size
    return noised


def into_ball(values: np.ndarray, radius: float, ball: int = BALL) -> np.ndarray:
    """Rows as integer vectors of norm at most `ball`, which stands for `radius`.

    Longer rows are shortened; all numbers are cut towards zero. A row that is no number at all, or
    whose norm is not within the ball after all this, becomes zero.

    Args:
        values: finite floats, shape (n, d).
        radius: the longest norm that is not shortened.
        ball: the same in grid steps.

    Returns:
        float64 of shape (n, d) holding whole numbers.
    """
    norms = np.sqrt(np.square(values, dtype=np.float64).sum(axis=1))
    scale = ball / np.maximum(norms, radius)
    cut = np.trunc(values * scale[:, None])
    # Squares below 2^28, and sums of them below 2^53, are exact.
    within = np.square(cut).sum(axis=1) <= ball**2
    cut[~within] = 0.0
    return cut


def rounded(matrix: np.ndarray, rows: int) -> tuple[np.ndarray, float]:
    """A public matrix as whole numbers, fine enough, and the size of its grid step.

    Args:
        matrix: shape (d, k); `product` will multiply it by integer rows
        rows: of at most this norm.
    """
    largest = max(float(np.sqrt(np.square(matrix).sum(axis=0)).max(initial=0.0)), 1e-200)
    # Rounding lengthens a column by at most half a root of d: that is what the margin is for.
    step = largest * rows * 4.0 / _EXACT
    step = 2.0 ** math.ceil(math.log2(step))
    return np.rint(matrix / step), step


def product(rows: np.ndarray, whole: np.ndarray, step: float) -> np.ndarray:
    """Integer rows times a matrix of `rounded`: exact whatever the order of additions."""
    return (rows @ whole) * step


def class_sums(rows: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Sums of integer rows by label: int64 of shape (classes, d)."""
    members = (labels[:, None] == np.arange(classes)).astype(np.float64)
    return (members.T @ rows).astype(np.int64)


def outer_sums(rows: np.ndarray) -> np.ndarray:
    """The sum of the integer rows' outer products with themselves: int64 of shape (d, d).

    Every record's part has norm |row|^2: at most `UNIT` for rows within `BALL`.
    """
    return (rows.T @ rows).astype(np.int64)


def cross_sums(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The sum of the outer products of two integer rows a record: int64 of shape (d, e)."""
    return (rows.T @ others).astype(np.int64)


def chunks(n: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices that cover n records, `size` at a time."""
    for start in range(0, n, size):
        yield slice(start, min(n, start + size))


def symmetric(matrix: np.ndarray) -> np.ndarray:
    """The symmetric part: averages the noise of both halves."""
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2
