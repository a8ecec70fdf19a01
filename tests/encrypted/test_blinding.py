"""Sums that are told without telling the numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.encrypted.blinding import shares_of_zero


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.sampled_from([21, 28]))
def test_pads_add_up_to_zero_over_every_output(outputs, bits):
    outputs = np.array(outputs)
    pads = shares_of_zero(outputs, bits)
    assert pads.min() >= 0
    assert pads.max() < 1 << bits
    for output in np.unique(outputs):
        assert pads[outputs == output].sum() % (1 << bits) == 0


def test_each_pad_alone_is_uniform():
    """Chi-square over 16 classes for both wires of an output (p above 1e-7 each)."""
    outputs = np.repeat(np.arange(20_000), 2)
    pads = shares_of_zero(outputs, 28).reshape(-1, 2)
    for wire in (0, 1):
        seen = np.bincount(pads[:, wire] >> 24, minlength=16)
        assert ((seen - 1250) ** 2 / 1250).sum() < 64
