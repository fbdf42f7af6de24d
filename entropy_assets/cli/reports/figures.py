"""Figures of a report as inline SVG, drawn by matplotlib; only a report that has some loads it.

Colours are those of the page, so a figure is light or dark with it; texts stay text. The same drawing gives the same
SVG: neither a date nor a random name enters.
"""

import re
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from entropy_assets.cli.reports.page import Markup, illustration
from entropy_assets.errors import require_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#010203"
DIM: Final = "#020304"
ACCENT: Final = "#030405"
BAD: Final = "#040506"
"""The colours to draw with: each stands for a colour of the page, and no other thing is drawn in it by chance."""
_OF_THE_PAGE: Final = {INK: "var(--ink)", DIM: "var(--dim)", ACCENT: "var(--accent)", BAD: "var(--bad)"}
_MEASURED_BY: Final = "DejaVu Sans"
"""The font that comes with matplotlib: texts are as wide as in it, and shown in that of the page."""


def figure(
    draw: Callable[["Figure"], None],
    *,
    alternative: str,
    caption: str = "",
    width: float = 9.0,
    height: float = 3.0,
) -> Markup:
    """Return what `draw` draws.

    Parameters
    ----------
    draw
        Gets an empty figure; makes its axes and draws into them with the colours above.
    alternative
        What is seen, for those who don't see it. It also tells the figures of a page apart, so each has its own.
    caption
        The line below; none if empty.
    width, height
        Inches of 72 points.

    Raises
    ------
    ExtraMissing
        If matplotlib is not installed.
    """
    require_extra("sp800", "matplotlib")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    drawn = StringIO()
    with rc_context(_style(alternative)):
        # pyplot keeps figures in module state; a Figure of its own is freed with the report.
        made = Figure(figsize=(width, height), layout="constrained")
        draw(made)
        made.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return illustration(_inline(drawn.getvalue()), alternative=alternative, caption=caption)


def _style(salt: str) -> Any:
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(inked, INK),
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.family": [_MEASURED_BY],
        "font.size": 9,
        "grid.alpha": 0.25,
        "grid.color": DIM,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        # Names of files are shown as they are: a formula would begin at the first of two dollars.
        "text.parse_math": False,
    }


def _inline(document: str) -> Markup:
    """Return the drawing alone: without prolog, metadata, and names of groups, which every figure has."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = svg.replace(f"font-family: '{_MEASURED_BY}'", "font-family: sans-serif")
    for colour, name in _OF_THE_PAGE.items():
        svg = svg.replace(f": {colour}", f": {name}")
    return Markup(svg.strip())
