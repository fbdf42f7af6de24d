"""Places of a fold are compared by correlations whose standard errors are right."""

import itertools
import math

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.moved import SPREAD, Turned, correlation, explained, searched
from entropy_assets.core.credit.memory import PARTS, recollection_of
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.digests import oriented
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white


def sketch(pixels: np.ndarray) -> Sketch:
    image = frame(pixels)
    return sketch_of(image, survey_frame(image, STANDARD))


def test_a_place_is_told_by_the_correlation_of_the_folds_there() -> None:
    """Also that of each of the four places which the search takes for one."""
    exposure = white((256, 256), sigma=9, seed=1)
    one, other = sketch(np.roll(exposure, (70, 100), axis=(0, 1))), sketch(exposure)
    turned = Turned(one)
    best = searched(turned, other)[0]
    there = Turned(other).fold
    rho, error = correlation(np.roll(turned.fold, best.shift, axis=(0, 1)), there, SPREAD)
    assert (best.rho, best.error) == (abs(rho), error)
    assert tuple(shift % 128 for shift in best.shift) == (128 - 70, 128 - 100)


def test_the_standard_errors_are_what_they_say() -> None:
    """Of independent frames, and of frames with dead areas, whose folds are uneven."""

    def uneven(seed: int) -> np.ndarray:
        pixels = white((320, 320), sigma=7, seed=seed)
        pixels[:96, :160] = 1000
        return pixels

    for make in (lambda n: white((160, 160), sigma=7, seed=n), uneven):
        sketches = [sketch(make(200 + n)) for n in range(24)]
        folds = [correlation(a.fold, b.fold, SPREAD) for a, b in itertools.combinations(sketches, 2)]
        pairs = [correlation(a.pairs, b.pairs) for a, b in itertools.combinations(sketches, 2)]
        for found in (folds, pairs):
            assert math.sqrt(np.mean([(rho / error) ** 2 for rho, error in found])) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("way", range(8))
def test_a_frame_that_is_added_to_itself_otherwise_is_known_as_a_whole(way: int) -> None:
    """The one place alone shows six sevenths, the other one a seventh."""
    exposure = white((256, 256), sigma=9, seed=3)
    added = exposure - np.rint(0.4 * np.roll(oriented(exposure, way), (5, 9), axis=(0, 1))).astype(np.int64) + 400
    one, other = Turned(sketch(added)), sketch(exposure)
    looks = searched(one, other)
    assert looks[0].rho < 0.95
    assert explained(one, other, looks) > 0.96
    shown = recollection_of(one, other, 1)
    assert shown.known_parts > 0.95 * PARTS
    assert shown.cells == (), "a copy, not a pattern"


def test_a_pattern_that_fits_at_several_places_is_explained_once() -> None:
    """Amplifiers of every second column: their columns fit at every second shift."""
    amplifiers = np.rint(np.random.default_rng(5).normal(0, 6, (4, 4)))
    pattern = np.tile(amplifiers, (64, 64)).astype(np.int64)
    first, second = (sketch(white((256, 256), sigma=9, seed=n) + pattern) for n in (6, 7))
    turned = Turned(second)
    looks = searched(turned, first)
    assert len(looks) > 1
    assert explained(turned, first, looks) < looks[0].rho
