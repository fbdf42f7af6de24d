"""Ingest: every file gets a row, a batch stays what it was fixed to be, and names change no byte."""

from pathlib import Path

import pytest

from entropy_assets.errors import BatchError, RejectionReason
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stages import conditioning, extraction, ingest
from entropy_assets.stores.batches import MANIFEST
from entropy_assets_tests.stages.batches_made import LIMITS, Place, alter_json, files_of, frame


def test_every_file_of_a_batch_gets_one_row_and_the_bad_ones_stop_nothing(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1)), ("b.jpg", b""), ("c.png", b"not an image"), ("d.fits", frame(2))])
    outcomes = {outcome.file: (outcome.accepted, outcome.reason) for outcome in extraction.outcomes(batch)}
    assert outcomes == {
        "a.fits": (True, None),
        "b.jpg": (False, RejectionReason.EMPTY_FILE),
        "c.png": (False, RejectionReason.UNKNOWN_FORMAT),
        "d.fits": (True, None),
    }
    assert len(conditioning.read_blocks(batch)) >= 2


def test_a_batch_keeps_what_was_fixed_at_its_first_intake(place: Place) -> None:
    contents = [("a.fits", frame(1))]
    first = place.open(contents, os_bytes=b"\x01" * 32)
    again = place.open(contents, os_bytes=b"\x02" * 32)
    assert again.key == first.key
    assert again.intake.os_bytes == "01" * 32


def test_an_intake_of_another_recipe_or_mode_is_not_taken_for_the_one_that_is_there(place: Place) -> None:
    contents = [("a.fits", frame(1))]
    place.open(contents)
    with pytest.raises(BatchError, match="in another mode"):
        place.open(contents, os_bytes=b"")


def test_names_and_words_of_errors_do_not_reach_the_blocks(tmp_path: Path) -> None:
    """The chain covers images and pixels: another file name, or another wording of an error, changes no block."""
    heads = []
    for good, bad in (("a.fits", b"junk"), ("renamed.fits", b"junk")):
        place = Place(tmp_path / good)
        batch = place.open([(good, frame(1)), ("z.jpg", bad)], os_bytes=b"")
        ingest.read_images(batch, place.images(), LIMITS)
        alter_json(batch, MANIFEST, lambda value: value["rows"][1].update(detail="other words"))
        extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS)
        conditioning.hash_blocks(batch)
        heads.append(conditioning.read_blocks(batch).chain_head)
    assert heads[0] == heads[1]


def test_a_published_batch_keeps_what_its_blocks_came_from(place: Place) -> None:
    """A re-run that would give something else is refused, and nothing of what is there is lost."""
    batch = place.validated([("a.fits", frame(1)), ("dead.jpg", b"")])
    before = files_of(batch)
    frozen = place.batches().batch(batch.key, frozen=True)
    ingest.read_images(frozen, place.images(), batch.intake.limits)
    with pytest.raises(BatchError, match="is published"):
        ingest.read_images(frozen, place.images(), DecodeLimits(max_pixels=1))
    assert files_of(batch) == before
