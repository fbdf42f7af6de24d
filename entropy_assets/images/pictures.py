"""Reading PNG, JPEG, TIFF, JPEG 2000, BMP and WebP with Pillow: sizes and layout first, pixels afterwards.

Pillow converts silently what its modes can't hold: colour of 16 bits per channel loses its low bytes, for example.
So the layout is read from the container's own header, and what would be converted is refused.
"""

import re
import struct
from datetime import datetime
from io import BytesIO
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from entropy_assets.core.frame import Statement
from entropy_assets.errors import ImageRejected, RejectionReason, brought_by
from entropy_assets.images.coded import CODED_IN
from entropy_assets.images.fits import MOST_PARTS, integer_valued, selection_of
from entropy_assets.images.fits_headers import named_camera
from entropy_assets.images.limits import DecodeLimits, strip_of, too_many_pixels
from entropy_assets.images.pages import PILLOW_ERRORS, Stack, read_pages
from entropy_assets.images.statements import statements_of_picture
from entropy_assets.images.tiff import directories, refuse_layout, refuse_misread, refuse_thumbnails

with brought_by("images"):
    from PIL import Image, UnidentifiedImageError
    from PIL.TiffImagePlugin import TiffImageFile

PILLOW_FORMAT: Final = {
    "png": "PNG",
    "jpeg": "JPEG",
    "tiff": "TIFF",
    "jpeg2000": "JPEG2000",
    "bmp": "BMP",
    "webp": "WEBP",
}
CHANNELS: Final = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "RGBX": 3, "I;16": 1, "I;16L": 1, "I;16B": 1, "I": 1, "F": 1}
"""Channels that are measured in each Pillow mode that is read; alpha is dropped. Other modes are refused."""
TIFF_LOSSLESS: Final = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})
"""Packed without loss: none, CCITT, LZW, Deflate, PackBits, LZMA, Zstandard. Any other counts as lossy."""
TIFF_BITS, TIFF_COMPRESSION, TIFF_TILE_WIDTH, TIFF_TILE_LENGTH = 258, 259, 322, 323
TIFF_STRIP_BYTES, TIFF_TILE_BYTES = 279, 325
EXIF_MAKE, EXIF_MODEL = 0x010F, 0x0110
EXIF_SOFTWARE, EXIF_DATE_TIME, EXIF_IFD, EXIF_DATE_TIME_ORIGINAL = 0x0131, 0x0132, 0x8769, 0x9003
J2K_CODESTREAM: Final = b"\xff\x4f\xff\x51"
J2K_DEPTH_OFFSET: Final = 42
"""From the start of the codestream to Ssiz of the first component: SOC and SIZ markers, then 38 bytes of SIZ."""


class Picture(NamedTuple):
    """The first image of a file, ``pixels[channel, ny, nx]``, and how many bytes of the file code it.

    `height` counts all rows, used or not. Of a TIFF file there may be several images, `parts` of them below each other;
    `selection` says what was taken.
    """

    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_] | None
    bit_depth: int
    lossy: bool
    captured_at: str | None
    float_data: bool
    coded_bytes: int
    statements: tuple[Statement, ...]
    instrument: str
    height: int
    parts: int = 1
    selection: str = ""


