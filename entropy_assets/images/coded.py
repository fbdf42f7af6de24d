"""How many bytes of a file code its first image: what padding, comments and further images don't add to.

The credit of an image is capped by what its file can hold. Whoever wants more credit appends zeros, so only coded
samples count: entropy-coded scans, compressed chunks, strips. A walk that meets something odd stops and keeps what it
has counted, so oddities cost credit and never add any. Nothing is raised for any input.

References
----------
JPEG: ITU-T T.81, B.1 and B.2. JPEG 2000: ITU-T T.800, A.4 and I.4. PNG: third edition, 5.3. WebP: RFC 9649, 2.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

NEXT_MARKER: Final = re.compile(rb"(?<!\xff)\xff++[\x01-\xcf\xd8-\xfe]")
"""What ends an entropy-coded segment: neither a stuffed zero nor RST0 to RST7. No run of fill bytes is read twice."""
FILL: Final = re.compile(rb"\xff+")
STUFFED: Final = b"\xff\x00"
RESTARTS: Final = tuple(bytes((0xFF, n)) for n in range(0xD0, 0xD8))
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""TEM and RST0 to RST7: markers without a length."""

J2K_START: Final = b"\xff\x4f\xff\x51"
J2K_SOT, J2K_SOD, J2K_EOC = b"\xff\x90", b"\xff\x93", b"\xff\xd9"
J2K_BOX: Final = b"jp2c"
BOX_HEADER: Final = 8
RIFF_HEADER: Final = 12
PNG_HEADER: Final = 8
PORTION: Final = 1 << 18
"""Bytes of a gzip file, packed or unpacked, that are handled at once."""
GZIP_WINDOW: Final = 31
"""What zlib calls a gzip wrapper with the widest window."""


def jpeg_scans(data: bytes) -> int:
    """Return the bytes of the entropy-coded segments up to the first EOI, without stuffing and restart markers."""
    coded, place = 0, 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place = _fill_end(data, place)
        elif marker in STANDALONE:
            place += 2
        elif marker in (EOI, SOI, 0):
            break
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == SOS:
                marker_after = NEXT_MARKER.search(data, place)
                end = marker_after.start() if marker_after else len(data)
                coded += max(0, end - place) - _removed(data, place, end)
                place = end
    return coded


def _removed(data: bytes, start: int, end: int) -> int:
    """Return the bytes of a segment that code nothing: the zero of each stuffed byte, and both of each RST."""
    return data.count(STUFFED, start, end) + sum(2 * data.count(restart, start, end) for restart in RESTARTS)


def _fill_end(data: bytes, place: int) -> int:
    """Return the last of the bytes 0xFF from `place` on: the one that begins a marker."""
    run = FILL.match(data, place)
    return run.end() - 1 if run else place


def jpeg2000_tiles(data: bytes) -> int:
    """Return the bytes of the tile-parts' bit streams, without headers; no bit stream holds an EOC marker."""
    start, end = _codestream(data)
    coded, place = 0, _after_segments(data, start + 2, end, J2K_SOT)
    while place + 12 <= end and data[place : place + 2] == J2K_SOT:
        length = int.from_bytes(data[place + 6 : place + 10], "big")
        part_end = min(place + length, end) if length else end
        if (last := data.find(J2K_EOC, place, part_end)) >= 0:
            part_end = last
        bits = _after_segments(data, place + 12, part_end, J2K_SOD) + 2
        coded += max(0, part_end - bits)
        if part_end <= place:
            break
        place = part_end
    return coded


def _codestream(data: bytes) -> tuple[int, int]:
    """Return where the codestream starts and where its box ends."""
    if data.startswith(J2K_START):
        return 0, len(data)
    for kind, start, end in _boxes(data):
        if kind == J2K_BOX:
            return start, end
    return len(data), len(data)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each top-level box, and where its contents start and end."""
    place = 0
    while place + BOX_HEADER <= len(data):
        length, start = int.from_bytes(data[place : place + 4], "big"), place + BOX_HEADER
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        end = min(place + length, len(data)) if length else len(data)
        yield data[place + 4 : place + BOX_HEADER], start, end
        if end < start:
            return
        place = end


def _after_segments(data: bytes, place: int, end: int, marker: bytes) -> int:
    """Return where `marker` stands after the marker segments from `place` on; `end` if it isn't there."""
    while place + 4 <= end:
        if data[place : place + 2] == marker:
            return place
        if data[place] != 0xFF:
            return end
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place if data[place : place + 2] == marker else end


def png_chunks(data: bytes) -> int:
    """Return the bytes in the IDAT chunks up to IEND: of an animation, the image that every reader shows."""
    coded, place = 0, PNG_HEADER
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            coded += min(length, len(data) - place - 8)
        place += length + 12
    return coded


def webp_chunks(data: bytes) -> int:
    """Return the bytes of the first VP8 or VP8L chunk; of an animation, that of its first frame."""
    place = RIFF_HEADER
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind in (b"VP8 ", b"VP8L"):
            return int(min(length, len(data) - place - 8))
        # the payload of a frame begins with 16 bytes of its own, then come chunks
        place += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return 0


CODED_IN: Final = {"jpeg": jpeg_scans, "jpeg2000": jpeg2000_tiles, "png": png_chunks, "webp": webp_chunks}
"""How the coded bytes of each container are counted. TIFF says it in its tags, BMP and FITS by their size."""


def gzip_share(data: bytes, start: int, size: int) -> int:
    """Return how many bytes of a gzip file unpack to `size` bytes from `start` on.

    Parameters
    ----------
    data
        The gzip file, intact; it may have several members.
    start, size
        Where the bytes lie in what is unpacked.
    """
    before = _packed_length(data, start)
    return _packed_length(data, start + size) - before


def _packed_length(data: bytes, goal: int) -> int:
    """Return after how many bytes of `data` the first `goal` bytes are unpacked, or where unpacking ends before."""
    unpack = zlib.decompressobj(GZIP_WINDOW)
    place = unpacked = 0
    while unpacked < goal and place < len(data):
        piece = data[place : place + PORTION]
        try:
            unpacked += len(unpack.decompress(piece, min(PORTION, goal - unpacked)))
        except zlib.error:
            break
        place += len(piece) - len(unpack.unconsumed_tail) - len(unpack.unused_data)
        if unpack.eof:
            unpack = zlib.decompressobj(GZIP_WINDOW)
    return place


def gzip_shares(data: bytes, spans: Sequence[tuple[int, int]]) -> int:
    """Return how many bytes of a gzip file unpack to several parts of what it holds, in one pass.

    Parameters
    ----------
    data
        The gzip file, intact; it may have several members.
    spans
        Where each part begins and ends in what is unpacked, ascending.
    """
    unpack = zlib.decompressobj(GZIP_WINDOW)
    place, unpacked, ends = 0, 0, [0]
    for goal in (edge for span in spans for edge in span):
        while unpacked < goal and place < len(data):
            piece = data[place : place + PORTION]
            try:
                unpacked += len(unpack.decompress(piece, min(PORTION, goal - unpacked)))
            except zlib.error:
                break
            # at the end of a member the rest of the piece stands in both
            place += len(piece) - len(unpack.unused_data if unpack.eof else unpack.unconsumed_tail)
            if unpack.eof:
                unpack = zlib.decompressobj(GZIP_WINDOW)
        ends.append(place)
    return sum(ends[2::2]) - sum(ends[1::2])
