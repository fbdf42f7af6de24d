"""Extraction: nothing is credited twice, and memory is that of one large image however many there are."""

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entropy_assets.errors import RejectionReason
from entropy_assets.images.limits import DEFAULT_LIMITS
from entropy_assets.recipe import STANDARD
from entropy_assets.stages import assessments, conditioning, extraction, ingest
from entropy_assets.stages.extraction import AssessedRow
from entropy_assets.stages.manifest import ImageRow
from entropy_assets_tests.images.image_files import fits, header
from entropy_assets_tests.stages.batches_made import LIMITS, Place, exposure, frame, png_of

MILLION = 1 << 20


def row(number: int, samples: int) -> ImageRow:
    """Give a readable image of so many samples, in one channel."""
    return ImageRow(
        file=str(number), image_sha256=f"{number:064}", file_bytes=1, accepted=True, width=samples, height=1, channels=1
    )


class Held:
    """How many samples are being worked on or wait to be taken, and the most that ever were."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: list[int] = []
        self.most, self.most_images = 0, 0

    def begin(self, row: ImageRow) -> AssessedRow:
        """Hold an image, and stand for its result."""
        with self.lock:
            self.now.append(row.width or 0)
            if len(self.now) > 1:
                self.most = max(self.most, sum(self.now))
            self.most_images = max(self.most_images, len(self.now))
        return cast(AssessedRow, row)


@given(st.lists(st.sampled_from([1, 5, 8, 15, 16, 40]), max_size=30), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_images_side_by_side_stay_within_the_memory_of_one(sizes: list[int], workers: int) -> None:
    """Begun and not yet taken, images have at most the limit together, or there is one; all come in order."""
    held = Held()
    rows = [row(n, size * MILLION) for n, size in enumerate(sizes)]
    with ThreadPoolExecutor(workers) as pool:
        taken = []
        for result in extraction._side_by_side(pool, held.begin, rows):
            image = cast(ImageRow, result)
            taken.append(image)
            with held.lock:
                held.now.remove(image.width or 0)
    assert taken == rows
    assert held.most <= 16 * MILLION


def test_small_images_are_worked_on_side_by_side() -> None:
    """The limit does not serialise what fits: two images of a megapixel wait for each other without a deadlock."""
    both = threading.Barrier(2, timeout=10)

    def meet(row: ImageRow) -> AssessedRow:
        both.wait()
        return cast(AssessedRow, row)

    with ThreadPoolExecutor(2) as pool:
        assert len(list(extraction._side_by_side(pool, meet, [row(n, MILLION) for n in range(4)]))) == 4


def test_results_do_not_depend_on_workers_or_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker, four, and four that are held back give the same rows."""
    rows = []
    contents = [(f"{seed}.fits", frame(seed)) for seed in range(4)]
    for limit, workers in ((extraction.SAMPLES_IN_FLIGHT, 1), (extraction.SAMPLES_IN_FLIGHT, 4), (1, 4)):
        monkeypatch.setattr(extraction, "SAMPLES_IN_FLIGHT", limit)
        place = Place(tmp_path / f"{limit}-{workers}")
        batch = place.open(contents)
        ingest.read_images(batch, place.images(), DEFAULT_LIMITS)
        rows.append(extraction.extract_noise(batch, place.images(), place.ledger(), DEFAULT_LIMITS, workers=workers))
    assert rows[0] == rows[1] == rows[2]
    assert all(row.accepted for row in rows[0])


def test_a_header_that_says_simulated_raises_no_claim(place: Place) -> None:
    """Anybody can write a header: in the plain inbox such a frame gets what a file that nobody vouches for gets."""
    declared = place.hashed([("a.fits", frame(1))])
    plain = ingest.open_batch(
        place.batches(),
        place.images(),
        [("b.fits", frame(2))],
        source="drop",
        time_ns=1,
        os_bytes=b"",
        recipe=STANDARD.name,
    )
    ingest.read_images(plain, place.images(), LIMITS)
    (row,) = extraction.extract_noise(plain, place.images(), place.ledger(), LIMITS)
    assert (row.min_entropy, row.assessment["limited_by"]) == (STANDARD.unlisted_claim, "claim")
    assert assessments.noise_rows(declared)[0].min_entropy > STANDARD.unlisted_claim


def test_an_image_is_credited_once_over_all_batches(place: Place) -> None:
    image = frame(1)
    place.hashed([("a.fits", image)])
    second = place.hashed([("renamed.fits", image)], time_ns=10**9)
    (row,) = assessments.noise_rows(second)
    assert (row.accepted, row.reason, row.credit_bits) == (False, RejectionReason.REPLAYED_FILE, 0)
    assert len(conditioning.read_blocks(second)) == 0


def test_the_same_file_twice_in_one_batch_is_credited_once(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1)), ("b.fits", frame(1))])
    assert [row.reason for row in assessments.noise_rows(batch)] == [None, RejectionReason.REPLAYED_FILE]


def test_the_same_pixels_in_another_container_are_credited_once(place: Place) -> None:
    image = frame(1)
    # another header card: other bytes, the same pixels
    relabelled = image.replace(b"GAIN    =", b"GAJN    =")
    batch = place.hashed([("a.fits", image), ("b.fits", relabelled)])
    assert [row.reason for row in assessments.noise_rows(batch)] == [None, RejectionReason.REPLAYED_PIXELS]


