"""Colour mosaics: found by their period, laid out without loss, and no way past what a grey frame is held to."""

import dataclasses
import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import fft

from entropy_assets.core.arrays import windows_at
from entropy_assets.core.credit.sketches import sketch_of
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce
from entropy_assets.core.extraction.phases import (
    laid_out,
    levelled,
    levelled_squares,
    parts_of,
    period_of,
    squares_as_they_lie,
)
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import Survey, survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.scenarios.judging import Memory
from entropy_assets_tests.scenarios.sensors import QUAD_BAYER, RGBW, X_TRANS

Codes = npt.NDArray[np.int64]
SIDE = 256


def noise(shape: tuple[int, int] = (SIDE, SIDE), sigma: float = 8.0, seed: int = 1) -> Codes:
    return np.rint(np.random.default_rng(seed).normal(1000, sigma, shape)).astype(np.int64)


def mosaic(
    levels: tuple[float, ...] = (800, 1200, 1200, 900), shape: tuple[int, int] = (SIDE, SIDE), seed: int = 1
) -> Codes:
    """Return noise whose phases have these levels, in the order of their rows."""
    period = round(len(levels) ** 0.5)
    array = np.rint(np.array(levels)).astype(np.int64).reshape(period, period) - 1000
    tiled = np.tile(array, (shape[0] // period + 1, shape[1] // period + 1))
    return noise(shape, seed=seed) + tiled[: shape[0], : shape[1]]


def frame_of(codes: Codes, period: int = 2, usable: npt.NDArray[np.bool_] | None = None) -> Frame:
    return Frame.build(
        codes, usable, data=codes.tobytes(), bit_depth=16, container="fits", lossy=False, source="drop", mosaic=period
    )


def survey_of(codes: Codes, period: int = 2) -> Survey:
    return survey_frame(frame_of(codes, period), STANDARD)


# The period


@pytest.mark.parametrize("contrast, period", [(0.0, 1), (0.1, 1), (0.5, 2), (1.0, 2), (50.0, 2)])
@pytest.mark.parametrize("array", [(1, 0, 0, 0), (1, 0, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0), (2, 1, 1, 0)])
def test_a_mosaic_is_found_from_half_a_sigma_on(array: tuple[int, ...], contrast: float, period: int) -> None:
    """Below a sixth of a sigma neighbours are as good as of one colour; a row or column pattern is a mosaic too."""
    assert period_of(mosaic(tuple(1000 + 8 * contrast * place for place in array))) == period


@pytest.mark.parametrize("array, period", [(X_TRANS, 6), (QUAD_BAYER, 4), (RGBW, 4)])
@pytest.mark.parametrize("contrast", [0.05, 1.0])
def test_larger_arrays_are_found(array: str, period: int, contrast: float) -> None:
    """Also where one colour is twice as bright as the others, so that most of the pattern has a shorter period."""
    levels = tuple(1000 + contrast * {"R": -200.0, "G": 200.0, "B": -100.0, "W": 1000.0}[letter] for letter in array)
    assert period_of(mosaic(levels)) == period


def columns_of(period: int) -> Codes:
    """Return an offset of each column that comes again after `period`."""
    offsets = np.random.default_rng(period).permutation(np.linspace(0, 60, period)).astype(np.int64)
    return np.broadcast_to(offsets[np.arange(SIDE) % period], (SIDE, SIDE))


@pytest.mark.parametrize("period", [2, 3, 4, 5, 7])
def test_columns_of_several_amplifiers_are_a_mosaic_and_live(period: int) -> None:
    codes = noise() + columns_of(period)
    assert period_of(codes) == period
    assert survey_of(codes, 1).dominant_reason is RejectionReason.CORRELATED
    assert survey_of(codes, period).live_fraction > 0.9


@pytest.mark.parametrize("period", [3, 4, 5, 7])
def test_rows_that_repeat_are_banding_and_no_mosaic(period: int) -> None:
    """But for those of 2 and 6: rows of period 4 and 3 hold them, and are as live so as banding is."""
    codes = noise() + columns_of(period).T
    found = period_of(codes)
    assert found == {3: 6, 4: 2}.get(period, 1)
    assert survey_of(codes, found).live_fraction > 0.9


@pytest.mark.parametrize("ways", [1, 2])
def test_a_period_of_eight_is_no_mosaic(ways: int) -> None:
    """Coders of blocks have it, so neither it nor the period of 4 that it holds is excused."""
    pattern = np.random.default_rng(8).permutation(np.linspace(0, 60, 8**ways)).astype(np.int64)
    codes = (
        noise()
        + np.resize(pattern, (8 if ways == 2 else 1, 8))[
            np.arange(SIDE)[:, np.newaxis] % 8 * (ways - 1), np.arange(SIDE) % 8
        ]
    )
    assert period_of(codes) in (1, 2)
    assert survey_of(codes, period_of(codes)).live_fraction == 0


@pytest.mark.parametrize("period", [5, 7])
def test_an_array_that_does_not_fit_the_blocks_of_coders_is_none(period: int) -> None:
    codes = (
        noise()
        + np.resize(np.random.default_rng(1).integers(0, 60, (period, period)), (period, period))[
            np.arange(SIDE)[:, np.newaxis] % period, np.arange(SIDE) % period
        ]
    )
    assert period_of(codes) == 1
    assert survey_of(codes, 1).live_fraction == 0


def coded_in_blocks(codes: Codes, side: int, step: int) -> Codes:
    """Return `codes` after a coder of blocks of `side`, all of whose coefficients are multiples of `step`."""
    blocks = codes.reshape(SIDE // side, side, SIDE // side, side).swapaxes(1, 2).astype(np.float64)
    steps = np.rint(fft.dctn(blocks, axes=(2, 3), norm="ortho") / step) * step
    decoded = fft.idctn(steps, axes=(2, 3), norm="ortho").swapaxes(1, 2).reshape(SIDE, SIDE)
    return np.rint(decoded).astype(np.int64)


@pytest.mark.parametrize("side", [4, 8])
@pytest.mark.parametrize("step", [4, 12, 24])
def test_blocks_of_a_coder_are_no_mosaic(side: int, step: int) -> None:
    """On a slope too, whose blocks are stairs at coarse steps."""
    for slope in (0.0, 0.2):
        codes = coded_in_blocks(noise(sigma=6.0) + np.rint(slope * np.arange(SIDE)).astype(np.int64), side, step)
        assert period_of(codes) in (1, 2)
        assert survey_of(codes, period_of(codes)).live_fraction < STANDARD.min_live_share


@pytest.mark.parametrize("side, step, sigma", [(4, 2, 12.0), (4, 3, 6.0), (4, 8, 6.0), (8, 3, 6.0), (8, 8, 6.0)])
@pytest.mark.parametrize("first", ["mosaic", "coder"])
def test_a_mosaic_of_period_4_excuses_no_coder(side: int, step: int, sigma: float, first: str) -> None:
    """Whether the mosaic was coded, or its levels were put onto a picture that was: no step has moved."""
    levels = mosaic((700, 700, 900, 900, 700, 700, 900, 900, 900, 900, 800, 800, 900, 900, 800, 800)) - noise()
    fresh = noise(sigma=sigma, seed=3)
    coded = (
        coded_in_blocks(fresh + levels, side, step)
        if first == "mosaic"
        else coded_in_blocks(fresh, side, step) + levels
    )
    assert period_of(coded) == 4
    survey = survey_of(coded, 4)
    assert survey.live_fraction == 0
    assert survey.dominant_reason is RejectionReason.COMPRESSION_ARTEFACTS
    assert step == 8 or survey.lattice_rise > 90 or survey.comb_share > 0.9


def test_scenes_stars_and_readout_are_no_mosaic() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    slope, waves = (y + 2 * x).astype(np.int64), np.rint(60 * np.sin(x / 3)).astype(np.int64)
    stars = np.where(np.random.default_rng(3).random((SIDE, SIDE)) < 0.002, 20_000, 0)
    banding = [np.random.default_rng(seed).integers(0, 60, (SIDE, 1)) for seed in range(4)]
    for scene in (slope, waves, stars, *banding, banding[0].T, banding[1] + banding[2].T):
        assert period_of(noise() + scene) == 1


@pytest.mark.parametrize("side", [1, 2, 97])
def test_a_frame_without_a_block_shows_no_period(side: int) -> None:
    assert period_of(mosaic(shape=(side, side))) == 1
    assert period_of(np.full((SIDE, SIDE), 7)) == 1


def test_extreme_pixels_are_no_overflow() -> None:
    """Pixels may be as large as 2**53 either way."""
    ends = np.where(np.indices((SIDE, SIDE)).sum(axis=0) % 2, 1 << 53, -(1 << 53))
    assert period_of(ends) == 2


# The two orders


@given(st.sampled_from([2, 3, 4, 5, 6, 7]), st.integers(1, 300), st.integers(1, 300))
def test_laid_out_pixels_are_those_of_the_frame(period: int, height: int, width: int) -> None:
    """Each pixel stands in its phase, once; only the rest of a square is cut off."""
    plane = np.arange(height * width).reshape(height, width)
    laid = laid_out(plane, period, 32)
    rows, columns = (side // period // 32 * 32 for side in (height, width))
    for place, part in enumerate(parts_of(laid, period)):
        a, b = divmod(place, period)
        np.testing.assert_array_equal(part, plane[a::period, b::period][:rows, :columns])


def test_a_frame_without_mosaic_stays_as_it_is() -> None:
    plane = noise()
    assert laid_out(plane, 1, 32) is plane
    assert levelled(plane, 1) is plane


def test_a_square_as_the_sensor_lies_is_live_if_one_of_its_phases_is() -> None:
    live = np.zeros((4, 4), dtype=np.bool_)
    live[3, 0] = True  # phase (1, 0), square (1, 0)
    assert np.argwhere(squares_as_they_lie(live, 2)).tolist() == [[2, 0], [2, 1], [3, 0], [3, 1]]
    np.testing.assert_array_equal(squares_as_they_lie(live, 1), live)


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_levelled_phases_have_one_level_and_their_noise(kind: type[np.signedinteger]) -> None:
    codes = mosaic().astype(kind)
    grey = levelled(laid_out(codes, 2, 32), 2)
    assert grey.dtype == kind
    assert period_of(codes) == 2
    assert period_of(grey.astype(np.int64)) == 1
    assert grey.mean() == pytest.approx(0.5, abs=0.05)  # means are rounded down
    assert grey.std() == pytest.approx(8, rel=0.02)


@pytest.mark.parametrize("period", [2, 4, 5])
@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_some_squares_are_levelled_as_the_whole_frame_is(period: int, kind: type[np.signedinteger]) -> None:
    laid = laid_out(noise((410, 600)).astype(kind) * 3, period, 32)
    whole = levelled(laid, period)
    y, x = np.nonzero(np.random.default_rng(1).random([side // 32 for side in whole.shape]) < 0.3)
    squares, even = levelled_squares(laid, period, y, x, 32)
    assert squares.dtype == kind
    assert not even.any()
    np.testing.assert_array_equal(squares, windows_at(whole, 32 * y, 32 * x, 32, 32))


def test_the_laplacian_of_a_levelled_int16_fits_int16() -> None:
    codes = np.where(np.random.default_rng(5).random((SIDE, SIDE)) < 0.5, 0, 8191).astype(np.int16)
    grey = levelled(laid_out(codes, 2, 32), 2)
    assert 8 * int(np.abs(grey.astype(np.int64)).max()) <= np.iinfo(np.int16).max


# What is judged


def test_a_good_mosaic_is_live_everywhere() -> None:
    assert survey_of(mosaic(), 1).live_fraction == 0
    survey = survey_of(mosaic())
    assert survey.live_fraction == 1
    assert survey.verdict.shape == (SIDE // 32, SIDE // 32)


def test_samples_are_differences_within_one_colour() -> None:
    """Of a mosaic without noise in the even columns: their differences vanish, the odd columns' don't."""
    codes = mosaic()
    frame = frame_of(codes)
    samples = NoiseExtractor(STANDARD).extract(frame, deterministic_nonce(frame.image_sha256))
    laid = laid_out(codes, 2, 32)
    top, left = samples.regions[0]
    size = STANDARD.region_size
    region = laid[top : top + size, left : left + size]
    np.testing.assert_array_equal(
        samples.samples[0, : size**2 // 2],
        ((region[:, 1::2] - region[:, ::2]) // frame.adc_step).astype(np.uint8).ravel(),
    )
    assert len(samples.regions) == (SIDE // size) ** 2


def test_the_pixel_hash_is_that_of_the_frame_as_it_was_stored() -> None:
    """So a mosaic is the same exposure whatever its header says."""
    assert frame_of(mosaic(), 2).pixel_sha256 == frame_of(mosaic(), 1).pixel_sha256


def test_one_dead_phase_leaves_the_others() -> None:
    codes = mosaic()
    codes[::2, ::2] = 65_535
    assert survey_of(codes).counts == {"live": 48, "saturated": 16}


def test_a_missing_pixel_masks_the_square_of_its_phase() -> None:
    usable = np.ones((SIDE, SIDE), dtype=np.bool_)
    usable[3, 2 * 32 * 3] = False  # phase (1, 0), whose squares begin in row 4; square (0, 3) of it
    survey = survey_frame(frame_of(mosaic(), usable=usable), STANDARD)
    assert np.argwhere(survey.verdict == Verdict.MISSING).tolist() == [[4, 3]]


def halved(kind: str) -> Codes:
    """Return a frame of which half or more follows from the rest, while each phase by itself is white noise."""
    codes = noise()
    wide = np.roll(codes, -2, axis=0)
    if kind == "rows":
        codes[1::2] = (codes[::2] + wide[::2]) // 2
    elif kind == "rows, as noisy as the others":
        codes[1::2] = 1000 + np.rint(((codes[::2] + wide[::2]) / 2 - 1000) * 2**0.5).astype(np.int64)
    elif kind == "copied rows":
        codes[1::2] = codes[::2]
    elif kind == "copied rows + 2":
        codes[1::2] = codes[::2] + noise((SIDE // 2, SIDE), 2.0, seed=2) - 1000
    elif kind == "negative rows":
        codes[1::2] = 2000 - codes[::2]
    elif kind == "every pixel four times":
        codes = codes[: SIDE // 2, : SIDE // 2].repeat(2, axis=0).repeat(2, axis=1)
    elif kind == "one quarter of each square":
        rows, columns = np.indices((SIDE, SIDE)) % 64 < 32
        filled = (np.roll(codes, 1, axis=1) + np.roll(codes, -1, axis=1)) // 2
        odd = np.arange(SIDE) % 2 == 1
        codes = np.where(rows & columns & odd, filled, codes)
    return codes


@pytest.mark.parametrize(
    "kind",
    [
        "rows",
        "rows, as noisy as the others",
        "copied rows",
        "copied rows + 2",
        "negative rows",
        "every pixel four times",
        "one quarter of each square",
    ],
)
@pytest.mark.parametrize("contrast", [0, 1])
def test_pixels_that_follow_from_other_phases_are_not_live(kind: str, contrast: int) -> None:
    """Each colour may have a level of its own: that hides nothing."""
    levels = np.tile(np.array([[0, 300], [200, 90]]), (SIDE // 2, SIDE // 2)) * contrast
    survey = survey_of(halved(kind) + levels)
    assert survey.live_fraction == 0
    assert survey.dominant_reason in (RejectionReason.CORRELATED, RejectionReason.TILED)


def test_stars_in_all_colours_are_no_repeats() -> None:
    """A row of the phases laid side by side has each star twice, half a row apart; it is not a tile for that."""
    codes = mosaic()
    for row, column in np.ndindex(2, 2):
        codes[row::4, 210 + column] += 4000
    assert survey_of(codes).counts == {"live": 48, "correlated": 16}


def test_copied_phases_at_a_distance_are_found() -> None:
    """Odd rows are the even ones, rolled by seven pixels: of each copy one is left."""
    codes = noise()
    codes[1::2] = np.roll(codes[::2], 7, axis=1)
    assert survey_of(codes).live_fraction <= 0.5


def test_a_decoded_jpeg_is_found_though_it_is_called_a_mosaic() -> None:
    picture = picture_of(np.clip(noise(sigma=12.0) - 880, 0, 255), quality=90)
    survey = survey_of(picture)
    assert survey.dominant_reason is RejectionReason.COMPRESSION_ARTEFACTS


def picture_of(codes: Codes, quality: int) -> Codes:
    """Return `codes` after a trip through JPEG."""
    out = io.BytesIO()
    Image.fromarray(codes.astype(np.uint8)).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out)).astype(np.int64)


def test_noise_of_few_frequencies_is_found_though_it_is_called_a_mosaic() -> None:
    """A tenth of the frequencies: in each phase four of them fall on one, and fewer stay empty."""
    rng = np.random.default_rng(6)
    waves = np.where(rng.random((SIDE, SIDE)) < 0.1, rng.normal(0, 25, (SIDE, SIDE)), 0)
    survey = survey_of(np.rint(1000 + fft.idctn(waves, norm="ortho")).astype(np.int64))
    assert survey.dominant_reason is RejectionReason.SYNTHETIC_NOISE


def test_a_mosaic_too_small_for_a_square_of_each_colour_says_so() -> None:
    with pytest.raises(ImageRejected, match="each colour") as caught:
        survey_of(mosaic(shape=(63, 200)))
    assert caught.value.reason is RejectionReason.TOO_SMALL


# What frames share


def correlations(frames: list[Frame]) -> list[float]:
    """Return how much of each frame those before it showed, as a sensor memory says."""
    memory = Memory(STANDARD)
    return [memory.recollect(sketch_of(frame, survey_frame(frame, STANDARD))).known_parts / 10_000 for frame in frames]


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("cut", [0, 1, 5])
def test_one_mosaic_turned_and_shifted_is_known_again(turn: int, cut: int) -> None:
    codes = mosaic(shape=(SIDE + 6, SIDE + 6))
    again = np.rot90(codes[cut : SIDE + cut, cut : SIDE + cut], turn)
    assert correlations([frame_of(codes[:SIDE, :SIDE]), frame_of(np.ascontiguousarray(again))])[1] > 0.85


def test_two_exposures_of_one_mosaic_share_nothing() -> None:
    assert correlations([frame_of(mosaic(seed=seed)) for seed in (1, 2)]) == [0, 0]


def test_a_mosaic_and_the_same_frame_without_its_period_are_one_exposure() -> None:
    """A second file whose header leaves the mosaic out is laid out otherwise, and found all the same."""
    frame = frame_of(noise())
    assert correlations([frame, dataclasses.replace(frame, mosaic=1, image_sha256="0" * 64)])[1] > 0.85
