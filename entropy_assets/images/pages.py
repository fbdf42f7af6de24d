"""Grey pages of a TIFF file: integers and floats of any width, in either byte order, classic or BigTIFF.

Directories are read in `tiff`. Strips and tiles are joined here; what is packed with LZW, PackBits, LZMA or Zstandard
is unpacked by Pillow, which sees a small file of 8-bit rows that was written anew from what was checked. So no byte
order, width or sign of the file reaches a reader that might take it for another one.

References
----------
TIFF 6.0: strips, section 3; predictor, section 14; tiles, section 15. Deflate: Adobe Photoshop TIFF Technical Notes.
"""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.phases import period_of
from entropy_assets.core.frame import NARROW_LIMIT
from entropy_assets.errors import ImageRejected, RejectionReason, brought_by
from entropy_assets.images.fits import MOST_PARTS, MOST_PIXELS_OF_PARTS, SQUARE, integer_valued, selection_of, varies
from entropy_assets.images.tiff import (
    BITS,
    LENGTH,
    NEW_SUBFILE_TYPE,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    WIDTH,
    Directory,
    directories,
    directory_at,
)
from entropy_assets.images.tiles import covered

with brought_by("images"):
    from PIL import Image

Bytes = npt.NDArray[np.uint8]

COMPRESSION, FILL_ORDER, STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_BYTES = 259, 266, 273, 277, 278, 279
MAKE, MODEL = 271, 272
DATE_TIME, SOFTWARE, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 306, 305, 317, 322, 323, 324, 325
COLOUR_PROFILE, EXIF_DIRECTORY, EXIF_DATE_TIME_ORIGINAL = 34675, 34665, 36867
NONE, DEFLATE = 1, (8, 32946)
BY_PILLOW: Final = (5, 32773, 34925, 50000)
"""LZW, PackBits, LZMA, Zstandard."""
TYPES: Final = {(8, 1): "u1", (16, 1): "u2", (32, 1): "u4", (8, 2): "i1", (16, 2): "i2", (32, 2): "i4", (32, 3): "f4",
                (64, 3): "f8"}  # fmt: skip
"""NumPy's type by bits and SampleFormat."""
MASK: Final = 4
"""Bit of NewSubfileType: a transparency mask."""
DIFFERENCES: Final = 2
"""Predictor: each sample but the first of a row is stored as what it adds to the one before it."""
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1
MOST_SEGMENTS: Final = 1 << 18
"""Strips or tiles of a page, and of all pages that are looked at; pages in use have one per row or fewer."""
UNPACKED_AT_ONCE: Final = 32 << 20
"""Bytes that Pillow unpacks at once, unless one strip or tile has more."""
PILLOW_ERRORS: Final = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    EOFError,
    SyntaxError,
    struct.error,
    zlib.error,
    Warning,
)
"""What Pillow's readers raise on damaged files; warnings too, where a caller made them errors."""


class Stack(NamedTuple):
    """The pages that were taken from a file, below each other: `parts` pages of equal height.

    Attributes
    ----------
    pixels, usable
        ``[ny, nx]``.
    height
        Rows of a page, used or not.
    times, software, camera, has_profile
        What the first page says: DateTimeOriginal and DateTime, the program, maker and model, and whether it has a
        colour profile.
    """

    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]
    height: int
    bit_depth: int
    float_data: bool
    coded_bytes: int
    parts: int
    selection: str
    times: tuple[str | None, ...]
    software: str | None
    camera: tuple[str | None, ...]
    has_profile: bool


class _Page(NamedTuple):
    """A grey page whose sizes were checked; strips are tiles as wide as the page."""

    width: int
    height: int
    stored_as: np.dtype[Any]
    compression: int
    has_differences: bool
    is_negative: bool
    tile_width: int
    tile_length: int
    spans: npt.NDArray[np.int64]

    @property
    def rows(self) -> list[int]:
        """Rows of each strip or tile, in their order: the last strip may be shorter."""
        down, across = self.counts
        last = self.height - (down - 1) * self.tile_length if self.tile_width == self.width else self.tile_length
        return [self.tile_length] * (down - 1) * across + [last] * across

    @property
    def counts(self) -> tuple[int, int]:
        """Strips or tiles, down and across."""
        return -(-self.height // self.tile_length), -(-self.width // self.tile_width)


class _Measured(NamedTuple):
    """A page with its pixels as they were measured."""

    page: _Page
    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]


