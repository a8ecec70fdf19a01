"""The public side of encryption: contexts, public and evaluation keys, sums, what may be released.

Nothing here can decrypt: that is `mezzotint.encrypted.secret`, which the provider does not import.
All cryptography is the SEAL library's, through ``tenseal.sealapi``. Its bindings hold the
interpreter's lock, so work on several cores means several processes.

Bytes from elsewhere are checked after the library has read them: level, size, scale and form must
be exactly those expected. A checked ciphertext may still hold anything: who made it is the signed
manifest's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.encrypted.embedding import to_slots
from mezzotint.encrypted.library import loaded, saved, seal
from mezzotint.encrypted.presets import Preset, preset
from mezzotint.encrypted.randomness import one_time_pad, residues, small_sums
from mezzotint.errors import DataError, ParameterError

Ciphertext = Any
"""A ciphertext of the library; opaque outside this room."""


@dataclass(frozen=True)
class PublicKeys:
    """What everyone may have: the public part of a key pair, as bytes.

    Attributes:
        preset: the parameters' name.
        public: encrypts.
        relin: CKKS: brings products back to two polynomials. BFV: None.
        galois: CKKS: moves coefficients. BFV: None.
    """

    preset: str
    public: bytes
    relin: bytes | None = None
    galois: bytes | None = None


class Scheme:
    """A preset's context: what can be done with ciphertexts and no key at all."""

    def __init__(self, chosen: Preset) -> None:
        self.preset = chosen
        self._seal = seal()
        self.context = _context(chosen)
        self.evaluator = self._seal.Evaluator(self.context)
        self.cells_level = self.context.last_parms_id()
        self.top_level = self.context.first_parms_id()
        if chosen.scheme == "ckks":
            self._encoder = self._seal.CKKSEncoder(self.context)

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, chosen: Preset | str) -> Scheme:
        """The scheme of a preset or of its name.

        Raises:
            ParameterError: No such preset.
            MissingExtraError: The library is not installed.
        """
        return cls(preset(chosen) if isinstance(chosen, str) else chosen)

    def with_keys(self, keys: PublicKeys) -> Public:
        """The scheme together with public keys, loaded and checked.

        Raises:
            DataError: The keys are damaged, incomplete or belong to another preset.
        """
        return Public(self, keys)

    def save(self, ciphertext: Ciphertext) -> bytes:
        """A ciphertext as bytes."""
        return saved(ciphertext)

    def load(self, data: bytes | Path, *, scale: float | None = None) -> Ciphertext:
        """A ciphertext of cells from bytes or a file; of records if their scale is given.

        Raises:
            DataError: Damaged, of other parameters, or not the kind that is expected.
        """
        records = scale is not None
        what = "ciphertext of records" if records else "ciphertext of cells"
        limit = self.preset.record_bytes if records else self.preset.cells_bytes
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        if size > limit:
            raise DataError(f"{what}: {size} bytes, where at most {limit} are expected.")
        ciphertext = loaded(self._seal.Ciphertext, self.context, data, what)
        self._check(ciphertext, what, self.top_level if records else self.cells_level, scale)
        return ciphertext

    def add(self, ciphertexts: Sequence[Ciphertext]) -> Ciphertext:
        """The sum of ciphertexts of cells."""
        total = self._seal.Ciphertext()
        self.evaluator.add_many(list(ciphertexts), total)
        return total

    def add_plain(self, ciphertext: Ciphertext, values: np.ndarray) -> Ciphertext:
        """A ciphertext of cells plus public integers, int64[<= width]."""
        total = self._seal.Ciphertext()
        first, *rest = self.plain_cells(values)
        self.evaluator.add_plain(ciphertext, first, total)
        for plain in rest:
            self.evaluator.add_plain_inplace(total, plain)
        return total

    def plain_cells(self, values: np.ndarray) -> list[Any]:
        """Integers as plaintexts of cells that add up to them.

        One is enough, but for CKKS integers of more than a quarter of the modulus: the encoder
        wants room for a sign and a bit.

        Args:
            values: int64[<= width]; missing ones are 0.

        Raises:
            ParameterError: Too many, not integers, or larger than half of the modulus.
        """
        values, half = _integers(values, self.preset.width), 2 ** (self.preset.ring_bits - 1)
        largest = int(np.abs(values).max(initial=0))
        if largest > half:
            raise ParameterError(
                f"cells of up to {largest}: {self.preset.id} holds integers up to {half}. Lower "
                "the public maximum of rows or the noise."
            )
        if self.preset.scheme == "bfv":
            return [self._plain_integers(values % (2 * half))]
        parts = [values] if largest < half // 2 else [values // 2, values - values // 2]
        scale = self.preset.cell_scale
        return [self.plain(part.astype(np.float64), scale, self.cells_level) for part in parts]

    def plain(self, coefficients: np.ndarray, scale: float, level: Any) -> Any:
        """CKKS: a polynomial with these float64[<= width] coefficients, times a scale."""
        padded = np.zeros(self.preset.degree)
        padded[: len(coefficients)] = coefficients
        plaintext = self._seal.Plaintext()
        self._encoder.encode(to_slots(padded), level, scale, plaintext)
        return plaintext

    def padding(self, wanted: np.ndarray) -> list[tuple[Any, int]]:
        """Plaintexts, and how often to add each, that hide all coefficients but the wanted ones.

        Unwanted coefficients get a uniform residue of the modulus (BFV: of the plaintext
        modulus), which hides them perfectly, up to a distance of 2^-20 for CKKS. Wanted ones get,
        in CKKS, a bounded sum of uniforms: it drowns what the error says about the operands.
        """
        chosen, hidden = self.preset, np.ones(self.preset.degree, dtype=bool)
        hidden[wanted] = False
        if chosen.scheme == "bfv":
            pad = np.where(hidden, residues(chosen.degree, chosen.plain_bits), 0)
            return [(self._plain_integers(pad), 1)]
        low, middle, high = one_time_pad(chosen.degree, chosen.prime_bits[0])
        flood = small_sums(chosen.degree, chosen.flood)
        parts = (np.where(hidden, low, flood), middle * hidden, high * hidden)
        scale = chosen.cell_scale
        return [
            (self.plain(part / scale, scale, self.cells_level), times)
            for part, times in zip(parts, (1, 1, 8), strict=True)
        ]

    def _plain_integers(self, residues: np.ndarray) -> Any:
        """BFV: a polynomial with these coefficients, non-negative and below the modulus."""
        terms = [f"{value:X}x^{power}" for power, value in enumerate(residues.tolist()) if value]
        return self._seal.Plaintext(" + ".join(reversed(terms)) or "0")

    def _check(self, ciphertext: Ciphertext, what: str, level: Any, scale: float | None) -> None:
        ckks = self.preset.scheme == "ckks"
        expected = (scale or self.preset.cell_scale) if ckks else 1.0
        found = {
            "level": ciphertext.parms_id() == level,
            "number of polynomials": ciphertext.size() == 2,
            "form": ciphertext.is_ntt_form() == ckks,
            "scale": ciphertext.scale == expected,
        }
        for name, right in found.items():
            if not right:
                raise DataError(
                    f"{what}: its {name} is not the one that {self.preset.id} and this job "
                    "expect: it comes from another job or another step. Send the right file."
                )
        if ciphertext.is_transparent():
            raise DataError(f"{what}: it is not encrypted at all. Encrypt it again.")


