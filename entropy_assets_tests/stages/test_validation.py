"""Validation: whatever was changed is seen, and a batch that fails releases nothing."""

import numpy as np
import pytest

from entropy_assets.errors import BatchError, BlockRefused, ChainBroken
from entropy_assets.stages import assessments, conditioning, validation
from entropy_assets.stores.batches import BLOCKS, MANIFEST, RECORDS, VERDICTS
from entropy_assets_tests.stages.batches_made import Place, alter_json, break_conditioning, frame


@pytest.mark.parametrize(
    "field", ["block_sha256", "link", "previous_link", "timestamp_us", "credit_bits", "image_sha256s", "slices"]
)
def test_an_altered_record_is_named(place: Place, field: str) -> None:
    batch = place.hashed([("a.fits", frame(1))])

    def alter(value: dict[str, list[dict[str, object]]]) -> None:
        old = value["rows"][0][field]
        value["rows"][0][field] = old + 1 if isinstance(old, int) else "0" * 64 if isinstance(old, str) else []

    alter_json(batch, RECORDS, alter)
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
    alter_json(batch, MANIFEST, lambda value: value["rows"][0].update(source="elsewhere"))
    with pytest.raises(ChainBroken):
        validation.validate(batch)


def test_a_batch_that_fails_as_a_whole_releases_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conditioner with a stuck bit gives blocks whose chain is whole; the tests alone stop them."""
    break_conditioning(monkeypatch)
    batch = place.hashed([("a.fits", frame(1))])
    assert len(conditioning.read_blocks(batch)) > 0
    with pytest.raises(BlockRefused, match="none of its blocks is released"):
        validation.validate_blocks(batch)
    assert batch.read_json(VERDICTS)["released"] == []


def test_a_batch_of_dead_images_has_no_blocks_and_an_honest_chain_head(place: Place) -> None:
    batch = place.validated([("b.jpg", b"")])
    verdicts = batch.read_json(VERDICTS)
    assert (verdicts["released"], verdicts["rows"]) == ([], [])


def test_quality_is_the_lower_of_test_score_and_noise_score(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    (row,) = assessments.noise_rows(batch)
    noise = validation.noise_score(row.min_entropy)
    for verdict in batch.read_json(VERDICTS)["rows"]:
        assert verdict["quality"] == min(noise, verdict["score"])


def test_a_published_batch_keeps_the_report_by_which_it_was_released(place: Place) -> None:
    """A later version may judge uniformity by another formula: looked at again, an old batch is still the old one."""
    batch = place.validated([("a.fits", frame(1))])
    verdicts = batch.read_json(VERDICTS)
    verdicts["report"]["tests"]["runs"]["uniformity_p"] = 0.25
    batch.write_json(VERDICTS, verdicts)
    recorded = batch.path(VERDICTS).read_bytes()
    validation.validate_blocks(place.batches().batch(batch.key, frozen=True))
    assert batch.path(VERDICTS).read_bytes() == recorded


def test_a_published_batch_whose_blocks_are_judged_otherwise_is_still_refused(place: Place) -> None:
    batch = place.validated([("a.fits", frame(1))])
    alter_json(batch, VERDICTS, lambda value: value["rows"][0].update(p_star=0.25))
    with pytest.raises(BatchError, match=r"gives another verdicts\.json"):
        validation.validate_blocks(place.batches().batch(batch.key, frozen=True))