def read_pages(data: bytes, max_pixels: int, most_parts: int = MOST_PARTS) -> Stack | None:
    """Return the pages that an exposure can be in, as `fits.read_fits` takes the planes of a cube.

    Parameters
    ----------
    data
        The file.
    max_pixels
        Most pixels of all pages together. No further page is looked at once those that were passed over have more.
    most_parts
        Most pages that are taken.

    Returns
    -------
    Stack or None
        None if the first page is not grey, or not of a type that is read here.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    found = [each for each in directories(data) if not each.is_reduced and not each.value(NEW_SUBFILE_TYPE, 0) & MASK]
    first = _page(data, found[0], max_pixels) if found else None
    if first is None:
        return None
    taken: list[_Measured] = []
    looked_at = segments = 0
    for directory in found:
        page = _page_like(first, data, directory, max_pixels)
        pixels, segments = first.width * first.height, segments + (len(page.spans) if page else 0)
        full = len(taken) == most_parts or (len(taken) + 1) * pixels > MOST_PIXELS_OF_PARTS
        if (taken and full) or looked_at > max_pixels or segments > MOST_SEGMENTS:
            break
        measured = _measured(data, page, is_first=not taken) if page else None
        if measured and (len(found) == 1 or _is_exposure(measured)):
            taken.append(measured)
        else:
            looked_at += pixels
    return _joined(data, found, taken or [_Measured(first, *_pixels(data, first))], max_pixels)


def _measured(data: bytes, page: _Page, *, is_first: bool) -> _Measured | None:
    """Return a page with its pixels; None if it can't be read, and is not the one that decides."""
    try:
        return _Measured(page, *_pixels(data, page))
    except ImageRejected as rejection:
        if is_first and rejection.reason is not RejectionReason.NOT_FINITE:
            raise
        return None


def _is_exposure(measured: _Measured) -> bool:
    """Tell whether an exposure can be in a page: it has a square, and two values."""
    return min(measured.pixels.shape) >= SQUARE and varies(measured.pixels, measured.usable)


def _joined(data: bytes, found: list[Directory], taken: list[_Measured], max_pixels: int) -> Stack:
    if len(taken) > 1 and period_of(taken[0].pixels) > 1:
        taken = taken[:1]  # a colour mosaic: below each other its phases would not meet
    first, parts = taken[0].page, len(taken)
    if parts * first.width * first.height > max_pixels:
        message = f"{parts} pages of {first.height} x {first.width} pixels; the limit is {max_pixels} pixels in all"
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, message, parts=parts, limit=max_pixels)
    pixels, usable = taken[0].pixels, taken[0].usable
    if parts > 1:
        rows = first.height // SQUARE * SQUARE
        pixels = np.concatenate([each.pixels[:rows] for each in taken])
        usable = np.concatenate([each.usable[:rows] for each in taken])
    exif = directory_at(data, found[0].value(EXIF_DIRECTORY, len(data)))
    return Stack(
        pixels=pixels,
        usable=usable,
        height=first.height,
        bit_depth=8 * first.stored_as.itemsize,
        float_data=first.stored_as.kind == "f",
        coded_bytes=covered(np.concatenate([each.page.spans for each in taken])),
        parts=parts,
        selection=selection_of(parts, len(found)),
        times=(exif.text(EXIF_DATE_TIME_ORIGINAL) if exif else None, found[0].text(DATE_TIME)),
        software=found[0].text(SOFTWARE),
        camera=(found[0].text(MAKE), found[0].text(MODEL)),
        has_profile=COLOUR_PROFILE in found[0].entries,
    )


# What a directory says


