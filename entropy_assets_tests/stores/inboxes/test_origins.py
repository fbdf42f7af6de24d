"""A note of where an image was fetched is printable, bounded, kept once and read as it was kept."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.stores.inboxes.origins import LONGEST, Origin, OriginStore

SHA256 = "ab" * 32
SHARED = {"feed": "sdo", "url": "https://example.org/a.jpg", "fetched_at": "2026-11-29T08:33:00Z"}
TEXTS = ("feed", "url", "instrument", "credit", "licence", "etag", "last_modified")


def test_what_is_kept_first_stays(tmp_path: Path) -> None:
    notes = OriginStore(tmp_path)
    assert notes.of(SHA256) is None
    assert notes.keep(SHA256, Origin(**SHARED, credit="NASA/SDO"))
    assert not notes.keep(SHA256, Origin(**SHARED, credit="somebody else"))
    assert notes.of(SHA256) == Origin(**SHARED, credit="NASA/SDO")


@given(st.fixed_dictionaries(dict.fromkeys(TEXTS, st.text(max_size=3 * LONGEST))))
def test_any_words_of_a_server_become_printable_and_short(texts: dict[str, str]) -> None:
    origin = Origin(**{**SHARED, **texts})
    assert all(text.isprintable() and len(text) <= LONGEST for text in origin.told().values())
    assert Origin.read(origin.told()) == origin


@pytest.mark.parametrize("time", ["yesterday", "2026-11-29", "2026-11-29T08:33:00+01:00", "2026-11-29T08:33:00Z\n"])
@pytest.mark.parametrize("name", ["fetched_at", "dated_at"])
def test_a_time_is_one_in_utc(name: str, time: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*no time in UTC"):
        Origin(**{**SHARED, name: time})


@pytest.mark.parametrize("told", [None, [], {}, {"feed": "a"}, {**SHARED, "key": "secret"}, {**SHARED, 3: 4}])
def test_what_is_no_origin_is_refused(told: Any) -> None:
    with pytest.raises(ValueError, match=r"no origin|no time"):
        Origin.read(told)


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"\xff", b'{"feed": 3}'])
def test_a_damaged_note_is_none(tmp_path: Path, damage: bytes) -> None:
    notes = OriginStore(tmp_path)
    notes.keep(SHA256, Origin(**SHARED))
    (tmp_path / "ab" / f"{SHA256}.json").write_bytes(damage)
    assert notes.of(SHA256) is None


@pytest.mark.parametrize("name", ["", "AB" * 32, "../" + "a" * 61, "ab"])
def test_a_name_that_is_no_hash_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a SHA-256"):
        OriginStore(tmp_path).keep(name, Origin(**SHARED))
