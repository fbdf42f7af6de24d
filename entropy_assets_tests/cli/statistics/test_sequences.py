"""Sequences are the bits of the stream in their order, in each layout, whatever the pieces in which they come."""

import hashlib
import io

import numpy as np
import pytest

from entropy_assets.cli.statistics.sequences import Layout, Sequences, recognised
from entropy_assets.errors import InputRefused, InputTooShort

BITS = np.random.Generator(np.random.PCG64(1)).integers(0, 2, 300_000, dtype=np.uint8)


def written(layout: Layout) -> bytes:
    if layout is Layout.PACKED:
        return np.packbits(BITS).tobytes()
    if layout is Layout.BYTES:
        return BITS.tobytes()
    text = (BITS + ord("0")).tobytes()
    return b"\n".join(text[i : i + 25] for i in range(0, len(text), 25)) + b" \n"


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("bits", [8, 1000, 70_000, 100_000, 299_999, 300_000])
def test_sequences_follow_each_other(layout, bits):
    """Packed ones begin at a byte, the others at the next bit; what is left over at the end is told."""
    sequences = Sequences(io.BytesIO(written(layout)))
    step = -(-bits // 8) * 8 if layout is Layout.PACKED else bits
    taken = 0
    while (sequence := sequences.take(bits)) is not None:
        there = np.unpackbits(np.frombuffer(sequence, np.uint8))[:bits]
        assert np.array_equal(there, BITS[taken : taken + bits])
        taken += step
    assert taken == (300_000 - bits) // step * step + step
    assert sequences.left == max(0, 300_000 - taken)
    assert sequences.sha256 == hashlib.sha256(written(layout)).hexdigest()


@pytest.mark.parametrize("layout", Layout)
def test_the_layout_is_recognised(layout):
    """By the first piece; random packed bytes are no text."""
    assert Sequences(io.BytesIO(written(layout))).layout is layout


def test_nothing_is_taken_for_another_layout():
    """Blanks alone are no bits, and an empty file is neither."""
    assert recognised(b" \n") is Layout.PACKED
    assert recognised(b"") is Layout.PACKED
    assert recognised(b"0 1\r\n") is Layout.ASCII
    assert recognised(b"0 2") is Layout.PACKED


@pytest.mark.parametrize("layout", Layout)
def test_all_of_it_is_one_sequence(layout):
    """Where no length is given; and more than is held at once is refused with what to do."""
    assert Sequences(io.BytesIO(written(layout))).rest() == (np.packbits(BITS).tobytes(), 300_000)
    with pytest.raises(InputRefused, match="--bits N"):
        Sequences(io.BytesIO(written(layout))).rest(most=299_992)


def test_no_bits_are_an_error():
    with pytest.raises(InputTooShort, match="no bits"):
        Sequences(io.BytesIO(b"")).rest()


def test_a_byte_that_is_no_bit_is_named_with_its_place():
    """A comment far down a file of digits is not skipped."""
    text = b"01" * 40_000 + b"#"
    with pytest.raises(InputRefused, match=r"byte 80,000 is 0x23, and no bit in the layout 'ascii'"):
        Sequences(io.BytesIO(text)).rest()
    with pytest.raises(InputRefused, match="byte 2 is 0x02"):
        Sequences(io.BytesIO(bytes([0, 1, 2])), Layout.BYTES).rest()


def test_sequences_of_the_program_begin_at_four_bytes():
    """sts-2.1.2 reads groups of four bytes, and drops what is left of the last one."""
    data = bytes(range(1, 41))
    sequences = Sequences(io.BytesIO(data), group=4)
    assert [sequences.take(40), sequences.take(40)] == [data[:5], data[8:13]]
