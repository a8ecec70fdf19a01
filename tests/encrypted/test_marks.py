"""Marks: sums have the sums of marks, and nothing else has."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.encrypted.marks import BLOCK, MARKS, Marker, blocks

BITS = 28
HALF = 1 << (BITS - 1)


def made(marker, values, stream):
    count = len(values) // BLOCK
    return marker.make(values, stream), marker.once(stream, count)


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_sums_of_blocks_have_the_sums_of_marks(count, seed):
    rng = np.random.default_rng(seed)
    marker = Marker(b"secret", BITS)
    x = rng.integers(0, 10**5, count * BLOCK)
    z = rng.integers(-(10**4), 10**4, count * BLOCK)
    marks_x, once_x = made(marker, x, "x")
    marks_z, once_z = made(marker, z, "z")
    assert marker.right(x + z, (marks_x + marks_z) % (1 << BITS), once_x + once_z)
    # Any representative of the residues serves.
    assert marker.right(x + z - (1 << BITS), marks_x + marks_z - HALF * 2, once_x + once_z)


@given(st.integers(0, BLOCK - 1), st.integers(-(2**16), 2**16).filter(bool))
def test_a_changed_cell_is_found(cell, change):
    """A difference below 2^17 passes with probability 2^-44 at most: never, in any run of this."""
    marker = Marker(b"another secret", BITS)
    x = np.arange(BLOCK)
    marks, once = made(marker, x, "x")
    x = x.copy()
    x[cell] += change
    assert not marker.right(x, marks, once)


def test_doubling_is_found():
    marker = Marker(b"secret", BITS)
    x = np.arange(2 * BLOCK)
    marks, once = made(marker, x, "x")
    assert not marker.right(2 * x, 2 * marks, once)
    assert not marker.right(2 * x, 2 * marks, 2 * once + 1)


def test_secret_and_stream_matter():
    x = np.arange(BLOCK)
    one = Marker(b"one", BITS).make(x, "x")
    assert not np.array_equal(one, Marker(b"two", BITS).make(x, "x"))
    assert not np.array_equal(one, Marker(b"one", BITS).make(x, "y"))


def test_marks_hide_the_cells():
    """With once-numbers marks are uniform: a chi-square on the top 4 bits (p above 1e-7)."""
    marks = np.concatenate(
        [Marker(bytes([n]), BITS).make(np.zeros(BLOCK, np.int64), "x") for n in range(200)]
    )
    seen = np.bincount(marks >> (BITS - 4), minlength=16)
    expected = len(marks) / 16
    assert ((seen - expected) ** 2 / expected).sum() < 64


def test_blocks():
    assert [blocks(n) for n in (1, BLOCK, BLOCK + 1)] == [1, 1, 2]
    assert MARKS == 4
