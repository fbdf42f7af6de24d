"""FITS: stored integers, checked headers, and no astropy as far as nothing is compressed."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from entropy_assets.errors import RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.recipe import recipe_named
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


def test_by_the_rules_before_it_is_the_first_plane_of_the_first_image() -> None:
    """Batches of earlier recipes stay as they were; nothing is told of the others."""
    cube = np.stack([NOISE, 255 - NOISE])
    earlier = recipe_named("ea-2026-1").reading
    frame = decode(fits(cube), reading=earlier)
    assert np.array_equal(frame.pixels[0], NOISE)
    assert (frame.parts, frame.selection) == (1, "")
    empty = header(SIMPLE="T", BITPIX=8, NAXIS=0)
    second = header(XTENSION="'IMAGE   '", BITPIX=16, NAXIS=2, NAXIS1=56, NAXIS2=40, PCOUNT=0, GCOUNT=1)
    data = empty + second + block(NOISE.astype(">i2").tobytes(), b"\0") + fits(cube)
    assert np.array_equal(decode(data, reading=earlier).pixels[0], NOISE)


def test_simulated_frames_can_not_pass_for_real_ones() -> None:
    """SIMULATE = T decides the source, whatever the caller says."""
    assert decode(fits(NOISE, SIMULATE="T"), source="mast").source == "simulated"
    assert decode(fits(NOISE, SIMULATE="F"), source="mast").source == "mast"
