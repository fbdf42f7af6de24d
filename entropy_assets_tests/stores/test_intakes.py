"""The intake of a batch: read as it was kept, with where its images were fetched, and as ever where nothing is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.stores.batches import encoded
from entropy_assets.stores.inboxes.origins import LONGEST, Origin
from entropy_assets.stores.intakes import Intake, IntakeFile

NAME = "a.fits"
SHA256 = "ab" * 32
WITHOUT_ORIGINS = b"""{
 "files": [
  {
   "file": "a.fits",
   "file_bytes": 7,
   "image_sha256": "abababababababababababababababababababababababababababababababab"
  }
 ],
 "key": "drop-20231114T221320Z-00000000",
 "lane": "public",
 "max_file_bytes": 8,
 "max_pixels": 9,
 "os_bytes": "0707",
 "recipe": "ea-2026-1",
 "source": "drop",
 "time_ns": 1700000000000000000
}"""
"""An intake as releases without origins keep it: its hash is bound by their ledgers."""
ORIGIN = Origin(feed="sdo", url="https://example.org/a.fits", fetched_at="2026-11-29T08:33:00Z", credit="NASA/SDO")
ROW = {"file": NAME, "image_sha256": SHA256, "file_bytes": 7, "origin": ORIGIN.told()}


def intake(origin: Origin | None) -> Intake:
    return Intake(
        key="drop-20231114T221320Z-00000000",
        source="drop",
        files=(IntakeFile(file=NAME, image_sha256=SHA256, file_bytes=7, origin=origin),),
        time_ns=1_700_000_000_000_000_000,
        os_bytes="0707",
        recipe="ea-2026-1",
        max_file_bytes=8,
        max_pixels=9,
        lane="public",
    )


def test_an_intake_without_origins_is_the_same_bytes_as_ever() -> None:
    assert encoded(intake(None).told()) == WITHOUT_ORIGINS
    assert Intake.read(json.loads(WITHOUT_ORIGINS)) == intake(None)


def test_an_origin_is_read_as_it_was_kept_and_makes_no_other_file() -> None:
    told = json.loads(encoded(intake(ORIGIN).told()))
    assert told["files"] == [ROW]
    assert [file.origin for file in Intake.read(told).files] == [ORIGIN]
    assert intake(ORIGIN) == intake(None)


@given(st.text(max_size=2 * LONGEST))
def test_what_somebody_wrote_into_a_kept_origin_is_printable_and_short(words: str) -> None:
    origin = IntakeFile.read({**ROW, "origin": {**ORIGIN.told(), "credit": words, "url": words}}).origin
    assert origin is not None
    assert all(text.isprintable() and len(text) <= LONGEST for text in origin.told().values())


@pytest.mark.parametrize("origin", [None, [], {}, {"feed": "a"}, {**ORIGIN.told(), "key": "secret"}])
def test_a_damaged_origin_is_refused(origin: Any) -> None:
    with pytest.raises(ValueError, match="no origin"):
        IntakeFile.read({**ROW, "origin": origin})
