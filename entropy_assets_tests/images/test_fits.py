"""FITS: stored integers, checked headers, and no astropy as far as nothing is compressed."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from entropy_assets.errors import RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets_tests.images.image_files import NOISE, block, fits, header, reason


def test_plain_fits_needs_no_astropy() -> None:
    """Importing astropy costs more than decoding; it stays out until tiles need it."""
    code = (
        "import sys; from entropy_assets.images.decode import decode; decode(sys.stdin.buffer.read()); "
        "sys.exit('astropy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], input=fits(NOISE), check=True, timeout=60)


@pytest.mark.parametrize(
    "kind, zero, depth", [(">u1", 0, 8), (">i2", 0, 16), (">i4", 0, 32), (">i8", 0, 64), (">f4", 0, 32)]
)
def test_stored_integers_come_out(kind: str, zero: int, depth: int) -> None:
    """Every BITPIX gives its integers and depth."""
    frame = decode(fits(NOISE, kind))
    assert np.array_equal(frame.pixels[0], NOISE)
    assert (frame.bit_depth, frame.float_data, frame.lossy) == (depth, kind == ">f4", False)


def test_unsigned_convention_gives_0_to_65535() -> None:
    """BZERO 32768 is the unsigned convention and is undone."""
    stored = np.array([[-32768, -1], [0, 32767]])
    assert decode(fits(stored, BZERO=32768, BSCALE=1)).pixels.tolist() == [[[0, 32767], [32768, 65535]]]
    assert decode(fits(stored, BZERO="32768.0")).pixels.max() == 65535


def test_scaled_frames_are_measured_as_stored() -> None:
    """BSCALE is not applied, BLANK is masked."""
    frame = decode(fits(np.array([[5, -99], [7, 8]]), BSCALE=0.25, BZERO=1000.0, BLANK=-99))
    assert frame.pixels.tolist() == [[[5, 5], [7, 8]]]
    assert frame.usable.tolist() == [[True, False], [True, True]]


def test_non_finite_pixels_are_masked_up_to_half() -> None:
    """NaN and infinities are no measurements; mostly NaN is no frame; they are never cast."""
    plane = NOISE.astype(float)
    plane[:5], plane[5, 0], plane[6, 1] = np.nan, np.inf, -np.inf
    frame = decode(fits(plane, ">f8"))
    assert frame.usable.sum() == plane.size - 5 * 56 - 2
    assert frame.pixels.min() >= NOISE.min()
    plane[:22] = np.nan
    assert reason(fits(plane, ">f8")) is RejectionReason.NOT_FINITE


@pytest.mark.parametrize("plane", [NOISE / 4, NOISE + 1e-3, NOISE * 1e30])
def test_floats_that_are_no_integers_are_refused(plane: Any) -> None:
    """Averaged or scaled floats have no ADC step."""
    assert reason(fits(plane, ">f8")) is RejectionReason.UNSUPPORTED_PIXELS


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


def test_first_plane_of_a_cube_and_first_image_of_many() -> None:
    """A stated choice, and never a mixture."""
    cube = np.stack([NOISE, 255 - NOISE])
    assert np.array_equal(decode(fits(cube)).pixels[0], NOISE)
    empty = header(SIMPLE="T", BITPIX=8, NAXIS=0)
    second = header(XTENSION="'IMAGE   '", BITPIX=16, NAXIS=2, NAXIS1=56, NAXIS2=40, PCOUNT=0, GCOUNT=1)
    data = empty + second + block(NOISE.astype(">i2").tobytes(), b"\0") + fits(cube)
    assert np.array_equal(decode(data).pixels[0], NOISE)


def test_time_of_exposure() -> None:
    """DATE-OBS as ISO 8601, completed by a time card; anything else is no time."""
    assert decode(fits(NOISE, DATE_OBS="'2026-11-05T01:02:03.5'")).captured_at == "2026-11-05T01:02:03.5"
    assert decode(fits(NOISE, DATE_OBS="'2013-07-13'", UT="'00:57:33'")).captured_at == "2013-07-13T00:57:33"
    assert decode(fits(NOISE, DATE_OBS="'13/07/95'")).captured_at == "1995-07-13"
    assert decode(fits(NOISE, DATE_OBS="'soon'")).captured_at is None


def test_simulated_frames_can_not_pass_for_real_ones() -> None:
    """SIMULATE = T decides the source, whatever the caller says."""
    assert decode(fits(NOISE, SIMULATE="T"), source="mast").source == "simulated"
    assert decode(fits(NOISE, SIMULATE="F"), source="mast").source == "mast"
