"""The headers of FITS files: what they announce is checked before a pixel is touched."""

from typing import Any

import numpy as np
import pytest

from entropy_assets.errors import RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets_tests.images.image_files import NOISE, block, fits, header, reason


@pytest.mark.parametrize(
    "cards, expected",
    [
        ({"NAXIS1": 200_000, "NAXIS2": 200_000}, RejectionReason.OVER_PIXEL_BUDGET),
        ({"NAXIS1": 57}, RejectionReason.TRUNCATED),
        ({"NAXIS1": -512}, RejectionReason.INVALID_HEADER),
        ({"NAXIS": 999}, RejectionReason.INVALID_HEADER),
        ({"NAXIS": 3}, RejectionReason.INVALID_HEADER),
        ({"NAXIS": "'two'"}, RejectionReason.INVALID_HEADER),
        ({"NAXIS": "T"}, RejectionReason.INVALID_HEADER),
        ({"NAXIS": None}, RejectionReason.INVALID_HEADER),
        ({"BITPIX": 12}, RejectionReason.INVALID_HEADER),
        ({"BITPIX": None}, RejectionReason.INVALID_HEADER),
        ({"GCOUNT": 0}, RejectionReason.INVALID_HEADER),
        ({"PCOUNT": -1}, RejectionReason.INVALID_HEADER),
        ({"BZERO": "'a'"}, RejectionReason.INVALID_HEADER),
        ({"NAXIS": 0}, RejectionReason.NO_IMAGE_DATA),
        ({"NAXIS": 1}, RejectionReason.NO_IMAGE_DATA),
        ({"NAXIS2": 0}, RejectionReason.NO_IMAGE_DATA),
        ({"NAXIS1": 10**30}, RejectionReason.INVALID_HEADER),
    ],
)
def test_header_is_checked_before_the_pixels(cards: dict[str, Any], expected: RejectionReason) -> None:
    """Sizes, signs and types of the structural keywords, each with its reason."""
    data = (
        fits(NOISE, **cards)
        if "NAXIS1" not in cards
        else header(**{"SIMPLE": "T", "BITPIX": 16, "NAXIS": 2, "NAXIS1": 56, "NAXIS2": 40} | cards)
        + bytes(40 * 56 * 2)
    )
    assert reason(data) is expected


def test_a_thousand_axes_are_refused() -> None:
    """All 999 of them present and of length one: still no image."""
    axes = {f"NAXIS{n}": 1 for n in range(1, 1000)}
    assert reason(header(SIMPLE="T", BITPIX=16, NAXIS=999, **axes) + bytes(2880)) is RejectionReason.INVALID_HEADER


def test_blank_and_comment_cards_are_skipped() -> None:
    """Neither ends the header, nor does a keyword that begins with END."""
    cards = (b"", b"COMMENT  END", b"ENDTIME =                    1", b"HISTORY = 1")
    lines, data = b"".join(card.ljust(80) for card in cards), fits(NOISE)
    padded = block(data[:80] + lines + data[80:403], b" ") + data[2880:]
    assert np.array_equal(decode(padded).pixels[0], NOISE)


def test_header_without_end_is_truncated() -> None:
    """Inside the first block as well as at its end."""
    assert reason(fits(NOISE)[:1000]) is RejectionReason.TRUNCATED
    assert reason(fits(NOISE)[:2880].replace(b"END", b"   ")) is RejectionReason.TRUNCATED


def test_missing_padding_is_no_missing_data() -> None:
    """Some writers leave out the last padding: the pixels are all there."""
    assert decode(fits(NOISE)[: 2880 + NOISE.size * 2]).shape == (40, 56)


def test_time_of_exposure() -> None:
    """DATE-OBS as ISO 8601, completed by a time card; anything else is no time."""
    assert decode(fits(NOISE, DATE_OBS="'2026-11-05T01:02:03.5'")).captured_at == "2026-11-05T01:02:03.5"
    assert decode(fits(NOISE, DATE_OBS="'2013-07-13'", UT="'00:57:33'")).captured_at == "2013-07-13T00:57:33"
    assert decode(fits(NOISE, DATE_OBS="'13/07/95'")).captured_at == "1995-07-13"
    assert decode(fits(NOISE, DATE_OBS="'soon'")).captured_at is None
