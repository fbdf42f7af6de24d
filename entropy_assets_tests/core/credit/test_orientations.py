"""The same exposure, or the same sensor, is found turned, mirrored, shifted and negated; independent noise is not."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.credit.orientations import Match, Patch, matches, oriented, patch_of
from entropy_assets.core.credit.patterns import Derating, batch_derating, sketch_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD, Recipe, recipe_named
from entropy_assets_tests.core.frames import frame, white

EXPOSURE = white((320, 288), sigma=9, seed=1)


def patch(image: Frame) -> Patch:
    return patch_of(image, survey_frame(image, STANDARD))


def match(one: np.ndarray, other: np.ndarray) -> Match:
    [found] = matches(patch(frame(one)), [patch(frame(other))], STANDARD.compared_shift)
    return found


def deratings(pixels: list[np.ndarray], recipe: Recipe = STANDARD) -> list[Derating]:
    frames = [frame(each) for each in pixels]
    return [*batch_derating([sketch_of(one, survey_frame(one, recipe), recipe) for one in frames], recipe)]


@given(st.integers(0, 7), st.integers(-16, 16), st.integers(-16, 16), st.sampled_from((1, -1)))
@settings(max_examples=40, deadline=None)
def test_one_exposure_is_itself_in_every_orientation_shift_and_sign(way: int, down: int, right: int, sign: int) -> None:
    other = oriented(EXPOSURE, way)
    other = 3000 + sign * np.roll(other, (down, right), axis=(0, 1))
    found = match(EXPOSURE, other)
    assert found.correlation == pytest.approx(sign, abs=0.002)
    assert found.is_significant
    assert (found.orientation, found.shift) == (way, (down, right))


@pytest.mark.parametrize("fresh", [3, 9, 18])
def test_what_is_shared_is_measured_as_a_share_of_the_variance(fresh: float) -> None:
    other = np.rot90(EXPOSURE)[::-1] + white((288, 320), sigma=fresh, seed=2) - 1000
    found = match(EXPOSURE, other)
    assert found.correlation == pytest.approx(math.sqrt(81 / (81 + fresh**2)), abs=4 * found.error)


def test_independent_frames_do_not_fit_in_any_orientation() -> None:
    """All pairs of 24 frames, in 8 orientations and at 1089 shifts each."""
    patches = [patch(frame(white((160, 160), sigma=7, seed=100 + n))) for n in range(24)]
    found = list(itertools.chain(*(matches(patches[n], patches[:n], 16) for n in range(1, 24))))
    assert len(found) == 276
    assert max(abs(each.correlation) / each.error for each in found) < 6.5
    assert not any(each.is_significant for each in found)


def test_the_spread_of_a_correlation_of_laplacians_is_as_it_says() -> None:
    patches = [patch(frame(white((160, 160), sigma=7, seed=200 + n))) for n in range(40)]
    at_rest = [matches(a, [b], 0)[0] for a, b in itertools.pairwise(patches)]
    as_it_lies = [each.correlation / each.error for each in at_rest if each.orientation == 0]
    every = [float((a.residuals * b.residuals).sum()) / math.sqrt((a.residuals**2).sum() * (b.residuals**2).sum())
             / at_rest[0].error for a, b in itertools.combinations(patches, 2)]  # fmt: skip
    assert np.std(every) == pytest.approx(1.0, abs=0.1)
    assert all(abs(each) < 5 for each in as_it_lies)


def test_stars_and_gradients_of_one_scene_are_no_pattern() -> None:
    rows, columns = np.mgrid[:320, :320]
    scene = np.rint(rows * 3.0 + columns + 4000 * np.exp(-((rows - 160) ** 2 + (columns - 150) ** 2) / 30)).astype(int)
    frames = [scene + white((320, 320), sigma=7, seed=n) for n in (5, 6)]
    assert not match(*frames).is_significant


def test_dead_areas_decide_nothing() -> None:
    half = EXPOSURE.copy()
    half[:, :160] = 1000
    other = white((320, 288), sigma=9, seed=8)
    other[:, :160] = 1000
    assert not match(half, other).is_significant
    assert match(half, half[::-1]).correlation == pytest.approx(1.0)


def test_the_second_orientation_of_an_exposure_is_credited_nothing() -> None:
    flipped = EXPOSURE[::-1]
    first, second = deratings([EXPOSURE, flipped])
    assert first.lost_bits == 0
    assert second.lost_bits == math.inf
    assert second.of == frame(EXPOSURE).image_sha256
    assert "turned by" in second.explanation


def test_a_pattern_is_found_turned_and_the_frame_loses_its_share() -> None:
    pattern = white((320, 320), sigma=8, seed=9) - 1000
    one, other = (white((320, 320), sigma=4, seed=n) + p for n, p in ((10, pattern), (11, np.rot90(pattern))))
    _, second = deratings([one, other])
    assert 64 / 80 < second.correlation < 64 / 80 + 0.06
    _, as_it_lies = deratings([one, other], recipe_named("ea-2026-1"))
    assert as_it_lies.lost_bits == 0, "earlier recipes compare frames as they lie"


def test_a_frame_that_is_small_or_of_another_shape_is_compared_as_far_as_it_goes() -> None:
    small = white((40, 64), sigma=9, seed=12)
    assert match(small, small[:, ::-1]).correlation == pytest.approx(1.0)
    assert not match(small, EXPOSURE).is_significant
