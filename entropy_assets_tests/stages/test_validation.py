"""Validation: whatever was changed is seen, and a batch that fails releases nothing."""

import numpy as np
import pytest

from entropy_assets.errors import BlockRefused, ChainBroken
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
    assert len(conditioning.read_blocks(batch)) == 1
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
