"""The directories of a TIFF file, and what they say before a pixel is read: thumbnails, layouts that are not read.

References
----------
TIFF 6.0: header and directories, section 2; NewSubfileType, section 8; SampleFormat, section 19. TIFF for Electronic
Photography (ISO 12234-2): colour filter arrays, SubIFDs. DNG 1.7: DNGVersion. BigTIFF: libtiff, *BigTIFF design*.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, NoReturn

from entropy_assets.errors import ImageRejected, RejectionReason

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
ASCII: Final = 2
SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type."""
MOST_ENTRIES: Final = 4096
MOST_DIRECTORIES: Final = 4096
MOST_ENTRIES_IN_ALL: Final = 1 << 17
MOST_VALUES: Final = 16
"""Of one tag no more values are looked at, unless they say where the pixels lie."""
LONGEST_TEXT: Final = 1000
"""Of a text no more is looked at, bytes."""

RAW_DATA: Final = "convert the raw data to FITS or 16-bit TIFF, for example with Siril"
CONVERT: Final = "convert it to FITS or 16-bit grey TIFF, for example with ImageMagick"


def refuse_thumbnails(data: bytes) -> None:
    """Refuse a TIFF file whose first image is not its exposure.

    Raises
    ------
    ImageRejected
        ``UNSUPPORTED_PIXELS``: the first image is a thumbnail, or the file is a camera's raw file.
    """
    first = first_directory(data)
    if first is None:
        return
    if first.is_reduced:
        _refuse(f"this is the thumbnail of a raw file; {RAW_DATA}")
    if DNG_VERSION in first.entries or data[8:10] == CANON_RAW:
        _refuse(f"this is a camera's raw file, of which only a preview could be read; {RAW_DATA}")


def refuse_misread(data: bytes) -> None:
    """Refuse a TIFF file that Pillow would read as other numbers than it holds.

    Raises
    ------
    ImageRejected
        ``UNSUPPORTED_PIXELS``: the pixels are signed 8-bit integers, or the file is a big-endian BigTIFF, which Pillow
        takes for a classic one.
    """
    first = first_directory(data)
    if data.startswith(b"MM\0+"):
        refuse_layout(data)
    if first is not None and SIGNED in first.values(SAMPLE_FORMAT) and min(first.values(BITS) or (1,)) <= 8:
        _refuse(f"this TIFF layout is not read: signed 8-bit integers; {CONVERT}")


def is_camera_raw(data: bytes) -> bool:
    """Tell whether a TIFF file is a camera's raw file: its first image is a thumbnail, a preview or a mosaic."""
    first = first_directory(data)
    if first is None or data.startswith(b"MM\0+"):
        return False
    is_raw = DNG_VERSION in first.entries or data[8:10] == CANON_RAW
    return is_raw or first.is_reduced or first.values(PHOTOMETRIC) == (MOSAIC,)


def is_lossless_raw(data: bytes) -> bool:
    """Tell whether a file is a TIFF whose mosaics are stored plainly or as lossless JPEG, as most DNGs are."""
    first = first_directory(data) if data[:2] in (b"II", b"MM") else None
    if first is None:
        return False
    others = (directory_at(data, start) for start in first.values(SUB_DIRECTORIES))
    mosaics = [found for found in (first, *others) if found and found.values(PHOTOMETRIC) == (MOSAIC,)]
    return bool(mosaics) and all(_is_lossless(data, found) for found in mosaics)


def _is_lossless(data: bytes, mosaic: "Directory") -> bool:
    """Tell whether an image is stored plainly, or each of its parts that are looked at begins as lossless JPEG."""
    if (coding := mosaic.value(COMPRESSION, 1)) != JPEG:
        return coding == 1
    parts = mosaic.values(TILE_OFFSETS) or mosaic.values(STRIP_OFFSETS)
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
    first = first_directory(data)
    if first is None or not {WIDTH, LENGTH} <= first.entries.keys():
        message = "the tiff file begins like one, but its header is damaged"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message, container="tiff")
    mosaic = MOSAICS.get(first.value(PHOTOMETRIC, 0))
    _refuse(f"this TIFF layout is not read: {mosaic or _numbers(data, first)}; {RAW_DATA if mosaic else CONVERT}")


