"""How often tuples occur, for every width, whatever the number of windows that are sorted at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_90b import tuples
from entropy_assets.core.sp800_90b.tuples import tuples_and_repeats
from entropy_assets_tests.core.sp800_90b import by_the_book
from entropy_assets_tests.core.sp800_90b.sequences import sequences

pytestmark = pytest.mark.usefixtures("way")


@given(sequences(alphabets=(2, 3, 5, 16, 256)), st.sampled_from([60, 1 << 24]))
@settings(max_examples=80, deadline=None)
def test_tuples_by_the_book(drawn: tuple[np.ndarray, int], at_once: int) -> None:
    """6.3.5 and 6.3.6: runs of sorted windows, the cut ones and longer ones count every tuple."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuples, "SORTED_AT_ONCE", at_once)
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
