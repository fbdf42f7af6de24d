"""Bits eight to a byte: the first one is the highest, and none beyond the end is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22.packed import PackedBits, ahead, all_ones, cyclic, windows
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays


def unpacked(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.astype(">u8").view(np.uint8))


@given(bit_arrays(least=0), st.binary(max_size=9))
@settings(max_examples=60, deadline=None)
def test_words_hold_the_bits_and_then_zeros(bits, more):
    """What lies behind the last bit, in its byte and in the bytes after it, never counts."""
    n = len(bits)
    packed = np.concatenate((np.packbits(bits), np.frombuffer(more, dtype=np.uint8)))
    if n % 8:
        packed[n // 8] |= 0xFF >> n % 8
    sequence = PackedBits(packed, n)
    assert np.array_equal(unpacked(sequence.words)[:n], bits)
    assert not unpacked(sequence.words)[n:].any()
    assert len(sequence.words) >= n // 64 + 2
    assert sequence.sum == 2 * int(bits.sum()) - n


@given(bit_arrays(least=70), st.integers(0, 63), st.integers(1, 64), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_what_is_done_to_words_is_done_to_their_bits(bits, shift, length, block):
    sequence = PackedBits.of(bits)
    longer = np.concatenate((bits, np.zeros(192, dtype=np.uint8)))
    n = len(bits)
    assert np.array_equal(unpacked(ahead(sequence.words, shift))[:n], longer[shift : shift + n])
    runs = [longer[i : i + length].all() for i in range(n)]
    assert np.array_equal(unpacked(all_ones(sequence.words, length))[:n], runs)
    assert np.array_equal(sequence.ones.before(np.arange(n + 1)), np.concatenate(([0], np.cumsum(bits))))
    window = min(block, length)
    begun = bits[: n // block * block].reshape(-1, block)[:, : block - window + 1].sum(axis=1)
    assert np.array_equal(sequence.ones.in_blocks(n // block, block, window), begun)


@given(bit_arrays(), st.integers(1, 25), st.data())
@settings(max_examples=60, deadline=None)
def test_windows_are_read_anywhere_and_around_the_ring(bits, length, data):
    n = len(bits)
    start = data.draw(st.integers(0, n))
    ring = np.resize(bits, n + 64)
    expected = [int("".join(map(str, ring[i : i + length])), 2) for i in range(start, n)]
    assert windows(cyclic(PackedBits.of(bits)), length, start, n).tolist() == expected


def test_a_sequence_is_one_row_of_bytes_and_no_longer_than_they_are():
    with pytest.raises(ValueError, match="16 bits are there, 17 are asked for"):
        PackedBits(b"ab", 17)
    with pytest.raises(ValueError, match="-1 are asked for"):
        PackedBits(b"ab", -1)
    with pytest.raises(TypeError, match="2 dimensions of float64"):
        PackedBits(np.zeros((2, 2)))
    assert PackedBits(memoryview(b"ab")).n == 16


def test_an_array_may_have_gaps():
    data = np.random.default_rng(1).integers(0, 256, 9000).astype(np.uint8)
    report = run_suite(data[::2], sizes=False)
    assert report.to_row() == run_suite(data[::2].copy(), sizes=False).to_row()


def test_what_is_made_once_is_not_made_again():
    sequence = PackedBits(b"ab")
    assert sequence.once("x", lambda: 1) == sequence.once("x", lambda: 2) == 1
