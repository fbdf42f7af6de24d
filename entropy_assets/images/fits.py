"""Reading FITS: every size is checked against the file before a pixel is touched.

Plain images are read straight from the data unit, as the integers that are stored there; nothing scales them.
Tile compression is undone in `tiles`.

References
----------
FITS Standard 4.0: BSCALE/BZERO/BLANK 4.4.2.5.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.frame import PIXEL_LIMIT, Statement
from entropy_assets.errors import RejectionReason
from entropy_assets.images.fits_headers import (
    Hdu,
    Header,
    capture_time,
    number,
    plane_shape,
    reject,
    require_complete,
    sample_type,
    walk,
)
from entropy_assets.images.statements import statements_of_cards
from entropy_assets.images.tiles import compressed_plane

UNSIGNED_ZERO: Final = {8: -(1 << 7), 16: 1 << 15, 32: 1 << 31}
"""BZERO of the unsigned convention (signed for 8 bits); 64 bits keep their stored values, the offset says nothing."""
MIN_FINITE_SHARE: Final = 0.5


class FitsImage(NamedTuple):
    """An image of a FITS file; its data unit has `size` bytes from `start` on, of which `coded_bytes` code it."""

    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]
    bit_depth: int
    float_data: bool
    captured_at: str | None
    statements: tuple[Statement, ...]
    start: int
    size: int
    coded_bytes: int


def read_fits(data: bytes, max_pixels: int, *, reading: int) -> FitsImage:
    """Return the first image of `data`; of a cube, its first plane.

    Parameters
    ----------
    data
        The file.
    max_pixels
        Largest plane that is read, and largest compressed image that is unpacked, pixels.
    reading
        The rules, as `Recipe.reading`.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    statements: list[Statement] = []
    captured_at = None
    for hdu in walk(data):
        statements += statements_of_cards(hdu.header)
        captured_at = capture_time(hdu.header) or captured_at
        if hdu.is_image:
            stored, coded = _plain_plane(data, hdu, max_pixels), hdu.size
        elif hdu.is_compressed_image:
            stored, coded = compressed_plane(data, hdu, max_pixels, rice_only=reading < 2)
        else:
            require_complete(data, hdu)
            continue
        pixels, usable = _measured(stored, hdu.header)
        depth = stored.dtype.itemsize * 8
        floats = stored.dtype.kind == "f"
        return FitsImage(pixels, usable, depth, floats, captured_at, tuple(statements), hdu.start, hdu.size, coded)
    reject(RejectionReason.NO_IMAGE_DATA, "the FITS file holds no image with at least two axes")


def integer_valued(plane: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return `plane` as integers, and where it is finite.

    Floats that are not integers were scaled, averaged or interpolated: the ADC's step can't be told any more, so no
    credit can be argued for them.

    Raises
    ------
    ImageRejected
        ``NOT_FINITE`` if fewer than half of the pixels are finite; ``UNSUPPORTED_PIXELS`` if some finite one is no
        integer or exceeds 2**53.
    """
    whole, finite = np.zeros(plane.shape, dtype=np.int64), np.zeros(plane.shape, dtype=np.bool_)
    exact = True
    for row in range(len(plane)):
        values = plane[row].astype(np.float64)
        np.isfinite(values, out=finite[row])
        values[~finite[row]] = 0.0
        exact = exact and bool((np.abs(values) <= PIXEL_LIMIT).all()) and np.array_equal(values, np.rint(values))
        if exact:
            whole[row] = values
    share = float(finite.mean())
    if share < MIN_FINITE_SHARE:
        reject(RejectionReason.NOT_FINITE, f"only {share:.1%} of the pixels are finite numbers", finite_share=share)
    if not exact:
        message = f"{plane.dtype.itemsize * 8}-bit floats that are no integers: scaled or averaged, not an ADC's output"
        reject(RejectionReason.UNSUPPORTED_PIXELS, message)
    return whole, finite


# Pixels


def _plain_plane(data: bytes, hdu: Hdu, max_pixels: int) -> npt.NDArray[Any]:
    ny, nx = plane_shape(hdu, "", max_pixels)
    require_complete(data, hdu)
    return np.frombuffer(data, dtype=sample_type(hdu.header), count=ny * nx, offset=hdu.start).reshape(ny, nx)


def _measured(stored: npt.NDArray[Any], header: Header) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """Return the stored values as integers and the mask of BLANK or non-finite ones.

    BSCALE is not applied: the stored integers are what the ADC delivered. BZERO is, in the unsigned convention only.
    """
    if stored.dtype.kind == "f":
        if number(header, "BSCALE", 1.0) != 1 or number(header, "BZERO", 0.0) != 0:
            reject(RejectionReason.UNSUPPORTED_PIXELS, "floats with BSCALE or BZERO: not what an ADC delivered")
        return integer_valued(stored)
    blank = header.get("BLANK", header.get("ZBLANK"))
    usable: npt.NDArray[np.bool_] = np.ones(stored.shape, dtype=np.bool_)
    if isinstance(blank, int):
        usable &= stored != blank
    zero = UNSIGNED_ZERO.get(stored.dtype.itemsize * 8)
    if zero is not None and number(header, "BZERO", 0.0) == zero and number(header, "BSCALE", 1.0) == 1:
        shifted: npt.NDArray[Any] = stored.astype(np.int32 if stored.dtype.itemsize < 4 else np.int64)
        shifted += zero
        return shifted, usable
    native: npt.NDArray[Any] = stored.astype(stored.dtype.newbyteorder("="))
    return native, usable
