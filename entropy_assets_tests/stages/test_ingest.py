"""Ingest: every file gets a row, a batch stays what it was fixed to be, and what is published stays."""

import numpy as np
import pytest

from entropy_assets.errors import BatchError, RejectionReason
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stages import assessments, conditioning, ingest
from entropy_assets.stages.manifest import Manifest
from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.stages.batches_made import Place, files_of, frame


def test_every_file_of_a_batch_gets_one_row_and_the_bad_ones_stop_nothing(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1)), ("b.jpg", b""), ("c.png", b"not an image"), ("d.fits", frame(2))])
    outcomes = {outcome.file: (outcome.accepted, outcome.reason) for outcome in assessments.outcomes(batch)}
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


def test_a_published_batch_keeps_what_its_blocks_came_from(place: Place) -> None:
    """A re-run that would give something else is refused, and nothing of what is there is lost."""
    batch = place.validated([("a.fits", frame(1)), ("dead.jpg", b"")])
    before = files_of(batch)
    frozen = place.batches().batch(batch.key, frozen=True)
    ingest.read_images(frozen, place.images(), batch.intake.limits)
    with pytest.raises(BatchError, match="is published"):
        ingest.read_images(frozen, place.images(), DecodeLimits(max_pixels=1))
    assert files_of(batch) == before


def test_a_batch_is_read_by_the_rules_of_its_recipe(place: Place) -> None:
    """An image behind a flat one is seen by the newest rules alone, so that older batches can be made again."""
    hidden = fits(np.full((300, 300), 9)) + b"XTENSION= 'IMAGE   '".ljust(80) + frame(1)[80:]
    for seed, (recipe, live) in enumerate([("ea-2026-1", False), ("ea-2026-2", True)], 2):
        batch = place.hashed([("hidden.fits", hidden), ("plain.fits", frame(seed))], recipe=recipe)
        assert Manifest.of(batch).rows[0].width == (320 if live else 300)
        assert [outcome.accepted for outcome in assessments.outcomes(batch)] == [live, True]


def test_what_was_taken_of_a_file_with_several_images_is_in_its_row(place: Place) -> None:
    """By the rules of the newest recipe; a row of an older one, and of a single image, tells nothing."""
    cube = np.rint(np.random.default_rng(5).normal(1000, 9, (3, 128, 128)))
    told = "all 3 images of the file, below each other"
    rows = {}
    for seed, recipe in enumerate(("ea-2026-1", "ea-2026-2"), 1):
        batch = place.hashed([("cube.fits", fits(cube)), ("plain.fits", frame(seed))], recipe=recipe)
        rows[recipe] = [(row.height, row.parts, row.selection) for row in Manifest.of(batch).rows]
    assert rows["ea-2026-1"] == [(128, None, None), (320, None, None)]
    assert rows["ea-2026-2"][0] == (384, 3, told)
    assert rows["ea-2026-2"][1] == (320, None, None)
