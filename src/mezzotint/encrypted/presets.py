"""Parameter presets by name, and the proof that one fits a job: no wrap-around, exact rounding.

Every preset is frozen and versioned: a file that names it can be read for ever. Security is the
library's own check (128 bits, the homomorphic encryption standard's tables). What is proved here
is exactness. All bounds are worst case over the scheme's bounded noise (coefficients of secrets
are -1, 0 or 1, of noise at most 21), not "with high probability".

Marginals are added only, so they are BFV integers modulo 2^28 in the smallest ring there is.
Records are multiplied, which BFV does 36 times slower than CKKS: they are CKKS integers, and the
error that CKKS leaves is bounded below a half, so rounding recovers the integer. Messages sit
in the coefficients of polynomials, not in slots: a product then sums over rows by itself, and a
coefficient can be hidden by a one-time pad modulo q.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from mezzotint.errors import ParameterError

LARGEST_NOISE_COEFFICIENT = 21
"""The library's centred binomial noise: a difference of two sums of 21 bits."""

MOST_SUMMANDS = 256
"""Ciphertexts of cells that may be added up: holders, noise, re-randomisation."""

SCORE_SUMMANDS = 16
"""Ciphertexts that may be added to a score: noise, re-randomisation."""

FLOOD = 0.125
"""The largest value, in rows, of the noise that drowns CKKS errors before a decryption."""

LARGEST_MARGIN = 0.375
"""A preset serves only where the distance to the nearest integer is provably at most this."""


@dataclass(frozen=True)
class Preset:
    """A set of encryption parameters. All of it is public.

    Attributes:
        id: name and version; never reused for other parameters.
        scheme: "bfv" (additions) or "ckks" (products).
        degree: coefficients of a polynomial; cells in a ciphertext.
        prime_bits: bits of the primes of the modulus; in CKKS the last one serves key switching
            only, and the first one alone is left when cells are released.
        plain_bits: BFV: plaintexts are integers modulo 2^plain_bits. CKKS: 0.
        cell_bits: CKKS: cells are multiplied by 2^cell_bits. BFV: 0.
    """

    id: str
    scheme: Literal["bfv", "ckks"]
    degree: int
    prime_bits: tuple[int, ...]
    plain_bits: int = 0
    cell_bits: int = 0

    @property
    def width(self) -> int:
        """Cells in one ciphertext."""
        return self.degree

    @property
    def largest(self) -> int:
        """The largest absolute value of a cell that decodes: half of the modulus, less two."""
        return 2 ** (self.ring_bits - 1) - 2

    @property
    def ring_bits(self) -> int:
        """Cells are integers modulo 2^ring_bits: sums beyond half of it wrap around.

        In CKKS that is the first prime over the scale, off by less than 2^-20 for each wrap:
        primes are that near to powers of two.
        """
        if self.scheme == "bfv":
            return self.plain_bits
        return self.prime_bits[0] - self.cell_bits

    @property
    def cell_scale(self) -> float:
        """What a cell is multiplied by before it is encrypted."""
        return float(2**self.cell_bits)

    @property
    def flood(self) -> float:
        """The largest noise that drowns errors, in units of an encrypted coefficient."""
        return FLOOD * self.cell_scale

    def record_scale(self, fold: int) -> float:
        """What a record's entries are multiplied by, so that cells come out at `cell_scale`.

        A product of two has the scale's square, loses the second prime by rescaling, and gains
        ``fold`` when ``fold`` sums are packed side by side.
        """
        return sqrt(self.cell_scale * 2.0 ** self.prime_bits[1] / fold)

    @property
    def cells_bytes(self) -> int:
        """An upper bound on a saved ciphertext of cells, in bytes."""
        return 2 * self.degree * 8 + 1024

    @property
    def record_bytes(self) -> int:
        """An upper bound on a saved ciphertext of records, in bytes."""
        return 2 * self.degree * 8 * max(1, len(self.prime_bits) - 1) + 1024

    @property
    def fresh_error(self) -> int:
        """The largest coefficient of the noise of a fresh encryption under the public key.

        |e u + e0 + e1 s| <= 21 (2 N + 1). In CKKS the library encrypts one prime higher and
        divides by it: less than 2 of that is left, and (N + 1) / 2 for rounding. Encryption under
        the secret key has 21 and is covered.
        """
        if self.scheme == "bfv":
            return LARGEST_NOISE_COEFFICIENT * (2 * self.degree + 1)
        return (self.degree + 1) // 2 + 3

    @property
    def switching_error(self) -> int:
        """The largest coefficient of the noise of one key switching, for one prime of the data.

        Digits below a prime times 21, summed over N, divided by a special prime of the same
        size (1.01 covers their ratio), and (N + 1) / 2 for rounding the division.
        """
        n = self.degree
        return int(1.01 * LARGEST_NOISE_COEFFICIENT * n) + (n + 1) // 2 + 1


