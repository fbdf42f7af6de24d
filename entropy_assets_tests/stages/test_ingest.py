"""Ingest: every file gets a row, a batch stays what it was fixed to be, and what is published stays."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from entropy_assets.core.frame import Frame
from entropy_assets.errors import BatchError, RejectionReason
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stages import assessments, conditioning, ingest
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stores.batches import thumbnail_of
from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, files_of, frame


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


def test_a_public_batch_keeps_a_small_picture_of_each_image_and_a_private_one_none(place: Place) -> None:
    """A private block never reveals, so nobody would be shown it. The first picture stays, whoever draws it again."""
    for lane, kept in (("public", 1), ("private", 0)):
        batch = place.open([("a.fits", frame(1)), ("z.jpg", b"junk")], lane=lane, time_ns=TIME_NS + kept * 10**9)
        manifest = ingest.read_images(batch, place.images(), batch.intake.limits)
        shown = thumbnail_of(manifest.rows[0].image_sha256)
        assert [path.name for path in batch.root.rglob("*.png")] == [batch.path(shown).name] * kept
        assert not kept or batch.read_picture(shown, 1 << 16).startswith(b"\x89PNG")
        if kept:
            batch.path(shown).write_bytes(b"\x89PNG\r\n\x1a\nof another release")
            ingest.read_images(place.batches().batch(batch.key, frozen=True), place.images(), batch.intake.limits)
            assert batch.path(shown).read_bytes().endswith(b"of another release")


def drawn(pixels: np.ndarray, **more: Any) -> Image.Image:
    """Give the small picture of these pixels."""
    frame = Frame.build(pixels, data=b"", bit_depth=16, container="fits", lossy=False, source="drop", **more)
    return Image.open(io.BytesIO(ingest.small_picture(frame)))


@pytest.mark.parametrize(
    "shape, side",
    [((1, 1), (1, 1)), ((3, 5000), (1, 125)), ((320, 320), (80, 80)), ((1000, 700), (125, 87)), ((40, 40), (10, 10))],
)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_small_picture_is_small_and_every_pixel_of_it_the_mean_of_many(
    shape: tuple[int, int], side: tuple[int, int], channels: int
) -> None:
    """From a pixel that is the mean of 16 or more, no sample of the noise can be read."""
    pixels = np.random.default_rng(1).integers(0, 4096, (channels, *shape)).astype(np.int32)
    picture = drawn(pixels)
    assert (picture.height, picture.width) == side
    assert picture.mode == ("RGB" if channels == 3 else "L")


def test_a_small_picture_of_several_images_shows_the_first(place: Place) -> None:
    first, second = np.full((200, 200), 5), np.full((200, 200), 9)
    first[:100] = 900
    pixels = np.concatenate([first, second]).astype(np.int32)[np.newaxis]
    picture = np.asarray(drawn(pixels, parts=2))
    assert picture.shape == (50, 50)
    assert (picture[:25] == 255).all()
    assert (picture[25:] == 0).all()


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
