"""Short cuts of MultiMMC and LZ78Y change nothing: bits by sorting, and no longer contexts once none can win."""

import numpy as np
import pytest
from hypothesis import given, settings

from entropy_assets.core.sp800_90b import contexts
from entropy_assets_tests.core.sp800_90b.conftest import by_arrays
from entropy_assets_tests.core.sp800_90b.sequences import sequences


@given(sequences(alphabets=(2, 3, 16, 256)))
@settings(max_examples=60, deadline=None)
def test_longer_contexts_count_no_more_after_the_last_tie(drawn: tuple[np.ndarray, int]) -> None:
    """After it, contexts of one sample predict what contexts of all lengths do."""
    with by_arrays():
        first, last = contexts._first_order(*drawn)
        everything = contexts._all_orders(*drawn)
    assert np.array_equal(first[last + 1 :], everything[last + 1 :])


def test_the_last_tie_of_noise_comes_soon() -> None:
    """Else nothing would be won."""
    bits = np.random.default_rng(1).integers(0, 2, 5000).astype(np.uint8)
    assert contexts._first_order(bits, 2)[1] < 200


@given(sequences(alphabets=(2,)))
@settings(max_examples=60, deadline=None)
def test_bits_are_sorted_into_their_contexts(drawn: tuple[np.ndarray, int]) -> None:
    """What sorting by one bit more at a time finds is what naming every context finds."""
    bits, _ = drawn
    sorted_out = np.stack(list(contexts._bit_hits(bits)))
    for row, found in zip(sorted_out, contexts._contexts(bits, 2), strict=True):
        assert np.array_equal(row, contexts.packed(contexts._guess_at(bits, found, 2) == bits))


@pytest.mark.parametrize("late", [200, 6000])
def test_a_symbol_that_comes_when_the_dictionary_may_be_full(late: int) -> None:
    """Its contexts may have found no room: then every length is looked at."""
    symbols = np.random.default_rng(2).integers(0, 4, 8000).astype(np.uint8)
    symbols[late::20] = 4
    _, last = contexts._first_order(symbols, 5)
    assert (last == len(symbols) - 1) == (late == 6000)
