"""What a file says of itself that bears on its noise: how it was made, and gain and read noise of its camera.

Everybody can write a header, so what one says can lower the credit and never raise it.

References
----------
The tables below name, beside each word, who writes it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from entropy_assets.core.frame import CameraNoise, Statement, StatementKind

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
MASTER: Final = (
    "(?i).*(master|stack|coadd|super ?(bias|dark|flat)|(mean|median|averaged?|combined) *(bias|dark|flat|light|frame))"
    ".*|(?i:integration)"
)
EDITORS: Final = (
    "photoshop|lightroom|gimp|affinity|capture one|darktable|rawtherapee|dxo|luminar|snapseed|paint\\.net|acorn"
    "|pixelmator|topaz|corel|paint shop|picasa|pixinsight|registax|autostakkert|deepskystacker|astrosurface"
    "|siril|astap|astro ?pixel ?processor|graxpert|sequator|startools|camera raw|imagemagick|graphicsmagick"
    "|irfanview|acdsee|krita|on1 photo|skylum|lavc\\d|ffmpeg"
)
"""Programs that change pixels and leave their name in a file's Software tag (TIFF 6.0 section 8; PNG 11.3.3.2), or in a
card of a FITS header."""
CARDS: Final = (
    Card("simulated", "SIMULATE", "True", "this project's simulated camera"),
    Card("simulator", "INSTRUME|CAMERA|CAMNAME|CAMMODEL|DETECTOR", "(?i).*(simulator|simulation|simulated camera).*",
         "INDI, ASCOM, N.I.N.A."),
    Card("simulator", "SIMULATE", "(?i)1|y|yes|true", "whoever writes T otherwise"),
    Card("stacked", "NCOMBINE", MORE_THAN_ONE, "IRAF imcombine, STScI pipelines, Astropy ccdproc"),
    Card("stacked", r"IMCMB\d+", ".+", "IRAF imcombine: the name of each frame that went in"),
    Card("stacked", "STACKCNT", MORE_THAN_ONE, "Siril, ASIAIR, Seestar"),
    Card("stacked", "SNAPSHOT", MORE_THAN_ONE, "MaxIm DL, CCDSoft: SBFITSEXT 1.0, images combined"),
    Card("stacked", r"(LIGH|LUM|DARK|FLAT|BIAS)_CNT", MORE_THAN_ONE, "ASTAP: frames in a stack or master"),
    Card("stacked", "IMAGETYP|IMTYPE|FRAME|FRAMETYP|OBSTYPE", MASTER, "PixInsight, Siril, MaxIm DL, survey pipelines"),
    Card("stacked", "NSTACK|NSTACKED|STACKED|COMBINED", f"(?i)true|y|yes|{MORE_THAN_ONE}", "live stackers"),
    Card("stacked", "PROCTYPE", "(?i)stacked|mastercal", "NOIRLab community pipelines"),
    Card("stacked", "ESO PRO CATG", "(?i).*(master|stack|coadd|combined|mean|median).*", "ESO pipelines: the product"),
    Card("stacked", "ESO PRO DATANCOM", MORE_THAN_ONE, "ESO pipelines: frames combined"),
    Card("stacked", "ESO DET NDIT", MORE_THAN_ONE, "ESO: exposures of which the detector's computer kept the mean"),
    Card("stacked", "HISTORY", r"(?i).*(imageintegration|integration with pixinsight|\bstacking\b|\bstacked\b"
         r"|(mean|median|average) combin|imcombine).*", "PixInsight, Siril, ASTAP, IRAF"),
    Card("resampled", "PROCTYPE", "(?i)resampled", "NOIRLab community pipelines"),
    Card("resampled", "RESAMPLE|DRIZZLE", "(?i)true|y|yes|lanczos.*|bilinear|bicubic", "TERAPIX SWarp, stackers"),
    Card("resampled", "PIXFRAC", r"[01](\.\d*)?", "drizzle: the size of a drop"),
    Card("resampled", "NDRIZIM", r"0*[1-9]\d*(\.0*)?", "STScI AstroDrizzle"),
    Card("resampled", "DRIZCORR", "(?i)complete", "STScI pipelines"),
    Card("resampled", r"D\d{3}DATA", ".+", "STScI AstroDrizzle"),
    Card("resampled", r"RESAMPT\d+", ".+", "TERAPIX SWarp"),
    Card("resampled", "SOFTNAME", "(?i)swarp", "TERAPIX SWarp"),
    Card("calibrated", "CALSTAT", "(?i).*[bdf].*", "MaxIm DL: SBFITSEXT 1.0, bias, dark and flat applied"),
    Card("calibrated", "CCDPROC|ZEROCOR|DARKCOR|FLATCOR|FRINGCOR|ILLUMCOR", ".{5,}", "IRAF ccdproc: when, with what"),
    Card("calibrated", "(BIAS|DARK|FLAT|SHAD)CORR", "(?i)complete", "STScI pipelines"),
    Card("calibrated", "S_(FLAT|DARK|SUPERB|RAMP|JUMP|LINEAR|PHOTOM)", "(?i)complete", "STScI: calibration of JWST"),
    Card("calibrated", "PROCTYPE", "(?i)instcal|skysub", "NOIRLab community pipelines"),
    Card("calibrated", "RLEVEL", r"0*[1-9]\d*(\.0*)?", "Las Cumbres Observatory: reduction level; raw is 0"),
    Card("calibrated", "ESO PRO TYPE", "(?i)reduced", "ESO pipelines"),
    Card("calibrated", "BUNIT", r"(?i)(electrons?|e-)(\W.*)?", "pipelines: codes come in ADU"),
    Card("developed", "SWCREATE|SWMODIFY|PROGRAM|CREATOR|SOFTWARE", f"(?i).*({EDITORS}).*", "editors and stackers"),
)  # fmt: skip
"""Each with who writes it. A raw frame has none of them, or has them with another value (``NCOMBINE = 1``)."""
SPEAKING: Final = re.compile("|".join(f"(?:{card.keyword})" for card in CARDS))
"""Keywords of which the values are looked at."""
GAIN_CARDS: Final = MappingProxyType(
    {
        "EGAIN": "SBFITSEXT 1.0: electrons per ADU, by definition; MaxIm DL, N.I.N.A., Sequence Generator Pro, ASIAIR",
        "CVF": "Siril: electrons per ADU, by definition",
    }
)
"""Cards whose standard says that they are in electrons per ADU, and who writes them."""
GAINS_BY_COMMENT: Final = MappingProxyType(
    {
        "GAIN": "NOAO, SAAO, IRAF; but of many drivers it is the number of a setting (N.I.N.A., INDI)",
        "CCDGAIN": "STScI, Lick; of Hubble it is the gain that was commanded",
        "ATODGAIN": "STScI WFPC2",
    }
)
"""Cards that count only where their comment says electrons per ADU, and who writes them."""
READ_NOISE_CARDS: Final = MappingProxyType(
    {
        "RDNOISE": "NOAO, SAAO, IRAF, LSST",
        "READNOIS": "NOAO, STScI, IRAF",
        "RON": "ESO",
        "ENOISE": "Las Campanas",
    }
)
"""Cards of the read noise and who writes them; they count where their comment says electrons, since some are in ADU."""
MULTIPLIERS: Final = ("EMGAIN", "EM_GAIN", "EMGAINS", "GAINEM", "EMREAL", "GAINMULT")
"""Cards of electron multiplication: an ADU is then a fraction of an electron, and shot noise has twice its variance."""
UNIT_IN_COMMENT: Final = frozenset(GAINS_BY_COMMENT) | frozenset(READ_NOISE_CARDS)
"""Keywords whose comments are kept."""
PER_ADU: Final = re.compile(
    r"(?i)(?<![a-z])(photo-?)?e(l|lec|lectrons?)?[-_]?s? *(/|per) *(adu|dn|counts?|data numbers?)(?![a-z])"
)
IN_ELECTRONS: Final = re.compile(r"(?i)(?<![a-z])(photo-?)?(e-|e(?=[ )\]]|$)|electrons?)")
IN_CODES: Final = re.compile(r"(?i)(?<![a-z])(adu|dn|counts?)(?![a-z])")
LARGEST_FIGURE: Final = 1e5
"""Gain or read noise beyond which a header is not believed."""


def statements_of_cards(header: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield what the cards of a FITS header say, one statement for each card."""
    for keyword, value in header.items():
        if not SPEAKING.fullmatch(keyword):
            continue
        for line in str(value).split("\n") if keyword == "HISTORY" else (value,):
            if (card := _card_of(keyword, line)) is not None:
                yield Statement(card.kind, _told(keyword, line))
                break


