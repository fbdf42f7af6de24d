"""Wherever symbols lie they are counted alike: by loops, by NumPy, and by nothing but the array API standard."""

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.arrays import on_host
from entropy_assets.core.sp800_90b.arrays import counts
from entropy_assets.core.sp800_90b.kernels import counts_for
from entropy_assets_tests.core.sp800_90b.conftest import by_arrays
from entropy_assets_tests.core.sp800_90b.sequences import sequences

COUNTS: dict[str, Callable[[Any], Any]] = {
    "bitstring": lambda symbols: on_host(counts_for(symbols).bitstring(symbols, 8)).tolist(),
    "most_frequent": counts.most_frequent,
    "most_frequent, bits": lambda symbols: counts.most_frequent(symbols & 1),
    "ones_and_pairs": lambda symbols: counts.ones_and_pairs(symbols & 1),
    "collisions": lambda symbols: counts_for(symbols).collisions(symbols & 1),
    "distances": lambda symbols: counts_for(symbols).distances(symbols & 1, symbols.shape[0] // 6, 9).tolist(),
}


@pytest.mark.parametrize("name", COUNTS)
def test_all_ways_count_alike(name: str) -> None:
    count = COUNTS[name]

    @given(sequences(alphabets=(2, 3, 256)))
    @settings(max_examples=25, deadline=None)
    def agree(drawn: tuple[np.ndarray, int]) -> None:
        expected = count(drawn[0])
        assert count(array_api_strict.asarray(drawn[0])) == expected
        with by_arrays():
            assert count(drawn[0]) == expected

    agree()


@given(
    st.sampled_from([4, 8, 95, 96, 97, 103, 104, 105, 106, 200, 201, 1000]), st.integers(0, 2**32), st.integers(0, 9)
)
@settings(max_examples=150, deadline=None)
def test_searches_are_followed_over_the_edges_of_pieces(length: int, seed: int, ones: int) -> None:
    """And up to the last bit: of few bits there is no whole piece."""
    bits = (np.random.default_rng(seed).random(length) < ones / 9).astype(np.uint8)
    place, found = 0, [0, 0]
    while place + 1 < length:
        is_two = bits[place] == bits[place + 1]
        found[0] += int(is_two)
        found[1] += int(not is_two and place + 2 < length)
        place += 2 if is_two else 3
    assert counts.collisions(bits) == tuple(found)


def test_no_byte_moves_but_counts_and_a_few_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols are counted where they lie: what comes to memory of 30,000 bits is a twentieth of them."""
    moved: list[int] = []

    def watched(values: Any) -> np.ndarray:
        moved.append(values.shape[0])
        return on_host(values)

    monkeypatch.setattr(counts, "on_host", watched)
    bits = array_api_strict.asarray(np.random.default_rng(1).integers(0, 2, 30_000).astype(np.uint8))
    counts.collisions(bits)
    counts.most_frequent(bits)
    counts.ones_and_pairs(bits)
    assert sum(moved) < 3 * 2 * 30_000 / 96 + 120
