"""Steps of a coarser ADC are seen beneath the codes that a pattern fills, and nothing is seen that is not there."""

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.credit.photon_transfer import caps_of_light
from entropy_assets.core.credit.squarewise.coarse import least_squares, step_in_differences, step_in_light
from entropy_assets.core.extraction.survey import survey_of
from entropy_assets.recipe import RECIPES, STANDARD
from entropy_assets_tests.core.frames import frame

PIXELS = (1024, 256)
STEP = 37.3


def differences(codes: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], float]:
    """Give pair differences, and the noise as the survey tells it."""
    apart = np.diff(np.rint(codes).astype(np.int64).reshape(-1, 2), axis=1)
    return apart, float(np.median(np.abs(apart))) * 1.4826 / 2**0.5


@pytest.mark.parametrize("pattern, is_bare", [(2.0, True), (8.0, False)])
@pytest.mark.parametrize("photons", [0.1, 0.5, 2.0])
def test_photons_over_a_pattern_show_how_wide_one_is(photons: float, pattern: float, is_bare: bool) -> None:
    rng = np.random.default_rng(1)
    found = step_in_differences(*differences(STEP * rng.poisson(photons, PIXELS) + rng.normal(0, pattern, PIXELS)))
    assert found is not None
    assert found.codes == pytest.approx(STEP, rel=0.12)
    assert found.is_bare is is_bare


def jumping(rng: np.random.Generator, share: float, width: float) -> npt.NDArray[np.float64]:
    return rng.normal(0, 8, PIXELS) + (rng.random(PIXELS) < share) * rng.normal(0, width, PIXELS)


@pytest.mark.parametrize("sigma", [0.7, 3, 40, 1000])
def test_plain_noise_keeps_to_no_step(sigma: float) -> None:
    assert step_in_differences(*differences(np.random.default_rng(2).normal(0, sigma, PIXELS))) is None


@pytest.mark.parametrize("share, width", [(0.1, 40), (0.02, 300), (0.5, 12)])
def test_stars_hot_pixels_and_texture_keep_to_no_step(share: float, width: float) -> None:
    """They jump as well, and by any width: no cosine is in the logarithm of their characteristic function."""
    assert step_in_differences(*differences(jumping(np.random.default_rng(3), share, width))) is None


@pytest.mark.parametrize("odd", [0.3, 0.42])
def test_uneven_codes_are_no_coarser_ones(odd: float) -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 6, PIXELS)
    even = 2 * np.rint(values / 2)
    codes = np.where(np.abs(values - even) <= 1 - odd, even, even + np.sign(values - even))
    assert step_in_differences(*differences(codes)) is None


@pytest.mark.parametrize("count", [1, 2])
def test_many_fits_at_once_are_those_of_least_squares_one_by_one(count: int) -> None:
    rng = np.random.default_rng(6)
    terms, last, curve = rng.normal(0, 3, (count, 40)), rng.normal(1, 2, (9, 40)), rng.normal(2, 1, 40)
    together = least_squares(terms, last, curve)
    for term, *found in zip(last, *together, strict=True):
        matrix = np.vstack([terms, term]).T
        factors, left, *_ = np.linalg.lstsq(matrix, curve, rcond=None)
        assert found == pytest.approx([left[0], factors[0], factors[-1]], rel=1e-10)


def over_a_flat(sigma: float, share: float, seed: int = 5, side: int = 512) -> npt.NDArray[np.int64]:
    """Give 8 bits times 257, divided by a flat, on a slope of six steps; noise of `sigma` steps."""
    rng = np.random.default_rng(seed)
    coarse = np.rint(100 + np.linspace(0, 6, side) + rng.normal(0, sigma, (side, side)))
    return np.rint(257 * coarse / rng.normal(1, share, (side, side))).astype(np.int64)


def caps(codes: npt.NDArray[np.int64], recipe: str = STANDARD.name) -> dict[str, float]:
    made = frame(codes)
    return caps_of_light(made, survey_of(made, STANDARD), RECIPES[recipe])


@pytest.mark.parametrize("sigma", [0.2, 0.3])
def test_light_shows_steps_that_a_flat_hides_from_differences(sigma: float) -> None:
    found = caps(over_a_flat(sigma, 0.01))
    assert found.keys() == {"coarse_steps_alone"}
    assert 0.2 < found["coarse_steps_alone"] < 0.6


def test_bare_steps_cap_every_frame() -> None:
    """What fills the codes between two steps is less than a tenth of one: it may be known, so it counts for nothing."""
    rng = np.random.default_rng(8)
    coarse = np.rint(100 + np.linspace(0, 6, 512) + rng.normal(0, 0.4, (512, 512)))
    found = caps(np.rint(257 * coarse + rng.normal(0, 20, (512, 512))).astype(np.int64))
    assert found["coarse_steps_alone"] < found["coarse_steps"] < 0.9


def test_an_adc_as_fine_as_its_codes_shows_no_steps() -> None:
    rng = np.random.default_rng(6)
    light = np.linspace(2000, 8000, 512) * np.ones((512, 1))
    assert caps(rng.poisson(light)) == {}
    assert caps(np.rint(1000 + 257 * rng.normal(0, 1, (512, 512)) + light).astype(np.int64)) == {}


def test_earlier_recipes_look_for_no_steps() -> None:
    assert caps(over_a_flat(0.3, 0.01), "ea-2026-1") == {}


def test_noise_that_comes_and_goes_with_the_light_must_do_so_four_times() -> None:
    rng = np.random.default_rng(7)
    level = rng.uniform(0, 1000, (256, 1, 1)) * np.ones((1, 2, 2))
    for periods, is_seen in ((3, False), (6, True)):
        variance = 100**2 * (1 + 0.3 * np.cos(2 * np.pi * level * periods / 1000)) * rng.normal(1, 0.1, level.shape)
        assert (step_in_light(level, variance, 100.0) is not None) is is_seen
