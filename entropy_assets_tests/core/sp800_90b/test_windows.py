"""The most common of the last samples is the one that counting them gives (6.3.7)."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_90b import windows
from entropy_assets.core.sp800_90b.windows import bit_modes, modes
from entropy_assets_tests.core.sp800_90b.sequences import sequences


@given(sequences(alphabets=(2, 3, 16, 256)), st.sampled_from([1, 3, 15, 63]), st.sampled_from([1, 50, 1 << 16]))
@settings(max_examples=40, deadline=None)
def test_modes_are_those_of_a_count(drawn: tuple[np.ndarray, int], window: int, at_once: int) -> None:
    """Among equals the latest counts, and where the pieces end changes nothing."""
    symbols, alphabet = drawn
    n = len(symbols)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "SAMPLES_AT_ONCE", at_once)
        found = modes(symbols, window, window, n).tolist()
    for i, mode in enumerate(found, start=window):
        before = symbols[i - window : i].tolist()
        counts, latest = Counter(before), {symbol: place for place, symbol in enumerate(before)}
        assert mode == max(counts, key=lambda symbol: (counts[symbol], latest[symbol]))
    if alphabet == 2:
        assert bit_modes(symbols, window, window, n).tolist() == found
