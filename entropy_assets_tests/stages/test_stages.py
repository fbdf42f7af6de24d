"""The stages: every file gets a row, nothing is credited twice, a re-run gives the same bytes, a change is seen."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.errors import BatchError, BlockRefused, ChainBroken, RejectionReason
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import STANDARD
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stores.batches import BLOCKS, VERDICTS, Batch
from entropy_assets_tests.stages.batches_made import LIMITS, Place, break_conditioning, frame


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def files_of(batch: Batch) -> dict[str, bytes]:
    return {str(path.relative_to(batch.root)): path.read_bytes() for path in batch.root.rglob("*") if path.is_file()}


def flat_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 77).save(buffer, "png")
    return buffer.getvalue()


def png_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def exposure(pattern: np.ndarray, rng: np.random.Generator) -> bytes:
    return png_of((1000 + pattern + rng.normal(0, 12, pattern.shape)).round().astype(np.uint16))


def alter_json(batch: Batch, name: str, change: object) -> None:
    value = json.loads((batch.root / name).read_text())
    change(value)  # type: ignore[operator]
    (batch.root / name).write_text(json.dumps(value))


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


def test_every_stage_run_again_writes_the_same_bytes(place: Place) -> None:
    """A retry, a re-execution or a backfill of any stage reproduces the batch, so it can't be published as another."""
    contents = [("a.fits", frame(1)), ("b.fits", frame(2))]
    before = files_of(place.validated(contents))
    assert files_of(place.validated(contents)) == before


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
        alter_json(batch, "manifest.json", lambda value: value["rows"][1].update(detail="other words"))
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
    assert extraction.noise_rows(declared)[0].min_entropy > STANDARD.unlisted_claim


def test_an_image_is_credited_once_over_all_batches(place: Place) -> None:
    image = frame(1)
    place.hashed([("a.fits", image)])
    second = place.hashed([("renamed.fits", image)], time_ns=10**9)
    (row,) = extraction.noise_rows(second)
    assert (row.accepted, row.reason, row.credit_bits) == (False, RejectionReason.REPLAYED_FILE, 0)
    assert len(conditioning.read_blocks(second)) == 0


def test_the_same_file_twice_in_one_batch_is_credited_once(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1)), ("b.fits", frame(1))])
    assert [row.reason for row in extraction.noise_rows(batch)] == [None, RejectionReason.REPLAYED_FILE]


def test_the_same_pixels_in_another_container_are_credited_once(place: Place) -> None:
    image = frame(1)
    # another header card: other bytes, the same pixels
    relabelled = image.replace(b"GAIN    =", b"GAJN    =")
    batch = place.hashed([("a.fits", image), ("b.fits", relabelled)])
    assert [row.reason for row in extraction.noise_rows(batch)] == [None, RejectionReason.REPLAYED_PIXELS]


def test_the_pattern_that_two_frames_of_one_camera_share_is_credited_once(place: Place) -> None:
    """Two exposures of one sensor: the second loses what its pixels have in common with the first, and says so."""
    rng = np.random.default_rng(5)
    pattern = rng.normal(0, 12, (320, 320))
    contents = [(f"{name}.png", exposure(pattern, rng)) for name in "ab"]
    batch = place.hashed(contents)
    first, second = extraction.noise_rows(batch)
    assert second.credit_bits < 0.9 * first.credit_bits
    assert second.assessment["limited_by"] == "repeats"
    assert first.image_sha256[:8] in second.assessment["repeats"]
    assert [noise.credit_bits for noise in extraction.noise_inputs(batch)] == [first.credit_bits, second.credit_bits]


def test_the_same_exposure_stored_again_with_a_few_pixels_changed_gets_nothing(place: Place) -> None:
    """Neither its file nor its pixels were seen before, only its noise was."""
    pixels = np.random.default_rng(5).normal(1000, 12, (320, 320)).round().astype(np.uint16)
    touched = pixels.copy()
    touched[::40, ::40] += 1
    batch = place.hashed([("a.png", png_of(pixels)), ("b.png", png_of(touched))])
    first, second = extraction.noise_rows(batch)
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


