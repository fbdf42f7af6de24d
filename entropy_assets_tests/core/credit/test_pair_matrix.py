"""Frames of one sensor are a restart matrix, and what stays the same in them is found by the restart tests."""

import numpy as np
import pytest

from entropy_assets.core.credit.pair_matrix import PairMatrix, assess_frames
from entropy_assets.core.extraction.survey import survey_of
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_90b.restarts import RESTARTS, assess_restarts, count_cutoff
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white


def frames(count: int, pattern: float = 0) -> list[Frame]:
    """Give so many frames of one sensor: noise of 8 steps, and a pattern that is so wide."""
    fixed = np.rint(np.random.default_rng(1).normal(0, pattern, (192, 192))).astype(np.int64)
    return [frame(white((192, 192), sigma=8, seed=50 + n) + fixed) for n in range(count)]


def laid_out(some: list[Frame]) -> PairMatrix:
    matrix = PairMatrix()
    for one in some:
        matrix.add(one, survey_of(one, STANDARD))
    return matrix


def test_a_row_is_a_frame_and_a_column_the_same_pixel_pair_in_all() -> None:
    """Each row is found again in its frame, all at the same places."""
    some = frames(3)
    matrix = laid_out(some)
    symbols, low = matrix.matrix(), (1 << matrix.bits_per_symbol) - 1
    assert (symbols.shape, symbols.dtype, matrix.bits_per_symbol) == ((3, RESTARTS), np.uint8, 5)
    pairs = np.stack([(one.pixels[0, :, 1::2] - one.pixels[0, :, ::2]).ravel() & low for one in some])
    columns = {tuple(column) for column in pairs.T}
    assert {tuple(column) for column in symbols.T} <= columns


@pytest.mark.parametrize("width", [0, 4])
def test_the_share_that_is_fixed_is_measured(width: float) -> None:
    found = laid_out(frames(4, width)).pattern()
    assert found is not None
    assert found.share == pytest.approx(width**2 / (64 + width**2), abs=5 * found.error + 0.01)


def test_frames_of_another_sensor_and_the_same_exposure_again_are_refused() -> None:
    first, second = frames(2)
    matrix = laid_out([first])
    for other, why in ((frame(white((128, 192), sigma=8)), "another sensor"), (first, "same exposure")):
        with pytest.raises(InputRefused, match=why):
            matrix.add(other, survey_of(other, STANDARD))
    matrix.add(second, survey_of(second, STANDARD))
    assert matrix.frames == 2


@pytest.mark.slow
def test_a_full_matrix_is_judged_as_restart_data_are() -> None:
    """With 1,000 frames and 1,000 pairs the cutoffs, estimates and verdict are those of `assess_restarts`."""
    symbols = np.random.default_rng(3).integers(0, 4, (RESTARTS, RESTARTS), dtype=np.uint8)
    found, standard = assess_frames(symbols, 2, 1.8), assess_restarts(symbols, 2, 1.8)
    assert (found.of_rows.cutoff, found.of_columns.cutoff) == (standard.sanity.cutoff,) * 2
    assert max(found.of_rows.largest_count, found.of_columns.largest_count) == standard.sanity.largest_count
    assert (found.h_r, found.h_c, found.passed, found.h) == (standard.h_r, standard.h_c, standard.passed, standard.h)
    assert found.enough_frames


def test_a_column_is_held_to_the_cutoff_of_its_own_length() -> None:
    """Of 40 frames a pixel pair that is always the same fails, though 40 of 1,000 samples would be nothing."""
    symbols = np.random.default_rng(4).integers(0, 16, (40, RESTARTS), dtype=np.uint8)
    good = assess_frames(symbols, 4, 3.5)
    assert good.passed
    assert good.of_columns.cutoff == count_cutoff(3.5, 40, good.of_columns.alpha) < 40
    symbols[:, 7] = 3
    found = assess_frames(symbols, 4, 3.5)
    assert (found.of_columns.largest_count, found.of_rows.passed, found.passed, found.h) == (40, True, False, None)


def test_so_few_frames_that_no_column_can_fail_are_told_and_one_is_refused() -> None:
    symbols = np.zeros((3, RESTARTS), dtype=np.uint8)
    symbols[:] = np.random.default_rng(5).integers(0, 16, RESTARTS, dtype=np.uint8)
    assert not assess_frames(symbols, 4, 3.5).columns_can_fail
    with pytest.raises(InputRefused, match="two are needed"):
        assess_frames(symbols[:1], 4, 3.5)
    with pytest.raises(InputRefused, match="can't hold"):
        assess_frames(symbols, 4, 4.5)
