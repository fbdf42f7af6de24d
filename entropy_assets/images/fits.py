"""Reading FITS: every size is checked against the file before a pixel is touched.

Plain images are read straight from the data unit, as the integers that are stored there; nothing scales them.
Tile compression is undone in `tiles`.

References
----------
FITS Standard 4.0: BSCALE/BZERO/BLANK 4.4.2.5.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.phases import period_of
from entropy_assets.core.frame import PIXEL_LIMIT, CameraNoise, Statement
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.fits_headers import (
    Hdu,
    Header,
    axes_of,
    capture_time,
    exposed_part,
    instrument_of,
    is_about_another,
    mosaic_of_cards,
    number,
    plane_shape,
    reject,
    require_complete,
    sample_type,
    walk,
)
from entropy_assets.images.limits import DecodeLimits, strip_of
from entropy_assets.images.statements import camera_noise_of_cards, statements_of_cards
from entropy_assets.images.tiles import compressed_planes, covered

UNSIGNED_ZERO: Final = {8: -(1 << 7), 16: 1 << 15, 32: 1 << 31}
"""BZERO of the unsigned convention (signed for 8 bits); 64 bits keep their stored values, the offset says nothing."""
MIN_FINITE_SHARE: Final = 0.5
SQUARE: Final = 32
"""Side of the square on which liveness is judged, pixels (`Recipe.survey_size`)."""
PASSED_OVER: Final = (RejectionReason.NO_IMAGE_DATA, RejectionReason.NOT_FINITE)
"""What says that there is nothing to see in an image, rather than that it can't be read."""
MOST_PARTS: Final = 16
"""Most planes of a file that are taken: each is compared with all before it, in all orientations."""
MOST_PIXELS_OF_PARTS: Final = 32 << 20
"""Most pixels that several planes have in all. It is no setting, since it decides bytes."""
NO_IMAGE: Final = "the FITS file holds no image with at least two axes"


class FitsImage(NamedTuple):
    """The images that were taken from a FITS file, below each other.

    Attributes
    ----------
    pixels, usable
        ``[ny, nx]``: `parts` images of equal height.
    height
        Rows of one of them in the file, used or not.
    spans
        Where the data units, or the planes, that hold them begin and end in the file, ascending.
    coded_bytes
        How many bytes of the file code them.
    mosaic
        Period of their colour mosaic, by their header.
    is_stack
        They are several planes of one image.
    selection
        What was taken, a sentence for people; empty if the file holds one image alone.
    """

    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]
    bit_depth: int
    float_data: bool
    captured_at: str | None
    statements: tuple[Statement, ...]
    spans: tuple[tuple[int, int], ...]
    coded_bytes: int
    instrument: str
    height: int
    mosaic: int = 1
    parts: int = 1
    is_stack: bool = False
    selection: str = ""
    camera_noise: CameraNoise | None = None


class _Unit(NamedTuple):
    """An image in the file, and what the headers up to its own say of time, making and camera."""

    hdu: Hdu
    captured_at: str | None
    statements: tuple[Statement, ...]
    instrument: str
    camera_noise: CameraNoise | None

    @property
    def prefix(self) -> str:
        """What stands before NAXIS and BITPIX of the image."""
        return "Z" if self.hdu.is_compressed_image else ""

    @property
    def planes(self) -> int:
        """Number of planes."""
        return prod(axes_of(self.hdu.header, self.prefix)[2:])


class _Plane(NamedTuple):
    """A plane that an exposure can be in, without its overscan; of `height` rows those in the middle if it is large."""

    unit: _Unit
    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]
    stored_as: np.dtype[Any]
    span: tuple[int, int]
    tiles: npt.NDArray[np.int64] | None
    is_trimmed: bool
    height: int