def read_picture(data: bytes, container: str, limits: DecodeLimits, *, reading: int) -> Picture:
    """Return the first image of `data`.

    JPEG always counts as lossy. So does JPEG 2000: even a reversible stream may have been cut at any layer, and
    nothing in its header proves otherwise. TIFF and WebP count by their compression.

    Parameters
    ----------
    data
        The file.
    container
        A key of `PILLOW_FORMAT`; no other reader gets to see the file.
    limits
        What it may cost.
    reading
        The rules, as `Recipe.reading`.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    if container == "webp":
        _check_size(_webp_size(data), 4, limits)
    if container == "tiff" and reading >= 2:
        refuse_thumbnails(data)
        if stack := read_pages(data, min(limits.max_pixels, limits.max_samples), MOST_PARTS if reading >= 3 else 1):
            return _of_pages(stack)
        refuse_misread(data)
    try:
        with Image.open(BytesIO(data), formats=(PILLOW_FORMAT[container],)) as image:
            channels = _channels(image)
            _check_size(image.size, channels, limits)
            bit_depth = _bit_depth(image, data, container)
            lossy = _lossy(image, data, container)
            _check_tiles(image, limits.max_samples)
            coded_bytes = _coded_bytes(image, data, container)
            image.load()
            rows = strip_of(image.height, image.width, channels) if reading >= 2 else slice(0, image.height)
            planes = _planes(image, channels, rows)
            coded_bytes = -(-coded_bytes * planes.shape[1] // image.height)
            height = image.height
            captured_at = _capture_time(image)
            statements = tuple(statements_of_picture(image.info, _software(image)))
            instrument = _instrument(image)
            selection = selection_of(1, _images_in(image, data)) if reading >= 2 else ""
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = int(re.findall(r"\d+", str(error))[0])  # Pillow tells it in words alone, and its own limit beside it
        message = too_many_pixels("", pixels, pixels, limits.max_samples)
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, message, limit=limits.max_samples) from error
    except UnidentifiedImageError as error:
        if container == "tiff" and reading >= 2:
            refuse_layout(data)
        message = f"the {container} file begins like one, but its header is damaged"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message, container=container) from error
    except PILLOW_ERRORS as error:
        cut = "truncated" in str(error).lower()
        reason = RejectionReason.TRUNCATED if cut else RejectionReason.DECODE_ERROR
        message = f"the {container} file can't be decoded: {type(error).__name__}: {error}"
        raise ImageRejected(reason, message, container=container) from error
    usable = None
    if planes.dtype.kind == "f":
        whole, usable = integer_valued(planes[0])
        planes = whole[np.newaxis]
    return Picture(
        pixels=planes,
        usable=usable,
        bit_depth=bit_depth,
        lossy=lossy,
        captured_at=captured_at,
        float_data=usable is not None,
        coded_bytes=coded_bytes,
        statements=statements,
        instrument=instrument,
        height=height,
        selection=selection,
    )


def _of_pages(stack: Stack) -> Picture:
    """Return the grey pages of a TIFF file."""
    profile = {"icc_profile": stack.has_profile}
    height, width = stack.pixels.shape[-2:]
    rows = slice(0, height) if stack.parts > 1 else strip_of(height, width)
    used = rows.stop - rows.start
    return Picture(
        pixels=stack.pixels[..., rows, :],
        usable=stack.usable[rows],
        bit_depth=stack.bit_depth,
        lossy=False,
        captured_at=next(filter(None, map(_exif_time, stack.times)), None),
        float_data=stack.float_data,
        coded_bytes=-(-stack.coded_bytes * used // height),
        statements=tuple(statements_of_picture(profile, stack.software)),
        instrument=named_camera(*stack.camera),
        height=stack.height,
        parts=stack.parts,
        selection=stack.selection,
    )


def _images_in(image: Image.Image, data: bytes) -> int:
    """Return how many images the file holds: pages, or frames of an animation."""
    if isinstance(image, TiffImageFile):
        return sum(not page.is_reduced for page in directories(data))
    return int(getattr(image, "n_frames", 1))


def _refuse(message: str, **data: Any) -> NoReturn:
    raise ImageRejected(RejectionReason.UNSUPPORTED_PIXELS, message, **data)


def _check_size(size: tuple[int, int], channels: int, limits: DecodeLimits) -> None:
    width, height = size
    most = min(limits.max_pixels, limits.max_samples // channels)
    if width * height > most:
        sides = f"{width} x {height}" + (f" x {channels} channels of" if channels > 1 else "")
        message = too_many_pixels(sides, width * height, limits.max_pixels, most)
        data = {"width": width, "height": height, "channels": channels, "limit": most}
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, message, **data)


def _channels(image: Image.Image) -> int:
    """Return the channels to measure; those of a mode that is refused later, as far as the budget is concerned."""
    return CHANNELS.get(image.mode, len(image.getbands()))


def _bit_depth(image: Image.Image, data: bytes, container: str) -> int:
    """Return the stored bits per sample, or refuse what Pillow would convert."""
    if image.mode in ("P", "PA"):
        _refuse(f"the {container} file holds a palette, not measurements; send the original", mode=image.mode)
    if image.mode == "1":
        _refuse(f"the {container} file holds 1 bit per pixel: dithered, not measured", mode=image.mode)
    if image.mode not in CHANNELS:
        _refuse(f"the {container} file is in colour mode {image.mode}; grey and RGB are read", mode=image.mode)
    depth = _stored_bits(image, data, container)
    if depth > 8 and image.mode in ("LA", "RGB", "RGBA", "RGBX"):
        message = f"{depth} bits per channel in a {container} of several channels would be cut to 8; send FITS or grey"
        _refuse(message, mode=image.mode, bit_depth=depth)
    return depth


def _stored_bits(image: Image.Image, data: bytes, container: str) -> int:
    if container == "png":
        if data[12:16] != b"IHDR":
            message = "the PNG file does not begin with its IHDR chunk"
            raise ImageRejected(RejectionReason.INVALID_HEADER, message, container=container)
        return data[24]
    if container == "tiff" and isinstance(image, TiffImageFile):
        return max(int(bits) for bits in image.tag_v2.get(TIFF_BITS, (8,)))
    if container == "jpeg2000":
        return (data[data.index(J2K_CODESTREAM) + J2K_DEPTH_OFFSET] & 0x7F) + 1
    if container == "bmp" and struct.unpack_from("<H", data, 28)[0] not in (8, 24, 32):
        _refuse("the BMP file packs its channels in fewer than 8 bits")
    return 8


def _lossy(image: Image.Image, data: bytes, container: str) -> bool:
    if container == "tiff" and isinstance(image, TiffImageFile):
        return image.tag_v2.get(TIFF_COMPRESSION, 1) not in TIFF_LOSSLESS
    if container == "webp":
        return not _webp_lossless(data)
    return container in ("jpeg", "jpeg2000")


def _coded_bytes(image: Image.Image, data: bytes, container: str) -> int:
    """Return how many bytes of the file code its first image, as far as the container says; else the whole file."""
    if container == "tiff" and isinstance(image, TiffImageFile):
        if image.tag_v2.get(TIFF_COMPRESSION, 1) == 1:
            return len(data)
        counts = np.ravel(image.tag_v2.get(TIFF_STRIP_BYTES) or image.tag_v2.get(TIFF_TILE_BYTES) or 0)
        return sum(min(int(count), len(data)) for count in counts) if counts.dtype.kind == "i" else 0
    return CODED_IN[container](data) if container in CODED_IN else len(data)


def _check_tiles(image: Image.Image, max_samples: int) -> None:
    """Refuse a tile larger than any image: libtiff allocates whole tiles, however small the image is."""
    if not isinstance(image, TiffImageFile):
        return
    width, length = (int(image.tag_v2.get(tag, 0)) for tag in (TIFF_TILE_WIDTH, TIFF_TILE_LENGTH))
    if width * length > max_samples:
        message = f"the TIFF announces tiles of {width} x {length} pixels; the limit is {max_samples}"
        raise ImageRejected(RejectionReason.OVER_PIXEL_BUDGET, message, width=width, height=length)


def _planes(image: Image.Image, channels: int, rows: slice) -> npt.NDArray[Any]:
    """Return ``[channel, ny, nx]`` of some rows, one band at a time to keep the peak low."""
    part = image.crop((0, rows.start, image.width, rows.stop)) if rows != slice(0, image.height) else image
    if len(image.getbands()) == 1:
        return np.asarray(part)[np.newaxis]
    planes = np.empty((channels, part.height, part.width), dtype=np.uint8)
    for channel in range(channels):
        planes[channel] = np.asarray(part.getchannel(channel))
    return planes


def _capture_time(image: Image.Image) -> str | None:
    """Return the EXIF time of exposure as ISO 8601, or None: a damaged tag is no reason to refuse the pixels."""
    try:
        exif = image.getexif()
        text = exif.get_ifd(EXIF_IFD).get(EXIF_DATE_TIME_ORIGINAL) or exif.get(EXIF_DATE_TIME)
        return _exif_time(str(text))
    except PILLOW_ERRORS:
        return None


def _exif_time(text: str | None) -> str | None:
    """Return a time as EXIF writes it as ISO 8601, None if it is none."""
    try:
        return datetime.strptime(str(text), "%Y:%m:%d %H:%M:%S").isoformat()  # noqa: DTZ007 - EXIF has no zone
    except ValueError:
        return None


def _software(image: Image.Image) -> object:
    """Return the EXIF name of the program that wrote the file, or None: a damaged tag is no reason to refuse it."""
    try:
        return image.getexif().get(EXIF_SOFTWARE)
    except PILLOW_ERRORS:
        return None


def _instrument(image: Image.Image) -> str:
    """Return the EXIF maker and model of the camera, or nothing: a damaged tag is no reason to refuse the pixels."""
    try:
        exif = image.getexif()
        return named_camera(exif.get(EXIF_MAKE), exif.get(EXIF_MODEL))
    except PILLOW_ERRORS:
        return ""


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the canvas announced by a WebP file: its reader allocates it on opening.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    kind, body = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _webp_lossless(data: bytes) -> bool:
    """Tell whether the file is one bare lossless image; extended files may hold lossy frames and count as lossy."""
    return data[12:16] == b"VP8L"