class Public:
    """A scheme with public keys: encrypts, and prepares what may be decrypted."""

    def __init__(self, scheme: Scheme, keys: PublicKeys) -> None:
        bindings, context = seal(), scheme.context
        if keys.preset != scheme.preset.id:
            raise DataError(
                f"public keys: made for {keys.preset!r}, and this job uses {scheme.preset.id!r}. "
                "Create keys for this job's parameters."
            )
        self.scheme = scheme
        self.preset = scheme.preset
        public = loaded(bindings.PublicKey, context, keys.public, "public key")
        self.encryptor = bindings.Encryptor(context, public)
        self.relin = self.galois = None
        if scheme.preset.scheme == "ckks":
            if keys.relin is None or keys.galois is None:
                raise DataError("public keys: evaluation keys are missing. Send all public files.")
            self.relin = loaded(bindings.RelinKeys, context, keys.relin, "relinearisation key")
            self.galois = loaded(bindings.GaloisKeys, context, keys.galois, "rotation keys")
            if not all(self.galois.has_key(g) for g in galois_elements(scheme.preset)):
                raise DataError("rotation keys: some are missing. Create the keys again.")

    def encrypt(self, values: np.ndarray) -> bytes:
        """One ciphertext of cells, int64[<= width], as bytes."""
        return saved(self._encrypted(values))

    def encrypt_residues(self, values: np.ndarray) -> bytes:
        """One ciphertext of integers modulo 2^ring_bits, int64[<= width], of any size and sign."""
        return self.encrypt(centred(values, self.preset))

    def encrypt_cells(self, values: np.ndarray) -> list[bytes]:
        """A vector of cells, int64[any length], as the bytes of as many ciphertexts as it takes."""
        width = self.preset.width
        return [self.encrypt(values[i : i + width]) for i in range(0, len(values), width)]

    def encrypt_record(self, coefficients: np.ndarray, scale: float) -> bytes:
        """One ciphertext of records: a polynomial of small integers, at a layout's scale."""
        plain = self.scheme.plain(coefficients, scale, self.scheme.top_level)
        ciphertext = seal().Ciphertext()
        self.encryptor.encrypt(plain, ciphertext)
        return saved(ciphertext)

    def release(self, ciphertext: Ciphertext, wanted: np.ndarray) -> Ciphertext:
        """What may go to the key holder: nothing but the wanted coefficients can be decrypted.

        All others are one-time padded; a fresh encryption of zero makes the ciphertext's random
        part independent of its history; in CKKS the wanted ones' error is drowned.

        What the key holder could still learn from noise. BFV: a sum's noise does not depend on
        the summands, but for roundings of at most 1/2 each beside a fresh noise of standard
        deviation 167 or more. CKKS: the error of a product depends on the operands; it is below
        1e-5 rows as measured (`Fit.error` as proved), and noise of standard deviation
        FLOOD / sqrt(24) = 0.026 rows covers it, so even if one person could steer it freely, a
        cell would tell (1e-5 / 0.026)^2 / 2 < 1e-7 zCDP about them.

        Args:
            ciphertext: of cells.
            wanted: int64[k], coefficients 0 .. width - 1.

        Raises:
            ParameterError: A wanted coefficient is out of range.
        """
        wanted = np.asarray(wanted, dtype=np.int64)
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.preset.width:
            raise ParameterError(f"coefficients run from 0 to {self.preset.width - 1}.")
        zero = self._encrypted(np.zeros(0, dtype=np.int64))
        released = self.scheme.add([ciphertext, zero])
        for plain, times in self.scheme.padding(wanted):
            for _ in range(times):
                self.scheme.evaluator.add_plain_inplace(released, plain)
        return released

    def _encrypted(self, values: np.ndarray) -> Ciphertext:
        ciphertext = seal().Ciphertext()
        first, *rest = self.scheme.plain_cells(values)
        self.encryptor.encrypt(first, ciphertext)
        for plain in rest:
            self.scheme.evaluator.add_plain_inplace(ciphertext, plain)
        return ciphertext


