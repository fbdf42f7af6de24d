"""Reading FITS: every size is checked against the file before a pixel is touched.

Plain images are read straight from the data unit, as the integers that are stored there; nothing scales them.
Astropy is imported only to undo RICE tile compression.

References
----------
FITS Standard 4.0: header cards 4.1, mandatory keywords 4.4.1, BSCALE/BZERO/BLANK 4.4.2.5, tiled images 10.1.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from math import prod
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from entropy_assets.core.frame import PIXEL_LIMIT, Statement
from entropy_assets.errors import ImageRejected, RejectionReason, brought_by
from entropy_assets.images.statements import statements_of_cards

Value: TypeAlias = str | int | float | bool
Header: TypeAlias = Mapping[str, Value]

CARD: Final = 80
"""Length of one card of a header, bytes (standard 3.3.1)."""
FITS_BLOCK: Final = 2880
"""Headers and data units are filled up to multiples of this, bytes (standard 3.1)."""
MAX_AXES: Final = 16
MAX_HDUS: Final = 256
SAMPLE_TYPES: Final = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
UNSIGNED_ZERO: Final = {8: -(1 << 7), 16: 1 << 15, 32: 1 << 31}
"""BZERO of the unsigned convention (signed for 8 bits); 64 bits keep their stored values, the offset says nothing."""
TILE_KEYWORDS: Final = re.compile(
    r"XTENSION|BITPIX|NAXIS[12]?|PCOUNT|GCOUNT|TFIELDS|T(TYPE|FORM)\d|THEAP|Z(IMAGE|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE"
    r"|NAME\d|VAL\d)"
)
RICE_OPTIONS: Final = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4)}
MIN_FINITE_SHARE: Final = 0.5


class FitsImage(NamedTuple):
    """The first image of a FITS file; its data unit has `size` bytes from `start` on."""

    pixels: npt.NDArray[np.integer]
    usable: npt.NDArray[np.bool_]
    bit_depth: int
    float_data: bool
    captured_at: str | None
    statements: tuple[Statement, ...]
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Hdu:
    """One header and where its data unit lies, bytes from the start of the file."""

    index: int
    header: Header
    start: int
    size: int

    @property
    def is_image(self) -> bool:
        """Tell whether it is a plain image with pixels."""
        kind = self.header.get("XTENSION", "IMAGE" if self.index == 0 else "")
        return kind == "IMAGE" and self.size > 0 and self.header.get("GROUPS") is not True

    @property
    def is_compressed_image(self) -> bool:
        """Tell whether it is a table that holds a tile-compressed image."""
        return self.header.get("XTENSION") == "BINTABLE" and self.header.get("ZIMAGE") is True


def read_fits(data: bytes, max_pixels: int) -> FitsImage:
    """Return the first image of `data`; of a cube, its first plane.

    Parameters
    ----------
    data
        The file.
    max_pixels
        Largest plane that is read, and largest compressed image that is unpacked, pixels.

    Raises
    ------
    ImageRejected
        With the one reason that fits.
    """
    statements: list[Statement] = []
    captured_at = None
    for hdu in _walk(data):
        statements += statements_of_cards(hdu.header)
        captured_at = _capture_time(hdu.header) or captured_at
        if hdu.is_image:
            stored = _plain_plane(data, hdu, max_pixels)
        elif hdu.is_compressed_image:
            stored = _compressed_plane(data, hdu, max_pixels)
        else:
            _require_complete(data, hdu)
            continue
        pixels, usable = _measured(stored, hdu.header)
        depth = stored.dtype.itemsize * 8
        floats = stored.dtype.kind == "f"
        return FitsImage(pixels, usable, depth, floats, captured_at, tuple(statements), hdu.start, hdu.size)
    _reject(RejectionReason.NO_IMAGE_DATA, "the FITS file holds no image with at least two axes")


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
        _reject(RejectionReason.NOT_FINITE, f"only {share:.1%} of the pixels are finite numbers", finite_share=share)
    if not exact:
        message = f"{plane.dtype.itemsize * 8}-bit floats that are no integers: scaled or averaged, not an ADC's output"
        _reject(RejectionReason.UNSUPPORTED_PIXELS, message)
    return whole, finite


def _reject(reason: RejectionReason, message: str, **data: object) -> NoReturn:
    raise ImageRejected(reason, message, **data)


# Headers


def _walk(data: bytes) -> Iterator[Hdu]:
    """Yield the HDUs in file order; each step moves forward by at least one FITS block, so it ends."""
    offset = 0
    for index in range(MAX_HDUS):
        if index and data[offset : offset + 8] != b"XTENSION":
            return
        header, start = _read_header(data, offset)
        size = _data_size(header)
        yield Hdu(index, header, start, size)
        offset = start + -(-size // FITS_BLOCK) * FITS_BLOCK


def _read_header(data: bytes, offset: int) -> tuple[Header, int]:
    """Return the cards from `offset` up to END, the first of each keyword, and where the data unit starts."""
    header: dict[str, Value] = {}
    for position in range(offset, len(data) - CARD + 1, CARD):
        card = data[position : position + CARD].decode("ascii", errors="replace")
        if card.rstrip() == "END":
            return header, offset + -(-(position + CARD - offset) // FITS_BLOCK) * FITS_BLOCK
        if card[8:10] == "= ":
            header.setdefault(card[:8].rstrip(), _card_value(card[10:]))
    _reject(RejectionReason.TRUNCATED, f"the FITS header at byte {offset} has no END card", offset=offset)


def _card_value(text: str) -> Value:
    text = text.strip()
    if text.startswith("'"):
        quoted = re.match(r"'((?:[^']|'')*)", text)
        return quoted[1].replace("''", "'").rstrip() if quoted else ""
    word = text.split("/", 1)[0].strip()
    if word in ("T", "F"):
        return word == "T"
    if re.fullmatch(r"[+-]?\d+", word, re.ASCII):
        return int(word)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([EDed][+-]?\d+)?", word, re.ASCII):
        return float(word.upper().replace("D", "E"))
    return word


def _integer(header: Header, key: str, low: int, high: int, default: int | None = None) -> int:
    value = header.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _reject(
            RejectionReason.INVALID_HEADER,
            f"FITS keyword {key} is {value!r}, not an integer from {low} to {high}",
            keyword=key,
            value=value,
        )
    return value


def _axes(header: Header, prefix: str = "") -> tuple[int, ...]:
    """Return the lengths of the axes, fastest first."""
    count = _integer(header, f"{prefix}NAXIS", 0, MAX_AXES)
    return tuple(_integer(header, f"{prefix}NAXIS{n}", 0, (1 << 63) - 1) for n in range(1, count + 1))


def _sample_type(header: Header, prefix: str = "") -> str:
    bitpix = header.get(f"{prefix}BITPIX")
    if isinstance(bitpix, bool) or not isinstance(bitpix, int) or bitpix not in SAMPLE_TYPES:
        message = f"FITS keyword {prefix}BITPIX is {bitpix!r}, not one of {', '.join(map(str, SAMPLE_TYPES))}"
        _reject(RejectionReason.INVALID_HEADER, message, keyword=f"{prefix}BITPIX", value=bitpix)
    return SAMPLE_TYPES[bitpix]


def _data_size(header: Header) -> int:
    """Return the size of the data unit without its padding, bytes (standard 4.4.1.1, 4.4.1.2)."""
    axes = _axes(header)
    if header.get("GROUPS") is True and axes[:1] == (0,):
        axes = axes[1:]
    elements = prod(axes) if axes else 0
    parameters = _integer(header, "PCOUNT", 0, (1 << 63) - 1, default=0)
    groups = _integer(header, "GCOUNT", 1, (1 << 63) - 1, default=1)
    return np.dtype(_sample_type(header)).itemsize * groups * (parameters + elements)


def _capture_time(header: Header) -> str | None:
    """Return DATE-OBS as ISO 8601, completed by TIME-OBS or UT where it holds only the day; None if it is no date."""
    text = str(header.get("DATE-OBS", "")).strip()
    if old_style := re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", text, re.ASCII):
        text = f"19{old_style[3]}-{old_style[2]}-{old_style[1]}"
    if len(text) == len("2000-01-01") and (time := str(header.get("TIME-OBS", header.get("UT", ""))).strip()):
        text = f"{text}T{time}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


# Pixels


def _plane_shape(hdu: Hdu, prefix: str, max_pixels: int) -> tuple[int, int]:
    """Return height and width of the first plane, once both are known to be affordable."""
    axes = _axes(hdu.header, prefix)
    if len(axes) < 2 or 0 in axes:
        _reject(RejectionReason.NO_IMAGE_DATA, f"the first FITS image has axes {axes}: no plane of pixels", axes=axes)
    pixels = prod(axes) if prefix else axes[0] * axes[1]
    if pixels > max_pixels:
        message = f"the FITS header announces {' x '.join(map(str, axes))} pixels; the limit is {max_pixels}"
        _reject(RejectionReason.OVER_PIXEL_BUDGET, message, axes=[str(axis) for axis in axes], limit=max_pixels)
    return axes[1], axes[0]


def _require_complete(data: bytes, hdu: Hdu) -> None:
    if (missing := hdu.start + hdu.size - len(data)) > 0:
        message = f"FITS data unit {hdu.index} should hold {hdu.size} bytes and {missing} of them are missing"
        _reject(RejectionReason.TRUNCATED, message, hdu=hdu.index, missing=str(missing))


def _plain_plane(data: bytes, hdu: Hdu, max_pixels: int) -> npt.NDArray[Any]:
    ny, nx = _plane_shape(hdu, "", max_pixels)
    _require_complete(data, hdu)
    return np.frombuffer(data, dtype=_sample_type(hdu.header), count=ny * nx, offset=hdu.start).reshape(ny, nx)


def _measured(stored: npt.NDArray[Any], header: Header) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """Return the stored values as integers and the mask of BLANK or non-finite ones.

    BSCALE is not applied: the stored integers are what the ADC delivered. BZERO is, in the unsigned convention only.
    """
    if stored.dtype.kind == "f":
        if _number(header, "BSCALE", 1.0) != 1 or _number(header, "BZERO", 0.0) != 0:
            _reject(RejectionReason.UNSUPPORTED_PIXELS, "floats with BSCALE or BZERO: not what an ADC delivered")
        return integer_valued(stored)
    blank = header.get("BLANK", header.get("ZBLANK"))
    usable: npt.NDArray[np.bool_] = np.ones(stored.shape, dtype=np.bool_)
    if isinstance(blank, int):
        usable &= stored != blank
    zero = UNSIGNED_ZERO.get(stored.dtype.itemsize * 8)
    if zero is not None and _number(header, "BZERO", 0.0) == zero and _number(header, "BSCALE", 1.0) == 1:
        shifted: npt.NDArray[Any] = stored.astype(np.int32 if stored.dtype.itemsize < 4 else np.int64)
        shifted += zero
        return shifted, usable
    native: npt.NDArray[Any] = stored.astype(stored.dtype.newbyteorder("="))
    return native, usable


def _number(header: Header, key: str, default: float) -> float:
    value = header.get(key, default)
    if isinstance(value, (bool, str)):
        _reject(RejectionReason.INVALID_HEADER, f"FITS keyword {key} is {value!r}, not a number", keyword=key)
    return value


# Tile compression (standard 10.1)


def _compressed_plane(data: bytes, hdu: Hdu, max_pixels: int) -> npt.NDArray[Any]:
    """Return the first plane of a RICE-compressed integer image, unpacked by astropy."""
    _check_tiles(hdu.header)
    shape = _plane_shape(hdu, "Z", max_pixels)
    _check_tile_size(hdu.header, max_pixels)
    _require_complete(data, hdu)
    with brought_by("images"):
        from astropy.io import fits  # here, because importing it takes longer than decoding most frames

    checked = _padded(_rewritten(hdu.header) + data[hdu.start : hdu.start + hdu.size], b"\0")
    try:
        with fits.open(BytesIO(checked), memmap=False, do_not_scale_image_data=True) as hdus:
            image: npt.NDArray[Any] = np.asarray(hdus[1].data)
    except Exception as error:
        # its C codecs raise classes of their own, which no list of exceptions would name
        message = f"the RICE tiles of FITS data unit {hdu.index} can't be unpacked: {error}"
        raise ImageRejected(RejectionReason.DECODE_ERROR, message, hdu=hdu.index) from error
    if image.shape != _axes(hdu.header, "Z")[::-1] or image.dtype.kind not in "iu":
        _reject(RejectionReason.DECODE_ERROR, f"the RICE tiles unpack to {image.dtype} {image.shape}, not to {shape}")
    plane: npt.NDArray[Any] = image.reshape(-1, *shape)[0]
    return plane


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


def _check_tiles(header: Header) -> None:
    """Refuse whatever is not integers under RICE.

    Quantised floats carry a public dither sequence that looks like noise. The other codecs are refused since they
    unpack to a size that only the stream itself knows (GZIP), or lose pixels (HCOMPRESS).
    """
    if not np.issubdtype(np.dtype(_sample_type(header, "Z")), np.integer):
        quantised = str(header.get("ZQUANTIZ", "NO_DITHER"))
        if "SUBTRACTIVE_DITHER" in quantised:
            message = f"floats quantised with {quantised}: the dither is a public sequence that only looks like noise"
            _reject(RejectionReason.DITHERED, message, quantiser=quantised)
        _reject(RejectionReason.UNSUPPORTED_PIXELS, f"tile-compressed floats ({quantised}): not what an ADC delivered")
    codec = str(header.get("ZCMPTYPE", ""))
    columns = [str(value) for key, value in header.items() if key.startswith("TTYPE")]
    if codec not in ("RICE_1", "RICE_ONE") or any(c.startswith(("GZIP", "UNCOMPRESSED")) for c in columns):
        message = f"tile compression {codec!r} with columns {columns}; only RICE_1 integers are read"
        _reject(RejectionReason.UNSUPPORTED_PIXELS, message, codec=codec)


def _check_tile_size(header: Header, max_pixels: int) -> None:
    axes = _axes(header, "Z")
    tile = [_integer(header, f"ZTILE{n}", 1, 1 << 31, axes[0] if n == 1 else 1) for n in range(1, len(axes) + 1)]
    if prod(tile) > max_pixels:
        _reject(RejectionReason.OVER_PIXEL_BUDGET, f"a FITS tile of {tile} pixels; the limit is {max_pixels}")
    if abs(_integer(header, "ZBITPIX", 8, 32)) not in (8, 16, 32):
        _reject(RejectionReason.UNSUPPORTED_PIXELS, "RICE holds integers of 8, 16 or 32 bits only")
    for n in range(1, 10):
        name, value = header.get(f"ZNAME{n}"), header.get(f"ZVAL{n}")
        if name in RICE_OPTIONS and value not in RICE_OPTIONS[str(name)]:
            _reject(RejectionReason.INVALID_HEADER, f"RICE option {name} is {value!r}", keyword=f"ZVAL{n}")
