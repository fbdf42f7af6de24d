"""A slice takes what follows from its own lines alone, and all of a region that it holds as a whole."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core.conditioning.conditioner import Conditioner
from entropy_assets.core.conditioning.cutting import SliceCutter
from entropy_assets.core.extraction.noise import NoiseExtractor, row_length
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, white
from entropy_assets_tests.core.second_hashing import MANIFEST, NOON, WITH_LINES, noise_of, second_slice

LINES = STANDARD.region_size
ends = st.lists(st.integers(0, 6 * LINES), min_size=2, max_size=12, unique=True).map(sorted)


def samples_of(planes: int) -> Any:
    return noise_of("cut", 6, planes * row_length(LINES), 0).samples


@given(ends, st.integers(1, 4))
def test_slices_are_what_a_second_implementation_takes(places: list[int], planes: int) -> None:
    """Wherever they begin and end, for grey and for colour; and their lengths are known beforehand."""
    samples = samples_of(planes)
    cutter = SliceCutter(samples, STANDARD)
    pieces = [bytes(cutter.piece(*part)) for part in pairwise(places)]
    assert pieces == [second_slice(samples, *part, LINES) for part in pairwise(places)]
    assert [cutter.length(*part) for part in pairwise(places)] == [len(piece) for piece in pieces]


@given(st.integers(1, 20), st.integers(0, 9))
def test_slices_are_the_same_in_any_order(size: int, first: int) -> None:
    """What was cut ahead is what is cut when it is asked for."""
    samples = samples_of(2)
    parts = [(begin, begin + size) for begin in range(first, 6 * LINES - size + 1, size)]
    onwards, backwards = SliceCutter(samples, STANDARD), SliceCutter(samples, STANDARD)
    ahead = [onwards.piece(*part) for part in parts]
    assert ahead == [backwards.piece(*part) for part in reversed(parts)][::-1]
    assert ahead == [second_slice(samples, *part, LINES) for part in parts]


def test_a_recipe_of_whole_regions_takes_rows_of_any_length() -> None:
    samples = noise_of("rows", 6, 37, 0).samples
    piece = SliceCutter(samples, recipe_named("ea-2026-1")).piece(2, 5)
    assert bytes(piece) == samples[2:5].tobytes()


def test_rows_that_are_no_planes_of_regions_are_refused() -> None:
    """What lies where in them is not known, so nothing can be cut."""
    with pytest.raises(InputRefused, match="can't be cut at lines"):
        Conditioner(WITH_LINES, MANIFEST, NOON, [noise_of("rows", 6, 131, 0)])


@pytest.mark.parametrize("first, end", [(0, 3), (3, 8), (3, 5), (5, 8), (0, 11), (6, 18), (13, 40)])
def test_a_slice_holds_nothing_of_a_pixel_outside_its_lines(first: int, end: int) -> None:
    """Every pixel that is not on its lines is changed: no byte of the slice is. What it shares with none is its own."""
    pixels = white((64, 64))
    noise = NoiseExtractor().extract(frame(pixels), bytes(32))
    mine = np.zeros(pixels.shape, dtype=np.bool_)
    for part in range(first, end):
        y, x = noise.regions[part // LINES]
        mine[y + part % LINES, x : x + LINES] = True
    changed = np.where(mine, pixels, white((64, 64), seed=2))
    changed.flat[pixels.argmin()] = pixels.min()  # the level that steps are counted from
    changed = np.maximum(changed, pixels.min())
    after = NoiseExtractor().extract(frame(changed), bytes(32))
    assert after.regions.tolist() == noise.regions.tolist()
    pieces = [bytes(SliceCutter(one.samples, STANDARD).piece(first, end)) for one in (noise, after)]
    assert pieces[0] == pieces[1]
    outside = [bytes(SliceCutter(one.samples, STANDARD).piece(end, end + 5)) for one in (noise, after)]
    assert outside[0] != outside[1]
