"""The frames that were spent lately: each under its sensor, with the samples that lie where they lie in the frame."""

import numpy as np
import pytest

from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.extraction.squares import steps_of
from entropy_assets.errors import BatchError
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets.stages.reports.frames import SpentFrame, in_common, shares, spent_lately
from entropy_assets.stores.batches import INTAKE, samples_of
from entropy_assets_tests.stages.batches_made import Place, frame
from entropy_assets_tests.stages.reports.noises import PAIRS, kept


def spent(place: Place, count: int) -> list[SpentFrame]:
    """Take frames into one batch and give them as the report sees them, newest first."""
    place.hashed([(f"{n}.fits", frame(n)) for n in range(count)])
    ((sensor, frames),) = spent_lately(place.batches(), place.ledger(), 10, 10).items()
    assert sensor[0] == "raw-ccd"
    assert sensor[1].startswith("320x320")
    return frames


def test_its_samples_in_order_are_the_differences_of_the_pixels_of_the_frame(place: Place) -> None:
    (one,) = spent(place, 1)
    image = decode(frame(0), source="raw-ccd", limits=one.batch.intake.limits, reading=STANDARD.reading)
    steps = steps_of(image, 0)
    live = NoiseExtractor(STANDARD).survey(image).live
    assert np.array_equal(one.live, live)
    low = (1 << one.symbol_bits) - 1
    differences = (steps[:, 1::2] - steps[:, ::2]) & low
    alive = live.repeat(32, axis=0).repeat(16, axis=1)
    by_row = [differences[y][alive[y]] for y in range(len(alive))]
    (samples,) = one.in_order(10**9)
    first_row = one.regions[0][0]
    assert samples.tolist() == np.concatenate([*by_row[first_row:], *by_row[:first_row]]).tolist()


def test_a_column_of_the_matrix_is_the_same_pixel_pair_in_all_frames(place: Place) -> None:
    alike, squares = in_common(spent(place, 2))
    assert len(alike) > 1
    assert np.count_nonzero(squares) >= 2
    top, left = np.argwhere(squares)[0] * 32
    images = {one.row.image_sha256: one for one in alike}
    for n in range(2):
        image = decode(frame(n), source="raw-ccd", limits=alike[0].batch.intake.limits, reading=STANDARD.reading)
        if image.image_sha256 in images:
            one = images[image.image_sha256]
            region = steps_of(image, 0)[top : top + 8, left : left + 8]
            expected = (region[:, 1::2] - region[:, ::2]) & ((1 << one.symbol_bits) - 1)
            assert one.line(squares, 32).tolist() == expected.reshape(-1).tolist()


def white(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 16, PAIRS, dtype=np.uint8) for _ in range(count)]


def test_noise_that_is_not_the_noise_that_was_assessed_is_refused(place: Place) -> None:
    kept(place, *white(1))
    ((_, (one,)),) = spent_lately(place.batches(), place.ledger(), 10, 10).items()
    document = samples_of(one.row.image_sha256)
    altered = one.batch.read_array(document).copy()
    altered[0, 0] ^= 1
    one.batch.write_array(document, altered)
    with pytest.raises(BatchError, match="not the noise"):
        one.pairs()


def test_a_damaged_batch_hides_no_other(place: Place) -> None:
    damaged = kept(place, *white(2))
    whole = kept(place, *white(3))
    damaged.path(INTAKE).write_text("{}")
    ((_, frames),) = spent_lately(place.batches(), place.ledger(), 10, 10).items()
    assert {one.batch.key for one in frames} == {whole.key}


def test_each_source_stands_by_itself_and_the_one_used_last_comes_first(place: Place) -> None:
    kept(place, *white(3))
    kept(place, *white(2), source="mast-raw")
    found = spent_lately(place.batches(), place.ledger(), 10, 10)
    assert [(source, len(frames)) for (source, _), frames in found.items()] == [("mast-raw", 2), ("raw-ccd", 3)]


@pytest.mark.parametrize(
    "lengths, wanted, taken",
    [([5, 5, 5], 6, [2, 2, 2]), ([1, 9, 9], 9, [1, 4, 4]), ([3, 3], 10, [3, 3]), ([10], 4, [4]), ([], 4, [])],
)
def test_frames_that_are_glued_give_equally_much_where_they_can(lengths, wanted, taken) -> None:
    assert shares(lengths, wanted) == taken
