"""The restart matrix tells fixed pattern from fresh noise, and says how sure it is."""

import numpy as np
import pytest

from entropy_assets.core.credit.restart import fixed_pattern
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white


def sketches(count: int, width: float) -> list[Sketch]:
    """Give the sketches of so many frames of one sensor: noise of 8, and a pattern that is so wide."""
    pattern = np.rint(np.random.default_rng(1).normal(0, width, (192, 192))).astype(np.int64)
    frames = [frame(white((192, 192), sigma=8, seed=50 + n) + pattern) for n in range(count)]
    return [sketch_of(one, survey_frame(one, STANDARD)) for one in frames]


@pytest.mark.parametrize("width", [0, 2, 8])
def test_the_share_that_is_fixed_is_measured(width: float) -> None:
    found = fixed_pattern(sketches(6, width))
    assert found is not None
    assert found.frames == 6
    assert found.share == pytest.approx(width**2 / (64 + width**2), abs=4 * found.error + 0.02)


def test_one_frame_tells_nothing() -> None:
    assert fixed_pattern(sketches(1, 8)) is None
    assert fixed_pattern([]) is None