def read_fits(data: bytes, limits: DecodeLimits, *, reading: int) -> FitsImage:
    """Return the image of `data`, or the images.

    By the rules of 1 it is the first image, and of a cube its first plane.

    By the rules of 2 it is the first plane that an exposure can be in. Planes of quality and of error are no exposures
    (`fits_headers.NOT_MEASURED`), and a plane is passed over if it has less than one square to judge noise on, or one
    value everywhere. If none is left, the first plane is returned for what it is. A first image that can't be read
    decides: another one in its place would be a guess. Overscan is left out where the header says where it is.

    By the rules of 3 those behind it of the same shape and kind lie below it, up to `MOST_PARTS`: planes of a cube,
    groups of a ramp, extensions of a mosaic.

    Parameters
    ----------
    data
        The file.
    limits
        What it may cost. No further plane is looked at once those that were passed over have more samples in all.
    reading
        The rules, as `Recipe.reading`.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    if reading >= 2:
        return _gathered(data, limits, MOST_PARTS if reading >= 3 else 1)
    unit = next(_units(data, reading), None)
    if unit is None:
        reject(RejectionReason.NO_IMAGE_DATA, NO_IMAGE)
    hdu = unit.hdu
    if hdu.is_compressed_image:
        stored = compressed_planes(data, hdu, limits, rice_only=True).stored[0]
    else:
        stored = _plain_planes(data, hdu, limits)[0]
    pixels, usable = _measured(stored, hdu.header)
    depth, floats = stored.dtype.itemsize * 8, stored.dtype.kind == "f"
    place = ((hdu.start, hdu.start + hdu.size),)
    said = unit.captured_at, unit.statements
    return FitsImage(pixels, usable, depth, floats, *said, place, hdu.size, unit.instrument, len(pixels))


def _gathered(data: bytes, limits: DecodeLimits, most_parts: int) -> FitsImage:
    """Return the images of a file by the rules of 2 and later, `most_parts` of them at most."""
    parts, units = _Parts(data, limits, most_parts), _units(data, 2)
    first: _Unit | None = None
    while True:
        try:
            unit = next(units, None)
        except ImageRejected:
            if first is None:
                raise
            break
        if unit is None:
            break
        first = first or unit
        parts.look_at(unit)
    if first is None:
        reject(RejectionReason.NO_IMAGE_DATA, NO_IMAGE)
    return _joined(parts.taken or [next(_planes(data, first, limits))], parts.total, limits)


class _Parts:
    """The planes that are taken from a file, in their order."""

    def __init__(self, data: bytes, limits: DecodeLimits, most_parts: int) -> None:
        self.data, self.limits, self.most_parts = data, limits, most_parts
        self.taken: list[_Plane] = []
        self.looked_at = self.total = 0

    def is_full(self) -> bool:
        """Tell whether no further plane is looked at."""
        pixels = self.taken[0].pixels.size if self.taken else 0
        enough = len(self.taken) == self.most_parts or (len(self.taken) + 1) * pixels > MOST_PIXELS_OF_PARTS
        return enough or self.looked_at > min(self.limits.max_pixels, self.limits.max_samples)

    def look_at(self, unit: _Unit) -> None:
        """Take the planes of an image that an exposure can be in; raise if it is the first one and can't be read."""
        try:
            self.total += unit.planes
            shape, _ = kind = self._kind(unit)
            if self.is_full() or min(shape) < SQUARE or (self.taken and kind != self._kind(self.taken[0].unit)):
                return
            for plane in _planes(self.data, unit, self.limits):
                self._take(plane)
                if self.is_full():
                    return
        except ImageRejected as rejection:
            if not self.taken and rejection.reason not in PASSED_OVER:
                raise

    def _kind(self, unit: _Unit) -> tuple[tuple[int, int], str]:
        """Return the shape and the type of an image as it is stored: those of another kind are not unpacked."""
        header, prefix = unit.hdu.header, unit.prefix
        return plane_shape(unit.hdu, prefix, self.limits), sample_type(header, prefix)

    def _take(self, plane: _Plane) -> None:
        first = self.taken[0] if self.taken else plane
        if first.pixels.shape == plane.pixels.shape and varies(plane.pixels, plane.usable):
            self.taken.append(plane)
        else:
            self.looked_at += plane.pixels.size


def _units(data: bytes, reading: int) -> Iterator[_Unit]:
    """Yield the images of the file, plain and compressed."""
    statements: tuple[Statement, ...] = ()
    captured_at, instrument, camera_noise = None, "", None
    for hdu in walk(data):
        statements += tuple(statements_of_cards(hdu.header))
        captured_at = capture_time(hdu.header) or captured_at
        instrument = instrument_of(hdu.header) or instrument
        camera_noise = camera_noise_of_cards(hdu.header, hdu.comments) or camera_noise
        is_image = hdu.is_image or hdu.is_compressed_image
        if is_image and not (reading >= 2 and is_about_another(hdu.header)):
            yield _Unit(hdu, captured_at, statements, instrument, camera_noise)
        else:
            require_complete(data, hdu)


