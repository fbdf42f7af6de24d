"""What became of a batch, for people: at every stage, damaged ones too, and never a byte of a block."""

import hashlib
import json

import pytest

from entropy_assets.errors import BlockRefused
from entropy_assets.provenance.summary import BatchSummary, ImageSummary
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import VERDICTS
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import (
    LIMITS,
    TIME_NS,
    Place,
    alter_json,
    break_conditioning,
    frame,
    simulated_frame,
)

SECOND_NS = 1_000_000_000
FIELDS = [
    *(
        "key",
        "source",
        "recipe",
        "lane",
        "time",
        "state",
        "simulated",
        "images",
        "image_count",
        "accepted_images",
        "blocks",
    ),
    *("passed", "rejected", "block_ids", "failed_tests", "published_at", "published_blocks"),
]
OF_IMAGE = ["file", "image_sha256", "simulated", "accepted", "reason", "detail", "advice", "credit_bits", "min_entropy"]
OF_IMAGE += ["credit_line", "licence"]
"""The fields of ``/batches``, in their order on the wire."""


def test_a_published_batch_shows_its_images_with_verdicts_and_its_blocks(place: Place, pool: PoolClient) -> None:
    files = [("a.fits", simulated_frame(1)), ("text.fits", b"SIMPLE  = no image"), ("b.fits", simulated_frame(1))]
    batch = place.validated(files, source="simulated")
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=1_800_000_000_000_000)
    [summary] = Trail.of(place).recent(10)
    blocks = place.ledger().published_blocks(batch.key)
    assert (summary["key"], summary["source"], summary["state"]) == (batch.key, "simulated", "published")
    assert (summary["time"], summary["published_at"]) == ("2023-11-14T22:13:20+00:00", "2027-01-15T08:00:00+00:00")
    assert (summary["blocks"], summary["passed"], summary["rejected"]) == (len(blocks), len(blocks), 0)
    assert summary["block_ids"] == [block.block_id for block in blocks]
    assert [(row["file"], row["accepted"], row["reason"]) for row in summary["images"]] == [
        ("a.fits", True, None),
        ("text.fits", False, "truncated"),
        ("b.fits", False, "replayed_file"),
    ]
    assert [row["credit_bits"] > 0 for row in summary["images"]] == [True, False, False]
    assert summary["lane"] == batch.intake.lane
    assert summary["simulated"], "the frames come from the simulated camera"


def test_whose_an_image_is_stands_beside_it_and_not_where_it_was_fetched(place: Place) -> None:
    note = Origin(feed="sky", url="https://a.example/secret", fetched_at="2026-11-29T08:33:00Z", credit="NASA/SDO")
    place.origins().keep(hashlib.sha256(frame(1)).hexdigest(), note)
    place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    [summary] = Trail.of(place).recent(1)
    assert [row["credit_line"] for row in summary["images"]] == ["NASA/SDO", None]
    assert "a.example" not in json.dumps(summary)


def test_a_server_does_not_choose_how_long_the_list_is(place: Place) -> None:
    note = Origin(
        feed="sky", url="https://a.example/", fetched_at="2026-11-29T08:33:00Z", credit="c" * 301, licence="l" * 300
    )
    place.origins().keep(hashlib.sha256(frame(1)).hexdigest(), note)
    place.open([("a.fits", frame(1))])
    [summary] = Trail.of(place).recent(1)
    assert [(row["credit_line"], row["licence"]) for row in summary["images"]] == [("c" * 299 + "…", "l" * 300)]


def test_no_byte_of_a_block_is_in_it(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish_batch(batch, place.ledger(), pool, run_id="", now_us=5)
    text = json.dumps(Trail.of(place).recent(10))
    for leased in pool.lease(10, lane="public").blocks:
        assert leased.block.data[:8].hex() not in text


def test_a_batch_at_work_shows_what_is_known_so_far(place: Place) -> None:
    """A reader of the page sees it at every stage, and no stage breaks the list."""
    batch = place.open([("a.fits", frame(1)), ("text.fits", b"no image")])

    def seen() -> tuple[str, list[bool | None]]:
        [summary] = Trail.of(place).recent(10)
        assert (summary["published_at"], summary["block_ids"]) == (None, [])
        return summary["state"], [row["accepted"] for row in summary["images"]]

    assert seen() == ("working", [None, None])
    ingest.read_images(batch, place.images(), LIMITS)
    assert seen() == ("working", [None, False])
    extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS)
    assert seen() == ("working", [True, False])
    conditioning.hash_blocks(batch)
    assert seen() == ("working", [True, False])
    validation.validate_blocks(batch)
    assert seen() == ("validated", [True, False]), "the ids of blocks that are not published stay unsaid"


