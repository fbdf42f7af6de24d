"""Undoing tile compression: every size is checked against the file before a tile is unpacked.

GZIP and plain tiles are unpacked here, never further than their pixels. RICE, HCOMPRESS and PLIO are unpacked by
astropy, which sees a header and a table that were written anew from what was checked: its C decoders of HCOMPRESS and
PLIO read as far, and write as much, as the stream itself says.

References
----------
FITS Standard 4.0: tiled images 10.1, codecs 10.4. R. L. White, P. Greenfield, W. Pence, D. Tody, R. Seaman, *Tiled
Image Convention for Storing Compressed Images in FITS Binary Tables*, version 2.3, 2013.
"""

import re
import struct
import zlib
from io import BytesIO
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from entropy_assets.errors import ImageRejected, RejectionReason, brought_by
from entropy_assets.images.fits_headers import (
    CARD,
    FITS_BLOCK,
    Hdu,
    Header,
    Value,
    axes_of,
    integer,
    plane_shape,
    reject,
    require_complete,
    sample_type,
)
from entropy_assets.images.limits import DecodeLimits

Spans: TypeAlias = npt.NDArray[np.int64]

TILE_KEYWORDS: Final = re.compile(
    r"XTENSION|BITPIX|NAXIS[12]?|PCOUNT|GCOUNT|TFIELDS|T(TYPE|FORM)\d|THEAP|Z(IMAGE|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE"
    r"|NAME\d|VAL\d)"
)
RICE: Final = ("RICE_1", "RICE_ONE")
RICE_OPTIONS: Final = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4)}
GZIP: Final = ("GZIP_1", "GZIP_2")
BYTEWISE: Final = (*GZIP, "NOCOMPRESS")
"""Codecs of plain bytes, which hold integers of any width."""
CODECS: Final = (*RICE, *BYTEWISE, "HCOMPRESS_1", "PLIO_1")
MAX_TILES: Final = 1 << 18
"""Tiles that are unpacked one by one; images in use have one per row or fewer."""
DESCRIPTOR: Final = re.compile(r"1?([PQ])([BI])(\(\d*\))?")
"""TFORM of the one column: array descriptors of 32 or 64 bits, of bytes or of the 16-bit words of PLIO (7.3.5)."""
GZIP_WRAPPER: Final = 31
"""What zlib calls a gzip wrapper with the widest window."""
HCOMPRESS_HEADER: Final = struct.Struct(">2sIIiq3B")
"""Magic number, rows, columns, scale, sum of all pixels, bit planes of the three kinds of quadrants."""
HCOMPRESS_MAGIC: Final = b"\xdd\x99"
MOST_BIT_PLANES: Final = 62
"""Bit planes whose values fit in the 64-bit integers of the decoder."""
HCOMPRESS_REACH: Final = 128 << 20
"""Furthest that the decoder may read of one tile, bytes."""


class TiledPlanes(NamedTuple):
    """The planes of a tile-compressed image, ``stored[plane, ny, nx]``, and where the tiles of each lie in the file.

    Each of `spans` is ``[tile, 2]``; there are none for the rules that count the whole data unit as coded.
    """

    stored: npt.NDArray[Any]
    spans: tuple[Spans, ...]