def _planes(data: bytes, unit: _Unit, limits: DecodeLimits) -> Iterator[_Plane]:
    """Yield the planes of an image in their order, each as it was measured.

    Raises
    ------
    ImageRejected
        With the one reason that fits, before or behind the first plane.
    """
    hdu = unit.hdu
    spans: tuple[npt.NDArray[np.int64], ...] = ()
    if hdu.is_compressed_image:
        planes, spans = compressed_planes(data, hdu, limits, rice_only=False)
    else:
        planes = _plain_planes(data, hdu, limits)
    height, width = planes.shape[1:]
    part = exposed_part(hdu.header, (height, width), SQUARE)
    for place, stored in enumerate(planes):
        size = height * width * planes.dtype.itemsize
        start = hdu.start + (0 if spans else place * size)
        span = start, start + (hdu.size if spans else size)
        exposed = stored[part] if part else stored
        pixels, usable = _measured(exposed[strip_of(*exposed.shape)], hdu.header)
        tiles = spans[place] if spans else None
        yield _Plane(unit, pixels, usable, planes.dtype, span, tiles, part is not None, len(exposed))


def _joined(taken: list[_Plane], total: int, limits: DecodeLimits) -> FitsImage:
    """Return the planes that were taken, below each other: if there are several, their whole squares alone.

    Of colour mosaics the first: below each other their phases would not meet.
    """
    first = taken[0]
    mosaic = mosaic_of_cards(first.unit.hdu.header)
    if len(taken) > 1 and max(mosaic, period_of(first.pixels)) > 1:
        taken = taken[:1]
    parts = len(taken)
    height, width = first.pixels.shape
    if parts * height * width > limits.max_pixels:
        message = f"{parts} images of {height} x {width} pixels; the limit is {limits.max_pixels} pixels in all"
        reject(RejectionReason.OVER_PIXEL_BUDGET, message, parts=parts, limit=limits.max_pixels)
    pixels, usable = first.pixels, first.usable
    if parts > 1:
        rows = height // SQUARE * SQUARE
        pixels = np.concatenate([plane.pixels[:rows] for plane in taken])
        usable = np.concatenate([plane.usable[:rows] for plane in taken])
    plain = [plane.span for plane in taken if plane.tiles is None]
    tiles = [plane.tiles for plane in taken if plane.tiles is not None]
    coded = sum(end - start for start, end in plain) + (covered(np.concatenate(tiles)) if tiles else 0)
    return FitsImage(
        pixels=pixels,
        usable=usable,
        bit_depth=first.stored_as.itemsize * 8,
        float_data=first.stored_as.kind == "f",
        captured_at=first.unit.captured_at,
        statements=taken[-1].unit.statements,
        spans=tuple(dict.fromkeys(plane.span for plane in taken)),
        coded_bytes=-(-coded * height // first.height),
        instrument=first.unit.instrument,
        camera_noise=first.unit.camera_noise,
        height=first.height,
        mosaic=mosaic,
        parts=parts,
        is_stack=parts > 1 and len({plane.unit.hdu.start for plane in taken}) == 1,
        selection="; ".join(filter(None, (selection_of(parts, total), "without its overscan" * first.is_trimmed))),
    )


def selection_of(taken: int, total: int) -> str:
    """Return what was taken of a file with `total` images, a sentence for people; empty if there is one alone."""
    if taken == total:
        return f"all {total} images of the file, below each other" if total > 1 else ""
    return f"{taken} of the {total} images of the file, the first that an exposure can be in; the others are not used"


def varies(pixels: npt.NDArray[np.integer], usable: npt.NDArray[np.bool_]) -> bool:
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


def _plain_planes(data: bytes, hdu: Hdu, limits: DecodeLimits) -> npt.NDArray[Any]:
    """Return ``[plane, ny, nx]`` as it is stored, a view of the file."""
    ny, nx = plane_shape(hdu, "", limits)
    require_complete(data, hdu)
    planes = prod(axes_of(hdu.header)[2:])
    stored: npt.NDArray[Any] = np.frombuffer(data, sample_type(hdu.header), count=planes * ny * nx, offset=hdu.start)
    return stored.reshape(planes, ny, nx)


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