@pytest.mark.parametrize("recipe", ["ea-2026-1", "ea-2026-2"])
def test_an_exposure_that_was_turned_or_mirrored_is_credited_once_over_all_batches(place: Place, recipe: str) -> None:
    """In another container too. The sensor memory of one recipe forgets, and the other has none; the ledger knows."""
    pixels = np.random.default_rng(8).normal(1000, 40, (320, 288)).round().astype(np.uint16)
    first = place.hashed([("a.png", png_of(pixels))], recipe=recipe)
    assert assessments.noise_rows(first)[0].accepted
    forget(place)
    others = (pixels, np.rot90(pixels), np.flipud(pixels), np.rot90(np.fliplr(pixels)))
    files = [(f"{way}.fits", fits(other)) for way, other in enumerate(others)]
    second = place.hashed(files, recipe=recipe, time_ns=10**18)
    assert [row.reason for row in assessments.noise_rows(second)] == [RejectionReason.REPLAYED_PIXELS] * 4
    assert len(conditioning.read_blocks(second)) == 0


def forget(place: Place) -> None:
    """Leave no sketch, as ten thousand later frames do."""
    with sqlite3.connect(place.ledger().path) as db:
        db.execute("DELETE FROM sketches")
        db.execute("DELETE FROM folds")
    db.close()


def test_the_pattern_that_two_frames_of_one_camera_share_is_credited_once(place: Place) -> None:
    """Two exposures of one sensor: the second loses what its pixels have in common with the first, and says so."""
    rng = np.random.default_rng(5)
    pattern = rng.normal(0, 12, (320, 320))
    contents = [(f"{name}.png", exposure(pattern, rng)) for name in "ab"]
    batch = place.hashed(contents)
    first, second = assessments.noise_rows(batch)
    assert 0.5 < second.assessment["memory"]["known_parts"] / 10_000 < 0.56
    assert second.assessment["memory"]["of"] == first.image_sha256
    assert first.image_sha256[:8] in second.assessment["repeats"]
    assert [noise.credit_bits for noise in assessments.noise_inputs(batch)] == [first.credit_bits, second.credit_bits]


def test_the_same_exposure_stored_again_with_a_few_pixels_changed_gets_nothing(place: Place) -> None:
    """Neither its file nor its pixels were seen before, only its noise was."""
    pixels = np.random.default_rng(5).normal(1000, 12, (320, 320)).round().astype(np.uint16)
    touched = pixels.copy()
    touched[::40, ::40] += 1
    batch = place.hashed([("a.png", png_of(pixels)), ("b.png", png_of(touched))])
    first, second = assessments.noise_rows(batch)
    assert (first.accepted, second.accepted) == (True, False)
    assert (second.reason, second.credit_bits) == (RejectionReason.NOT_ENOUGH_CREDIT, 0)


def test_the_order_of_claims_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    contents = [("a.fits", frame(1)), ("b.fits", frame(1)), ("c.fits", frame(2)), ("d.fits", frame(3))]
    rows = []
    for workers in (1, 4):
        place = Place(tmp_path / str(workers))
        batch = place.open(contents)
        ingest.read_images(batch, place.images(), LIMITS)
        rows.append(extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS, workers=workers))
    assert rows[0] == rows[1]


def test_the_health_tests_pass_again_on_stored_noise(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1)), ("b.fits", frame(2))])
    reports = assessments.health_again(batch)
    assert [name for name, _ in reports] == ["a.fits", "b.fits"]
    assert all(report.passed for _, report in reports)


PEAK = """
import os, pathlib, sys
from entropy_assets.stages.pipeline import process
from entropy_assets.stores.home import Home
from entropy_assets.settings import Settings
inbox, home = map(pathlib.Path, sys.argv[1:])
report = process([inbox], Home(home), Settings(workers=2), deterministic=True, os_bytes=os.urandom)
assert [image["accepted"] for image in report.images] == [True, True], report.images
# ru_maxrss would begin at what the parent had when it forked
print(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def peak_of(inbox: Path, home: Path) -> int:
    """Return the most memory that two images took from file to validated blocks, kilobytes."""
    command = [sys.executable, "-c", PEAK, os.fspath(inbox), os.fspath(home)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=280).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_two_mosaics_of_61_megapixels_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    """A bright sky with saturated stars, so that nothing fits 16 bits; two workers."""
    height, width, rows = 6388, 9576, 64
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for seed in range(2):
        rng = np.random.default_rng(seed)
        with (inbox / f"{seed}.fits").open("wb") as file:
            file.write(header(SIMPLE="T", BITPIX=16, NAXIS=2, NAXIS1=width, NAXIS2=height, BZERO=1 << 15))
            for top in range(0, height, rows):
                sky = rng.standard_normal((min(rows, height - top), width), dtype=np.float32) * 30 + 1500
                sky[::2, ::2] += 300
                sky[0, rng.integers(width)] = 65_535
                file.write((np.rint(sky).astype(np.int32) - (1 << 15)).astype(">i2").tobytes())
            file.write(bytes(-file.tell() % 2880))
    assert peak_of(inbox, tmp_path / "home") < 1_000_000_000 >> 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("channels, depth", [(1, 8), (1, 16), (3, 8)])
def test_two_of_the_largest_images_take_less_than_a_gigabyte(tmp_path: Path, channels: int, depth: int) -> None:
    """From file to validated blocks, with two workers, at the default limit of what is unpacked as a whole."""
    side = int((DEFAULT_LIMITS.max_samples / channels) ** 0.5)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for seed in range(2):
        noise = np.random.default_rng(seed).standard_normal((side, side, channels), dtype=np.float32)
        pixels = np.rint(noise * depth + (1 << (depth - 1))).astype(f"u{depth // 8}")
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(inbox / f"{seed}.png", compress_level=1)
    del noise, pixels
    assert peak_of(inbox, tmp_path / "home") < 1_000_000_000 >> 10
