"""What encrypted work costs: operations counted, and estimated seconds. All of it is public."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Counts of operations on ciphertexts of records.

    Attributes:
        uploads: ciphertexts that are encrypted and sent.
        products: ciphertext by ciphertext, with the addition into an accumulator.
        plain_products: ciphertext by public polynomial.
        relinearisations: products brought back to two polynomials, with rescaling.
        merges: key switchings while packing.
        mirrors: key switchings of fresh ciphertexts.
    """

    uploads: int = 0
    products: int = 0
    plain_products: int = 0
    relinearisations: int = 0
    merges: int = 0
    mirrors: int = 0

    @property
    def seconds(self) -> float:
        """CPU seconds of the provider, estimated from one core of a 2.3 GHz server of 2023."""
        return (
            self.products * 2.7e-4
            + self.plain_products * 1.5e-4
            + self.relinearisations * 1.9e-3
            + self.merges * 9e-4
            + self.mirrors * 1.5e-3
            + self.uploads * 5e-4
        )

    @property
    def upload_seconds(self) -> float:
        """CPU seconds of the holders, estimated likewise."""
        return self.uploads * 6e-3
