"""Noise that grows with the square of the light, or beyond what a header allows, is not fresh; clean noise stays."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.credit.assessment import AssessedImage, assess_image
from entropy_assets.core.credit.gaussian import pair_entropy
from entropy_assets.core.credit.photon_transfer import (
    LEVELS,
    LIMITS,
    Light,
    caps_of_light,
    entropy_of,
    noise_by_header,
    noise_by_light,
)
from entropy_assets.core.extraction.survey import survey_of
from entropy_assets.core.frame import CameraNoise, Frame
from entropy_assets.errors import ImageRejected
from entropy_assets.recipe import RECIPES, STANDARD
from entropy_assets_tests.core.frames import frame
from entropy_assets_tests.scenarios.judging import Memory, assessed
from entropy_assets_tests.scenarios.laws import Gaussian
from entropy_assets_tests.scenarios.scenario import fits_file

SIDE = 512
BRIGHTEST = 10_000
"""Electrons."""
WITHOUT = dataclasses.replace(STANDARD, name="without", transfer_errors=0, gain_tolerance=(0, 1))
HEADER = CameraNoise(93_700, 5000, "EGAIN = 93.7 e-/ADU, RDNOISE = 5 e-")


def lit(share: float, gain: float, ratio: float, offset: int = 0, seed: int = 1) -> npt.NDArray[np.int64]:
    """Give codes of a sensor on a slope of light up to `BRIGHTEST`, with pixels uneven by `share`."""
    rng = np.random.default_rng(seed)
    light = np.linspace(BRIGHTEST / ratio, BRIGHTEST, SIDE) * np.ones((SIDE, 1))
    electrons = rng.poisson(np.maximum(light * (1 + rng.normal(0, share, light.shape)), 0))
    return np.rint((electrons + rng.normal(0, 5, light.shape)) / gain + offset).astype(np.int64)


def fresh_bits(gain: float, ratio: float) -> float:
    """Give the min-entropy of a pair of such pixels to who knows their levels, bits."""
    light = BRIGHTEST * np.linspace(1 / ratio, 1, 64)
    return float(np.mean([pair_entropy(math.sqrt(e + 25) / gain, 16) for e in light]))


def caps(codes: npt.NDArray[np.int64], **known: object) -> dict[str, float]:
    made = frame(codes, **known)
    return caps_of_light(made, survey_of(made, STANDARD), STANDARD)


@pytest.mark.parametrize("share, ratio, offset", [(0.01, 4, 0), (0.02, 4, 0), (0.015, 10, 1000)])
def test_the_light_tells_what_is_fresh_beside_uneven_pixels(share: float, ratio: float, offset: int) -> None:
    """Most of the noise is theirs: what is left is bounded from both sides, whatever offset the camera adds."""
    found = caps(lit(share, 1.0, ratio, offset))
    assert found["photon_transfer_alone"] <= fresh_bits(1.0, ratio) + 0.05
    assert fresh_bits(1.0, ratio) <= found["photon_transfer"]
    assert found["photon_transfer"] - found["photon_transfer_alone"] < 1


@pytest.mark.parametrize("share, ratio", [(0.04, 2.1), (0.25, 4)])
def test_a_pattern_many_times_the_noise_leaves_a_first_frame_nothing(share: float, ratio: float) -> None:
    memory = Memory()
    first, second = (fits_file(lit(share, 93.7, ratio, seed=seed)) for seed in (3, 4))
    left = memory.spend(*assessed(first, "raw-ccd"))
    assert (left.credit_bits, left.limited_by) == (0, "photon_transfer")
    assert memory.spend(*assessed(second, "raw-ccd")).credit_bits > 0, "the memory knows better"


def test_a_frame_of_another_sensor_does_not_clear_a_pattern() -> None:
    """What the light surely shows as pattern holds, whatever frames were spent under the sensor's name."""
    codes = lit(0.1, 93.7, 10)
    before = np.full((SIDE, SIDE), 1000.0)
    memory = Memory()
    memory.spend(*assessed(fits_file(Gaussian(9.0).draw(np.random.default_rng(2), before)), "raw-ccd"))
    image = assessed(fits_file(codes), "raw-ccd")
    left, free = memory.spend(*image), assessed(fits_file(codes), "raw-ccd", WITHOUT)[1].assessment
    assert left.limited_by == "photon_transfer"
    assert left.credit_bits < free.credit_bits