def _card_of(keyword: str, value: object) -> Card | None:
    text = str(value).strip()
    speaking = (card for card in CARDS if re.fullmatch(card.keyword, keyword))
    return next((card for card in speaking if re.fullmatch(card.value, text, re.DOTALL)), None)


def camera_noise_of_cards(header: Mapping[str, Any], comments: Mapping[str, str]) -> CameraNoise | None:
    """Return gain and read noise that a FITS header tells in a known unit; None if it doesn't tell both.

    Without a read noise nothing is bounded: whatever is seen above shot noise might be that. Nor behind an electron
    multiplier. Where pixels were added up (binned) each brought its own read noise.

    Parameters
    ----------
    comments
        What stands behind the slash of cards in `UNIT_IN_COMMENT`.
    """
    if any(_figure(header, keyword) not in (None, 0, 1) for keyword in MULTIPLIERS):
        return None
    gains = [*GAIN_CARDS, *(keyword for keyword in GAINS_BY_COMMENT if PER_ADU.search(comments.get(keyword, "")))]
    gain = next((keyword for keyword in gains if _figure(header, keyword)), None)
    noises = [keyword for keyword in READ_NOISE_CARDS if _is_in_electrons(comments.get(keyword, ""))]
    noise = next((keyword for keyword in noises if _figure(header, keyword) is not None), None)
    if gain is None or noise is None:
        return None
    per_adu, electrons = _figure(header, gain) or 0.0, _figure(header, noise) or 0.0
    added = math.prod(max(1.0, _figure(header, keyword) or 1.0) for keyword in ("XBINNING", "YBINNING"))
    thousandths = math.floor(per_adu * 1000), math.ceil(electrons * math.sqrt(added) * 1000)
    words = f"{_told(gain, header[gain])} e-/ADU, {_told(noise, header[noise])} e-"
    return CameraNoise(*thousandths, words) if thousandths[0] else None


def _is_in_electrons(comment: str) -> bool:
    return bool(IN_ELECTRONS.search(comment)) and not IN_CODES.search(comment)


def _figure(header: Mapping[str, Any], keyword: str) -> float | None:
    """Return the value of a card that is a believable number; None if it is none."""
    value = header.get(keyword)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_FIGURE:
        return None
    return float(value)


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
