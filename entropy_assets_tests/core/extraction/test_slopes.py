"""What is left of a mosaic without the light of its scene is its noise, whatever the light was; and it is judged so."""

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.credit.sketches import sketch_of
from entropy_assets.core.extraction.phases import laid_out
from entropy_assets.core.extraction.slopes import FINE, MOST, NARROW_MOST, SIGMA_BITS, without_slopes
from entropy_assets.core.extraction.slopes import flattened as flattened_to
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.scenarios.judging import Memory
from entropy_assets_tests.scenarios.sensors import rising, vignetted

Codes = npt.NDArray[np.int64]
SIDE = 384


def light(period: int, ratio: float = 1.5, side: int = SIDE) -> npt.NDArray[np.float64]:
    """Return light that rises to the right and a little downwards, through filters that differ by up to 3 : 1."""
    filters = np.linspace(300, 900, period * period)[np.random.default_rng(period).permutation(period * period)]
    array = np.tile(filters.reshape(period, period), (side // period, side // period))
    return np.asarray(array * np.add.outer(np.linspace(0, (ratio - 1) / 5, side), np.linspace(1, ratio, side)))


def noise(sigma: float, seed: int, side: int = SIDE) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, sigma, (side, side))


def flattened(levels: npt.NDArray[np.float64], period: int, kind: type[np.signedinteger] = np.int32) -> Codes:
    return without_slopes(laid_out(np.rint(levels).astype(kind), period, 32), period).astype(np.int64)


@pytest.mark.parametrize("period", [2, 6])
def test_a_slope_through_filters_leaves_nothing_but_its_rounding(period: int) -> None:
    assert np.abs(flattened(light(period), period)).max() <= FINE


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_the_noise_is_left_and_is_the_same_on_any_slope(kind: type[np.signedinteger]) -> None:
    fresh = noise(12.0, seed=1)
    flat, sloped = (flattened(fresh + level, 2, kind) for level in (500, light(2)))
    assert flat.std() == pytest.approx(12 * FINE, rel=0.01)
    assert np.abs(flat - sloped).std() < FINE / 2


def test_bright_pixels_do_not_move_the_others() -> None:
    """One in each square of a phase, as bright as can be: the others stay where they are, to a twentieth of a sigma."""
    codes = noise(12.0, seed=2) + 500
    bright = codes.copy()
    bright[::64, ::64] = 32_000
    moved = np.abs(flattened(bright, 2) - flattened(codes, 2))
    moved[::64, ::64] = 0
    assert moved.max() <= 12 * FINE / 20


def test_any_values_fit() -> None:
    """Codes of 32 bits from one end to the other: what is beyond is cut, and its Laplacian fits."""
    ends = np.where(np.random.default_rng(3).random((SIDE, SIDE)) < 0.5, -(1 << 31), (1 << 31) - 1).astype(np.float64)
    flat = flattened(ends, 2)
    assert np.abs(flat).max() == MOST
    assert (flat * np.sign(ends) >= 0).all()
    assert np.iinfo(np.int32).max >= 8 * MOST


@pytest.mark.parametrize("sigma, ratio", [(1.2, 1.03), (3.0, 1.1), (30.0, 2.0)])
def test_frames_of_one_slope_are_no_copies_of_each_other(sigma: float, ratio: float) -> None:
    """Neither by a sawtooth, nor, where noise is narrow, by a staircase; and the same frame is one still."""
    memory = Memory(STANDARD)
    frames = [mosaic_frame(light(2, ratio) + noise(sigma, seed)) for seed in (4, 5, 4)]
    surveys = [survey_frame(frame, STANDARD) for frame in frames]
    assert all(survey.live_fraction == 1 for survey in surveys)
    shares = [memory.recollect(sketch_of(*each)).known_parts for each in zip(frames, surveys, strict=True)]
    assert shares[:2] == [0, 0]
    assert shares[2] == 10_000


@pytest.mark.parametrize("gain", [0.01, 1, 40, 5000])
def test_noise_is_told_in_parts_of_a_step_that_fit_its_width(gain: float) -> None:
    """Narrow noise in eighths, wide noise in several steps; 32 sigma fit int16, and so does their Laplacian."""
    laid = laid_out(np.rint(noise(20 * gain, seed=6)).astype(np.int32), 2, 32)
    grey, bits, _ = flattened_to(laid, 2, 20 * gain)
    assert bits <= 3
    assert grey.dtype == np.int16
    assert grey.std() < 1 << SIGMA_BITS
    assert grey.std() > 1 << SIGMA_BITS - 1 or bits == 3
    assert np.iinfo(np.int16).max >= 8 * NARROW_MOST


@pytest.mark.parametrize("light", [rising, vignetted])
@pytest.mark.parametrize(
    "ratio, brightest, sigma",
    [(3, 40_000, 200.0), (1.3, 1000, 0.6), (1.3, 1000, 1.0), (1.02, 1000, 0.6), (1, 1000, 0.6)],
)
def test_a_mosaic_is_live_under_any_light(light, ratio: float, brightest: float, sigma: float) -> None:
    """But for squares that chance takes."""
    array = np.tile(np.array([[0.66, 1.0], [1.0, 0.75]]), (256, 256))
    frame = mosaic_frame(brightest * array * light(512, ratio) + noise(sigma, seed=7, side=512))
    survey = survey_frame(frame, STANDARD)
    assert survey.live_fraction > 0.96
    assert survey.lattice_rise < 5
    earlier = survey_frame(frame, recipe_named("ea-2026-1"))
    assert earlier.live_fraction < (0.5 if ratio > 1.1 else 1)


def mosaic_frame(levels: npt.NDArray[np.float64]) -> Frame:
    codes = np.rint(levels).astype(np.int64)
    return Frame.build(
        codes, None, data=codes.tobytes(), bit_depth=16, container="fits", lossy=False, source="drop", mosaic=2
    )
