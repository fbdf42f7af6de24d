"""The audit: every published block is made again from its images, and any change on the way is found."""

import json
from pathlib import Path

import pytest

from entropy_assets.audit import Trail
from entropy_assets.errors import BlockUnknown, ChainBroken, EntropyAssetsError
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.pool import PoolClient
from entropy_assets_tests.pipeline import LIMITS, Place, frame


@pytest.fixture
def published(tmp_path: Path, valkey_url: str) -> tuple[Place, Batch, dict[str, bytes]]:
    place = Place.at(tmp_path)
    batch = place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    pool = PoolClient.from_url(valkey_url, prefix=f"audit:{tmp_path.name}")
    publish_batch(batch, place.ledger, pool, run_id="the-run", now_us=5)
    blocks = {leased.block.block_id: leased.block.data for leased in pool.lease(100).blocks}
    pool.close()
    return place, batch, blocks


def trail_of(place: Place) -> Trail:
    return Trail(place.ledger, place.batches, place.images)


def test_every_block_that_left_the_pool_is_made_again_from_its_images(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    place, batch, blocks = published
    assert blocks
    for block_id, data in blocks.items():
        audited = trail_of(place).rewalk(block_id, LIMITS)
        assert audited.data == data
        assert audited.provenance["batch"] == batch.key
        assert {image["file"] for image in audited.provenance["images"]} == {"a.fits", "b.fits"}


def test_provenance_names_images_run_and_verdict_and_holds_no_bytes_of_the_block(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    place, _, blocks = published
    block_id, data = next(iter(blocks.items()))
    found = trail_of(place).find(block_id)
    assert found is not None
    assert found["run_id"] == "the-run"
    assert found["verdict"]["passed"] is True
    assert [image["source"] for image in found["images"]] == ["simulated", "simulated"]
    assert data[:16].hex() not in json.dumps(found)


def test_a_block_that_was_never_published_is_unknown(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, _, _ = published
    nobody = "00000000-0000-8000-8000-000000000000"
    assert trail_of(place).find(nobody) is None
    with pytest.raises(BlockUnknown):
        trail_of(place).rewalk(nobody, LIMITS)


def test_an_exchanged_image_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, batch, blocks = published
    path = place.images.path(batch.intake.files[0].image_sha256)
    path.chmod(0o644)
    path.write_bytes(frame(9))
    with pytest.raises(EntropyAssetsError):
        trail_of(place).rewalk(next(iter(blocks)), LIMITS)


def test_another_nonce_gives_other_noise_and_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, batch, blocks = published
    intake = json.loads((batch.root / "intake.json").read_text())
    (batch.root / "intake.json").write_text(json.dumps({**intake, "os_bytes": "00" * 32}))
    with pytest.raises(ChainBroken, match="other noise"):
        trail_of(place).rewalk(next(iter(blocks)), LIMITS)


def test_credit_that_was_raised_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, batch, blocks = published
    noise = json.loads((batch.root / "noise.json").read_text())
    noise["rows"][0]["credit_bits"] += 100_000
    (batch.root / "noise.json").write_text(json.dumps(noise))
    with pytest.raises(ChainBroken):
        trail_of(place).rewalk(next(iter(blocks)), LIMITS)
