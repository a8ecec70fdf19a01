"""The randomness of a whole training: which rows a step takes, and its noise.

A training of many steps is one row of the ledger. Its key gives every step keys of its own, so that
coins and noise are pure functions of (row, step, label): a training that is resumed after a crash
under the same request is the same to the last bit, and costs nothing more.

What is exact, and what is not. The coins and the noise have exactly the laws that are accounted for
(`programme` says how the noise's grid is charged). The sum of clipped gradients that the noise is
added to is the caller's: floating-point sums of vectors of norm at most C may differ between
neighbours by a little more than C, and adding noise to a float rounds again. Neither is covered by
the accounting here; a caller that wants it exact rounds the sum to a multiple of the noise's `grid`
times C (a power of two times C) in float64 before it adds the noise, and counts that rounding
in C.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import LedgerError, ParameterError
from mezzotint.privacy.fine_gaussian import fine_gaussian
from mezzotint.privacy.keyed_bits import KeyedBits, derive_key
from mezzotint.privacy.programme import MOST_DRAWS, TRAINING_SIGMA

if TYPE_CHECKING:
    from mezzotint.privacy.releases import Release

MOST_LABELS = 16


class TrainingNoise:
    """Coins and noise of a training; made by `noise.training`, and bound to its process.

    Guarantee: what `programme` says for a subsampled Gaussian, if every step releases at most one
        vector: the sum, over the rows that the step's coins chose, of vectors of L2 norm at most
        C, plus C times the step's noise.
    Sensitivity: C, and the caller answers for it. A vector's noise may be drawn in blocks, each
        with a label of its own; a block's noise must not be used for anything else.
    Private and public: coins and noise are secret, the noised sums are public.
    Units: noise of scale `noise_multiplier`, in units of C.

    Attributes:
        noise_multiplier: The noise's scale in units of C.
        rate: The probability with which a row joins a step.
        steps: How many steps there are, numbered from 0.
        grid: Every number of noise is a multiple of this power of two.
    """

    def __init__(self, release: Release, key: bytes, *, silent: bool) -> None:
        self._about = release.about
        self._key = key
        self._silent = silent
        self._pid = os.getpid()
        self._labels: set[str] = set()
        self.noise_multiplier = float(release.parameters["noise_multiplier"])
        self.rate = float(release.parameters["rate"])
        self.steps = int(release.parameters["steps"])
        exponent = math.frexp(self.noise_multiplier)[1] - 1 - int(math.log2(TRAINING_SIGMA))
        self.grid = math.ldexp(1.0, exponent)
        self._sigma = math.ldexp(self.noise_multiplier, -exponent)
        self._below = math.floor(Fraction(self.rate) * 2**64)
        self._most = MOST_DRAWS // (MOST_LABELS * self.steps)

    def coins(self, step: int, n: int) -> NDArray[np.bool_]:
        """Which of `n` rows the step takes: each independently, with probability `rate`.

        The probability is `rate` rounded down to a multiple of 2^-64, which costs no privacy: a
        sample of a sample is a sample.

        Args:
            step: From 0 to `steps` - 1.
            n: How many rows there are.

        Returns:
            bool array of shape (n,); secret.
        """
        key = self._step_key(step, "coins")
        if n < 0:
            raise ParameterError(f"n = {n} is negative: give the number of rows")
        if self._below == 2**64:
            return np.ones(n, np.bool_)
        return KeyedBits(key, "coins").words(n) < np.uint64(self._below)

    def gaussian(
        self, step: int, size: int, label: str = "", dtype: type[np.floating] = np.float64
    ) -> NDArray[np.floating]:
        """Noise of one step, or of one block of it: N(0, noise_multiplier^2) on `grid`.

        Args:
            step: From 0 to `steps` - 1.
            size: How many numbers.
            label: The block's name; at most 16 of them.
            dtype: float64 holds the grid exactly; float32 rounds to 24 bits.

        Returns:
            Array of shape (size,); secret. To be multiplied by C.
        """
        key = self._step_key(step, f"noise {label}")
        self._labels.add(label)
        if not 0 <= size <= self._most or len(self._labels) > MOST_LABELS:
            raise ParameterError(
                f"{self._about}: size = {size} under {len(self._labels)} labels: a training of "
                f"{self.steps} steps draws at most {self._most} numbers a block, in at most "
                f"{MOST_LABELS} blocks; take fewer parameters or steps"
            )
        if self._silent:
            return np.zeros(size, dtype)
        return (fine_gaussian(key, self._sigma, size) * self.grid).astype(dtype, copy=False)

    def _step_key(self, step: int, purpose: str) -> bytes:
        if self._pid != os.getpid():
            raise LedgerError(
                f"the noise of {self._about} belongs to the process that recorded it: "
                "draw in that process, and hand the numbers to others"
            )
        if not 0 <= step < self.steps:
            raise LedgerError(
                f"{self._about}: step {step} is not among the {self.steps} that were recorded, "
                "from 0 on; plan more steps in the programme"
            )
        return derive_key(self._key, f"step {int(step)} {purpose}")

    def __repr__(self) -> str:
        return f"TrainingNoise({self._about!r}, {self.steps} steps)"

    def __reduce__(self) -> NoReturn:
        raise LedgerError(
            "the noise of a training is secret and cannot be pickled or copied: "
            "a resumed run asks for the same release under the same request"
        )
