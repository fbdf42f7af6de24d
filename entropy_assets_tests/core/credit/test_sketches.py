"""A sketch holds every live pixel, and comes back from its bytes."""

from dataclasses import replace

import numpy as np

from entropy_assets.core.credit.sketches import (
    BYTES_OF_FOLDS,
    SIDE,
    Sketch,
    folded,
    sketch_of,
    sketches_of,
)
from entropy_assets.core.extraction.survey import survey_frame, survey_of
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

EXPOSURE = white((320, 288), sigma=9, seed=1)


def sketch(image: Frame) -> Sketch:
    return sketch_of(image, survey_frame(image, STANDARD))


def test_a_fold_of_a_fold_is_the_fold() -> None:
    whole = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    assert folded(whole, 32).sum() == whole.sum()
    assert (
        folded(whole, 32) == sum(whole[y : y + 32, x : x + 32] for y in range(0, 128, 32) for x in range(0, 128, 32))
    ).all()


def test_every_live_pixel_is_in_the_sketch() -> None:
    """A pixel anywhere, also beyond the first 128 columns and in the last square, changes it."""
    clean = sketch(frame(EXPOSURE))
    for y, x in ((0, 0), (200, 140), (318, 286)):
        other = EXPOSURE.copy()
        other[y, x] += 60
        changed = sketch(frame(other))
        assert (changed.fold != clean.fold).any() or (changed.pairs != clean.pairs).any()


def test_a_sketch_comes_back_from_its_bytes() -> None:
    kept = sketch(frame(EXPOSURE))
    again = Sketch.from_bytes(kept.image_sha256, kept.sensor, kept.live_pixels, kept.to_bytes())
    assert (again.fold == kept.fold).all()
    assert (again.pairs == kept.pairs).all()
    assert (again.probes.codes.ravel() == kept.probes.codes.ravel()).all()
    assert len(kept.to_bytes()) == 24_576 + 2 * 90 * (1024 // 90), "of 90 squares"
    old = Sketch.from_bytes(kept.image_sha256, kept.sensor, kept.live_pixels, kept.to_bytes()[:BYTES_OF_FOLDS])
    assert old.probes.codes.size == 0
    mosaic = replace(kept, mosaic=6)
    again = Sketch.from_bytes(kept.image_sha256, kept.sensor, kept.live_pixels, mosaic.to_bytes())
    assert (again.mosaic, again.to_bytes()) == (6, kept.to_bytes() + b"\x06")
    assert old.to_bytes() == kept.to_bytes()[:BYTES_OF_FOLDS]


def test_a_part_has_the_sketch_of_its_exposure_in_a_file_of_its_own() -> None:
    """Rows beyond the last whole square count for the shape of the sensor, and what is folded is the same."""
    planes = [white((150, 160), seed=n) for n in (1, 2)]
    both = frame(np.concatenate([plane[:128] for plane in planes]), parts=2, file_height=150)
    of_file = sketches_of(both, survey_of(both, STANDARD).split(2))
    for place, (part, plane) in enumerate(zip(of_file, planes, strict=True)):
        alone = sketch(frame(plane))
        assert (part.sensor, part.live_pixels, part.cell_pixels) == (alone.sensor, alone.live_pixels, alone.cell_pixels)
        assert np.array_equal(part.pairs, alone.pairs)
        assert part.name == f"{both.image_sha256}/{place}"
    (single,) = sketches_of(frame(planes[0]), [survey_of(frame(planes[0]), STANDARD)])
    assert single.name == frame(planes[0]).image_sha256
