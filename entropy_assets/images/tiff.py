"""What the first directory of a TIFF file says before Pillow sees it: thumbnails of raw files, layouts not read.

References
----------
TIFF 6.0: header and directories, section 2; NewSubfileType, section 8; SampleFormat, section 19. TIFF for Electronic
Photography (ISO 12234-2): colour filter arrays, SubIFDs. DNG 1.7: DNGVersion. BigTIFF: libtiff, *BigTIFF design*.
"""

import struct
from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias

from entropy_assets.errors import ImageRejected, RejectionReason

Tags: TypeAlias = Mapping[int, tuple[int, ...]]

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, LENGTH, BITS, PHOTOMETRIC = 254, 255, 256, 257, 258, 262
SAMPLE_FORMAT, DNG_VERSION = 339, 50706
REDUCED: Final = 1
"""Bit of NewSubfileType: a smaller version of another image of the file."""
REDUCED_BEFORE: Final = 2
"""The same in SubfileType, which TIFF 5 had in its place."""
COMPRESSION, STRIP_OFFSETS, TILE_OFFSETS, SUB_DIRECTORIES = 259, 273, 324, 330
MOSAIC: Final = 32803
"""PhotometricInterpretation of the raw data of a mosaic."""
JPEG: Final = 7
LOSSLESS_FRAME: Final = 0xC3
"""Marker of a frame of lossless JPEG, SOF3 (ITU-T T.81, table B.1)."""
MOSAICS: Final = {MOSAIC: "a colour filter array", 34892: "raw samples in linear order"}
"""PhotometricInterpretation of raw data."""
SIGNED, FLOATS = 2, 3
CANON_RAW: Final = b"CR"
"""What a raw file of Canon has behind the TIFF header, whose first image is a JPEG preview."""
TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Types of tags that hold unsigned integers: BYTE, SHORT, LONG, IFD, LONG8, IFD8."""
MOST_ENTRIES: Final = 4096
MOST_VALUES: Final = 16
"""Of one tag no more values are looked at."""

RAW_DATA: Final = "convert the raw data to FITS or 16-bit TIFF, for example with Siril"
CONVERT: Final = "convert it to FITS or 16-bit grey TIFF, for example with ImageMagick"


def refuse_thumbnails(data: bytes) -> None:
    """Refuse a TIFF file whose first image is not its exposure, or would be read as other numbers than it holds.

    Raises
    ------
    ImageRejected
        ``UNSUPPORTED_PIXELS``: the first image is a thumbnail, the file is a camera's raw file, the pixels are signed
        8-bit integers, or the file is a big-endian BigTIFF, which Pillow takes for a classic one.
    """
    tags = first_directory(data)
    if data.startswith(b"MM\0+"):
        refuse_layout(data)
    if tags is None:
        return
    if tags.get(NEW_SUBFILE_TYPE, (0,))[0] & REDUCED or tags.get(SUBFILE_TYPE) == (REDUCED_BEFORE,):
        _refuse(f"this is the thumbnail of a raw file; {RAW_DATA}")
    if DNG_VERSION in tags or data[8:10] == CANON_RAW:
        _refuse(f"this is a camera's raw file, of which only a preview could be read; {RAW_DATA}")
    if SIGNED in tags.get(SAMPLE_FORMAT, ()) and min(tags.get(BITS, (1,))) <= 8:
        _refuse(f"this TIFF layout is not read: signed 8-bit integers; {CONVERT}")


def is_camera_raw(data: bytes) -> bool:
    """Tell whether a TIFF file is a camera's raw file: its first image is a thumbnail, a preview or a mosaic."""
    tags = first_directory(data)
    if tags is None or data.startswith(b"MM\0+"):
        return False
    is_reduced = tags.get(NEW_SUBFILE_TYPE, (0,))[0] & REDUCED or tags.get(SUBFILE_TYPE) == (REDUCED_BEFORE,)
    return bool(is_reduced or DNG_VERSION in tags or data[8:10] == CANON_RAW or tags.get(PHOTOMETRIC) == (MOSAIC,))