def test_a_batch_without_an_image_that_counts_is_rejected(place: Place) -> None:
    batch = place.open([("text.fits", b"no image")])
    ingest.read_images(batch, place.images(), LIMITS)
    assert Trail.of(place).recent(1)[0]["state"] == "rejected"


def test_blocks_that_fail_are_counted_and_the_failed_tests_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    break_conditioning(monkeypatch)
    batch = place.hashed([("a.fits", frame(1))])
    with pytest.raises(BlockRefused, match="none of its blocks"):
        validation.validate_blocks(batch)
    [summary] = Trail.of(place).recent(1)
    assert (summary["state"], summary["passed"], summary["published_at"]) == ("rejected", 0, None)
    assert summary["rejected"] == summary["blocks"] > 0
    assert "chi_square" in summary["failed_tests"]


def test_the_newest_come_first_whatever_their_source(place: Place) -> None:
    """Keys begin with the source, so their own order is not that of time."""
    keys = []
    for seconds, source in enumerate(("zoo", "apogee", "raw-ccd")):
        keys.append(
            ingest.open_batch(
                place.batches(), place.images(), [("a", b"x")], source=source, time_ns=TIME_NS + seconds * SECOND_NS,
                os_bytes=b"\x07" * 32, recipe="ea-2026-1",
            ).key
        )  # fmt: skip
    assert [row["key"] for row in Trail.of(place).recent(2)] == [keys[2], keys[1]]


@pytest.mark.parametrize("name", ["intake.json", "manifest.json", "noise.json", "verdicts.json"])
def test_a_damaged_batch_names_its_problem_and_hides_no_other(place: Place, name: str) -> None:
    batch = place.validated([("a.fits", frame(1))])
    other = place.open([("b.fits", frame(2))], time_ns=TIME_NS + SECOND_NS)
    (batch.root / name).write_text('{"rows": [5]}')
    summaries = Trail.of(place).recent(10)
    assert [row["key"] for row in summaries] == [other.key, batch.key]
    assert "damaged" in summaries[1]["problem"]


def test_many_images_are_counted_and_not_all_named(place: Place) -> None:
    place.open([(f"{number}.fits", b"x") for number in range(200)])
    [summary] = Trail.of(place).recent(1)
    assert (summary["image_count"], len(summary["images"])) == (200, 64)


def test_the_fields_and_their_order_are_those_of_the_interface(place: Place, pool: PoolClient) -> None:
    """At work or published, whoever reads the list finds the same fields."""
    publish_batch(place.validated([("a.fits", frame(1))]), place.ledger(), pool, run_id="", now_us=5)
    place.open([("b.fits", frame(2))], time_ns=TIME_NS + SECOND_NS)
    for summary in Trail.of(place).recent(10):
        assert list(summary) == FIELDS
        assert [list(image) for image in summary["images"]] == [OF_IMAGE]
    assert set(FIELDS) == BatchSummary.__required_keys__
    assert set(OF_IMAGE) == ImageSummary.__required_keys__


@pytest.mark.parametrize("released", [["another"], []], ids=["another", "none"])
def test_verdicts_that_were_altered_after_publication_do_not_say_what_was_published(
    place: Place, pool: PoolClient, released: list[str]
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish_batch(batch, place.ledger(), pool, run_id="", now_us=5)
    alter_json(batch, VERDICTS, lambda verdicts: verdicts.update(released=released))
    [summary] = Trail.of(place).recent(1)
    assert summary["state"] == "published"
    assert summary["block_ids"] == [block.block_id for block in place.ledger().published_blocks(batch.key)]
