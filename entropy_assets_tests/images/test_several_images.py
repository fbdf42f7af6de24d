"""FITS files of several images: the first that an exposure can be in is read, and hostile ones cost no more."""

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.fits_headers import NOT_DATA, NOT_MEASURED
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.images.image_files import NOISE, block, compressed, fits, header, reason

EARLIER = recipe_named("ea-2026-1").reading
EMPTY = header(SIMPLE="T", BITPIX=8, NAXIS=0)
FLAT = np.full((40, 56), 7)


def image(plane: Any, **cards: Any) -> bytes:
    """Return an IMAGE extension of 16 bits."""
    axes = {f"NAXIS{n}": size for n, size in enumerate(reversed(plane.shape), 1)}
    own = {"XTENSION": "'IMAGE   '", "BITPIX": 16, "NAXIS": plane.ndim, **axes, "PCOUNT": 0, "GCOUNT": 1}
    return header(**own | cards) + block(plane.astype(">i2").tobytes(), b"\0")


@pytest.mark.parametrize("name", ["mef_dq_first.fits", "mef_1x1_primary.fits"])
def test_what_comes_before_the_exposure_does_not_decide(shared_data: Any, name: str) -> None:
    """A flat plane of data quality and a primary image of one pixel: the exposure behind them is read."""
    data = (shared_data / "faults" / name).read_bytes()
    frame = decode(data)
    assert (frame.shape, frame.bit_depth) == ((256, 256), 16)
    assert frame.pixels.std() > 1
    assert frame.coded_bytes == 2 * 256 * 256
    assert decode(data, reading=EARLIER).pixel_sha256 != frame.pixel_sha256


@pytest.mark.parametrize(
    "first",
    [fits(FLAT), fits(NOISE[:31]), fits(NOISE[:, :31]), fits(FLAT[:1, :1]), fits(NOISE[0]), fits(FLAT, BLANK=7)],
    ids=["flat", "low", "narrow", "one pixel", "one axis", "blank"],
)
def test_an_image_without_a_square_or_without_two_values_is_passed_over(first: bytes) -> None:
    """Whatever it is called; and it is read for what it is where nothing better follows, as by the rules before."""
    assert np.array_equal(decode(first + image(NOISE)).pixels[0], NOISE)
    assert outcome(first + image(FLAT[:8])) == outcome(first) == outcome(first + image(NOISE), reading=EARLIER)


def test_one_square_and_two_values_are_enough() -> None:
    """The rule is about what can be judged; whether it is worth something is decided later."""
    plane = np.full((32, 32), 7)
    plane[31, 31] = 8
    assert np.array_equal(decode(fits(plane) + image(NOISE)).pixels[0], plane)
    halves = np.repeat([7, 8], 32)[:, np.newaxis].repeat(56, axis=1)
    assert np.array_equal(decode(fits(halves) + image(NOISE)).pixels[0], halves)
    hidden = np.full((32, 32), 7)
    hidden[0, 0] = -9
    assert np.array_equal(decode(fits(hidden, BLANK=-9) + image(NOISE)).pixels[0], NOISE)


@pytest.mark.parametrize("name", NOT_MEASURED)
def test_quality_and_error_are_never_an_exposure(name: str) -> None:
    """By the name that the pipelines give them, in capitals or not, before the exposure or alone."""
    assert np.array_equal(decode(EMPTY + image(255 - NOISE, EXTNAME=f"'{name}'") + image(NOISE)).pixels[0], NOISE)
    alone = EMPTY + image(NOISE, EXTNAME=f"'{name.lower()} '")
    assert reason(alone) is RejectionReason.NO_IMAGE_DATA
    assert decode(alone, reading=EARLIER).shape == (40, 56)


def test_eso_says_by_hduclas2_what_a_plane_holds() -> None:
    """ERROR and QUALITY are passed over, DATA is read."""
    for content in NOT_DATA:
        assert reason(EMPTY + image(NOISE, HDUCLAS2=f"'{content}'")) is RejectionReason.NO_IMAGE_DATA
    assert decode(EMPTY + image(NOISE, HDUCLAS2="'DATA'")).shape == (40, 56)


@pytest.mark.parametrize(
    "second, expected",
    [
        (compressed(NOISE / 7, "RICE_1", 1)[2880:], RejectionReason.DITHERED),
        (image(NOISE)[:4000], RejectionReason.TRUNCATED),
        (image(NOISE, BITPIX=12), RejectionReason.INVALID_HEADER),
    ],
)
def test_an_image_that_can_not_be_read_decides(second: bytes, expected: RejectionReason) -> None:
    """It is not skipped for one behind it; but a damaged header behind the first image leaves that as it is."""
    behind = second if expected is RejectionReason.TRUNCATED else second + image(NOISE)
    assert reason(EMPTY + behind) is expected
    found = outcome(fits(FLAT) + behind)
    assert found == (outcome(fits(FLAT)) if expected is RejectionReason.INVALID_HEADER else expected)


def test_headers_that_were_passed_over_still_count() -> None:
    """A simulated frame can't hide behind a flat plane, and the time of the first header is kept."""
    data = fits(FLAT, SIMULATE="T", DATE_OBS="'2026-11-05T01:02:03'") + image(NOISE)
    assert decode(data, source="mast").source == "simulated"
    assert decode(data).captured_at == "2026-11-05T01:02:03"


def test_many_flat_images_take_the_memory_of_one_and_bounded_time() -> None:
    """No more is looked at than one largest image has pixels, packed or not, and at most 256 units."""
    bomb = compressed(np.zeros((2048, 2048), dtype=np.int16), "GZIP_1", tile_shape=(2048, 2048))[2880:]
    data = EMPTY + bomb * 250 + image(NOISE)
    limits = DecodeLimits(max_pixels=4 << 20, max_samples=4 << 20)
    began = time.process_time()
    tracemalloc.start()
    frame = decode(data, limits=limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frame.shape == (2048, 2048)
    assert peak < 100 << 20
    assert time.process_time() - began < 10
    assert decode(EMPTY + bomb + image(NOISE), limits=limits).shape == (40, 56)
    assert outcome(fits(FLAT) + image(FLAT) * 255 + image(NOISE)) == outcome(fits(FLAT))


def outcome(data: bytes, **options: Any) -> str:
    """Return the pixels in `data` by their hash, or why there are none."""
    try:
        found = decode(data, **options)
    except ImageRejected as rejection:
        return rejection.reason
    assert isinstance(found, Frame)
    return found.pixel_sha256
