"""Rows with offsets are judged by what is left without them; rows that depend on each other are refused as before."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from entropy_assets.core.extraction.banding import without_row_offsets
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import Survey, survey_frame
from entropy_assets.errors import RejectionReason
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey

SIDE = 160
Reals = npt.NDArray[np.float64]
WITHOUT = replace(STANDARD, banding_share=0.0)


def noise(sigma: float = 5.0, seed: int = 1) -> Reals:
    return np.random.default_rng(seed).normal(0, sigma, (SIDE, SIDE))


def offsets(width: float = 20.0) -> Reals:
    """Give an offset for each row."""
    return np.random.default_rng(3).normal(0, width, (SIDE, 1))


def seen(codes: Reals) -> Survey:
    return survey(np.rint(1000 + codes).astype(np.int64))


WAVE = 20 * np.sin(2 * np.pi * np.arange(SIDE) / 16)[:, np.newaxis]
SPIKES = 20.0 * (np.arange(SIDE) % 8 == 3)[:, np.newaxis]
FIELDS = 20.0 * (np.arange(SIDE) % 2)[:, np.newaxis]


@pytest.mark.parametrize("sigma", [0.6, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("width", [0.6, 1.0, 3.0, 30.0])
def test_noise_under_row_offsets_is_as_live_as_without(sigma: float, width: float) -> None:
    """Offsets of any width, as a multiple of the noise; and sigma is that of the noise, not of the banding."""
    codes = np.rint(2000 + noise(sigma) + offsets(width * sigma)).astype(np.int64)
    found = survey(codes)
    assert found.live_fraction > 0.8
    assert found.median_sigma == pytest.approx(
        survey(np.rint(2000 + noise(sigma)).astype(np.int64)).median_sigma, rel=0.1
    )


@pytest.mark.parametrize("banding", [WAVE, SPIKES, FIELDS], ids=["a wave", "each 8th row", "each 2nd row"])
def test_banding_that_comes_in_waves_is_no_tile_and_no_jpeg(banding: Reals) -> None:
    assert seen(noise(3.0) + banding).live_fraction > 0.9


def test_spikes_on_a_grid_of_8_rows_are_no_jpeg() -> None:
    """Their coefficients lie on a lattice, since the same offset comes at the same place of each block."""
    codes = np.random.default_rng(1).normal(0, 3, (256, 256)) + 20.0 * (np.arange(256) % 8 == 3)[:, np.newaxis]
    found = seen(codes)
    assert found.live_fraction > 0.9
    assert found.comb_share < STANDARD.max_comb_share


def test_what_is_coloured_without_banding_too_is_told_as_it_is() -> None:
    """Where no offsets are, or not only they, nothing is measured anew: no square passes that did not pass before."""
    slightly = noise() + 0.15 * np.roll(noise(), 1, axis=1)
    for codes in (slightly, smoothed(noise(), 1) + offsets()):
        pixels = np.rint(1000 + codes).astype(np.int64)
        found, before = survey(pixels), survey_frame(frame(pixels), WITHOUT)
        assert (before.verdict == Verdict.CORRELATED).any()
        for name in ("verdict", "sigma", "correlation_x", "correlation_y"):
            assert (getattr(found, name) == getattr(before, name)).all(), name


def test_only_recipes_that_say_so_take_offsets_off() -> None:
    """Recipe ea-2026-1 calls a banded frame coloured, as it always did."""
    codes = np.rint(1000 + noise(3.0) + offsets()).astype(np.int64)
    for recipe in (recipe_named("ea-2026-1"), WITHOUT):
        found = survey_frame(frame(codes), recipe)
        assert found.dominant_reason is RejectionReason.CORRELATED
        assert not found.live.any()


def interpolated(codes: Reals) -> Reals:
    codes[1::2] = (codes[::2] + np.roll(codes[::2], -1, axis=0)) / 2
    return codes


def doubled(codes: Reals) -> Reals:
    codes[1::2] = codes[::2]
    return codes


def smoothed(codes: Reals, axis: int) -> Reals:
    return (codes + np.roll(codes, 1, axis=axis)) / 2**0.5


def interlaced(codes: Reals) -> Reals:
    fields = [smoothed(codes[first::2], 0) for first in (0, 1)]
    return np.stack(fields, axis=1).reshape(codes.shape)


def from_a_pool(codes: Reals, rows: int) -> Reals:
    return codes[np.random.default_rng(4).integers(0, rows, SIDE)]


DEPENDENT: dict[str, Callable[[], Any]] = {
    "rows interpolated": lambda: interpolated(noise()),
    "rows doubled": lambda: doubled(noise()),
    "rows doubled, and fresh noise": lambda: doubled(noise()) + noise(0.5, seed=2),
    "rows smoothed": lambda: smoothed(noise(), 0),
    "smoothed along the rows": lambda: smoothed(noise(), 1),
    "interlaced fields, smoothed each": lambda: interlaced(noise()),
    "enlarged": lambda: ndimage.zoom(noise(9.0)[:120, :120], SIDE / 120, order=1),
    "median of 3 x 3": lambda: ndimage.median_filter(noise(20.0), 3),
    "one row": lambda: from_a_pool(noise(), 1),
    "rows out of 8": lambda: from_a_pool(noise(), 8),
    "a tile of 64 rows": lambda: np.tile(noise()[:64], (3, 1))[:SIDE],
    "offsets of columns": lambda: noise() + offsets().T,
    "nothing but offsets": lambda: np.zeros((SIDE, SIDE)),
}


@pytest.mark.parametrize("banding", [offsets(), FIELDS], ids=["random", "by field"])
@pytest.mark.parametrize("made", DEPENDENT.values(), ids=DEPENDENT)
def test_rows_that_depend_on_each_other_are_refused_under_banding_too(
    made: Callable[[], Reals], banding: Reals
) -> None:
    """No square passes, or so few that the frame is dead."""
    assert seen(made() + banding).live_fraction < STANDARD.min_live_share


def test_the_level_of_a_row_is_its_upper_median_in_integers() -> None:
    squares = np.array([[[1, 2, 3, 100], [7, 7, 8, 8], [-5, -4, -3, -2], [0, 0, 0, 0]]], dtype=np.int16)
    expected = [[[-2, -1, 0, 97], [-1, -1, 0, 0], [-2, -1, 0, 1], [0, 0, 0, 0]]]
    assert without_row_offsets(squares).tolist() == expected
    widest = np.array([[[-8191] * 2 + [8191] * 2] * 4], dtype=np.int16)
    assert without_row_offsets(widest).min() == -16382
