"""A spent frame through a short filter, or in parts of which some lie in place, is known; a pattern stays a pattern."""

import numpy as np
import pytest
from scipy import fft, ndimage

from entropy_assets.core.credit.elsewhere.filtered import by_a_filter
from entropy_assets.core.credit.elsewhere.moved import Turned, searched
from entropy_assets.core.credit.memory import PARTS, recollection_of
from entropy_assets.core.credit.sketches import Sketch, sketch_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

SIDE = 512
MOST = 0.8 * PARTS
"""Of what lies otherwise, or was filtered, nothing is credited from a half on."""
SPENT = white((SIDE, SIDE), sigma=30, seed=1)


def sketch(pixels: np.ndarray) -> Sketch:
    image = frame(pixels)
    return sketch_of(image, survey_frame(image, STANDARD))


def phased(pixels: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return a frame each frequency of which has its power, at another phase."""
    mean = pixels.mean()
    waves = fft.rfft2(pixels - mean) * np.exp(1j * phases)
    return np.rint(fft.irfft2(waves, pixels.shape) + mean).astype(np.int64)


def registered(pixels: np.ndarray, down: float, right: float) -> np.ndarray:
    """Return a frame moved by parts of a pixel, around its edges."""
    y, x = fft.fftfreq(SIDE)[:, None], fft.rfftfreq(SIDE)[None]
    return phased(pixels, -2 * np.pi * (y * down + x * right))


def splined(pixels: np.ndarray) -> np.ndarray:
    moved = ndimage.shift(pixels.astype(float), (0.1, 0.1), order=3, mode="wrap")
    return np.rint(moved).astype(np.int64)


def all_pass(pixels: np.ndarray) -> np.ndarray:
    """Return a frame through an all-pass filter of first order along its rows."""
    unit = np.exp(-2j * np.pi * fft.rfftfreq(SIDE)[None])
    return phased(pixels, np.angle((unit - 0.5) / (1 - 0.5 * unit)) * np.ones((SIDE, 1)))


FILTERED = {
    "registered by .4, .4": lambda: registered(SPENT, 0.4, 0.4),
    "registered by .1, .3": lambda: registered(SPENT, 0.1, 0.3),
    "registered by splines": lambda: splined(SPENT),
    "moved and registered": lambda: np.roll(registered(SPENT, 0.4, 0.4), (7, 30), axis=(0, 1)),
    "all-pass along rows": lambda: all_pass(SPENT),
}
PARTED = {
    "a part moved far": lambda: np.concatenate([SPENT[:288], np.roll(SPENT[288:], 100, axis=1)]),
    "two parts moved far": lambda: np.concatenate(
        [SPENT[:224], np.roll(SPENT[224:368], 100, axis=1), np.roll(SPENT[368:], 200, axis=1)]
    ),
    "a part mirrored": lambda: np.concatenate([SPENT[:264], SPENT[264:, ::-1]]),
    "halves apart by a pixel": lambda: np.concatenate([SPENT[:256], np.roll(SPENT[256:], 1, axis=1)]),
    "quarters apart by a pixel each": lambda: np.concatenate(
        [np.roll(SPENT[128 * n : 128 * (n + 1)], n, axis=1) for n in range(4)]
    ),
    "the same, and moved": lambda: np.roll(
        np.concatenate([np.roll(SPENT[128 * n : 128 * (n + 1)], n, axis=1) for n in range(4)]), (20, 50), axis=(0, 1)
    ),
}


@pytest.mark.parametrize("name", FILTERED)
def test_a_frame_through_a_short_filter_is_known(name: str) -> None:
    shown = recollection_of(Turned(sketch(FILTERED[name]())), sketch(SPENT), 1)
    assert shown.known_parts > MOST
    assert shown.cells == (), "a copy, not a pattern"


@pytest.mark.parametrize("name", PARTED)
def test_parts_are_known_also_where_the_largest_lies_in_place_or_they_lie_beside_one_another(name: str) -> None:
    shown = recollection_of(Turned(sketch(PARTED[name]())), sketch(SPENT), 1)
    assert shown.known_parts > MOST


PATTERN = np.random.default_rng(3).normal(0, 60, (SIDE, SIDE))
PATTERNS = {
    "none": np.zeros((SIDE, SIDE)),
    "half of the noise": PATTERN / 4,
    "eight times the noise": PATTERN * 4,
    "smooth": ndimage.gaussian_filter(7 * PATTERN, 0.8),
    "with an echo": PATTERN + 0.6 * np.roll(PATTERN, 40, axis=1),
    "in one half alone": 2 * PATTERN * (np.arange(SIDE) < SIDE // 2),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_in_common_is_no_copy(name: str) -> None:
    """Of it a linear rule predicts the square of the correlation, or less than the correlation if it has a colour."""
    pattern = np.rint(PATTERNS[name]).astype(np.int64)
    first, second = (sketch(white((SIDE, SIDE), sigma=30, seed=n) + pattern) for n in (11, 12))
    turned = Turned(second)
    looks = searched(turned, first)
    assert all(by_a_filter(turned, first, look) is None for look in looks[:1])
    shown = recollection_of(turned, first, 1)
    assert shown.known_parts == 0 or shown.cells != ()
    share = pattern.var() / (pattern.var() + 900)
    assert shown.known_parts < (share + 0.06) * PARTS


def test_the_same_frame_is_told_by_its_fold_alone() -> None:
    turned = Turned(sketch(SPENT))
    assert by_a_filter(turned, sketch(SPENT), searched(turned, sketch(SPENT))[0]) is None
