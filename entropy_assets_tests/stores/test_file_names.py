"""Any name that a disk holds can be shown, and what is derived from it fits and is told apart."""

import os
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entropy_assets.stores.file_names import NAME_LIMIT, numbered, printable, require_plain, temporary_name, with_suffix

names = st.binary(min_size=1, max_size=NAME_LIMIT).map(os.fsdecode).filter(lambda name: not set("/\0") & set(name))


@given(names)
def test_any_name_can_be_shown(name):
    """Bytes that are no text are spelled out; a name that is text stays as it is."""
    printable(name).encode("utf-8")
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in printable(name)
    else:
        assert printable(name) == name


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
