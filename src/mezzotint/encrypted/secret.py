"""The secret key: creating it, encrypting under it, and decoding integers exactly or not at all.

The provider must not import this module (an import contract says so).

A decrypted CKKS value is never handed out: it is rounded, and refused where it is further from an
integer than the bound that was proved for the job. What leaves is then a function of the exact
integer only, so the approximation error, which is what attacks on approximate schemes live on (Li
and Micciancio, EUROCRYPT 2021), stays inside.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from mezzotint.encrypted.embedding import to_coefficients
from mezzotint.encrypted.library import loaded, saved, seal
from mezzotint.encrypted.presets import LARGEST_MARGIN, Preset
from mezzotint.encrypted.scheme import (
    Ciphertext,
    PublicKeys,
    Scheme,
    centred,
    galois_elements,
)
from mezzotint.errors import DataError, ParameterError


class SecretKeys:
    """A key pair, with its secret part. Encrypts in the short form and decodes."""

    def __init__(self, scheme: Scheme, secret: Any) -> None:
        bindings = seal()
        self.scheme = scheme
        self.preset = scheme.preset
        self._secret = secret
        self._decryptor = bindings.Decryptor(scheme.context, secret)

    @classmethod
    def create(cls, chosen: Preset | str) -> SecretKeys:
        """A fresh key pair from the library's randomness."""
        scheme = Scheme.of(chosen)
        return cls(scheme, seal().KeyGenerator(scheme.context).secret_key())

    @classmethod
    def load(cls, chosen: Preset | str, data: bytes) -> SecretKeys:
        """A key pair from the bytes of its secret part.

        Raises:
            DataError: Damaged, or made for other parameters.
        """
        scheme = Scheme.of(chosen)
        return cls(scheme, loaded(seal().SecretKey, scheme.context, data, "secret key"))

    def to_bytes(self) -> bytes:
        """The secret part. Whoever has it reads everything."""
        return saved(self._secret)

    def public(self) -> PublicKeys:
        """Fresh public and evaluation keys for this secret key."""
        bindings = seal()
        maker = bindings.KeyGenerator(self.scheme.context, self._secret)
        key = bindings.PublicKey()
        maker.create_public_key(key)
        public = saved(key)
        if self.preset.scheme == "bfv":
            return PublicKeys(self.preset.id, public)
        relin = saved(maker.create_relin_keys())
        galois = saved(maker.create_galois_keys(galois_elements(self.preset)))
        return PublicKeys(self.preset.id, public, relin, galois)

    @cached_property
    def _encryptor(self) -> Any:
        return seal().Encryptor(self.scheme.context, self._secret)

    def encrypt(self, values: np.ndarray) -> bytes:
        """One ciphertext of cells, int64[<= width]: half as many bytes as under the public key."""
        first, *rest = self.scheme.plain_cells(values)
        if not rest:
            return saved(self._encryptor.encrypt_symmetric(first))
        ciphertext = seal().Ciphertext()
        self._encryptor.encrypt_symmetric(first, ciphertext)
        for plain in rest:
            self.scheme.evaluator.add_plain_inplace(ciphertext, plain)
        return saved(ciphertext)

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
        return saved(self._encryptor.encrypt_symmetric(plain))

    def decode(
        self, ciphertext: Ciphertext, wanted: np.ndarray, *, margin: float = LARGEST_MARGIN
    ) -> np.ndarray:
        """The exact integers at the wanted coefficients of a ciphertext, int64[k], centred.

        Args:
            ciphertext: of cells; loaded with `Scheme.load`, so its kind has been checked.
            wanted: int64[k], coefficients 0 .. width - 1.
            margin: the job's proven bound (`Fit.margin`) on the distance to an integer.

        Raises:
            DataError: Some value is not within the margin of an integer, or the noise has
                swallowed the message: a wrong key, another job's file, or tampering. Nothing of
                the decrypted values is told.
        """
        wanted = np.asarray(wanted, dtype=np.int64)
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.preset.width:
            raise ParameterError(f"coefficients run from 0 to {self.preset.width - 1}.")
        plain = seal().Plaintext()
        try:
            self._decryptor.decrypt(ciphertext, plain)
        except (ValueError, RuntimeError) as error:
            raise DataError(f"ciphertext: cannot be decrypted ({str(error)[:80]}).") from error
        if self.preset.scheme == "bfv":
            return self._residues(ciphertext, plain)[wanted]
        values = to_coefficients(self._encoder.decode_complex(plain))[wanted]
        whole = np.rint(values)
        if float(np.abs(values - whole).max(initial=0.0)) > margin:
            raise DataError(
                "ciphertext: what was decrypted is not an integer within the proven margin. It "
                "was made with another key, belongs to another step, or was tampered with."
            )
        return centred(whole.astype(np.int64), self.preset)

    @cached_property
    def _encoder(self) -> Any:
        return seal().CKKSEncoder(self.scheme.context)

    def _residues(self, ciphertext: Ciphertext, plain: Any) -> np.ndarray:
        """BFV: all coefficients as signed integers, int64[width]."""
        if self._decryptor.invariant_noise_budget(ciphertext) < 1:
            raise DataError(
                "ciphertext: its noise has swallowed the message. It was made with another key, "
                "too many ciphertexts were added up, or it was tampered with."
            )
        values = np.zeros(self.preset.width, dtype=np.int64)
        count = plain.coeff_count()
        values[:count] = [plain.data(i) for i in range(count)]
        return centred(values, self.preset)
