"""Ed25519 signatures (RFC 8032), through `cryptography`: who vouches for a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mezzotint.errors import ParameterError, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "Ed25519"
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Signature:
    """Who signed, and the proof.

    Attributes:
        public_key: 32 bytes in hexadecimal.
        signature: 64 bytes in hexadecimal.
    """

    public_key: str
    signature: str

    def require(self, message: bytes) -> None:
        """Raise VerificationError unless the key's holder signed just this message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
        try:
            key.verify(bytes.fromhex(self.signature), message)
        except InvalidSignature:
            raise VerificationError(
                f"the signature is not that of {self.public_key} on this text: it was changed "
                "after it was signed. Do not trust it; take an intact copy"
            ) from None

    def to_json(self) -> dict[str, str]:
        """As plain JSON values."""
        return {
            "algorithm": ALGORITHM,
            "public_key": self.public_key,
            "signature": self.signature,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises ValueError, KeyError or TypeError."""
        if data["algorithm"] != ALGORITHM:
            raise ValueError(f"algorithm {data['algorithm']!r} is not {ALGORITHM}")
        return cls(
            _hexadecimal(data["public_key"], _KEY_BYTES),
            _hexadecimal(data["signature"], _SIGNATURE_BYTES),
        )


class SigningKey:
    """A private key. It never prints itself."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> Self:
        """A new one, from the operating system's entropy."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a PEM file without a password (PKCS 8), as `openssl genpkey` writes it too."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        mend = "give the file that `mezzotint statement key` wrote"
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise ParameterError(f"{path}: {error.strerror or error}; {mend}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ParameterError(f"{path}: no private key that can be read; {mend}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ParameterError(f"{path}: a private key, but no {ALGORITHM} key; {mend}")
        return cls(key)

    @property
    def public_key(self) -> str:
        """32 bytes in hexadecimal; to be made known, so that others can check signatures."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> Signature:
        """Vouch for a message."""
        return Signature(self.public_key, self._key.sign(message).hex())

    def to_pem(self) -> bytes:
        """As a PEM file without a password (PKCS 8); secret."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_public_key(text: str) -> str:
    """A public key as users give it: 64 hexadecimal digits, or a file that holds them.

    Raises:
        ParameterError: if it is neither.
    """
    path = Path(text)
    try:
        found = path.read_text(errors="strict") if path.is_file() else text
        return _hexadecimal(found.strip().lower(), _KEY_BYTES)
    except (ValueError, OSError):
        raise ParameterError(
            f"{text!r}: no public key: give its 64 hexadecimal digits, or the file that "
            "`mezzotint statement key` wrote beside the private one"
        ) from None


def _hexadecimal(text: str, size: int) -> str:
    if len(bytes.fromhex(text)) != size or text != text.lower() or len(text) != 2 * size:
        raise ValueError(f"{text!r} is not {size} bytes in hexadecimal")
    return text