def test_a_rejected_image_keeps_its_map_of_dead_squares(place: Place) -> None:
    batch = place.hashed([("live.fits", frame(1)), ("flat.png", flat_png())])
    maps = dict(extraction.live_maps(batch))
    assert set(np.unique(maps["flat.png"])) == {Verdict.CONSTANT}
    assert Verdict.LIVE in maps["live.fits"]


@pytest.mark.parametrize(
    "stage", [ingest.Manifest.of, extraction.noise_rows, conditioning.read_blocks, conditioning.hash_blocks]
)
def test_a_missing_stage_is_named_with_what_makes_it(place: Place, stage: object) -> None:
    batch = place.open([("a.fits", frame(1))])
    with pytest.raises(BatchError, match=r"materialise \w+ first"):
        stage(batch)  # type: ignore[operator]


def test_altered_noise_is_not_hashed(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1))])
    path = next((batch.root / "noise").glob("*[0-9a-f].npy"))
    samples = np.load(path)
    samples[0, 0] ^= 1
    np.save(path, samples)
    with pytest.raises(BatchError, match="not the noise that was assessed"):
        conditioning.hash_blocks(batch)


@pytest.mark.parametrize(
    "field", ["block_sha256", "link", "previous_link", "timestamp_us", "credit_bits", "image_sha256s", "slices"]
)
def test_an_altered_record_is_named(place: Place, field: str) -> None:
    batch = place.hashed([("a.fits", frame(1))])

    def alter(value: dict[str, list[dict[str, object]]]) -> None:
        old = value["rows"][0][field]
        value["rows"][0][field] = old + 1 if isinstance(old, int) else "0" * 64 if isinstance(old, str) else []

    alter_json(batch, "records.json", alter)
    with pytest.raises(ChainBroken):
        validation.validate(batch)


def test_an_altered_block_is_never_released(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    blocks = np.load(batch.path(BLOCKS))
    blocks[0, 100] ^= 0x10
    np.save(batch.path(BLOCKS), blocks)
    with pytest.raises(ChainBroken) as caught:
        validation.validate_blocks(batch)
    assert (caught.value.index, caught.value.field) == (0, "block")


def test_an_altered_manifest_breaks_the_chain(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    alter_json(batch, "manifest.json", lambda value: value["rows"][0].update(source="elsewhere"))
    with pytest.raises(ChainBroken):
        validation.validate(batch)


def test_a_batch_that_fails_as_a_whole_releases_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conditioner with a stuck bit gives blocks whose chain is whole; the tests alone stop them."""
    break_conditioning(monkeypatch)
    batch = place.hashed([("a.fits", frame(1))])
    assert len(conditioning.read_blocks(batch)) == 1
    with pytest.raises(BlockRefused, match="none of its blocks is released"):
        validation.validate_blocks(batch)
    assert batch.read_json(VERDICTS)["released"] == []


def test_the_health_tests_pass_again_on_stored_noise(place: Place) -> None:
    batch = place.hashed([("a.fits", frame(1)), ("b.fits", frame(2))])
    reports = extraction.health_again(batch)
    assert [name for name, _ in reports] == ["a.fits", "b.fits"]
    assert all(report.passed for _, report in reports)


def test_a_batch_of_dead_images_has_no_blocks_and_an_honest_chain_head(place: Place) -> None:
    batch = place.validated([("b.jpg", b"")])
    verdicts = batch.read_json(VERDICTS)
    assert (verdicts["released"], verdicts["rows"]) == ([], [])


def test_quality_is_the_lower_of_test_score_and_noise_score(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    (row,) = extraction.noise_rows(batch)
    noise = validation.noise_score(row.min_entropy)
    for verdict in batch.read_json(VERDICTS)["rows"]:
        assert verdict["quality"] == min(noise, verdict["score"])