def is_lossless_raw(data: bytes) -> bool:
    """Tell whether a file is a TIFF whose mosaics are stored plainly or as lossless JPEG, as most DNGs are."""
    first = first_directory(data) if data[:2] in (b"II", b"MM") else None
    if first is None:
        return False
    others = (directory_at(data, start) for start in first.get(SUB_DIRECTORIES, ()))
    mosaics = [tags for tags in (first, *others) if tags and tags.get(PHOTOMETRIC) == (MOSAIC,)]
    return bool(mosaics) and all(_is_lossless(data, tags) for tags in mosaics)


def _is_lossless(data: bytes, tags: Tags) -> bool:
    """Tell whether an image is stored plainly, or each of its parts that are looked at begins as lossless JPEG."""
    if (coding := tags.get(COMPRESSION, (1,))) != (JPEG,):
        return coding == (1,)
    parts = tags.get(TILE_OFFSETS, ()) or tags.get(STRIP_OFFSETS, ())
    return bool(parts) and all(_first_frame(data, start) == LOSSLESS_FRAME for start in parts)


def _first_frame(data: bytes, start: int) -> int:
    """Return the marker of the first frame of a JPEG stream, 0 if there is none (ITU-T T.81, B.1.1.3)."""
    place = start + 2 if data[start : start + 2] == b"\xff\xd8" else len(data)
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0


def refuse_layout(data: bytes) -> NoReturn:
    """Say why Pillow can't read the file: a valid TIFF of another layout, or a damaged one.

    Raises
    ------
    ImageRejected
        ``UNSUPPORTED_PIXELS`` or ``DECODE_ERROR``.
    """
    tags = first_directory(data)
    if tags is None or not {WIDTH, LENGTH} <= tags.keys():
        message = "the tiff file begins like one, but its header is damaged"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message, container="tiff")
    mosaic = MOSAICS.get(tags.get(PHOTOMETRIC, (0,))[0])
    _refuse(f"this TIFF layout is not read: {mosaic or _numbers(data, tags)}; {RAW_DATA if mosaic else CONVERT}")


def _numbers(data: bytes, tags: Tags) -> str:
    bits = max(tags.get(BITS, (1,)))
    kind = "floats" if FLOATS in tags.get(SAMPLE_FORMAT, ()) else "samples"
    return f"{bits}-bit {kind}" + (" in a big-endian BigTIFF" if data.startswith(b"MM\0+") else "")


def _refuse(message: str) -> NoReturn:
    raise ImageRejected(RejectionReason.UNSUPPORTED_PIXELS, message, container="tiff")


def first_directory(data: bytes) -> Tags | None:
    """Return the tags of integers in the first directory, the first of each; None if it does not lie in the file."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    try:
        (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
    except struct.error:
        return None
    return directory_at(data, start)


def directory_at(data: bytes, start: int) -> Tags | None:
    """Return the same of the directory that begins at byte `start`."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    entry, count, field = ("HHQ8s", "Q", "Q") if is_big else ("HHI4s", "H", "I")
    try:
        (entries,) = struct.unpack_from(order + count, data, start)
        if entries > MOST_ENTRIES:
            return None
        size, place = struct.calcsize(order + entry), start + struct.calcsize(order + count)
        tags: dict[int, tuple[int, ...]] = {}
        for at in range(place, place + entries * size, size):
            tag, kind, values, inline = struct.unpack_from(order + entry, data, at)
            if kind in TYPES and values:
                form = f"{order}{min(values, MOST_VALUES)}{TYPES[kind]}"
                is_inline = values * struct.calcsize(order + TYPES[kind]) <= len(inline)
                where = 0 if is_inline else struct.unpack(order + field, inline)[0]
                tags.setdefault(tag, struct.unpack_from(form, inline if is_inline else data, where))
    except (struct.error, OverflowError):
        return None
    return tags