def galois_elements(chosen: Preset) -> list[int]:
    """The automorphisms X -> X^g that are needed: the conjugation, and one per level of packing.

    X -> X^(N / 2^i + 1) changes the sign of every coefficient whose index is an odd multiple of
    2^i (Chen, Dai, Kim and Song, ACNS 2021).
    """
    n = chosen.degree
    return [2 * n - 1, *(n // 2**level + 1 for level in range(n.bit_length() - 1))]


def centred(values: np.ndarray, chosen: Preset) -> np.ndarray:
    """Integers modulo 2^ring_bits, int64, from minus half of that to just below half."""
    half = 2 ** (chosen.ring_bits - 1)
    return (values + half) % (2 * half) - half


def _integers(values: np.ndarray, width: int) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or len(values) > width or (values.size and values.dtype.kind not in "iu"):
        raise ParameterError(
            f"cells: expected at most {width} whole numbers in a row, got shape {values.shape} of "
            f"{values.dtype}."
        )
    return values.astype(np.int64)


def _context(chosen: Preset) -> Any:
    bindings = seal()
    kind = bindings.SCHEME_TYPE.BFV if chosen.scheme == "bfv" else bindings.SCHEME_TYPE.CKKS
    parameters = bindings.EncryptionParameters(kind)
    parameters.set_poly_modulus_degree(chosen.degree)
    primes = bindings.CoeffModulus.Create(chosen.degree, list(chosen.prime_bits))
    parameters.set_coeff_modulus(primes)
    if chosen.scheme == "bfv":
        parameters.set_plain_modulus(2**chosen.plain_bits)
    context = bindings.SEALContext(parameters, True, bindings.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise ParameterError(
            f"{chosen.id}: the library refuses these parameters at 128-bit security "
            f"({context.parameters_error_message()}). Install a supported version of tenseal."
        )
    return context
