"""Reading FITS: every size is checked against the file before a pixel is touched.

Plain images are read straight from the data unit, as the integers that are stored there; nothing scales them.
Tile compression is undone in `tiles`.

References
----------
FITS Standard 4.0: BSCALE/BZERO/BLANK 4.4.2.5.
"""

from collections.abc import Iterator
from math import prod
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.frame import PIXEL_LIMIT, Statement
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.fits_headers import (
    Hdu,
    Header,
    axes_of,
    capture_time,
    instrument_of,
    number,
    plane_shape,
    reject,
    require_complete,
    sample_type,
    walk,
)
from entropy_assets.images.limits import DecodeLimits, strip_of
from entropy_assets.images.mosaics import mosaic_of_cards
from entropy_assets.images.statements import statements_of_cards
from entropy_assets.images.tiles import compressed_plane

UNSIGNED_ZERO: Final = {8: -(1 << 7), 16: 1 << 15, 32: 1 << 31}
"""BZERO of the unsigned convention (signed for 8 bits); 64 bits keep their stored values, the offset says nothing."""
MIN_FINITE_SHARE: Final = 0.5
SQUARE: Final = 32
"""Side of the square on which liveness is judged, pixels (`Recipe.survey_size`)."""
PASSED_OVER: Final = (RejectionReason.NO_IMAGE_DATA, RejectionReason.NOT_FINITE)
"""What says that there is nothing to see in an image, rather than that it can't be read."""
NOT_MEASURED: Final = MappingProxyType(
    {
        "DQ": "STScI: data quality, HST and JWST",
        "ERR": "STScI: error, HST and JWST",
        "VAR_POISSON": "STScI: variance, JWST",
        "VAR_RNOISE": "STScI: variance, JWST",
        "VAR_FLAT": "STScI: variance, JWST",
        "SAMP": "STScI: samples per pixel, WFC3 and NICMOS",
        "TIME": "STScI: exposure per pixel, WFC3 and NICMOS",
        "WHT": "STScI: weight, AstroDrizzle and JWST",
        "CTX": "STScI: context, AstroDrizzle",
        "CON": "STScI: context, JWST",
        "MASK": "Astropy CCDData, NOIRLab pipelines",
        "UNCERT": "Astropy CCDData",
        "BPM": "IRAF, ESO pipelines: bad pixel mask",
    }
)
"""EXTNAME of images that tell of another one, and who writes it."""
NOT_DATA: Final = ("ERROR", "QUALITY")
"""HDUCLAS2 of such images; the data have DATA (ESO Science Data Products Standard)."""


class FitsImage(NamedTuple):
    """An image of a FITS file; its data unit has `size` bytes from `start` on, of which `coded_bytes` code it.

    `mosaic` is the period of its colour mosaic, by its header; `height` counts all rows, used or not.
    """

    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]
    bit_depth: int
    float_data: bool
    captured_at: str | None
    statements: tuple[Statement, ...]
    start: int
    size: int
    coded_bytes: int
    instrument: str
    mosaic: int
    height: int


class _Unit(NamedTuple):
    """An image in the file, and what the headers up to its own say of time, making and camera."""

    hdu: Hdu
    captured_at: str | None
    statements: tuple[Statement, ...]
    instrument: str


