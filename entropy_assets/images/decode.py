"""From the bytes of a file to a `Frame`.

The decoder trusts nothing: format by magic number, sizes from headers before any allocation, every failure an
`ImageRejected` with one reason.
"""

import gzip
import re
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.phases import period_of
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.coded import gzip_share, gzip_shares
from entropy_assets.images.fits import read_fits
from entropy_assets.images.limits import DEFAULT_LIMITS, DecodeLimits
from entropy_assets.images.pictures import read_picture
from entropy_assets.images.raw import begins_like_raw, can_read_raw, read_raw
from entropy_assets.images.tiff import is_camera_raw
from entropy_assets.recipe import STANDARD

MAGIC: Final = (
    (b"SIMPLE  =", "fits"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)
GZIP_MAGIC: Final = b"\x1f\x8b\x08"
BY_SIRIL: Final = "convert it to FITS, for example with Siril"
BY_GDAL: Final = "convert it to FITS, for example with GDAL (gdal_translate -of FITS)"
FOREIGN: Final = (
    (b"XISF0100", "an XISF file of PixInsight", f"save it as FITS in PixInsight, or {BY_SIRIL}"),
    (b"LUCAM-RECORDER", "a SER video", BY_SIRIL),
    (
        b"#ASDF ",
        "an ASDF file",
        "write its raw pixels as FITS, for example with the packages asdf and astropy",
    ),
    (b"PDS_VERSION_ID", "a PDS3 product", BY_GDAL),
    (b"CCSD3ZF", "a PDS3 product", BY_GDAL),
    (b"NJPL1I00PDS1", "a PDS3 product", BY_GDAL),
    (b"LBLSIZE=", "a VICAR image", BY_GDAL),
    (b"Object = IsisCube", "an ISIS cube", BY_GDAL),
)
"""Containers of raw frames that are known and not read: what each begins with, what it is, what to do."""
PDS4: Final = re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml.{0,4096}?https?://pds\.nasa\.gov/pds4/", re.DOTALL)
"""How the label of a PDS4 product begins; its pixels are in another file."""


def decode(
    data: bytes,
    *,
    source: str = "drop",
    limits: DecodeLimits = DEFAULT_LIMITS,
    reading: int = STANDARD.reading,
) -> Frame:
    """Return the frame in `data`, whatever the file was called.

    Of a file with several planes, pages or extensions all that an exposure can be in are taken, below each other; by
    the rules of 2 the first of them; `Frame.selection` tells it. Of a very large image the rows in its middle are
    (`limits.strip_of`). Alpha is dropped, orientation tags are ignored, colour is not managed. Palettes, 1-bit images,
    CMYK, colour of more than 8 bits per channel and floats that are not integers are refused. A file whose header says
    that it is simulated gets the source ``"simulated"``.

    Parameters
    ----------
    data
        The whole file.
    source
        Where it came from.
    limits
        What it may cost.
    reading
        The rules by which it is read, as `Recipe.reading`.

    Raises
    ------
    ImageRejected
        With the one reason that fits; nothing else is raised for any input.
    """
    container, limits = _sniff(data, limits, reading), limits.of_reading(reading)
    if container == "fits":
        return _decode_fits(data, data, source, limits, reading)
    if container == "gzip":
        return _decode_fits(data, _gunzip(data, limits), source, limits, reading)
    if container == "gif":
        message = "GIF holds a palette of at most 256 colours, mostly dithered; send the original file"
        raise ImageRejected(RejectionReason.UNSUPPORTED_PIXELS, message, container=container)
    if container == "raw":
        return _decode_raw(data, source, limits, reading)
    if reading >= 2 and container == "tiff" and is_camera_raw(data) and can_read_raw():
        try:
            return _decode_raw(data, source, limits, reading)
        except ImageRejected as rejection:
            # what LibRaw does not know is refused below, by what the file is
            if rejection.reason is not RejectionReason.UNSUPPORTED_PIXELS:
                raise
    return _decode_picture(data, container, source, limits, reading)


def begins_like_an_image(data: bytes) -> bool:
    """Tell whether `data` has the magic number of a format that is read here, or that is known to hold raw frames."""
    known = any(data.startswith(magic) for magic in (GZIP_MAGIC, b"RIFF", *(magic for magic, _ in MAGIC)))
    return known or begins_like_raw(data) or _foreign(data) is not None


def _foreign(data: bytes) -> tuple[str, str] | None:
    """Return what a container that is known and not read is, and what to do with it."""
    if PDS4.match(data):
        return "the label of a PDS4 product", f"together with its image {BY_GDAL}"
    return next(((what, advice) for magic, what, advice in FOREIGN if data.startswith(magic)), None)


def _sniff(data: bytes, limits: DecodeLimits, reading: int) -> str:
    """Return the container by its magic number."""
    if not data:
        raise ImageRejected(RejectionReason.EMPTY_FILE, "the file is empty")
    if len(data) > limits.max_file_bytes:
        message = f"the file has {len(data)} bytes; the limit is {limits.max_file_bytes}"
        raise ImageRejected(RejectionReason.FILE_TOO_LARGE, message, file_bytes=len(data))
    if data.startswith(GZIP_MAGIC):
        return "gzip"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if reading >= 2 and begins_like_raw(data):
        return "raw"
    for magic, container in MAGIC:
        if data.startswith(magic):
            return container
    if reading >= 2 and (foreign := _foreign(data)):
        message = f"this is {foreign[0]}, which is not read here: {foreign[1]}"
        raise ImageRejected(RejectionReason.UNSUPPORTED_CONTAINER, message, container=foreign[0])
    message = f"no image format that is read here begins with {data[:16]!r}"
    raise ImageRejected(RejectionReason.UNKNOWN_FORMAT, message, first_bytes=data[:16].hex())


def _gunzip(data: bytes, limits: DecodeLimits) -> bytes:
    """Return the FITS file inside a gzip file, reading no further than the limit."""
    try:
        with gzip.open(BytesIO(data)) as file:
            unpacked = file.read(limits.max_file_bytes + 1)
    except EOFError as error:
        raise ImageRejected(RejectionReason.TRUNCATED, f"the gzip file is cut short: {error}") from error
    except (OSError, zlib.error) as error:
        raise ImageRejected(RejectionReason.DECODE_ERROR, f"the gzip file is damaged: {error}") from error
    if len(unpacked) > limits.max_file_bytes:
        message = f"the gzip file unpacks to more than {limits.max_file_bytes} bytes"
        raise ImageRejected(RejectionReason.FILE_TOO_LARGE, message, file_bytes=len(data))
    if not unpacked.startswith(b"SIMPLE  ="):
        message = f"the gzip file holds no FITS file; it begins with {unpacked[:16]!r}"
        raise ImageRejected(RejectionReason.UNKNOWN_FORMAT, message, first_bytes=unpacked[:16].hex())
    return unpacked


def _decode_picture(data: bytes, container: str, source: str, limits: DecodeLimits, reading: int) -> Frame:
    picture = read_picture(data, container, limits, reading=reading)
    return Frame.build(
        picture.pixels,
        picture.usable,
        data=data,
        bit_depth=picture.bit_depth,
        container=container,
        lossy=picture.lossy,
        source=source,
        captured_at=picture.captured_at,
        float_data=picture.float_data,
        statements=picture.statements,
        parts=picture.parts,
        is_stack=picture.parts > 1,
        selection=picture.selection,
        instrument=picture.instrument,
        coded_bytes=min(picture.coded_bytes, _plain_bytes(picture.pixels.size, picture.bit_depth)),
        mosaic=1 if picture.lossy or picture.parts > 1 else _mosaic(picture.pixels, reading),
        file_height=picture.height,
        copy=False,
    )


def _decode_fits(data: bytes, unpacked: bytes, source: str, limits: DecodeLimits, reading: int) -> Frame:
    image = read_fits(unpacked, limits, reading=reading)
    coded = image.coded_bytes
    if unpacked is not data:
        coded = min(coded, _packed_share(data, image.spans, reading))
    return Frame.build(
        image.pixels,
        image.usable,
        data=data,
        bit_depth=image.bit_depth,
        container="fits",
        lossy=False,
        source="simulated" if any(said.kind == "simulated" for said in image.statements) else source,
        captured_at=image.captured_at,
        float_data=image.float_data,
        statements=image.statements,
        camera_noise=image.camera_noise,
        parts=image.parts,
        is_stack=image.is_stack,
        selection=image.selection,
        instrument=image.instrument,
        coded_bytes=min(coded, _plain_bytes(image.pixels.size, image.bit_depth)),
        mosaic=max(image.mosaic, _mosaic(image.pixels, reading)) if image.parts == 1 else 1,
        file_height=image.height,
        copy=False,
    )


def _decode_raw(data: bytes, source: str, limits: DecodeLimits, reading: int) -> Frame:
    image = read_raw(data, limits)
    depth = image.pixels.dtype.itemsize * 8
    return Frame.build(
        image.pixels,
        data=data,
        bit_depth=depth,
        container="raw",
        lossy=image.lossy,
        source=source,
        coded_bytes=min(-(-len(data) * len(image.pixels) // image.height), _plain_bytes(image.pixels.size, depth)),
        mosaic=max(image.mosaic, _mosaic(image.pixels, reading)),
        file_height=image.height,
        copy=False,
    )


def _mosaic(pixels: npt.NDArray[np.integer], reading: int) -> int:
    """Return the period of the colour mosaic that a single plane shows, pixels."""
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    return period_of(planes[0]) if reading >= 2 and len(planes) == 1 else 1


def _packed_share(data: bytes, spans: Sequence[tuple[int, int]], reading: int) -> int:
    """Return how many bytes of the gzip file `data` unpack to `spans`."""
    if reading >= 2:
        return gzip_shares(data, spans)
    ((start, end),) = spans
    return gzip_share(data, start, end - start)


def _plain_bytes(samples: int, bit_depth: int) -> int:
    """Return the size of `samples` stored plainly: what no coding of them needs more than, padded as it may be."""
    return -(-samples * bit_depth // 8)