def _numbers(data: bytes, first: "Directory") -> str:
    bits = max(first.values(BITS) or (1,))
    kind = "floats" if FLOATS in first.values(SAMPLE_FORMAT) else "samples"
    return f"{bits}-bit {kind}" + (" in a big-endian BigTIFF" if data.startswith(b"MM\0+") else "")


def _refuse(message: str) -> NoReturn:
    raise ImageRejected(RejectionReason.UNSUPPORTED_PIXELS, message, container="tiff")


class Directory(NamedTuple):
    """One directory of a TIFF file.

    Attributes
    ----------
    data, order
        The file, and its byte order as `struct` writes it.
    entries
        Type, count and place in the file of the values of each tag, the first of each. The place may lie anywhere.
    following
        Where the next directory lies; 0 if there is none.
    """

    data: bytes
    order: str
    entries: Mapping[int, tuple[int, int, int]]
    following: int

    @property
    def is_reduced(self) -> bool:
        """Tell whether the image is a smaller version of another one."""
        return bool(self.value(NEW_SUBFILE_TYPE, 0) & REDUCED) or self.values(SUBFILE_TYPE) == (REDUCED_BEFORE,)

    def value(self, tag: int, default: int) -> int:
        """Return the first integer of a tag, or `default` if it has none."""
        return next(iter(self.values(tag)), default)

    def values(self, tag: int, most: int = MOST_VALUES) -> tuple[int, ...]:
        """Return the integers of a tag, `most` of them at most; none if it isn't there or lies outside of the file."""
        kind, count, place = self.entries.get(tag, (0, 0, 0))
        if kind not in TYPES:
            return ()
        form = f"{self.order}{min(count, most)}{TYPES[kind]}"
        return struct.unpack_from(form, self.data, place) if self._has(place, struct.calcsize(form)) else ()

    def text(self, tag: int) -> str | None:
        """Return the text of a tag, as much of it as anybody looks at; None if there is none."""
        kind, count, place = self.entries.get(tag, (0, 0, 0))
        if kind != ASCII or not self._has(place, count):
            return None
        return self.data[place : place + min(count, LONGEST_TEXT)].split(b"\0")[0].decode("latin-1")

    def _has(self, place: int, size: int) -> bool:
        return 0 <= place <= len(self.data) - size


def first_directory(data: bytes) -> Directory | None:
    """Return the first directory; None if it does not lie in the file."""
    return next(directories(data), None)


def directories(data: bytes) -> Iterator[Directory]:
    """Yield the directories of the file in their order, each place once, as many as can be walked in little time."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    try:
        (place,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
    except struct.error:
        return
    seen: set[int] = set()
    entries = 0
    while place and place not in seen and len(seen) < MOST_DIRECTORIES and entries < MOST_ENTRIES_IN_ALL:
        seen.add(place)
        found = directory_at(data, place)
        if found is None:
            return
        yield found
        place, entries = found.following, entries + len(found.entries)


def directory_at(data: bytes, start: int) -> Directory | None:
    """Return the directory that begins at byte `start`; None if it does not lie in the file."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    entry, count, field = ("HHQ8s", "Q", "Q") if is_big else ("HHI4s", "H", "I")
    try:
        (entries,) = struct.unpack_from(order + count, data, start)
        if entries > MOST_ENTRIES:
            return None
        size, place = struct.calcsize(order + entry), start + struct.calcsize(order + count)
        tags: dict[int, tuple[int, int, int]] = {}
        for at in range(place, place + entries * size, size):
            tag, kind, values, inline = struct.unpack_from(order + entry, data, at)
            is_inline = values * SIZES.get(kind, 1) <= len(inline)
            where = at + size - len(inline) if is_inline else struct.unpack(order + field, inline)[0]
            tags.setdefault(tag, (kind, values, where))
        after = place + entries * size
        known = after + struct.calcsize(field) <= len(data)
        following = struct.unpack_from(order + field, data, after)[0] if known else 0
    except (struct.error, OverflowError):
        return None
    return Directory(data, order, tags, following)
