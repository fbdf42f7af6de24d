"""Windows, their order and the runs in it are those that one finds by looking at every tuple."""

from collections import Counter

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.arrays import WORD_BITS, on_host
from entropy_assets.core.sp800_90b.arrays import sorting
from entropy_assets.core.sp800_90b.arrays.sorting import Windows
from entropy_assets_tests.core.sp800_90b.sequences import sequences

NAMESPACES = pytest.mark.parametrize("moved", [np.asarray, array_api_strict.asarray], ids=["NumPy", "the standard"])


def windows_of(symbols: np.ndarray, alphabet: int, moved) -> Windows:
    bits = max(1, (alphabet - 1).bit_length())
    return Windows(moved(symbols), bits, min(WORD_BITS // bits, len(symbols)))


@NAMESPACES
@pytest.mark.parametrize("bits", range(1, 9))
def test_a_window_holds_its_symbols_the_first_as_the_highest(moved, bits: int) -> None:
    symbols = np.random.default_rng(bits).integers(0, 1 << bits, 80).astype(np.uint8)
    windows = windows_of(symbols, 1 << bits, moved)
    written = "".join(f"{symbol:0{bits}b}" for symbol in symbols.tolist())
    whole = windows.widest * bits
    for start, found in zip(range(7, windows.count), on_host(windows.between(7, windows.count)).tolist(), strict=True):
        assert f"{found:064b}" == written[start * bits : start * bits + whole].ljust(64, "0")


@NAMESPACES
@settings(max_examples=30, deadline=None)
@given(sequences(alphabets=(2, 3, 16, 256)), st.sampled_from([60, 1 << 23]), st.integers(1, 150))
def test_runs_are_those_of_all_tuples(moved, drawn: tuple[np.ndarray, int], at_once: int, left: int) -> None:
    """Of every width up to a window, with those that the end cuts off, whatever is sorted at once."""
    symbols = drawn[0][-left:]
    windows = windows_of(symbols, drawn[1], moved)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SORTED_AT_ONCE", at_once)
        most, pairs = sorting.runs(windows)
    assert (most[0], pairs[0]) == (0, 0)
    for width in range(1, windows.widest + 1):
        tuples = Counter(symbols[i : i + width].tobytes() for i in range(len(symbols) - width + 1))
        assert most[width] == max(tuples.values()) - 1
        assert pairs[width] == sum(count * (count - 1) // 2 for count in tuples.values())


def test_an_end_limits_what_the_first_window_of_the_next_part_shares() -> None:
    """It may be the last of its part; these bits were found by trying: without that limit their pairs are too many."""
    rng = np.random.default_rng(2)
    length, share = int(rng.integers(66, 140)), rng.choice([0.5, 0.7, 0.85, 0.95])
    windows = windows_of((rng.random(length) < share).astype(np.uint8), 2, np.asarray)
    expected = sorting.runs(windows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SORTED_AT_ONCE", 5)
        assert np.array_equal(sorting.runs(windows), expected)


@NAMESPACES
@settings(max_examples=15, deadline=None)
@given(sequences(least=300, alphabets=(2, 16)), st.sampled_from([60, 1 << 23]))
def test_windows_that_occur_elsewhere_are_found(moved, drawn: tuple[np.ndarray, int], at_once: int) -> None:
    """All of their positions, in order, and which have one in common."""
    symbols = np.concatenate((drawn[0], drawn[0][20:120]))
    windows = windows_of(symbols, drawn[1], moved)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SORTED_AT_ONCE", at_once)
        starts, groups = sorting.repeated(windows, windows.ascending())
    held = [symbols[i : i + windows.widest].tobytes() for i in range(windows.count)]
    counts = Counter(held)
    assert starts.tolist() == [i for i, window in enumerate(held) if counts[window] > 1]
    assert groups.tolist() == [sorted(w for w in counts if counts[w] > 1).index(held[i]) for i in starts]


def test_what_is_sorted_at_once_is_bounded() -> None:
    counts = np.array([5, 0, 7, 1, 1, 30, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SORTED_AT_ONCE", 9)
        parts = list(sorting.ranges(counts))
    assert parts == [(0, 2), (2, 5), (5, 6), (6, 7)]
