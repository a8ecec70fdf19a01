"""What the kernel's tests share: key pairs, tables, and plain counts to compare with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mezzotint.encrypted.embedding import to_coefficients
from mezzotint.encrypted.library import seal
from mezzotint.encrypted.scheme import Public, Scheme
from mezzotint.encrypted.secret import SecretKeys

BFV, CKKS, SCORES = "bfv-2048-v1", "ckks-8192-v1", "ckks-8192-scores-v1"


@lru_cache(maxsize=4)
def key_pair(name: str) -> tuple[SecretKeys, Public]:
    """One key pair for all tests of a preset: they do not depend on it."""
    secret = SecretKeys.create(name)
    return secret, Scheme.of(name).with_keys(secret.public())


def everything(secret: SecretKeys, ciphertext) -> np.ndarray:
    """All that the key holder can decrypt, unrounded: what a curious one would look at."""
    plain = seal().Plaintext()
    secret._decryptor.decrypt(ciphertext, plain)
    if secret.preset.scheme == "ckks":
        return to_coefficients(secret._encoder.decode_complex(plain))
    values = np.zeros(secret.preset.width)
    values[: plain.coeff_count()] = [plain.data(i) for i in range(plain.coeff_count())]
    return values


def counts(sizes: dict[str, int], clique: tuple[str, ...], codes: dict[str, np.ndarray]):
    """A marginal, counted row by row."""
    result = np.zeros(tuple(sizes[a] for a in clique), dtype=np.int64)
    for row in zip(*(codes[a].tolist() for a in clique), strict=True):
        result[row] += 1
    return result


def table(rng: np.random.Generator, sizes: dict[str, int], rows: int) -> dict[str, np.ndarray]:
    """Codes with some values much more common than others."""
    return {a: (rng.random(rows) ** 2 * size).astype(np.int64) for a, size in sizes.items()}