@pytest.mark.parametrize("gain, ratio, offset", [(1.0, 2, 0), (1.0, 10, 1000), (93.7, 4, 0), (0.3, 5, 100)])
def test_clean_noise_loses_nothing(gain: float, ratio: float, offset: int) -> None:
    assert survey_of(frame(lit(0.0, gain, ratio, offset)), STANDARD).live.any()
    assert caps(lit(0.0, gain, ratio, offset)) == {}


def test_even_light_tells_nothing() -> None:
    assert caps(lit(0.04, 93.7, 1.3)) == {}


def test_few_squares_off_the_curve_do_not_bend_it() -> None:
    """Stars and texture: a square in ten has up to fifty times the noise, and the brighter ones more."""
    rng = np.random.default_rng(7)
    level = np.linspace(500, 5000, 400)
    variance = level * rng.normal(1, 0.0625, 400)
    assert noise_by_light(Light(level, variance), 5) is None
    variance[::10] *= 1 + 49 * (level[::10] / 5000) ** 2
    assert noise_by_light(Light(level, variance), 5) is None


def assess(codes: npt.NDArray[np.int64], says: CameraNoise | None) -> AssessedImage:
    return assess_image(frame(codes, camera_noise=says), bytes(32), STANDARD, submitter="raw-ccd")


def test_a_header_bounds_what_is_seen_beyond_its_noise() -> None:
    codes = lit(0.25, 93.7, 1.0)
    told, silent = assess(codes, HEADER).assessment, assess(codes, None).assessment
    assert told.limited_by == "header_gain"
    assert told.min_entropy == pytest.approx(pair_entropy(math.sqrt(1.5 * ((BRIGHTEST + 25) / 93.7**2)), 16), abs=0.03)
    assert told.credit_bits < 0.7 * silent.credit_bits


@pytest.mark.parametrize("gain, read_noise", [(93_700, 5000), (1, 5000), (1000, 0), (93_700, 10**8)])
def test_no_header_raises_a_credit_and_a_true_one_takes_nothing(gain: int, read_noise: int) -> None:
    codes = lit(0.0, 93.7, 1.0)
    told = assess(codes, CameraNoise(gain, read_noise, "")).assessment
    assert told.credit_bits == assess(codes, None).assessment.credit_bits


def test_a_header_without_any_noise_refuses_the_frame_and_says_what_to_do() -> None:
    with pytest.raises(ImageRejected, match=r"limited by header_gain.*mend the header") as caught:
        assess(lit(0.0, 1.0, 1.0), CameraNoise(10**12, 0, ""))
    assert caught.value.data["assessment"]["caps"]["header_gain"] < 0.01


def test_shot_noise_is_that_of_the_whole_level() -> None:
    """The offset of the camera is not known: without it there is less."""
    assert noise_by_header(np.full(64, 1000.0), CameraNoise(2000, 6000, ""), (3, 2)) == (
        (math.isqrt(round(1.5e6 * (1000 / 2 + 9))),) * LEVELS
    )


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("ea-2026-1")])
def test_earlier_recipes_do_not_look(name: str) -> None:
    made = frame(lit(0.25, 93.7, 4), camera_noise=HEADER)
    assert caps_of_light(made, survey_of(made, STANDARD), RECIPES[name]) == {}


def test_a_mosaic_and_a_colour_frame_are_looked_at_phase_by_phase_and_channel_by_channel() -> None:
    codes = lit(0.25, 93.7, 4)
    clean = lit(0.0, 93.7, 4)
    alone = caps(codes)["photon_transfer"]
    assert caps(np.stack([clean, codes]))["photon_transfer"] == pytest.approx(alone, abs=0.2)
    mosaic = frame(codes, mosaic=2)
    assert caps_of_light(mosaic, survey_of(mosaic, STANDARD), STANDARD)["photon_transfer"] == pytest.approx(
        alone, abs=0.5
    )


def test_the_worst_part_decides() -> None:
    made: Frame = frame(np.concatenate([lit(0.0, 93.7, 4), lit(0.25, 93.7, 4)]), parts=2)
    assert "photon_transfer" in caps_of_light(made, survey_of(made, STANDARD), STANDARD)


def test_noise_of_nothing_holds_nothing() -> None:
    assert entropy_of((0,) * LEVELS) == 0
    assert set(LIMITS) == {"photon_transfer", "header_gain", "coarse_steps"}
