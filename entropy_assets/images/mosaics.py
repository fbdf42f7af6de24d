"""What a header says of a colour mosaic: its period.

Which phase has which colour decides nothing here, so what else is said of a mosaic (``XBAYROFF``, ``YBAYROFF``,
``ROWORDER``, the colours themselves) is not read. And nothing hangs on the truth of what is said: see
`core.extraction.survey.survey_frame`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

PATTERN_CARDS: Final = MappingProxyType(
    {
        "BAYERPAT": "INDI, N.I.N.A., SharpCap, ASIAIR, Siril (X-Trans too: 36 letters)",
        "COLORTYP": "SharpCap, FireCapture",
    }
)
"""Cards whose value is the pattern, as ``RGGB``, and who writes them."""
PERIOD_OF_LETTERS: Final = MappingProxyType({4: 2, 36: 6})
"""Period of a pattern by the number of its letters: its rows one after the other."""


def mosaic_of_cards(header: Mapping[str, Any]) -> int:
    """Return the period of the colour mosaic that a FITS header tells of, pixels; 1 if it tells of none."""
    for keyword in PATTERN_CARDS:
        pattern = str(header.get(keyword, "")).strip().upper()
        if re.fullmatch("[RGBCMYEW]+", pattern):
            return PERIOD_OF_LETTERS.get(len(pattern), 1)
    return 1
