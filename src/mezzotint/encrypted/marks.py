"""Marks: how the key holder knows that what it decrypts is what the data holders encrypted.

Whoever has the public key can add to a ciphertext, or double it, so that noise made for counts
would drown less than it should. Therefore data holders encrypt, beside every block of cells, a few
secret linear combinations of them, each hidden by a number that is used once:

    mark_k = sum_i weight_k,i * cell_i + once_k        modulo the plaintext modulus 2^b

Sums of blocks have the sums of the marks. Weights and once-numbers come from a secret that data
holders and key holder share and the provider never has (the invitation). The provider adds up marks
as it adds up cells; the key holder compares. An answer that differs from the true one by at most
2^v in some cell passes with probability at most 2^-(b - v) for each of the marks: the difference
times a uniform weight must hit one value, and it is divisible by at most 2^v.

Source: universal hashing with a one-time pad, Carter and Wegman 1981; used on sums, as in linearly
homomorphic authenticators (Catalano, Fiore 2013). The generator is SHAKE-256 with the secret in
front (FIPS 202).
"""

from __future__ import annotations

import hashlib
from math import ceil

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Cells that share their marks."""

MARKS = 4
"""Marks of a block."""

Ints = NDArray[np.int64]


def blocks(cells: int) -> int:
    """How many blocks hold this many cells."""
    return ceil(cells / BLOCK)


class Marker:
    """Makes and checks marks, for one shared secret and one modulus.

    Args:
        secret: the invitation.
        bits: b, where the plaintext modulus is 2^b.
    """

    def __init__(self, secret: bytes, bits: int) -> None:
        self._secret = hashlib.sha256(b"mezzotint marks v1" + secret).digest()
        self._mask = np.int64((1 << bits) - 1)
        self._weights = self._stream("weights", MARKS * BLOCK).reshape(MARKS, BLOCK)

    def make(self, values: Ints, stream: str) -> Ints:
        """Marks of whole blocks of cells, int64[len(values) / BLOCK * MARKS].

        Args:
            values: whole blocks; any sign.
            stream: a name that is used for these values and never for others.
        """
        count = len(values) // BLOCK
        return (self._weigh(values) + self.once(stream, count)).ravel() & self._mask

    def once(self, stream: str, count: int) -> Ints:
        """The once-numbers of a stream's first blocks, int64[count, MARKS]."""
        return self._stream(f"once {stream}", count * MARKS).reshape(count, MARKS)

    def right(self, values: Ints, marks: Ints, once: Ints) -> bool:
        """Whether decrypted blocks have the marks that they must have.

        Args:
            values: whole blocks, modulo 2^b in any representation.
            marks: their decrypted marks, int64[blocks * MARKS].
            once: the sum of the once-numbers of all summands, int64[blocks, MARKS].
        """
        return not np.any((self._weigh(values) + once - marks.reshape(-1, MARKS)) & self._mask)

    def _weigh(self, values: Ints) -> Ints:
        # Overflow of int64 keeps sums right modulo 2^64, and so modulo 2^b.
        return values.reshape(-1, BLOCK) @ self._weights.T

    def _stream(self, name: str, size: int) -> Ints:
        digest = hashlib.shake_256(self._secret + name.encode()).digest(8 * size)
        return np.frombuffer(digest, "<i8").astype(np.int64) & self._mask
