"""How often tuples occur, for every width, whatever the number of windows that are sorted at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_90b.arrays import sorting
from entropy_assets.core.sp800_90b.tuples import longest_repeat, tuples_and_repeats
from entropy_assets_tests.core.sp800_90b import by_the_book
from entropy_assets_tests.core.sp800_90b.sequences import sequences

pytestmark = pytest.mark.usefixtures("way")


@given(sequences(alphabets=(2, 3, 5, 16, 256)), st.sampled_from([60, 1 << 24]))
@settings(max_examples=80, deadline=None)
def test_tuples_by_the_book(drawn: tuple[np.ndarray, int], at_once: int) -> None:
    """6.3.5 and 6.3.6: runs of sorted windows, the cut ones and longer ones count every tuple."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SORTED_AT_ONCE", at_once)
        found = tuples_and_repeats(*drawn)
    for ours, book in zip(found, by_the_book.tuples(drawn[0].tolist()), strict=True):
        assert (ours is None) == (book is None)
        assert ours is None or ours.min_entropy == pytest.approx(book, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 70])
@pytest.mark.parametrize("alphabet", [2, 256])
def test_short_sequences(n: int, alphabet: int) -> None:
    """Shorter than a window, as long, and a little longer."""
    symbols = np.resize(np.array([1, 0, 1, 1, 0], dtype=np.uint8), n)
    for ours, book in zip(tuples_and_repeats(symbols, alphabet), by_the_book.tuples(symbols.tolist()), strict=True):
        assert (ours.min_entropy if ours else ours) == (book if book is None else pytest.approx(book, abs=1e-12))


@pytest.mark.parametrize("alphabet", [2, 256])
def test_a_sequence_that_comes_twice_is_followed_to_its_end(alphabet: int) -> None:
    """Half of 6,000 symbols: NIST's tool takes the square of that in steps, and never comes back from a long file."""
    half = np.random.default_rng(alphabet).integers(0, alphabet, 3000).astype(np.uint8)
    symbols = np.concatenate((half, half))
    assert longest_repeat(symbols, alphabet) == 3000
    repeat = tuples_and_repeats(symbols, alphabet)[1]
    assert repeat is not None
    assert repeat.values["v"] == 3000
    pairs = {width: (3001 - width, math.comb(6001 - width, 2)) for width in range(100, 3001)}
    at_most = max((equal / all_) ** (1 / width) for width, (equal, all_) in pairs.items())
    assert repeat.values["p_hat"] == pytest.approx(at_most, rel=1e-12)
    capped = tuples_and_repeats(symbols, alphabet, 100)[1]
    assert capped is not None
    assert capped.values["v"] == 100


@given(st.integers(0, 2**32), st.sampled_from([2, 5, 256]))
@settings(max_examples=30, deadline=None)
def test_passages_that_come_again_and_again_are_counted(seed: int, alphabet: int) -> None:
    """Longer than a window, nested in each other, cut off by the end."""
    rng = np.random.default_rng(seed)
    passage = rng.integers(0, alphabet, 120).astype(np.uint8)
    parts = [passage[slice(*sorted(rng.integers(0, 121, 2)))] for _ in range(6)]
    symbols = np.concatenate([rng.integers(0, alphabet, 40).astype(np.uint8), *parts])
    for ours, book in zip(tuples_and_repeats(symbols, alphabet), by_the_book.tuples(symbols.tolist()), strict=True):
        assert (ours.min_entropy if ours else ours) == (book if book is None else pytest.approx(book, abs=1e-12))
