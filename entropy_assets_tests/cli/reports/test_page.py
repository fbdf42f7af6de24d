"""A report is one file that is safe to open, whatever the names in it."""

import re
from html.parser import HTMLParser

import pytest

from entropy_assets.cli.reports.page import NOTHING, facts, page, paragraph, table, verdict

HOSTILE = '<script>alert("1")</script>&\x1b[2J\udcff'
VOID = {"meta"}


class Outline(HTMLParser):
    """Keeps the elements of a page, and fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def everything(text: str) -> str:
    parts = [paragraph(text), verdict(text, good=False), facts([(text, text)])]
    return page(text, [(text, [*parts, table([text], [[text]], caption=text)])], lead=[paragraph(text)])


def test_no_text_becomes_markup():
    """Neither a tag nor what a terminal obeys gets through, and the file can be written as UTF-8."""
    hostile, plain = Outline(), Outline()
    hostile.feed(everything(HOSTILE))
    plain.feed(everything("plain"))
    assert hostile.elements == plain.elements
    assert hostile.open == plain.open == []
    assert "\x1b" not in everything(HOSTILE)
    everything(HOSTILE).encode()


def test_a_page_asks_nobody_for_anything():
    """It holds no address, and its policy lets a browser load nothing that crept in."""
    text = everything("plain")
    assert "://" not in text
    assert not re.search(r"\b(src=|href=|@import|url\()", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text


def test_the_same_input_gives_the_same_page():
    """No time of day, no random name."""
    assert everything("one") == everything("one")


def test_numbers_stand_to_the_right_and_what_is_missing_is_shown():
    """A column of numbers is aligned also where one is missing; whole numbers keep all their digits."""
    shown = table(["name", "p", "count"], [["a", 0.012345678, 1234567], ["b", None, 2]], marked=[1])
    assert '<td class="number">0.0123457</td><td class="number">1,234,567</td>' in shown
    assert f'<tr class="marked"><td>b</td><td class="number">{NOTHING}</td>' in shown


def test_a_row_has_a_cell_for_each_header():
    """A shifted row would put a number under another name."""
    with pytest.raises(ValueError, match="1 cells under 2 headers"):
        table(["a", "b"], [["only one"]])
