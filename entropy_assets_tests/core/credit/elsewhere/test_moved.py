"""Places of a fold are compared by correlations whose standard errors are right."""

import itertools
import math

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.moved import SPREAD, Turned, correlation, searched
from entropy_assets.core.credit.sketches import Sketch, sketch_of
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
