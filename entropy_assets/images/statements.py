"""What a file says of itself that bears on its noise: simulated, stacked, resampled, calibrated or developed.

Everybody can write a header, so what one says can lower the credit and never raise it.

References
----------
The tables below name, beside each word, who writes it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from entropy_assets.core.frame import Statement, StatementKind

LONGEST_VALUE: Final = 40
"""Of a value no more is told, characters."""
LONGEST_NAME: Final = 1000
"""Of the name of a program no more is looked at, characters."""


class Card(NamedTuple):
    """A card of a FITS header that says something: its keyword and its value, as patterns of the whole."""

    kind: StatementKind
    keyword: str
    value: str
    written_by: str


MORE_THAN_ONE: Final = r"0*([2-9]|1\d|[2-9]\d|\d{3,})(\.0*)?"
MASTER: Final = "(?i).*(master|stack|coadd|super ?(bias|dark|flat)).*"
CARDS: Final = (
    Card("simulated", "SIMULATE", "True", "this project's simulated camera"),
    Card("simulator", "INSTRUME|CAMERA|CAMNAME|CAMMODEL|DETECTOR", "(?i).*simulator.*", "INDI, ASCOM, N.I.N.A."),
    Card("stacked", "NCOMBINE", MORE_THAN_ONE, "IRAF imcombine, STScI pipelines, Astropy ccdproc"),
    Card("stacked", r"IMCMB\d+", ".+", "IRAF imcombine: the name of each frame that went in"),
    Card("stacked", "STACKCNT", MORE_THAN_ONE, "Siril, ASIAIR, Seestar"),
    Card("stacked", "SNAPSHOT", MORE_THAN_ONE, "MaxIm DL, CCDSoft: SBFITSEXT 1.0, images combined"),
    Card("stacked", r"(LIGH|LUM|DARK|FLAT|BIAS)_CNT", MORE_THAN_ONE, "ASTAP: frames in a stack or master"),
    Card("stacked", "IMAGETYP|IMTYPE|FRAME|FRAMETYP|OBSTYPE", MASTER, "PixInsight, Siril, MaxIm DL, survey pipelines"),
    Card("resampled", "NDRIZIM", r"0*[1-9]\d*(\.0*)?", "STScI AstroDrizzle"),
    Card("resampled", "DRIZCORR", "(?i)complete", "STScI pipelines"),
    Card("resampled", r"D\d{3}DATA", ".+", "STScI AstroDrizzle"),
    Card("resampled", r"RESAMPT\d+", ".+", "TERAPIX SWarp"),
    Card("resampled", "SOFTNAME", "(?i)swarp", "TERAPIX SWarp"),
    Card("calibrated", "CALSTAT", "(?i).*[bdf].*", "MaxIm DL: SBFITSEXT 1.0, bias, dark and flat applied"),
    Card("calibrated", "CCDPROC|ZEROCOR|DARKCOR|FLATCOR|FRINGCOR|ILLUMCOR", ".{5,}", "IRAF ccdproc: when, with what"),
    Card("calibrated", "(BIAS|DARK|FLAT|SHAD)CORR", "(?i)complete", "STScI pipelines"),
)  # fmt: skip
"""Each with who writes it. A raw frame has none of them, or has them with another value (``NCOMBINE = 1``)."""
SPEAKING: Final = re.compile("|".join(f"(?:{card.keyword})" for card in CARDS))
"""Keywords of which the values are looked at."""
EDITORS: Final = (
    "photoshop|lightroom|gimp|affinity|capture one|darktable|rawtherapee|dxo|luminar|snapseed|paint\\.net|acorn"
    "|pixelmator|topaz|corel|paint shop|picasa|pixinsight|registax|autostakkert|deepskystacker|astrosurface"
)
"""Programs that change pixels and leave their name in a file's Software tag (TIFF 6.0 section 8; PNG 11.3.3.2)."""


def statements_of_cards(header: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield what the cards of a FITS header say, one statement for each card."""
    for keyword, value in header.items():
        if not SPEAKING.fullmatch(keyword):
            continue
        for card in CARDS:
            if re.fullmatch(card.keyword, keyword) and re.fullmatch(card.value, str(value).strip(), re.DOTALL):
                yield Statement(card.kind, _told(keyword, value))
                break


def statements_of_picture(info: Mapping[Any, Any], software: object) -> Iterator[Statement]:
    """Yield what a picture says that it was made with.

    Parameters
    ----------
    info
        Chunks and profiles by Pillow's names.
    software
        Content of the Software tag, None if there is none.
    """
    if info.get("icc_profile"):
        yield Statement("developed", "a colour profile (ICC)")
    program = str(software or info.get("Software") or "")[:LONGEST_NAME]
    if re.search(EDITORS, program, re.IGNORECASE):
        yield Statement("developed", _told("Software", program))


def _told(keyword: str, value: object) -> str:
    """Return the words as they are shown: whatever a terminal or a page could obey in them is a question mark."""
    text = "T" if value is True else "F" if value is False else str(value).strip()
    words = f"{keyword} = {text[:LONGEST_VALUE]}"
    return "".join(character if character.isprintable() else "?" for character in words)
