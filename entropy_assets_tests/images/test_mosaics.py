"""What headers say of a colour mosaic, and what its pixels show."""

import numpy as np
import pytest

from entropy_assets.images.decode import decode
from entropy_assets.images.fits_headers import PATTERN_CARDS, mosaic_of_cards
from entropy_assets_tests.images.image_files import fits, picture
from entropy_assets_tests.scenarios.sensors import RGBW, X_TRANS

RNG = np.random.default_rng(8)
GREY = np.rint(RNG.normal(1000, 8, (200, 200))).astype(np.uint16)
BAYER = GREY + np.tile(np.array([[0, 300], [300, 90]], dtype=np.uint16), (100, 100))


@pytest.mark.parametrize("keyword", PATTERN_CARDS)
@pytest.mark.parametrize(
    "value, period",
    [
        ("RGGB", 2),
        ("gbrg ", 2),
        ("CYYM", 2),
        (X_TRANS, 6),
        (RGBW, 4),
        ("RGB", 1),
        ("", 1),
        ("TRUE", 1),
        (True, 1),
        (7, 1),
    ],
)
def test_a_pattern_of_filters_has_its_period(keyword: str, value: object, period: int) -> None:
    assert mosaic_of_cards({keyword: value}) == period


def test_without_a_card_there_is_no_mosaic() -> None:
    assert mosaic_of_cards({}) == 1
    assert mosaic_of_cards({"XBAYROFF": 1, "ROWORDER": "TOP-DOWN"}) == 1


def test_the_longer_period_of_header_and_pixels_is_taken() -> None:
    """A dark of a colour camera shows none, and a header may name the wrong array."""
    x_trans = f"'{X_TRANS}'"
    assert decode(fits(GREY)).mosaic == 1
    assert decode(fits(GREY, BAYERPAT="'RGGB'")).mosaic == 2
    assert decode(fits(BAYER)).mosaic == 2
    assert decode(fits(BAYER, BAYERPAT=x_trans)).mosaic == 6
    assert decode(fits(np.tile(GREY[:6, :6] * 3, (33, 33)) + GREY[:198, :198], BAYERPAT="'RGGB'")).mosaic == 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_mosaic_in_a_container_without_such_a_header_is_found(kind: str) -> None:
    assert decode(picture(BAYER, kind)).mosaic == 2
    assert decode(picture(GREY, kind)).mosaic == 1


def test_colour_and_lossy_pictures_are_no_mosaics() -> None:
    narrow = (BAYER // 8).astype(np.uint8)
    assert decode(picture(narrow, "PNG")).mosaic == 2
    assert decode(picture(np.stack([narrow, narrow + 1, narrow + 2], axis=-1), "PNG")).mosaic == 1
    assert decode(picture(narrow, "JPEG", quality=100)).mosaic == 1


def test_earlier_readings_know_no_mosaics() -> None:
    assert decode(fits(BAYER, BAYERPAT="'RGGB'"), reading=1).mosaic == 1


def test_the_frame_is_as_it_was_stored() -> None:
    frame = decode(fits(BAYER, BAYERPAT="'RGGB'"))
    np.testing.assert_array_equal(frame.pixels[0], BAYER)
    assert frame.pixel_sha256 == decode(fits(BAYER), reading=1).pixel_sha256
