"""The headers of a FITS file, and where its data units lie: read and checked without touching a pixel.

References
----------
FITS Standard 4.0: header cards 4.1, mandatory keywords 4.4.1.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import prod
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias

import numpy as np

from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.limits import DecodeLimits, too_many_pixels
from entropy_assets.images.statements import UNIT_IN_COMMENT

Value: TypeAlias = str | int | float | bool
Header: TypeAlias = Mapping[str, Value]

CARD: Final = 80
"""Length of one card of a header, bytes (standard 3.3.1)."""
FITS_BLOCK: Final = 2880
"""Headers and data units are filled up to multiples of this, bytes (standard 3.1)."""
SECTION: Final = re.compile(r"\[ *(\d{1,6}) *: *(\d{1,6}) *, *(\d{1,6}) *: *(\d{1,6}) *\]", re.ASCII)
"""First and last column, first and last row, counted from 1 (IRAF, NOAO mosaic conventions)."""
KEPT_SECTIONS: Final = ("TRIMSEC", "DATASEC")
"""What part of the image was exposed: the first of these that is one decides."""
INSTRUMENT_CHARS: Final = 40
"""Longest name of a camera that tells sensors apart."""
MOST_HISTORY: Final = 1000
"""Lines of HISTORY that are looked at: each costs a search, and a file may hold a million."""
MAX_AXES: Final = 16
MAX_HDUS: Final = 256
SAMPLE_TYPES: Final = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


NOT_MEASURED: Final = MappingProxyType(
    {
        "DQ": "STScI: data quality, HST and JWST",
        "ERR": "STScI: error, HST and JWST",
        "VAR_POISSON": "STScI: variance, JWST",
        "VAR_RNOISE": "STScI: variance, JWST",
        "VAR_FLAT": "STScI: variance, JWST",
        "SAMP": "STScI: samples per pixel, WFC3 and NICMOS",
        "TIME": "STScI: exposure per pixel, WFC3 and NICMOS",
        "WHT": "STScI: weight, AstroDrizzle and JWST",
        "CTX": "STScI: context, AstroDrizzle",
        "CON": "STScI: context, JWST",
        "MASK": "Astropy CCDData, NOIRLab pipelines",
        "UNCERT": "Astropy CCDData",
        "BPM": "IRAF, ESO pipelines: bad pixel mask",
    }
)
"""EXTNAME of images that tell of another one, and who writes it."""
NOT_DATA: Final = ("ERROR", "QUALITY")
"""HDUCLAS2 of such images; the data have DATA (ESO Science Data Products Standard)."""

PATTERN_CARDS: Final = MappingProxyType(
    {
        "BAYERPAT": "INDI, N.I.N.A., SharpCap, ASIAIR, Siril (X-Trans too: 36 letters)",
        "COLORTYP": "SharpCap, FireCapture",
    }
)
"""Cards whose value is the pattern, as ``RGGB``, and who writes them."""
PERIOD_OF_LETTERS: Final = MappingProxyType({4: 2, 16: 4, 36: 6})
"""Period of a pattern by the number of its letters: its rows one after the other."""


@dataclass(frozen=True, slots=True)
class Hdu:
    """One header and where its data unit lies, bytes from the start of the file; and the comments that tell a unit."""

    index: int
    header: Header
    start: int
    size: int
    comments: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_image(self) -> bool:
        """Tell whether it is a plain image with pixels."""
        kind = self.header.get("XTENSION", "IMAGE" if self.index == 0 else "")
        return kind == "IMAGE" and self.size > 0 and self.header.get("GROUPS") is not True

    @property
    def is_compressed_image(self) -> bool:
        """Tell whether it is a table that holds a tile-compressed image."""
        return self.header.get("XTENSION") == "BINTABLE" and self.header.get("ZIMAGE") is True


def walk(data: bytes) -> Iterator[Hdu]:
    """Yield the HDUs in file order; each step moves forward by at least one FITS block, so it ends."""
    offset = 0
    for index in range(MAX_HDUS):
        if index and data[offset : offset + 8] != b"XTENSION":
            return
        header, comments, start = _read_header(data, offset)
        size = _data_size(header)
        yield Hdu(index, header, start, size, comments)
        offset = start + -(-size // FITS_BLOCK) * FITS_BLOCK


def _read_header(data: bytes, offset: int) -> tuple[Header, Mapping[str, str], int]:
    """Return the cards from `offset` up to END, the first of each keyword, comments, and where the data unit starts.

    A keyword of several words (ESO's HIERARCH) can't be taken for one of the standard. HISTORY is its lines.
    """
    header: dict[str, Value] = {}
    comments: dict[str, str] = {}
    history: list[str] = []
    for position in range(offset, len(data) - CARD + 1, CARD):
        card = data[position : position + CARD].decode("ascii", errors="replace")
        if card.rstrip() == "END":
            header |= {"HISTORY": "\n".join(history)} if history else {}
            return header, comments, offset + -(-(position + CARD - offset) // FITS_BLOCK) * FITS_BLOCK
        if card.startswith("HISTORY "):
            history += [card[8:].strip()] * (len(history) < MOST_HISTORY)
        elif card.startswith("HIERARCH ") and len((name := card[9:].partition("=")[0]).split()) > 1:
            header.setdefault(" ".join(name.split()), _card_value(card.partition("=")[2]))
        elif card[8:10] == "= ":
            keyword = card[:8].rstrip()
            if keyword in UNIT_IN_COMMENT and keyword not in header:
                comments[keyword] = card[10:].partition("/")[2].strip()
            header.setdefault(keyword, _card_value(card[10:]))
    reject(RejectionReason.TRUNCATED, f"the FITS header at byte {offset} has no END card", offset=offset)


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


def integer(header: Header, key: str, low: int, high: int, default: int | None = None) -> int:
    """Return the value of `key`, or refuse a header in which it is no integer from `low` to `high`."""
    value = header.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        reject(
            RejectionReason.INVALID_HEADER,
            f"FITS keyword {key} is {value!r}, not an integer from {low} to {high}",
            keyword=key,
            value=value,
        )
    return value


def axes_of(header: Header, prefix: str = "") -> tuple[int, ...]:
    """Return the lengths of the axes, fastest first."""
    count = integer(header, f"{prefix}NAXIS", 0, MAX_AXES)
    return tuple(integer(header, f"{prefix}NAXIS{n}", 0, (1 << 63) - 1) for n in range(1, count + 1))


def sample_type(header: Header, prefix: str = "") -> str:
    """Return the type of the stored samples."""
    bitpix = header.get(f"{prefix}BITPIX")
    if isinstance(bitpix, bool) or not isinstance(bitpix, int) or bitpix not in SAMPLE_TYPES:
        message = f"FITS keyword {prefix}BITPIX is {bitpix!r}, not one of {', '.join(map(str, SAMPLE_TYPES))}"
        reject(RejectionReason.INVALID_HEADER, message, keyword=f"{prefix}BITPIX", value=bitpix)
    return SAMPLE_TYPES[bitpix]


def _data_size(header: Header) -> int:
    """Return the size of the data unit without its padding, bytes (standard 4.4.1.1, 4.4.1.2)."""
    axes = axes_of(header)
    if header.get("GROUPS") is True and axes[:1] == (0,):
        axes = axes[1:]
    elements = prod(axes) if axes else 0
    parameters = integer(header, "PCOUNT", 0, (1 << 63) - 1, default=0)
    groups = integer(header, "GCOUNT", 1, (1 << 63) - 1, default=1)
    return np.dtype(sample_type(header)).itemsize * groups * (parameters + elements)


def capture_time(header: Header) -> str | None:
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


def instrument_of(header: Header) -> str:
    """Return what the header calls the camera and its detector, empty if it names none."""
    return named_camera(header.get("INSTRUME"), header.get("DETECTOR"))


def named_camera(*names: object) -> str:
    """Return the `names` that are texts as one, each with single spaces and at most `INSTRUMENT_CHARS` long."""
    texts = (" ".join(name.replace("\0", " ").split())[:INSTRUMENT_CHARS] for name in names if isinstance(name, str))
    return " ".join(text for text in texts if text)


def reject(reason: RejectionReason, message: str, **data: object) -> NoReturn:
    """Raise the one reason why an image can't be read."""
    raise ImageRejected(reason, message, **data)


def plane_shape(hdu: Hdu, prefix: str, limits: DecodeLimits) -> tuple[int, int]:
    """Return height and width of the first plane, once both are known to be affordable.

    A compressed image is unpacked as a whole, with all of its planes.
    """
    axes = axes_of(hdu.header, prefix)
    if len(axes) < 2 or 0 in axes:
        reject(RejectionReason.NO_IMAGE_DATA, f"the first FITS image has axes {axes}: no plane of pixels", axes=axes)
    pixels = prod(axes) if prefix else axes[0] * axes[1]
    sample_bytes = np.dtype(sample_type(hdu.header, prefix)).itemsize
    most = limits.unpacked_pixels(sample_bytes) if prefix else limits.max_pixels
    if pixels > most:
        message = too_many_pixels(" x ".join(map(str, axes)), pixels, limits.max_pixels, most)
        reject(RejectionReason.OVER_PIXEL_BUDGET, message, axes=[str(axis) for axis in axes], limit=most)
    return axes[1], axes[0]


def exposed_part(header: Header, shape: tuple[int, int], least: int) -> tuple[slice, slice] | None:
    """Return the rows and columns without overscan, as far as the header says it; None if that is all, or nonsense.

    Parameters
    ----------
    shape
        Height and width of the image, pixels.
    least
        Least height and width that a part may have, pixels.
    """
    for keyword in KEPT_SECTIONS:
        if part := _section(header.get(keyword), shape):
            big_enough = all(side.stop - side.start >= least for side in part)
            whole = all((side.start, side.stop) == (0, length) for side, length in zip(part, shape, strict=True))
            return part if big_enough and not whole else None
    if overscan := _section(header.get("BIASSEC"), shape):
        (rows, columns), (height, width) = overscan, shape
        rests = [
            (slice(0, height), slice(0, columns.start)),
            (slice(0, height), slice(columns.stop, width)),
            (slice(0, rows.start), slice(0, width)),
            (slice(rows.stop, height), slice(0, width)),
        ]
        largest = max(rests, key=lambda part: prod(side.stop - side.start for side in part))
        return largest if all(side.stop - side.start >= least for side in largest) else None
    return None


def _section(value: object, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the rows and columns of an image section; None if it is none, or does not lie in the image."""
    found = SECTION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    columns, rows = (sorted(map(int, found.groups()[axis : axis + 2])) for axis in (0, 2))
    if min(columns[0], rows[0]) < 1 or columns[1] > shape[1] or rows[1] > shape[0]:
        return None
    return slice(rows[0] - 1, rows[1]), slice(columns[0] - 1, columns[1])


def require_complete(data: bytes, hdu: Hdu) -> None:
    """Refuse a file that ends before the data unit does."""
    if (missing := hdu.start + hdu.size - len(data)) > 0:
        message = f"FITS data unit {hdu.index} should hold {hdu.size} bytes and {missing} of them are missing"
        reject(RejectionReason.TRUNCATED, message, hdu=hdu.index, missing=str(missing))


def number(header: Header, key: str, default: float) -> float:
    """Return the value of `key`, or refuse a header in which it is no number."""
    value = header.get(key, default)
    if isinstance(value, (bool, str)):
        reject(RejectionReason.INVALID_HEADER, f"FITS keyword {key} is {value!r}, not a number", keyword=key)
    return value


def is_about_another(header: Header) -> bool:
    """Tell whether an image says of itself that it holds the quality or the error of another one."""
    name, content = (str(header.get(key, "")).strip().upper() for key in ("EXTNAME", "HDUCLAS2"))
    return name in NOT_MEASURED or content in NOT_DATA


def mosaic_of_cards(header: Header) -> int:
    """Return the period of the colour mosaic that a header tells of, pixels; 1 if it tells of none.

    Which phase has which colour decides nothing, so what else is said of a mosaic (``XBAYROFF``, ``YBAYROFF``,
    ``ROWORDER``) is not read. Nothing hangs on the truth of it: see `core.extraction.survey.survey_frame`.
    """
    for keyword in PATTERN_CARDS:
        pattern = str(header.get(keyword, "")).strip().upper()
        if re.fullmatch("[RGBCMYEW]+", pattern):
            return PERIOD_OF_LETTERS.get(len(pattern), 1)
    return 1
