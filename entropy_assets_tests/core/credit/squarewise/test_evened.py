"""No square weighs more than another one, whatever its noise, its outliers or its gain."""

import numpy as np
import pytest

from entropy_assets.core.credit.squarewise.evened import RMS, evened, less_slopes

LIVE = np.ones(4, dtype=np.bool_)


def noise(seed: int, sigma: float = 50.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).normal(0, sigma, (32, 4 * 32))).astype(np.int32)


def rms_of_squares(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values.reshape(32, 4, 32).astype(np.float64) ** 2).mean(axis=(0, 2)))


@pytest.mark.parametrize("sigma", [0.8, 9.0, 5e3, 2e5])
def test_every_square_has_the_same_width(sigma: float) -> None:
    wide = noise(1, sigma) * np.repeat([1, 2, 3, 5], 32)
    assert rms_of_squares(evened(wide, LIVE)[0]) == pytest.approx(RMS, rel=0.03)


def test_a_square_that_is_not_live_or_has_no_noise_is_nothing() -> None:
    values = noise(1)
    values[:, :32] = 0
    even, _ = evened(values, np.array([True, True, False, True]))
    assert rms_of_squares(even)[[0, 2]].tolist() == [0, 0]
    assert rms_of_squares(even)[1] > 0


def test_narrow_noise_is_the_same_in_parts_of_a_step() -> None:
    """Steps up and down are no outliers of pixels most of which are the same."""
    even, kept = evened(noise(1, 0.4), LIVE)
    in_parts, as_well = evened(8 * noise(1, 0.4) + 1, LIVE, 8)
    assert (kept == as_well).all()
    assert np.corrcoef(even.ravel(), in_parts.ravel())[0, 1] > 0.99


def test_a_gain_changes_next_to_nothing() -> None:
    """Of a frame with a gain of its own in every square, and of its negative."""
    gained = np.rint(noise(1) * np.repeat([-1.0, 0.3, 0.6, 7.1], 32)).astype(np.int32)
    even, again = evened(noise(1), LIVE)[0], evened(gained, LIVE)[0]
    apart = again * np.repeat([-1, 1, 1, 1], 32) - even
    assert rms_of_squares(apart).max() < RMS / 40


def test_outliers_are_left_out_and_change_no_others() -> None:
    bright = noise(1)
    places = np.random.default_rng(2).random(bright.shape) < 0.05
    bright[places] += 40_000
    (even, kept), (again, kept_again) = evened(noise(1), LIVE), evened(bright, LIVE)
    assert not again[places].any()
    assert not kept_again[places].any()
    assert kept.mean() > 0.999
    assert rms_of_squares(np.where(places, 0, again - even)).max() < RMS / 10


def test_a_square_of_few_pixels_does_not_make_each_of_them_loud() -> None:
    values = noise(1)
    values[:, :32] = 30_000 * np.sign(values[:, :32])
    values[::8, :32] = noise(2)[::8, :32]
    assert rms_of_squares(evened(values, LIVE)[0])[0] < 1.1 * RMS


def test_a_slope_is_taken_off_and_level_squares_stay_as_they_are() -> None:
    slopes = np.repeat([0, 40, -700, 5], 32)
    level = less_slopes(noise(1) + slopes.astype(np.int32), 4)
    apart = level - noise(1) - np.where(slopes == 5, 5, 0)
    assert np.ptp(apart.reshape(32, 4, 32), axis=(0, 2)).tolist() == [0, 0, 0, 0]
    assert np.abs(apart).max() < 8, "the median of 1,024 differences"
    assert not apart[:, ::96].any()
