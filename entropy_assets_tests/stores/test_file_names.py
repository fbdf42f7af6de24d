"""Any name that a disk holds can be shown, and what is derived from it fits and is told apart."""

import os
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entropy_assets.stores.file_names import (
    NAME_LIMIT,
    numbered,
    printable,
    require_plain,
    safe_name,
    temporary_name,
    with_suffix,
)

names = st.binary(min_size=1, max_size=NAME_LIMIT).map(os.fsdecode).filter(lambda name: not set("/\0") & set(name))
texts = st.text(st.characters(exclude_categories=()))
"""Any text that Python can hold, with lone surrogates of both halves."""
FORGED = "a.fits\n\x1b[2A\x1b]0;title\x07\x1b[31mall is well\u202e\u2028.fits"
"""A name that writes lines of its own, moves the cursor, names the window and turns the direction of writing."""


@given(texts)
@example(FORGED)
@example("\udcff\ud800\u0085\x9b")
def test_any_text_can_be_shown(text):
    """A terminal obeys none of it, any encoder takes it, and to show it twice changes nothing more."""
    shown = printable(text)
    shown.encode("utf-8")
    assert shown.isprintable()
    assert printable(shown) == shown


@given(names)
def test_bytes_that_are_no_text_are_spelled_out_and_printable_names_stay(name):
    """A byte that is no part of UTF-8 stands there as its two hex digits."""
    odd = [character for character in name if not character.isprintable()]
    shown = printable(name)
    assert shown == name or odd
    assert all(rf"\x{ord(each) - 0xDC00:02x}" in shown for each in odd if "\udc80" <= each <= "\udcff")


@given(names | texts)
@example("\udcff" * NAME_LIMIT)
@example("\u661f" * 84 + "\udcff\x07")
def test_a_safe_name_is_printable_and_fits_the_disk(name):
    """Spelled out it may have become longer than a file name may be: then it is cut, and still printable."""
    safe = safe_name(name)
    assert safe.isprintable()
    assert len(safe.encode()) <= NAME_LIMIT
    assert safe_name(safe) == safe


def test_names_that_are_cut_stay_apart():
    """What was cut off leaves its hash behind, as in `with_suffix`."""
    alike = ["\udcff" * 100 + end for end in "bcd"]
    assert len({safe_name(name) for name in alike}) == 3


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/", "a\0b"])
def test_a_name_can_not_leave_its_folder(name):
    """Nothing that is a path, in whole or in part, passes for a name."""
    with pytest.raises(ValueError, match="no plain file name"):
        require_plain(name)


@given(names, st.sampled_from([".reason.json", "~1", "~12345"]))
@example("\u661f" * 84, "~12345")
def test_a_name_with_a_suffix_fits_the_disk(name, suffix):
    """However long the name was, and also where a character is cut in two."""
    longer = with_suffix(name, suffix)
    assert len(os.fsencode(longer)) <= NAME_LIMIT
    assert longer.endswith(suffix)
    if len(os.fsencode(name)) + len(suffix) <= NAME_LIMIT:
        assert longer == name + suffix


def test_long_names_that_begin_alike_stay_apart():
    """What is cut off leaves its hash behind."""
    alike = ["a" * 254 + end for end in "bcd"]
    assert len({with_suffix(name, ".reason.json") for name in alike}) == 3
    assert len({temporary_name(name) for name in alike}) == 3


def test_numbered_names_begin_with_the_name_itself_and_never_repeat():
    """So the first free one is always found."""
    first = list(islice(numbered(Path("folder") / ("x" * NAME_LIMIT)), 1000))
    assert first[0].name == "x" * NAME_LIMIT
    assert len(set(first)) == 1000
    assert {path.parent for path in first} == {Path("folder")}
