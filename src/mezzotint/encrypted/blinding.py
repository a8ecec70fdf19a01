"""Sums of numbers in different ciphertexts, told without telling the numbers.

To have the key holder decrypt x + z, where x and z sit in different places, the provider adds a
uniform number to x and takes it from z. Each on its own decrypts to a uniform number; their sum is
x + z. All other coefficients are hidden in the same way, and nothing has to be moved or masked
under encryption. This is additive secret sharing of zero over the wires of an output; what it
hides, it hides perfectly (modulo the plaintext modulus).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mezzotint.encrypted.circuit import Circuit
from mezzotint.encrypted.presets import Preset
from mezzotint.encrypted.randomness import residues
from mezzotint.encrypted.scheme import Ciphertext, Public, centred

Ints = NDArray[np.int64]


def blind(public: Public, circuit: Circuit, ciphertexts: Sequence[Ciphertext]) -> list[Ciphertext]:
    """What may go to the key holder for a circuit: it decrypts to the outputs and nothing else.

    Args:
        public: the job's scheme and keys.
        circuit: what is computed.
        ciphertexts: one for each term, the sum of all holders'.
    """
    bits = public.preset.ring_bits
    pads = shares_of_zero(np.concatenate([t.outputs for t in circuit.terms]), bits)
    released, start = [], 0
    for term, ciphertext in zip(circuit.terms, ciphertexts, strict=True):
        pad = np.zeros(public.preset.width, np.int64)
        pad[term.coefficients] = pads[start : start + len(term.coefficients)]
        start += len(term.coefficients)
        padded = public.scheme.add_plain(ciphertext, centred(pad, public.preset))
        released.append(public.release(padded, term.coefficients))
    return released


def shares_of_zero(outputs: Ints, bits: int) -> Ints:
    """Uniform numbers modulo 2^bits that add up to zero over the wires of every output.

    Args:
        outputs: for each wire, its output; int64[wires].
        bits: of the modulus.
    """
    pads = residues(len(outputs), bits)
    order = np.argsort(outputs, kind="stable")
    last = order[np.flatnonzero(np.diff(outputs[order], append=-1))]
    pads[last] = 0
    sums = np.zeros(int(outputs.max(initial=-1)) + 1, np.int64)
    np.add.at(sums, outputs, pads)
    pads[last] = -sums[outputs[last]]
    return pads & ((1 << bits) - 1)


def unblind(circuit: Circuit, decoded: Sequence[Ints], preset: Preset) -> Ints:
    """The outputs of a circuit from what its ciphertexts decrypt to; int64[size], centred.

    Args:
        circuit: what was computed.
        decoded: for each term, the integers at its coefficients.
        preset: the encryption parameters.
    """
    outputs = np.zeros(circuit.size, np.int64)
    for term, values in zip(circuit.terms, decoded, strict=True):
        np.add.at(outputs, term.outputs, values)
    return centred(outputs, preset)
