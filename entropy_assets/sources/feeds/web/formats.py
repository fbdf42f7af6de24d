"""What an image file begins with, and how large it says it is: looked at while it comes, before anything decodes it.

`images.decode` looks again, at everything. Here it is told early what is no image at all, or far too large a one.
"""

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from entropy_assets.sources.feeds.interface import FeedError, FeedLies
from entropy_assets.sources.feeds.web.faults import Fault, Trouble
from entropy_assets.sources.feeds.web.headers import Headers

Sides = tuple[int, int]

READ: Final = (
    *((0, b"SIMPLE  ="), (0, b"\x89PNG\r\n\x1a\n"), (0, b"\xff\xd8\xff"), (0, b"GIF87a"), (0, b"GIF89a"), (0, b"BM")),
    *((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+"), (8, b"WEBP")),
    *((0, b"\0\0\0\x0cjP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51")),
    *((0, b"FUJIFILMCCD-RAW"), (4, b"ftypcrx "), (0, b"IIRO"), (0, b"IIRS"), (0, b"IIU\0")),
)
"""Place and magic number of what `images.decode` reads."""
NOT_READ: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"\x89HDF\r\n\x1a\n": "HDF5 (or netCDF-4), which holds many things and is read by none of the decoders here",
        b"CDF\x01": "netCDF, which is not read here",
        b"CDF\x02": "netCDF, which is not read here",
        b"CDF\x05": "netCDF, which is not read here",
        b"XISF0100": "an XISF file, which is not read here",
        b"LUCAM-RECORDER": "a SER video, which is not read here",
        b"#ASDF ": "an ASDF file, which is not read here",
        b"PDS_VERSION_ID": "a PDS3 product, which is not read here",
        b"CCSD3ZF": "a PDS3 product, which is not read here",
        b"NJPL1I00PDS1": "a PDS3 product, which is not read here",
        b"LBLSIZE=": "a VICAR image, which is not read here",
        b"Object = IsisCube": "an ISIS cube, which is not read here",
        b"PK\x03\x04": "a ZIP archive, which is not opened here",
        b"BZh": "a bzip2 file, which is not opened here",
        b"\xfd7zXZ\0": "an xz file, which is not opened here",
        b"\x28\xb5\x2f\xfd": "a Zstandard file, which is not opened here",
        b"\x1f\x9d": "a file of compress, which is not opened here",
        b"%PDF-": "a PDF document",
    }
)
"""What begins otherwise and is known: what it is."""
GZIP: Final = b"\x1f\x8b\x08"
PAGES: Final = re.compile(r"text/(html|xml|css|javascript)|application/(.+\+)?(json|xml|xhtml|javascript)|.*\+xml")
"""Types of pages and documents: whatever comes under one of them is no image."""
_TAGS: Final = re.compile(r"<(script|style)\b.*?(?:</\1[^>]{0,100}>|$)|<[^>]{0,1000}>", re.DOTALL | re.IGNORECASE)
_WORDS: Final = 4096
_UNREAD: Final = frozenset("\0\ufffd")
_FEW: Final = 8
NO_WORDS: Final = "bytes that are no words"
"""What is said instead of bytes of which more than a few, and more than a tenth, are no text."""
_CARD: Final = re.compile(rb"NAXIS([12])  = +(\d{1,12})\b")
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that give the size (ITU-T T.81, B.1.1.3)."""


def require_image(
    data: bytes, headers: Headers, *, most_pixels: int, shown: Callable[[str], str] = lambda text: text
) -> None:
    """Check that what comes is an image that is read here, as far as its first bytes tell.

    Parameters
    ----------
    data
        Its first bytes.
    headers
        Of the answer.
    most_pixels
        Largest plane, pixels.
    shown
        Makes a server's words fit to be shown.

    Raises
    ------
    Trouble
        If it is a page, another kind of file, or announces more pixels.
    """
    kind = headers.content_type
    if PAGES.fullmatch(kind) or not _is_read(data):
        for magic, what in NOT_READ.items():
            if data.startswith(magic):
                raise Trouble(FeedError, Fault.NOT_READ, f"sends {what}", content_type=kind)
        words = shown(without_tags(data))
        why = f"sends {kind or 'something'} instead of an image: {words}"
        raise Trouble(FeedLies, Fault.NOT_AN_IMAGE, why, content_type=kind, first_bytes=data[:16].hex())
    sides = announced_sides(data)
    if sides is not None and sides[0] * sides[1] > most_pixels:
        why = f"sends an image that announces {sides[0]} x {sides[1]} pixels; the limit is {most_pixels}"
        raise Trouble(FeedError, Fault.TOO_LARGE, why, limit=most_pixels)


def without_tags(data: bytes) -> str:
    """Return the words of the beginning of a page, or `NO_WORDS` if it is no text."""
    words = _TAGS.sub(" ", data[:_WORDS].decode("utf-8", "replace"))
    unread = sum(letter in _UNREAD for letter in words)
    return NO_WORDS if unread > max(_FEW, len(words) // 10) else words


def _is_read(data: bytes) -> bool:
    if data.startswith(GZIP):
        try:
            return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, 80).startswith(b"SIMPLE  =")
        except zlib.error:
            return False
    return any(data[place : place + len(magic)] == magic for place, magic in READ)


def announced_sides(data: bytes) -> Sides | None:
    """Return width and height that the first bytes of an image announce; None if they don't, or not here."""
    for magic, read in _READERS.items():
        if data.startswith(magic):
            try:
                return read(data)
            except struct.error:  # it is cut short: the decoder says so
                return None
    return None


def _png(data: bytes) -> Sides:
    return struct.unpack_from(">II", data, 16)


def _gif(data: bytes) -> Sides:
    return struct.unpack_from("<HH", data, 6)


def _bmp(data: bytes) -> Sides:
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _jpeg2000(data: bytes) -> Sides | None:
    place = data.find(b"ihdr", 0, 256)
    if place < 0:
        return None
    height, width = struct.unpack_from(">II", data, place + 4)
    return width, height


def _codestream(data: bytes) -> Sides:
    right, below, left, above = struct.unpack_from(">IIII", data, 8)
    return max(0, right - left), max(0, below - above)


def _jpeg(data: bytes) -> Sides | None:
    place = 2
    while True:
        fill, marker = struct.unpack_from(">BB", data, place)
        if fill != 0xFF:
            return None
        if marker == 0xFF:
            place += 1
        elif marker in _SOF:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        else:
            place += 2 + max(2, struct.unpack_from(">H", data, place + 2)[0])


def _fits(data: bytes) -> Sides | None:
    header = data[:2880]
    cards = [header[place : place + 30] for place in range(0, len(header), 80)]
    found = [_CARD.match(card) for card in cards]
    sides = {card[1]: int(card[2]) for card in found if card is not None}
    return (sides[b"1"], sides[b"2"]) if len(sides) == 2 else None


_READERS: Final[Mapping[bytes, Callable[[bytes], Sides | None]]] = MappingProxyType(
    {
        b"\x89PNG\r\n\x1a\n": _png,
        b"GIF8": _gif,
        b"BM": _bmp,
        b"\0\0\0\x0cjP  \r\n\x87\n": _jpeg2000,
        b"\xff\x4f\xff\x51": _codestream,
        b"\xff\xd8\xff": _jpeg,
        b"SIMPLE  =": _fits,
    }
)
