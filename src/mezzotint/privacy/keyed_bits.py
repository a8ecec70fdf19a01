"""Random bits as a function of a secret key: AES-256 in counter mode.

A spend's key is 32 bytes of `os.urandom`. Each consumer of a spend derives a key of its own with
HMAC-SHA256, so that no two of them ever read the same stream. The bits are as good as AES-256 is
a pseudorandom function: a computational assumption, and the only one the samplers make.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 32


def derive_key(key: bytes, label: str) -> bytes:
    """An independent key for the purpose that `label` names."""
    return hmac.new(key, label.encode(), hashlib.sha256).digest()


class KeyedBits:
    """A stream of random bits; the same key and label give the same stream on every machine."""

    def __init__(self, key: bytes, label: str) -> None:
        # Imported here because a run that draws little never needs it.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        cipher = Cipher(algorithms.AES256(derive_key(key, label)), modes.CTR(bytes(16)))
        self._encryptor = cipher.encryptor()

    def raw(self, count: int) -> bytes:
        """The next `count` bytes."""
        return self._encryptor.update(bytes(count))

    def words(self, count: int, dtype: str = "<u8") -> NDArray[np.unsignedinteger]:
        """The next `count` unsigned words; little endian, whatever the machine."""
        return np.frombuffer(self.raw(count * np.dtype(dtype).itemsize), dtype)

    def integer(self, bits: int) -> int:
        """The next integer of `bits` bits, a multiple of 8."""
        return int.from_bytes(self.raw(bits // 8), "big")
