"""Copies are found in any orientation, sign, place and gain and under noise, and no sensor's noise is a copy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.extraction import templates
from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import square_statistics
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.core.extraction.templates import repeated_noise_share
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.frames import frame, survey, white
from entropy_assets_tests.scenarios import attacks
from entropy_assets_tests.scenarios.scenario import Scenario

SIDE = 256
LIMIT = STANDARD.max_repeated_noise


def share(pixels: npt.NDArray[np.integer], live: npt.NDArray[np.bool_] | None = None) -> float:
    """Give the share of windows with a copy; without `live` every square counts."""
    steps = (pixels - pixels.min()).astype(np.int32)
    shape = tuple(side // 32 for side in pixels.shape)
    sigma = square_statistics(steps, (-1, 1 << 30), 32).sigma.reshape(shape)
    return repeated_noise_share(steps, np.ones(shape, np.bool_) if live is None else live, sigma, 32)


def pixels_of(scenario: Scenario) -> npt.NDArray[np.int64]:
    return decode(scenario.exposures[0].data, source="raw-ccd").pixels[0].astype(np.int64)


CHANGES = {
    "turned, with sign": attacks.any_sign,
    "rolled + gain": attacks.rolled_and_scaled,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("fresh", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [20, 32, 48, 64, 90])
def test_tiles_are_found(change: Callable[..., npt.NDArray[np.int64]], fresh: float, size: int) -> None:
    """Noise of 8 codes in tiles of any size, under an eighth of its own noise, whatever was done to each."""
    scenario = attacks.tiles(np.random.default_rng(size), SIDE, change, fresh, shape=(size, size), slope=0.3)
    assert share(pixels_of(scenario)) > 20 * LIMIT


@pytest.mark.parametrize("cut, least", [(12, 0.03), (16, 0.2), (24, 0.3), (32, 0.6), (40, 0.4)])
def test_cuts_of_a_template_are_found(cut: int, least: float) -> None:
    """As a player adds film grain; no two cuts are the same, but they overlap in the template."""
    assert share(pixels_of(attacks.cuts(np.random.default_rng(cut), SIDE, attacks.any_sign, 0.5, cut=cut))) > least


def test_quiet_tiles_are_found_under_half_their_noise() -> None:
    """Copies of one code of noise under .45 of fresh noise correlate by .8 only."""
    scenario = attacks.tiles(np.random.default_rng(1), SIDE, attacks.any_sign, 0.45, sigma=1.0)
    assert share(pixels_of(scenario)) > 20 * LIMIT


def test_every_orientation_and_sign_of_one_copy_is_found() -> None:
    """The right half is the left one, turned or mirrored, under noise: all windows but a few have their copy there."""
    left = white((SIDE, SIDE), 8) - 1000
    for way in range(8):
        for sign in (1, -1):
            right = sign * attacks.turned(left, way) + np.rint(white(left.shape, 0.6, seed=2) - 1000).astype(np.int64)
            assert share(1000 + np.hstack([left, right])) > 0.7


def test_a_shifted_half_is_found_in_a_large_frame() -> None:
    """4 Mpixel, of which a quarter of the windows is compared, and a copy that lies across the squares."""
    left = white((2048, 1024), 8)
    right = np.roll(left, (13, 7), axis=(0, 1)) + np.random.default_rng(2).integers(0, 2, left.shape)
    assert share(np.hstack([left, right])) > 20 * LIMIT


@given(st.floats(0.6, 60), st.integers(1, 3), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_noise_has_no_copies(sigma: float, squares: int, seed: int) -> None:
    """Whatever its width, in frames of few squares and of many."""
    side = (64, 256, 512)[squares - 1]
    assert share(white((side, side), sigma, seed)) == 0


def sky(seed: int = 3) -> npt.NDArray[np.int64]:
    """Give noise of 6 codes under 3,000 stars of one shape, as faint as the noise and brighter."""
    rng = np.random.default_rng(seed)
    light = np.zeros((512 + 16, 512 + 16))
    y, x = np.mgrid[-8:9, -8:9]
    for top, left in rng.integers(0, 512, (3000, 2)):
        light[top : top + 17, left : left + 17] += 6 * 80 ** rng.random() * np.exp(-(y * y + x * x) / 2)
    return np.rint(1000 + light[8:-8, 8:-8] + rng.normal(0, 6, (512, 512))).astype(np.int64)


def test_stars_are_no_copies() -> None:
    """They look alike, but they are no noise: windows with more than six sigma are left out."""
    assert share(sky()) == 0


@pytest.mark.parametrize("width", [1, 3, 20])
def test_banding_is_no_copy(width: int) -> None:
    """All squares beside each other share the steps of their rows and, with a fixed pattern, of their columns."""
    rng = np.random.default_rng(width)
    noise = white((SIDE, SIDE), 3)
    rows, columns = (np.rint(rng.normal(0, 3 * width, SIDE)).astype(np.int64) for _ in range(2))
    assert share(noise + rows[:, np.newaxis]) == share(noise + rows[:, np.newaxis] + columns) == 0


def test_a_pair_of_windows_is_no_evidence() -> None:
    """One retouched spot in a frame is not a template; two of them are more than chance."""
    pixels = white((SIDE, SIDE), 8)
    pixels[135, 167] += 24
    pixels[34:45, 34:45] = pixels[130:141, 162:173]
    assert share(pixels) == 0
    pixels[194:205, 66:77] = pixels[130:141, 162:173]
    assert share(pixels) == 3 / 256


def test_dead_squares_are_not_looked_at() -> None:
    """A tile that stands only where nothing is live costs the rest nothing."""
    pixels, live = white((SIDE, SIDE), 8), np.ones((8, 8), np.bool_)
    pixels[:128] = np.tile(pixels[:32, :32], (4, 8)) + np.random.default_rng(2).integers(0, 2, (128, SIDE))
    assert share(pixels) > 0.3
    live[:4] = False
    assert share(pixels, live) == 0


def test_products_are_exact() -> None:
    """Whole numbers whose sums stay below 2**24, so no order of adding them changes a bit."""
    windows = templates._without_stripes(white((500, templates.WINDOW, templates.WINDOW), 900))
    values = templates._described(windows)
    assert np.array_equal(values, np.rint(values))
    assert values.shape[1] * templates.LEVELS**2 < 1 << 24
    assert np.abs(values).max() == templates.LEVELS


def test_the_description_is_the_same_in_all_orientations_signs_and_gains() -> None:
    windows = np.random.default_rng(1).integers(-500, 500, (20, templates.WINDOW, templates.WINDOW))
    windows[:, 4, 4] = 2000
    expected = templates._described(windows)
    for way in range(8):
        for factor in (1, -1, 3, -3):
            changed = factor * np.stack([attacks.turned(window, way) for window in windows])
            assert np.abs(templates._described(changed) - expected).max() <= 1


def test_the_frame_is_refused_with_its_reason() -> None:
    pixels = pixels_of(attacks.cuts(np.random.default_rng(1), SIDE, attacks.same, 0.3, cut=32))
    with pytest.raises(ImageRejected, match=r"of the noise stands in the frame more than once.*film grain") as caught:
        NoiseExtractor().extract(frame(pixels), bytes(32))
    assert caught.value.reason is RejectionReason.TILED
    assert survey(pixels).counts == {"repeated": 64}


def test_what_is_left_between_plain_copies_is_not_live() -> None:
    """A tile that fits no square leaves a few squares without a window to compare, and those only by luck."""
    pixels = pixels_of(attacks.tiles(np.random.default_rng(3), 512, attacks.any_orientation, shape=(24, 24)))
    assert survey(pixels).live_fraction == 0
    assert survey_frame(frame(pixels), recipe_named("ea-2026-1")).live_fraction > 0


def test_the_grain_of_a_video_is_found(shared_data: Path) -> None:
    data = (shared_data / "faults" / "av1_filmgrain_frame11.png").read_bytes()
    assert survey_frame(decode(data, source="drop"), STANDARD).repeated_noise > 0.9


def test_earlier_recipes_do_not_look_for_templates() -> None:
    pixels = pixels_of(attacks.cuts(np.random.default_rng(1), SIDE, attacks.same, 0.3, cut=32))
    found = survey_frame(frame(pixels), recipe_named("ea-2026-1"))
    assert (found.repeated_noise, found.advice, found.live_fraction) == (0.0, "", 1.0)