def _page(data: bytes, directory: Directory, max_pixels: int) -> _Page | None:
    """Return a page once its sizes are checked; None if it is of another kind."""
    width, height = directory.value(WIDTH, 0), directory.value(LENGTH, 0)
    bits, kind = directory.values(BITS) or (1,), directory.value(SAMPLE_FORMAT, 1)
    stored_as = TYPES.get((bits[0], kind))
    compression, predictor = directory.value(COMPRESSION, NONE), directory.value(PREDICTOR, 1)
    photometric = directory.value(PHOTOMETRIC, WHITE_IS_ZERO)
    is_grey = photometric == BLACK_IS_ZERO or (photometric == WHITE_IS_ZERO and kind != 3)
    if (
        stored_as is None
        or not is_grey
        or (directory.value(SAMPLES_PER_PIXEL, 1), len(bits), directory.value(FILL_ORDER, 1)) != (1, 1, 1)
        or compression not in (NONE, *DEFLATE, *BY_PILLOW)
        or not (predictor == 1 or (predictor == DIFFERENCES and kind != 3 and compression != NONE))
        or min(width, height) < 1
    ):
        return None
    tile_width, tile_length = directory.value(TILE_WIDTH, 0), directory.value(TILE_LENGTH, 0)
    is_tiled = TILE_OFFSETS in directory.entries
    if not is_tiled:
        tile_width, tile_length = width, min(height, directory.value(ROWS_PER_STRIP, height))
    if max(width * height, tile_width * tile_length) > max_pixels:
        message = f"the TIFF announces {width} x {height} pixels, in tiles of {tile_width} x {tile_length}"
        told = {"width": width, "height": height, "limit": max_pixels}
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, f"{message}; the limit is {max_pixels}", **told)
    if min(tile_width, tile_length) < 1:
        return None
    dtype = np.dtype(directory.order + stored_as)
    page = _Page(width, height, dtype, compression, predictor == DIFFERENCES, photometric == WHITE_IS_ZERO,
                 tile_width, tile_length, np.empty((0, 2), dtype=np.int64))  # fmt: skip
    down, across = page.counts
    if down * across > MOST_SEGMENTS:
        message = f"a TIFF page of {down * across} strips or tiles; the limit is {MOST_SEGMENTS}"
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, message)
    tags = (TILE_OFFSETS, TILE_BYTES) if is_tiled else (STRIP_OFFSETS, STRIP_BYTES)
    return page._replace(spans=_spans(data, [directory.values(tag, down * across) for tag in tags], down * across))


def _page_like(first: _Page, data: bytes, directory: Directory, max_pixels: int) -> _Page | None:
    """Return a page of the shape and the type of `first`; None if it is another one, or can't be read."""
    try:
        page = _page(data, directory, max_pixels)
    except ImageRejected:
        return None
    same = page is not None and page[:3] == first[:3]
    return page if same else None


def _spans(data: bytes, places: Sequence[tuple[int, ...]], count: int) -> npt.NDArray[np.int64]:
    """Return ``[segment, 2]``: where each strip or tile begins and ends in the file."""
    offsets, lengths = places
    if len(offsets) != count or len(lengths) != count:
        message = f"a TIFF page of {count} strips or tiles tells of {len(offsets)} places and {len(lengths)} lengths"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message)
    whole = len(data)
    spans = [(min(offset, whole), min(offset + length, whole)) for offset, length in zip(offsets, lengths, strict=True)]
    return np.array(spans, dtype=np.int64)


# Pixels


