"""Shuffles are fair, and the same wherever they are made again."""

import itertools
from collections import Counter

import numpy as np
import pytest

from entropy_assets.core.sp800_90b.iid.shuffles import Shuffler
from entropy_assets.errors import InputRefused
from entropy_assets_tests.core.sp800_90b.conftest import by_arrays

FIRST_DRAWS = (11520, 0, 1509978240, 1215971899390074240)
"""The first four outputs of xoshiro256** from the state 1, 2, 3, 4, worked by hand from its definition."""


def test_the_generator_is_the_published_one() -> None:
    """Of draws that are all small beside 2**64, each swap is with the place floor(draw * places / 2**64)."""
    places = np.arange(5, dtype=np.uint8)
    expected = list(range(5))
    for last, drawn in zip((4, 3, 2, 1), FIRST_DRAWS, strict=True):
        other = drawn * (last + 1) >> 64
        expected[last], expected[other] = expected[other], expected[last]
    Shuffler((1, 2, 3, 4)).shuffle(places)
    assert places.tolist() == expected


def test_both_ways_make_the_same_permutations() -> None:
    """By compiled loops and without, one after the other from the same stream."""
    pytest.importorskip("numba")
    both = []
    for _ in range(2):
        places, stream = np.arange(200, dtype=np.uint8).repeat(3), Shuffler.seeded(2026)
        first = [stream.shuffle(places), places.tolist()][1]
        stream.shuffle(places)
        both.append((first, places.tolist()))
        if len(both) == 1:
            with by_arrays():
                places, stream = np.arange(200, dtype=np.uint8).repeat(3), Shuffler.seeded(2026)
                first = [stream.shuffle(places), places.tolist()][1]
                stream.shuffle(places)
                both.append((first, places.tolist()))
    assert both[0] == both[1] == both[2]
    assert both[0][0] != both[0][1]


@pytest.mark.usefixtures("way")
def test_every_order_is_as_likely() -> None:
    """24 orders of four symbols in 4,800 shuffles: a chi-square with 23 degrees, beyond 58 once in 15,000."""
    stream = Shuffler.seeded(7)
    seen: Counter[tuple[int, ...]] = Counter()
    for _ in range(4800):
        places = np.arange(4, dtype=np.uint8)
        stream.shuffle(places)
        seen[tuple(places.tolist())] += 1
    assert set(seen) == set(itertools.permutations(range(4)))
    assert sum((count - 200) ** 2 / 200 for count in seen.values()) < 58


@pytest.mark.parametrize("state", [(0, 0, 0, 0), (1, 2, 3, 1 << 64), (-1, 2, 3, 4)])
def test_a_state_that_is_none_is_refused(state: tuple[int, int, int, int]) -> None:
    """From four zeros nothing but zeros would come."""
    with pytest.raises(InputRefused):
        Shuffler(state)
