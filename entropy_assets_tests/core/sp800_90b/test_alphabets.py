"""Symbols become bits, numbers without gaps and narrower symbols as the standard says."""

import numpy as np
import pytest

from entropy_assets.core.sp800_90b.alphabets import bitstring, measured_ranking, numbered, reduced
from entropy_assets.core.sp800_90b.arrays import counts
from entropy_assets.errors import InputRefused


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("at_once", [3, 1 << 20])
def test_bits_go_from_the_highest_to_the_lowest(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """3.1.3, across portions too."""
    monkeypatch.setattr(counts, "SAMPLES_AT_ONCE", at_once)
    bits = bitstring(np.array([6, 1, 0, 7, 2], dtype=np.uint8), 3)
    assert "".join(map(str, bits.tolist())) == "110001000111010"


def test_numbers_keep_the_order_of_the_symbols() -> None:
    """0 for the least that occurs."""
    places, alphabet = numbered(np.array([9, 200, 9, 4], dtype=np.uint8))
    assert (places.tolist(), alphabet) == ([1, 2, 1, 0], 3)


def test_a_symbol_is_made_of_the_bits_that_rank_first() -> None:
    """6.4: the first rank becomes the highest bit."""
    samples = np.array([0b1000_0000_0000, 0b0000_0010_0000, 0b0000_0000_0001], dtype=np.uint16)
    assert reduced(samples, (11, 5, 0), bits=3).tolist() == [4, 2, 1]
    assert reduced(samples, (0, 11), bits=1).tolist() == [0, 0, 1]


def test_the_bits_that_vary_least_are_dropped() -> None:
    """A counter in the upper bits of 16, noise in the lower 9: eight of those nine are kept."""
    rng = np.random.default_rng(6)
    samples = (rng.integers(0, 512, 4000) | 3 << 12).astype(np.uint16)
    ranking = measured_ranking(samples)
    assert sorted(ranking) == list(range(16))
    assert set(ranking[:9]) == set(range(9))
    kept = np.unique(reduced(samples, ranking))
    assert len(kept) == 256


@pytest.mark.parametrize("ranking", [(), (0, 0), (0, 16), (0, -1)])
def test_a_ranking_names_bits_that_are_there(ranking: tuple[int, ...]) -> None:
    """Each of them once, and enough."""
    with pytest.raises(InputRefused):
        reduced(np.zeros(4, dtype=np.uint16), ranking, bits=2)


def test_signed_samples_have_no_ranking() -> None:
    """Their sign would be a bit as any other."""
    with pytest.raises(InputRefused):
        measured_ranking(np.zeros(4, dtype=np.int16))