def _pixels(data: bytes, page: _Page) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """Return ``[ny, nx]`` as it was measured, and where it is finite."""
    row_bytes = page.tile_width * page.stored_as.itemsize
    packed = [data[start:end] for start, end in page.spans.tolist()]
    rows = page.rows
    if page.compression in BY_PILLOW:
        raw = _by_pillow(packed, page, row_bytes)
    else:
        raw = np.concatenate(
            [_unpacked(each, page.compression, count * row_bytes) for each, count in zip(packed, rows, strict=True)]
        ).reshape(-1, row_bytes)
    values = raw.view(page.stored_as)
    if page.has_differences:
        values = values.astype(page.stored_as.newbyteorder("="))
        unsigned = values.view(f"u{values.dtype.itemsize}")
        np.cumsum(unsigned, axis=1, dtype=unsigned.dtype, out=unsigned)
    down, across = page.counts
    if page.tile_width != page.width:
        values = values.reshape(down, across, page.tile_length, page.tile_width).swapaxes(1, 2)
        values = values.reshape(down * page.tile_length, across * page.tile_width)
    values = values[: page.height, : page.width]
    native: npt.NDArray[Any] = values.astype(
        np.int64 if page.stored_as.str[1:] == "u4" else values.dtype.newbyteorder("=")
    )
    if page.is_negative:
        native = (np.iinfo(page.stored_as).max if page.stored_as.kind == "u" else -1) - native
    if native.dtype.kind != "f":
        return native, np.ones(native.shape, dtype=np.bool_)
    whole, finite = integer_valued(native)
    narrow = max(-int(whole.min()), int(whole.max())) <= NARROW_LIMIT
    return (whole.astype(np.int32) if narrow else whole), finite


def _unpacked(packed: bytes, compression: int, size: int) -> Bytes:
    """Return the first `size` bytes of a strip or tile, reading no further."""
    if compression != NONE:
        try:
            packed = zlib.decompressobj().decompress(packed, size)
        except zlib.error as error:
            raise ImageRejected(RejectionReason.DECODE_ERROR, f"a strip of the TIFF is damaged: {error}") from error
    if len(packed) < size:
        message = f"a strip of the TIFF should hold {size} bytes and {size - len(packed)} of them are missing"
        raise ImageRejected(RejectionReason.TRUNCATED, message)
    return np.frombuffer(packed, dtype=np.uint8, count=size)


def _by_pillow(packed: list[bytes], page: _Page, row_bytes: int) -> Bytes:
    """Return all strips or tiles below each other, ``uint8[row, row_bytes]``."""
    at_once = max(1, UNPACKED_AT_ONCE // max(1, page.tile_length * row_bytes))
    groups = range(0, len(packed), at_once)
    return np.concatenate(
        [
            _rows_by_pillow(packed[start : start + at_once], page, row_bytes, sum(page.rows[start : start + at_once]))
            for start in groups
        ]
    )


def _rows_by_pillow(packed: list[bytes], page: _Page, row_bytes: int, rows: int) -> Bytes:
    """Return what Pillow makes of some strips, as rows of bytes."""
    try:
        with Image.open(BytesIO(_rewritten(packed, page, row_bytes, rows)), formats=("TIFF",)) as image:
            raw: Bytes = np.array(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"a strip or tile of the TIFF unpacks to {rows * row_bytes} bytes, too many at once"
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, message) from error
    except PILLOW_ERRORS as error:
        message = f"a strip of the TIFF can't be unpacked: {type(error).__name__}: {error}"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message) from error
    return raw


def _rewritten(packed: list[bytes], page: _Page, row_bytes: int, rows: int) -> bytes:
    """Return a TIFF file of 8-bit grey rows with the given strips."""
    body = b"".join(packed)
    ends = np.cumsum([len(each) for each in packed])
    offsets, lengths = ([8, *(8 + ends[:-1]).tolist()], [len(each) for each in packed])
    arrays = struct.pack(f"<{2 * len(packed)}I", *offsets, *lengths)
    at = 8 + len(body)
    places = (8, lengths[0]) if len(packed) == 1 else (at, at + 4 * len(packed))
    tags = {
        WIDTH: (1, row_bytes),
        LENGTH: (1, rows),
        BITS: (1, 8),
        COMPRESSION: (1, page.compression),
        PHOTOMETRIC: (1, BLACK_IS_ZERO),
        STRIP_OFFSETS: (len(packed), places[0]),
        SAMPLES_PER_PIXEL: (1, 1),
        ROWS_PER_STRIP: (1, page.tile_length),
        STRIP_BYTES: (len(packed), places[1]),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, *entry) for tag, entry in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", at + len(arrays)) + body + arrays + directory