def read_fits(data: bytes, limits: DecodeLimits, *, reading: int) -> FitsImage:
    """Return the first image of `data` that an exposure can be in; of a cube, its first plane.

    By the rules of 2, planes of quality and of error are no exposures (`NOT_MEASURED`), and an image is passed over if
    it has less than one square to judge noise on, or one value everywhere. If none is left, the first image is
    returned for what it is. An image that can't be read decides: another one in its place would be a guess.

    Parameters
    ----------
    data
        The file.
    limits
        What it may cost. No further image is looked at once those that were passed over have more samples in all.
    reading
        The rules, as `Recipe.reading`.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    first, looked_at, units = None, 0, _units(data, reading)
    while looked_at <= min(limits.max_pixels, limits.max_samples):
        try:
            unit = next(units, None)
        except ImageRejected:
            if first is None:
                raise
            break
        if unit is None:
            break
        image = _image(data, unit, limits, reading) if reading < 2 else _exposure(data, unit, limits, reading)
        if image is not None:
            return image
        first = first or unit
        looked_at += _pixels_read(unit.hdu)
    if first is None:
        reject(RejectionReason.NO_IMAGE_DATA, "the FITS file holds no image with at least two axes")
    return _image(data, first, limits, reading)


def _units(data: bytes, reading: int) -> Iterator[_Unit]:
    """Yield the images of the file, plain and compressed."""
    statements: tuple[Statement, ...] = ()
    captured_at, instrument = None, ""
    for hdu in walk(data):
        statements += tuple(statements_of_cards(hdu.header))
        captured_at = capture_time(hdu.header) or captured_at
        instrument = instrument_of(hdu.header) or instrument
        is_image = hdu.is_image or hdu.is_compressed_image
        if is_image and not (reading >= 2 and _is_about_another(hdu.header)):
            yield _Unit(hdu, captured_at, statements, instrument)
        else:
            require_complete(data, hdu)


def _is_about_another(header: Header) -> bool:
    """Tell whether an image says of itself that it holds the quality or the error of another one."""
    name, content = (str(header.get(key, "")).strip().upper() for key in ("EXTNAME", "HDUCLAS2"))
    return name in NOT_MEASURED or content in NOT_DATA


def _exposure(data: bytes, unit: _Unit, limits: DecodeLimits, reading: int) -> FitsImage | None:
    """Return the image, or None if no exposure can be in it."""
    try:
        if min(plane_shape(unit.hdu, "Z" if unit.hdu.is_compressed_image else "", limits)) < SQUARE:
            return None
        image = _image(data, unit, limits, reading)
    except ImageRejected as rejection:
        if rejection.reason in PASSED_OVER:
            return None
        raise
    return image if _varies(image.pixels, image.usable) else None


def _image(data: bytes, unit: _Unit, limits: DecodeLimits, reading: int) -> FitsImage:
    hdu = unit.hdu
    if hdu.is_compressed_image:
        stored, coded = compressed_plane(data, hdu, limits, rice_only=reading < 2)
    else:
        stored, coded = _plain_plane(data, hdu, limits), hdu.size
    height = len(stored)
    if reading >= 2:
        stored = stored[strip_of(*stored.shape)]
        coded = -(-coded * len(stored) // height)
    pixels, usable = _measured(stored, hdu.header)
    depth, floats = stored.dtype.itemsize * 8, stored.dtype.kind == "f"
    return FitsImage(
        pixels,
        usable,
        depth,
        floats,
        unit.captured_at,
        unit.statements,
        hdu.start,
        hdu.size,
        coded,
        unit.instrument,
        mosaic_of_cards(hdu.header) if reading >= 2 else 1,
        height,
    )


def _pixels_read(hdu: Hdu) -> int:
    """Return the pixels that were unpacked or looked at: of a compressed cube all planes, of a plain one the first."""
    return prod(axes_of(hdu.header, "Z")) if hdu.is_compressed_image else prod(axes_of(hdu.header)[:2])


def _varies(pixels: npt.NDArray[np.integer], usable: npt.NDArray[np.bool_]) -> bool:
    """Tell whether the usable pixels have more than one value, a few rows at a time."""
    known = None
    for row in range(0, len(pixels), SQUARE):
        values = pixels[row : row + SQUARE][usable[row : row + SQUARE]]
        if values.size:
            known = values[0] if known is None else known
            if (values != known).any():
                return True
    return False


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


def _plain_plane(data: bytes, hdu: Hdu, limits: DecodeLimits) -> npt.NDArray[Any]:
    ny, nx = plane_shape(hdu, "", limits)
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