PRESETS = {
    preset.id: preset
    for preset in (
        Preset("bfv-2048-v1", "bfv", 2048, (54,), plain_bits=28),
        Preset("ckks-8192-v1", "ckks", 8192, (60, 60, 60), cell_bits=39),
        Preset("ckks-8192-scores-v1", "ckks", 8192, (60, 60, 60), cell_bits=23),
    )
}
"""All presets by name."""


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ParameterError: There is none.
    """
    if name not in PRESETS:
        raise ParameterError(
            f"encryption parameters {str(name)[:60]!r}: unknown to this version; it knows "
            f"{', '.join(sorted(PRESETS))}. Create keys with this version, or upgrade."
        )
    return PRESETS[name]


@dataclass(frozen=True)
class Fit:
    """A preset and the proof that it serves a job.

    Attributes:
        preset: the parameters.
        largest: the largest absolute value a cell may take, counts and all noise together.
        error: a bound on a cell's error before rounding, in rows.
        margin: the greatest distance to an integer that is accepted, in rows.
    """

    preset: Preset
    largest: int
    error: float
    margin: float


def fit_marginals(*, rows: int, noise: int, holders: int = 1) -> Fit:
    """The preset for counts that are only added.

    Args:
        rows: the public bound on rows of all holders together.
        noise: a bound on the absolute noise in a cell, all shares together.
        holders: how many ciphertexts are added up, before noise.

    Raises:
        ParameterError: Nothing fits; the message says what to lower.
    """
    chosen = PRESETS["bfv-2048-v1"]
    _check_counts(rows=rows, noise=noise, holders=holders)
    _check_largest(chosen, rows, noise)
    # Noise must stay below q / (2 t); primes lie within 0.1 % of their power of two.
    room = 0.999 * 2.0 ** (chosen.prime_bits[0] - 1 - chosen.plain_bits)
    if MOST_SUMMANDS * (chosen.fresh_error + 1) >= room:
        raise ParameterError(
            f"{chosen.id}: its noise leaves no room for {MOST_SUMMANDS} summands. Use a preset of "
            "this version."
        )
    return Fit(chosen, chosen.largest, 0.0, 0.0)


def fit_records(
    *, rows: int, noise: int, fold: int, weights: tuple[int, int], chunks: int, parts: int = 1
) -> Fit:
    """The preset for records that are multiplied, with the error bound that rounding rests on.

    A product of two encryptions of 0/1 polynomials a and b with errors e and f has the error
    a f + b e + e f; a has at most ``weights[0]`` ones for each row, so summed over all rows
    ||a f|| <= rows * weights[0] * |f|. Key switching, rescaling and packing add the rest.

    Args:
        rows: the public bound on rows, padding included, of all row parts together.
        noise: a bound on the absolute noise in a cell, all shares together.
        fold: rows in a block, a power of two: sums that are packed side by side.
        weights: the most ones that a row has in a left and in a right polynomial.
        chunks: products that are added into one sum.
        parts: row parts, for the limit on summands.

    Raises:
        ParameterError: Nothing fits; the message says what to lower.
    """
    chosen = PRESETS["ckks-8192-v1"]
    _check_counts(rows=rows, noise=noise, holders=parts)
    _check_largest(chosen, rows, noise)
    scale = chosen.record_scale(fold)
    left = chosen.fresh_error
    right = left + 2 * chosen.switching_error
    error = rows * (weights[0] * right + weights[1] * left) / scale
    error += chunks * chosen.degree * left * right / scale**2
    # One rescaling, then packing: each level doubles message and error and switches keys once.
    packing = chosen.degree + 1 + chosen.switching_error + 2 * chosen.switching_error
    error += packing * fold / chosen.cell_scale
    error += MOST_SUMMANDS * chosen.fresh_error / chosen.cell_scale + 2.0**-20
    if error + FLOOD > LARGEST_MARGIN:
        raise ParameterError(
            f"{rows} rows (padding included) with records: products would carry an error of up "
            f"to {error:.3f} rows, and exact rounding needs at most {LARGEST_MARGIN - FLOOD}. "
            "Lower the public maximum of rows, or use the marginals layout."
        )
    return Fit(chosen, chosen.largest, error, error + FLOOD)


def fit_scores(*, rows: int, noise: int, weight: int, blocks: int, holders: int = 1) -> Fit:
    """The preset for squared distances of encrypted counts from public whole numbers.

    With y = counts - estimate, sum |y| <= 2 rows, so the product of y with its mirror image has
    an error of at most 2 rows (2 |e| + |key switching|), and a value of at most (2 rows)^2.

    Args:
        rows: the public bound on rows of all holders together, and on an estimate's sum.
        noise: a bound on the absolute noise in a score.
        weight: the largest weight that multiplies a distance.
        blocks: the most ciphertexts that one marginal takes.
        holders: whose counts are added up.

    Raises:
        ParameterError: Nothing fits; the message says what to lower.
    """
    chosen = PRESETS["ckks-8192-scores-v1"]
    _check_counts(rows=rows, noise=noise, weight=weight, blocks=blocks, holders=holders)
    _check_largest(chosen, weight * (2 * rows) ** 2, noise)
    scale = chosen.record_scale(1)
    fresh = holders * chosen.fresh_error + 1
    mirrored = fresh + 2 * chosen.switching_error
    error = 2 * rows * (fresh + mirrored) / scale
    error += blocks * chosen.degree * fresh * mirrored / scale**2
    error += (chosen.degree + 1 + chosen.switching_error) / chosen.cell_scale
    error *= weight
    error += SCORE_SUMMANDS * chosen.fresh_error / chosen.cell_scale
    if error + FLOOD > LARGEST_MARGIN:
        raise ParameterError(
            f"squared-l2 scores of {rows} rows with weight {weight}: they would carry an error of "
            f"up to {error:.3f}, and exact rounding needs at most {LARGEST_MARGIN - FLOOD}. Lower "
            "the public maximum of rows or the weights, or select by noisy marginals."
        )
    return Fit(chosen, chosen.largest, error, error + FLOOD)


def _check_counts(**numbers: int) -> None:
    for name, number in numbers.items():
        least = 0 if name == "noise" else 1
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ParameterError(f"{name}: must be a whole number >= {least}, got {number!r}.")
    if numbers["holders"] > MOST_SUMMANDS // 2:
        raise ParameterError(
            f"{numbers['holders']} holders: at most {MOST_SUMMANDS // 2} can be added up. "
            "Let some of them merge their tables first."
        )


def _check_largest(chosen: Preset, rows: int, noise: int) -> None:
    if rows + noise > chosen.largest:
        raise ParameterError(
            f"values of up to {rows} and {noise} of noise: {chosen.id} holds integers up to "
            f"{chosen.largest}, and a larger one would wrap around unseen. Lower the public "
            "maximum of rows, raise epsilon, or use the marginals layout."
        )
