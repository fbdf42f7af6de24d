"""From a published block to its images: what the ledger and the batch tell, in the fields of the interface."""

import json

from entropy_assets.cli.shell import waiting_in
from entropy_assets.provenance.freshness import SupplyAges
from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import BlockProvenance, ImageOfBatch, Trail
from entropy_assets.serving.health import Ages
from entropy_assets.settings import Settings
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals, FeedTrouble
from entropy_assets.stages.manifest import HashedRow
from entropy_assets.stages.verdicts import VerdictRow
from entropy_assets.stores.batches import INTAKE, MANIFEST, NOISE, RECORDS, Batch, BatchStore, encoded
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Listing
from entropy_assets.stores.blobs.refusals import StoreError
from entropy_assets.stores.file_names import safe_name
from entropy_assets_tests.stages.batches_made import Place, unbind

FIELDS = [
    *("block_id", "block_sha256", "link", "index", "batch", "run_id", "chain_head", "ledger_link", "published_at_us"),
    *("recipe", "timestamp_us", "previous_link", "manifest_sha256", "credit_bits", "slices", "block_nonce"),
    *("declared_source", "limits", "manifest", "images", "verdict"),
]
OF_IMAGE = [
    *("file", "image_sha256", "pixel_sha256", "source", "sampling_nonce", "noise_sha256", "samples", "min_entropy"),
    *("credit_bits", "reason", "memory", "in_block", "origin"),
]
"""The fields of ``/blocks/{id}``, in their order on the wire."""


def test_provenance_names_images_run_and_verdict_and_holds_no_bytes_of_the_block(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    place, _, blocks = published
    block_id, data = next(iter(blocks.items()))
    provenance = Trail.of(place).find(block_id)
    assert provenance is not None
    assert provenance["run_id"] == "the-run"
    assert provenance["verdict"]["passed"] is True
    assert [image["source"] for image in provenance["images"]] == ["raw-ccd", "raw-ccd"]
    assert data[:16].hex() not in json.dumps(provenance)


def test_the_fields_and_their_order_are_those_of_the_interface(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    place, _, blocks = published
    for block_id in blocks:
        provenance = Trail.of(place).find(block_id)
        assert list(provenance) == FIELDS
        assert list(provenance["limits"]) == ["max_file_bytes", "max_pixels"]
        assert [list(row) for row in provenance["manifest"]] == [list(HashedRow.__annotations__)] * 2
        assert [list(image) for image in provenance["images"]] == [OF_IMAGE, OF_IMAGE]
        assert set(provenance["verdict"]) == VerdictRow.__required_keys__
    assert set(FIELDS) == BlockProvenance.__required_keys__
    assert set(OF_IMAGE) == ImageOfBatch.__required_keys__


def test_the_seed_of_a_batch_is_told_nowhere_and_each_block_tells_its_own_nonce_alone(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    """With the seed, or with a sibling's nonce, blocks could be known that were not drawn yet."""
    place, batch, blocks = published
    trail = Trail.of(place)
    records = {row["block_id"]: row for row in batch.read_json(RECORDS)["rows"]}
    assert len(records) > 1
    for block_id in blocks:
        told = json.dumps(trail.find(block_id))
        assert batch.intake.os_bytes not in told
        assert str(batch.intake.time_ns) not in told
        assert [row["nonce"] in told for row in records.values()] == [each == block_id for each in records]
    assert batch.intake.os_bytes not in json.dumps(trail.recent(10))


def test_what_provenance_tells_of_ages_is_what_the_service_reads(place: Place) -> None:
    """The service imports nothing of provenance, so each says by itself what passes between them."""
    assert SupplyAges.__annotations__ == Ages.__annotations__
    assert set(Trail.of(place).freshness()) == Ages.__required_keys__


def test_a_batch_that_an_older_version_kept_is_shown_and_audited(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    """It kept names that are no text: what is told of them can be sent, and the audit compares what they stand for."""
    place, batch, blocks = published
    odd = {"a.fits": "a\udcff\x1b]0;x\x07.fits", "b.fits": "\udcff" * 250}
    for document in (INTAKE, MANIFEST, NOISE):
        value = batch.read_json(document)
        for row in value["rows" if "rows" in value else "files"]:
            row["file"] = odd[row["file"]]
        batch.path(document).write_bytes(encoded(value))
    unbind(place)
    trail = Trail.of(place)
    told = {"batches": trail.recent(1), "blocks": [trail.find(block_id) for block_id in blocks]}
    json.dumps(told, ensure_ascii=False).encode("utf-8")
    shown = {image["file"] for block in told["blocks"] for image in block["images"]}
    assert shown == {r"a\xff\x1b]0;x\x07.fits", safe_name(odd["b.fits"])}
    for block_id, data in blocks.items():
        assert rewalk(trail, block_id).data == data


def test_what_waits_in_the_inboxes_is_told_with_the_ages(place: Place) -> None:
    (place.inbox_folder / "raw-cdd").mkdir(parents=True)
    assert Trail.of(place).freshness()["doubts"] == []
    assert [code for code, _ in Trail.of(place, waiting_in(Settings(home=place.root))).freshness()["doubts"]] == [
        "inbox-left-alone"
    ]


def test_a_feed_that_stays_in_trouble_is_told_with_the_ages(place: Place) -> None:
    trouble = FeedTrouble("feed-lies", "a page", 1.0, 2, ("feed-lies",))
    FeedJournals(place.feeds_folder).write(FeedJournal(name="sky", trouble=trouble))
    ages = Trail.of(place).freshness()
    assert [code for code, _ in ages["doubts"]] == ["feed-quarantined"]
    assert ages["feeds"]["sky"]["in_trouble"] == 1


def test_a_store_that_is_away_leaves_the_feeds_out_and_is_told_once(place: Place) -> None:
    class Away(FolderBlobs):
        def list(self, folder: str = "") -> Listing:
            raise StoreError("the object store does not answer")

    trail = Trail(
        place.ledger(readonly=True),
        BatchStore(Away(place.root)),
        place.images(),
        feeds=FeedJournals(Away(place.feeds_folder)),
    )
    ages = trail.freshness()
    assert [code for code, _ in ages["doubts"]] == ["store-error"]
    assert ages["feeds"] == {}
