"""Figures are part of the page: its colours, its text, and the same for the same numbers."""

import re
from typing import Any
from xml.etree import ElementTree as ET

from entropy_assets.cli.reports.figures import ACCENT, BAD, INK, figure


def draw(made: Any) -> None:
    axes = made.subplots()
    axes.plot([0, 1], [0, 1], ".", color=ACCENT, label="costs $1 & <2$")
    axes.axhline(0.5, color=BAD)
    axes.text(0, 0, "text", color=INK)
    axes.legend()


def test_the_same_drawing_gives_the_same_figure():
    """Neither a date nor a random name enters, so a report can be compared with an older one."""
    one = figure(draw, alternative="a line")
    assert one == figure(draw, alternative="a line")
    assert "<metadata" not in one
    assert "<!DOCTYPE" not in one


def test_a_figure_has_the_colours_of_the_page():
    """Whatever is drawn in them turns light or dark with it, and nothing else is coloured."""
    drawn = figure(draw, alternative="a line")
    assert {"var(--ink)", "var(--accent)", "var(--bad)", "var(--dim)"} == set(re.findall(r"var\(--\w+\)", drawn))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) == set()


def test_text_stays_text():
    """It can be read aloud, and a dollar or a tag in it is only that."""
    drawn = figure(draw, alternative='an "angle" <b>', caption="two < three")
    svg = ET.fromstring(drawn[drawn.index("<svg") : drawn.index("</svg>") + 6])  # noqa: S314 - made above
    assert "costs $1 & <2$" in ["".join(text.itertext()) for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert 'aria-label="an &quot;angle&quot; &lt;b&gt;"' in drawn
    assert "<figcaption>two &lt; three</figcaption>" in drawn


def test_two_figures_of_a_page_share_no_name():
    """A clip path of one would cut the other."""
    names = [set(re.findall(r'id="([^"]*)"', figure(draw, alternative=each))) for each in ("one", "another")]
    assert names[0]
    assert not names[0] & names[1]