def compressed_planes(data: bytes, hdu: Hdu, limits: DecodeLimits, *, rice_only: bool) -> TiledPlanes:
    """Return the planes of an image of integers in tiles that lost nothing.

    Parameters
    ----------
    data
        The file.
    hdu
        The table with the tiles.
    limits
        What it may cost.
    rice_only
        Read RICE alone, and count the whole data unit as coded.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    codec = _codec(hdu.header, rice_only)
    shape = plane_shape(hdu, "Z", limits)
    tile = _tile_shape(hdu.header, codec, limits.max_samples)
    require_complete(data, hdu)
    spans = None if rice_only else _spans(data, hdu, codec, tile)
    if spans is None or codec in RICE:
        image = _by_astropy(hdu, _rewritten(hdu.header) + data[hdu.start : hdu.start + hdu.size])
    elif codec in BYTEWISE:
        image = _by_zlib(data, hdu, codec, tile, spans)
    else:
        image = _by_astropy(hdu, _laid_out_anew(data, hdu, codec, tile, spans))
    return TiledPlanes(image.reshape(-1, *shape), () if spans is None else _spans_of_planes(hdu.header, tile, spans))


# What the header says


def _codec(header: Header, rice_only: bool) -> str:
    """Return the codec, and refuse whatever is not integers without loss.

    Quantised floats carry a public dither sequence that looks like noise. HCOMPRESS loses pixels at a scale above 1.
    """
    if not np.issubdtype(np.dtype(sample_type(header, "Z")), np.integer):
        quantised = str(header.get("ZQUANTIZ", "NO_DITHER"))
        if "SUBTRACTIVE_DITHER" in quantised:
            message = f"floats quantised with {quantised}: the dither is a public sequence that only looks like noise"
            reject(RejectionReason.DITHERED, message, quantiser=quantised)
        reject(RejectionReason.UNSUPPORTED_PIXELS, f"tile-compressed floats ({quantised}): not what an ADC delivered")
    codec = str(header.get("ZCMPTYPE", ""))
    columns = [str(value) for key, value in header.items() if key.startswith("TTYPE")]
    known = RICE if rice_only else CODECS
    one_column = rice_only or (columns == ["COMPRESSED_DATA"] and header.get("TFIELDS") == 1)
    if codec not in known or not one_column or any(c.startswith(("GZIP", "UNCOMPRESSED")) for c in columns):
        message = f"tile compression {codec!r} with columns {columns}; only integers by {', '.join(known)} are read"
        reject(RejectionReason.UNSUPPORTED_PIXELS, message, codec=codec)
    if codec == "HCOMPRESS_1" and not _within(_option(header, "SCALE", 0), 0, 1):
        message = f"HCOMPRESS with SCALE {_option(header, 'SCALE', 0)!r} rounds pixels; only SCALE 0 and 1 keep them"
        reject(RejectionReason.UNSUPPORTED_PIXELS, message, codec=codec)
    return codec


def _option(header: Header, name: str, default: Value) -> Value:
    """Return an option of the codec: the value beside its name."""
    places = (n for n in range(1, 10) if header.get(f"ZNAME{n}") == name)
    return next((header.get(f"ZVAL{n}", default) for n in places), default)


def _within(value: Value, low: int, high: int) -> bool:
    return not isinstance(value, (str, bool)) and low <= value <= high


def _tile_shape(header: Header, codec: str, most: int) -> tuple[int, ...]:
    """Return the sides of a whole tile, slowest axis first as in arrays."""
    axes = axes_of(header, "Z")
    tile = [integer(header, f"ZTILE{n}", 1, 1 << 31, axes[0] if n == 1 else 1) for n in range(1, len(axes) + 1)]
    if prod(tile) > most:
        reject(RejectionReason.OVER_PIXEL_BUDGET, f"a FITS tile of {tile} pixels; the limit is {most}")
    if codec not in BYTEWISE and abs(integer(header, "ZBITPIX", 8, 32)) not in (8, 16, 32):
        reject(RejectionReason.UNSUPPORTED_PIXELS, f"{codec} holds integers of 8, 16 or 32 bits only")
    if codec == "HCOMPRESS_1" and any(side > 1 for side in tile[2:]):
        reject(RejectionReason.INVALID_HEADER, f"an HCOMPRESS tile of {tile} pixels: it has two axes")
    for n in range(1, 10):
        name, value = header.get(f"ZNAME{n}"), header.get(f"ZVAL{n}")
        if name in RICE_OPTIONS and value not in RICE_OPTIONS[str(name)]:
            reject(RejectionReason.INVALID_HEADER, f"RICE option {name} is {value!r}", keyword=f"ZVAL{n}")
    return tuple(reversed(tile))


# Where the tiles lie


def _spans(data: bytes, hdu: Hdu, codec: str, tile: tuple[int, ...]) -> Spans:
    """Return ``[tile, 2]``: where each tile begins and ends in the file, all of it inside the heap."""
    header = hdu.header
    form = DESCRIPTOR.fullmatch(str(header.get("TFORM1", "")))
    width = {"P": 8, "Q": 16}[form[1]] if form else 0
    if form is None or (form[2] == "I") != (codec == "PLIO_1") or header.get("NAXIS1") != width:
        message = f"a table of {codec} tiles with TFORM1 {header.get('TFORM1')!r} and NAXIS1 {header.get('NAXIS1')!r}"
        reject(RejectionReason.INVALID_HEADER, message, keyword="TFORM1")
    tiles = prod(_counts(header, tile))
    if tiles > MAX_TILES:
        reject(RejectionReason.OVER_PIXEL_BUDGET, f"a FITS image of {tiles} tiles; the limit is {MAX_TILES}")
    integer(header, "NAXIS2", tiles, tiles)
    heap = integer(header, "THEAP", tiles * width, hdu.size, default=tiles * width)
    table = np.frombuffer(data, dtype=f">i{width // 2}", count=2 * tiles, offset=hdu.start).reshape(tiles, 2)
    length, offset = table.astype(np.int64).T
    room = hdu.size - heap
    inside = (length > 0) & (length <= room) & (offset >= 0) & (offset <= room)
    length = np.where(inside, length, 0) * (2 if form[2] == "I" else 1)
    if not inside.all() or (offset + length > room).any():
        message = f"a tile of FITS data unit {hdu.index} lies outside of its heap, or is empty"
        reject(RejectionReason.DECODE_ERROR, message, hdu=hdu.index)
    return np.stack([offset, offset + length], axis=1) + (hdu.start + heap)


def _counts(header: Header, tile: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of tiles along each axis, slowest first."""
    return tuple(-(-side // step) for side, step in zip(reversed(axes_of(header, "Z")), tile, strict=True))


def _spans_of_planes(header: Header, tile: tuple[int, ...], spans: Spans) -> tuple[Spans, ...]:
    """Return the spans of the tiles that hold a part of each plane: what lies in other tiles codes nothing of it."""
    *above, _, _ = axes_of(header, "Z")[::-1]
    by_tile = spans.reshape(*_counts(header, tile), 2)
    planes = (tuple(at // step for at, step in zip(place, tile, strict=False)) for place in np.ndindex(*above))
    return tuple(by_tile[plane].reshape(-1, 2) for plane in planes)


def covered(spans: Spans) -> int:
    """Return how many bytes lie in at least one span: tiles that share bytes share what these can code."""
    begins, ends = spans[np.argsort(spans[:, 0])].T
    reached = np.maximum.accumulate(ends)
    fresh = np.maximum(begins[1:], reached[:-1])
    return int(ends[0] - begins[0] + np.maximum(ends[1:] - fresh, 0).sum())


def _places(header: Header, tile: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Return the part of the image that each tile fills, in the order of the table."""
    shape = axes_of(header, "Z")[::-1]
    return [
        tuple(slice(at * step, min((at + 1) * step, side)) for at, step, side in zip(index, tile, shape, strict=True))
        for index in np.ndindex(_counts(header, tile))
    ]


# GZIP and plain tiles


def _by_zlib(data: bytes, hdu: Hdu, codec: str, tile: tuple[int, ...], spans: Spans) -> npt.NDArray[Any]:
    """Return the image whose tiles are big-endian integers, packed with gzip or not at all."""
    kind = np.dtype(sample_type(hdu.header, "Z"))
    image: npt.NDArray[Any] = np.empty(axes_of(hdu.header, "Z")[::-1], dtype=kind)
    for place, (start, end) in zip(_places(hdu.header, tile), spans.tolist(), strict=True):
        part = image[place]
        # integers narrower than 32 bits may be packed as 32 bits: CFITSIO did so before version 3.2
        widest = part.size * max(kind.itemsize, 4)
        raw = _gunzipped(data[start:end], widest, hdu) if codec in GZIP else data[start:end]
        width = len(raw) // part.size
        if len(raw) != part.size * width or width not in ({kind.itemsize, 4} if codec in GZIP else {kind.itemsize}):
            message = f"a {codec} tile of FITS data unit {hdu.index} holds {len(raw)} bytes for {part.size} pixels"
            reject(RejectionReason.DECODE_ERROR, message, hdu=hdu.index)
        if codec == "GZIP_2":
            raw = np.frombuffer(raw, dtype=np.uint8).reshape(width, -1).T.tobytes()
        values = np.frombuffer(raw, dtype=kind if width == kind.itemsize else ">i4").reshape(part.shape)
        part[...] = values
        if width != kind.itemsize and not np.array_equal(part, values):
            message = f"a {codec} tile of FITS data unit {hdu.index} holds integers of more than {kind.itemsize} bytes"
            reject(RejectionReason.DECODE_ERROR, message, hdu=hdu.index)
    return image


def _gunzipped(stream: bytes, widest: int, hdu: Hdu) -> bytes:
    """Return what one gzip member holds, reading no further than one byte beyond `widest`."""
    unpack = zlib.decompressobj(GZIP_WRAPPER)
    try:
        raw = unpack.decompress(stream, widest + 1)
    except zlib.error as error:
        message = f"a gzip tile of FITS data unit {hdu.index} is damaged: {error}"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message, hdu=hdu.index) from error
    if not unpack.eof or unpack.unused_data:
        message = f"a gzip tile of FITS data unit {hdu.index} ends elsewhere than its pixels"
        reject(RejectionReason.DECODE_ERROR, message, hdu=hdu.index)
    return raw


# RICE, HCOMPRESS and PLIO


def _by_astropy(hdu: Hdu, checked: bytes) -> npt.NDArray[Any]:
    """Return the image in the FITS file `checked`, which nobody but this module wrote the headers of."""
    with brought_by("images"):
        from astropy.io import fits  # here, because importing it takes longer than decoding most frames

    codec = hdu.header["ZCMPTYPE"]
    try:
        with fits.open(BytesIO(_padded(checked, b"\0")), memmap=False, do_not_scale_image_data=True) as hdus:
            image: npt.NDArray[Any] = np.asarray(hdus[1].data)
    except Exception as error:
        # its C codecs raise classes of their own, which no list of exceptions would name
        message = f"the {codec} tiles of FITS data unit {hdu.index} can't be unpacked: {error}"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message, hdu=hdu.index) from error
    shape = axes_of(hdu.header, "Z")[::-1]
    if image.shape != shape or image.dtype.kind not in "iu":
        message = f"the {codec} tiles unpack to {image.dtype} {image.shape}, not to {shape}"
        reject(RejectionReason.DECODE_ERROR, message)
    return image


def _laid_out_anew(data: bytes, hdu: Hdu, codec: str, tile: tuple[int, ...], spans: Spans) -> bytes:
    """Return a FITS file in which every tile is as long as its decoder may read.

    The decoders stop where the stream says. So the stream's own sizes are checked first, each descriptor is made as
    long as a stream of these sizes can be, and zeros follow the last one.
    """
    lengths = [
        _reach(data[start:end], tuple(part.stop - part.start for part in place), codec, hdu)
        for place, (start, end) in zip(_places(hdu.header, tile), spans.tolist(), strict=True)
    ]
    heap = int(spans[:, 0].min())
    table = np.stack([np.array(lengths) // (2 if codec == "PLIO_1" else 1), spans[:, 0] - heap], axis=1)
    end = int((spans[:, 0] + lengths).max())
    tail = data[heap : hdu.start + hdu.size]
    tail += bytes(max(0, end - heap - len(tail)))
    form = "1QI" if codec == "PLIO_1" else "1QB"
    changed: dict[str, Value] = {"NAXIS1": 16, "PCOUNT": len(tail), "TFORM1": form}
    header = {key: value for key, value in {**hdu.header, **changed}.items() if key != "THEAP"}
    return _rewritten(header) + table.astype(">i8").tobytes() + tail


def _reach(stream: bytes, shape: tuple[int, ...], codec: str, hdu: Hdu) -> int:
    """Return how far the decoder can read in one tile, bytes, once what the tile says of itself is checked."""
    reach = _plio_reach(stream) if codec == "PLIO_1" else _hcompress_reach(stream, shape)
    if reach is None:
        message = f"a {codec} tile of FITS data unit {hdu.index} says that it is not of {shape} pixels, or is cut short"
        reject(RejectionReason.DECODE_ERROR, message, hdu=hdu.index)
    if reach > HCOMPRESS_REACH:
        reject(RejectionReason.OVER_PIXEL_BUDGET, f"a {codec} tile that may be {reach} bytes long", hdu=hdu.index)
    return max(reach, len(stream))


def _hcompress_reach(stream: bytes, shape: tuple[int, ...]) -> int | None:
    """Return the most bytes that a tile of `shape` with these bit planes can have; None if it is another one.

    A bit plane of a quadrant is written as it is, 4 bits for 4 pixels, or as codes of at most 6 bits for 4 pixels and
    for each coarser level: together less than 2 bits a pixel. One bit a pixel follows for the sign.
    """
    if len(stream) < HCOMPRESS_HEADER.size:
        return None
    magic, rows, columns, scale, _, *planes = HCOMPRESS_HEADER.unpack_from(stream)
    if magic != HCOMPRESS_MAGIC or (rows, columns) != shape[-2:] or not 0 <= scale <= 1:
        return None
    if max(planes) > MOST_BIT_PLANES:
        return None
    # every quadrant, and every level of it, is rounded up to whole squares of pixels
    return int(HCOMPRESS_HEADER.size + (2 * max(planes) + 1) * (rows + 16) * (columns + 16) // 8)


def _plio_reach(stream: bytes) -> int | None:
    """Return the bytes of a line list and one word more; None if its header points outside of it.

    The list has its length in the third word, or, if that is not positive, in the fourth and fifth; then the second
    word is the length of the header.
    """
    words = np.frombuffer(stream, dtype=">i2")
    if len(words) < 5:
        return None
    old = int(words[2]) > 0
    length = int(words[2]) if old else (int(words[4]) << 15) + int(words[3])
    if not 0 < length <= len(words) or not (old or 0 <= int(words[1]) <= length):
        return None
    return len(stream) + 2


# Written anew


def _rewritten(header: Header) -> bytes:
    """Return an empty primary header and one with the structural keywords only, as they were checked.

    Astropy never sees the original, so it can't read a repeated or oddly formatted keyword in another way.
    """
    primary = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True}
    table = {key: value for key, value in header.items() if TILE_KEYWORDS.fullmatch(key)}
    return b"".join(_written(cards) for cards in (primary, table))


def _written(cards: Header) -> bytes:
    lines = [f"{key:<8}= {_written_value(value):>20}".ljust(CARD)[:CARD] for key, value in cards.items()]
    return _padded("".join([*lines, "END"]).encode("ascii", errors="replace"), b" ")


def _padded(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % FITS_BLOCK)


def _written_value(value: Value) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    return "'" + value.replace("'", "''").ljust(8) + "'" if isinstance(value, str) else str(value)
