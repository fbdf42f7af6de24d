"""Linear complexity: the standard's example, a slow version by the book, registers of known length, and the law."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22.berlekamp_massey import linear_complexity

EXAMPLE = "1101011110001"
"""SP 800-22 rev 1a 2.10.8: 13 bits, whose shortest register has length 4."""


def by_the_book(bits: list[int]) -> int:
    """Give the linear complexity by lists of coefficients, step for step as in SP 800-22 rev 1a 3.10 and Massey."""
    n = len(bits)
    c, b = [1] + [0] * n, [1] + [0] * n
    length, last = 0, -1
    for place in range(n):
        discrepancy = bits[place]
        for i in range(1, length + 1):
            discrepancy ^= c[i] & bits[place - i]
        if discrepancy:
            before = list(c)
            for i in range(n + 1 - (place - last)):
                c[i + place - last] ^= b[i]
            if 2 * length <= place:
                length, last, b = place + 1 - length, place, before
    return length


def register(taps: tuple[int, ...], state: list[int], count: int) -> list[int]:
    """Give `count` bits of the register in which each bit is the sum of those `taps` places before it."""
    bits = list(state)
    while len(bits) < count:
        bits.append(sum(bits[-tap] for tap in taps) & 1)
    return bits[:count]


def test_the_example_of_the_standard_needs_four() -> None:
    """The 13 bits of 2.10.8 come from a register of length 4."""
    assert linear_complexity(np.array([int(bit) for bit in EXAMPLE])) == 4


@given(st.lists(st.integers(0, 1), max_size=80))
@settings(max_examples=300, deadline=None)
def test_it_agrees_with_the_book(bits: list[int]) -> None:
    """Every sequence has the complexity that the slow version finds."""
    assert linear_complexity(np.array(bits, dtype=np.uint8)) == by_the_book(bits)


@given(st.integers(0, 2**32), st.integers(200, 600))
@settings(max_examples=20, deadline=None)
def test_it_agrees_with_the_book_beyond_a_machine_word(seed: int, count: int) -> None:
    """Polynomials of several words are added and shifted whole."""
    bits = np.random.default_rng(seed).integers(0, 2, count)
    assert linear_complexity(bits) == by_the_book(bits.tolist())


@given(st.integers(1, 2**16 - 1), st.integers(64, 500))
@settings(max_examples=30, deadline=None)
def test_a_register_of_sixteen_bits_needs_sixteen(seed: int, count: int) -> None:
    """A maximal register (taps 16, 14, 13, 11) is found from any state, and so is every second or third bit of it."""
    bits = register((16, 14, 13, 11), [seed >> i & 1 for i in range(16)], 3 * count)
    assert linear_complexity(np.array(bits[:count])) == 16
    assert linear_complexity(np.array(bits[::2])) <= 16
    assert linear_complexity(np.array(bits[::3])) <= 16


def test_all_sequences_of_ten_bits_follow_the_law() -> None:
    """Of all sequences of n bits, 2**min(2n - 2L, 2L - 1) have complexity L: the law that SP 800-22 3.10 stands on."""
    n = 10
    found = np.bincount([linear_complexity(np.array(bits)) for bits in product((0, 1), repeat=n)], minlength=n + 1)
    assert found.tolist() == [1, *(2 ** min(2 * n - 2 * length, 2 * length - 1) for length in range(1, n + 1))]


@pytest.mark.parametrize("bits, needed", [([], 0), ([0] * 50, 0), ([0] * 49 + [1], 50), ([1] * 50, 1)])
def test_the_ends(bits: list[int], needed: int) -> None:
    """Nothing and zeros need no register; a one after zeros needs a register as long as the sequence."""
    assert linear_complexity(np.array(bits, dtype=np.bool_)) == needed
