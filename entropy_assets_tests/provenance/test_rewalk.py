"""The audit: every published block is made again from its images, and any change on the way is found."""

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from entropy_assets.core.credit import assessment
from entropy_assets.errors import BatchError, BlockUnknown, ChainBroken, EntropyAssetsError, LedgerError
from entropy_assets.provenance import rewalk as rewalk_module
from entropy_assets.provenance.outsider import make_again
from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.conditioning import HashedBlocks
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stages.validation import Examination, examine_blocks
from entropy_assets.stores.batches import RECEIPT, Batch
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.stages.batches_made import LIMITS, Place, exposure, frame, unbind


def test_every_block_that_left_the_pool_is_made_again_from_its_images(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    place, batch, blocks = published
    assert blocks
    for block_id, data in blocks.items():
        audited = rewalk(Trail.of(place), block_id)
        assert audited.data == data
        assert audited.provenance["batch"] == batch.key
        assert {image["file"] for image in audited.provenance["images"]} == {"a.fits", "b.fits"}


def test_a_block_that_was_never_published_is_unknown(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, _, _ = published
    nobody = "00000000-0000-8000-8000-000000000000"
    assert Trail.of(place).find(nobody) is None
    with pytest.raises(BlockUnknown):
        rewalk(Trail.of(place), nobody)


def test_an_exchanged_image_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, batch, blocks = published
    path = place.images().path(batch.intake.files[0].image_sha256)
    path.chmod(0o644)
    path.write_bytes(frame(9))
    with pytest.raises(EntropyAssetsError):
        rewalk(Trail.of(place), next(iter(blocks)))


def test_another_nonce_gives_other_noise_and_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    """A nanosecond is enough: it enters the nonces of the images alone."""
    place, batch, blocks = published
    intake = json.loads((batch.root / "intake.json").read_text())
    moved = intake["time_ns"] + (1 if intake["time_ns"] % 1000 < 999 else -1)  # in the microsecond of the records
    (batch.root / "intake.json").write_text(json.dumps({**intake, "time_ns": moved}))
    with pytest.raises(ChainBroken, match="noise_sha256"):
        rewalk(Trail.of(place), next(iter(blocks)))


@pytest.mark.parametrize("document", ["intake.json", "manifest.json", "both"])
def test_one_letter_of_an_origin_that_was_altered_is_found(place: Place, document: str) -> None:
    """No byte of a block follows from it, but the ledger binds it: whoever rewrites credit or address is found."""
    origin = Origin(feed="sdo", url="https://example.org/a", fetched_at="2026-11-29T08:33:00Z", credit="NASA/SDO")
    place.origins().keep(hashlib.sha256(frame(1)).hexdigest(), origin)
    batch = place.validated([("a.fits", frame(1))])
    [block_id, *_] = place.in_ledger(batch)
    audited = rewalk(Trail.of(place), block_id)
    assert audited.provenance["images"][0]["origin"] == origin.told()
    assert [each.fields for each in audited.not_checked].count(("origin",)) == 1
    for name in ("intake.json", "manifest.json"):
        if document in (name, "both"):
            path = batch.root / name
            path.write_text(path.read_text().replace("NASA/SDO", "NASA/SDX"))
    with pytest.raises(ChainBroken) as caught:
        rewalk(Trail.of(place), block_id)
    assert caught.value.field == ("intake" if document == "both" else "manifest_sha256")


def test_other_bytes_of_the_system_are_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, batch, blocks = published
    intake = json.loads((batch.root / "intake.json").read_text())
    (batch.root / "intake.json").write_text(json.dumps({**intake, "os_bytes": "00" * 32}))
    with pytest.raises(ChainBroken) as caught:
        rewalk(Trail.of(place), next(iter(blocks)))
    assert caught.value.field == "block_id"  # their own nonces are looked at before those of the images


def test_credit_that_was_raised_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, batch, blocks = published
    noise = json.loads((batch.root / "noise.json").read_text())
    noise["rows"][0]["credit_bits"] += 100_000
    (batch.root / "noise.json").write_text(json.dumps(noise))
    with pytest.raises(ChainBroken):
        rewalk(Trail.of(place), next(iter(blocks)))


def of_noise(**changes: Any) -> Callable[[Any], Any]:
    return lambda kept: {"rows": [{**kept["rows"][0], **changes}, *kept["rows"][1:]]}


def of_memory(kept: Any) -> Any:
    first, *others = kept["rows"]
    assessment = {**first["assessment"], "memory": {**first["assessment"]["memory"], "frames": 99}}
    return {"rows": [{**first, "assessment": assessment}, *others]}


def of_verdict(**changes: Any) -> Callable[[Any], Any]:
    return lambda kept: {**kept, "rows": [{**row, **changes} for row in kept["rows"]]}


@pytest.mark.parametrize(
    "file, alter, field",
    [
        ("noise.json", of_noise(min_entropy=3.99), "min_entropy"),
        ("noise.json", of_noise(samples=10**6), "samples"),
        ("noise.json", of_noise(reason="not_enough_credit"), "reason"),
        ("noise.json", of_memory, "memory"),
        ("verdicts.json", of_verdict(score=9.99), "verdict"),
        ("verdicts.json", of_verdict(ones=16384), "verdict"),
        ("verdicts.json", of_verdict(block_id="another"), "verdict"),
        ("verdicts.json", of_verdict(reasons=["none"]), "verdict"),
    ],
)
def test_whatever_an_audit_prints_was_computed_again(
    published: tuple[Place, Batch, dict[str, bytes]], file: str, alter: Callable[[Any], Any], field: str
) -> None:
    """Who may write to the batches alone makes no block look better than it is under the words "made again"."""
    place, batch, blocks = published
    change(batch, file, alter)
    with pytest.raises(ChainBroken) as caught:
        rewalk(Trail.of(place), next(iter(blocks)))
    assert caught.value.field == field


def change(batch: Batch, name: str, alter: Callable[[Any], Any]) -> None:
    """Put `alter` of the JSON in a file of the batch in its place."""
    path = batch.root / name
    path.write_text(json.dumps(alter(json.loads(path.read_text()))))


def shared_pattern() -> list[tuple[str, bytes]]:
    """Give two frames of one camera whose fixed pattern is as strong as their noise."""
    rng = np.random.default_rng(5)
    pattern = rng.normal(0, 12, (320, 320))
    return [(f"{name}.png", exposure(pattern, rng)) for name in "ab"]


def publish(
    place: Place, contents: list[tuple[str, bytes]], url: str, *, before: Callable[[Batch], None], **more: Any
) -> str:
    """Publish a batch whose noise was altered by `before`, and return the id of its first block."""
    batch = place.open(contents, **more)
    ingest.read_images(batch, place.images(), LIMITS)
    extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS)
    before(batch)
    unbind(place)
    conditioning.hash_blocks(batch)
    validation.validate_blocks(batch)
    pool = PoolClient.from_url(url, prefix=f"audit:{uuid4().hex}")
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=5)
    pool.close()
    return place.ledger().published_blocks(batch.key)[0].block_id


def without_derating(batch: Batch) -> None:
    """Give each image the credit that it would have alone."""

    def alter(noise: dict[str, Any]) -> dict[str, Any]:
        first, second = noise["rows"]
        return {"rows": [first, {**second, "credit_bits": first["credit_bits"] * 99 // 100}]}

    change(batch, "noise.json", alter)


def hidden(batch: Batch) -> None:
    """Call the first image replayed, as if the second were the first to show the pattern."""

    def alter(noise: dict[str, Any]) -> dict[str, Any]:
        first, second = noise["rows"]
        return {
            "rows": [
                {**first, "accepted": False, "reason": "replayed_file", "credit_bits": 0},
                {**second, "credit_bits": first["credit_bits"]},
            ]
        }

    change(batch, "noise.json", alter)


@pytest.mark.parametrize("forge, field", [(without_derating, "credit_bits"), (hidden, "accepted")])
def test_a_pattern_that_was_credited_twice_is_found(
    tmp_path: Path, valkey_url: str, forge: Callable[[Batch], None], field: str
) -> None:
    """The forger hashes and publishes what was forged, so every later step agrees with it."""
    place = Place(tmp_path)
    block_id = publish(place, shared_pattern(), valkey_url, before=forge)
    with pytest.raises(ChainBroken) as caught:
        rewalk(Trail.of(place), block_id)
    assert caught.value.field == field


def test_a_derated_batch_is_made_again(tmp_path: Path, valkey_url: str) -> None:
    place = Place(tmp_path)
    twice = [*shared_pattern(), ("copy.png", shared_pattern()[0][1]), ("text.fits", b"SIMPLE  = no image")]
    block_id = publish(place, twice, valkey_url, before=lambda batch: None)
    assert rewalk(Trail.of(place), block_id).provenance["block_id"] == block_id


@pytest.mark.parametrize("recipe", ["ea-2026-1", "ea-2026-2"])
def test_a_batch_is_made_again_by_the_rules_that_its_files_were_read_by(
    tmp_path: Path, valkey_url: str, recipe: str
) -> None:
    """Earlier recipes read the first image of a file, whatever it is called: here both are live, and differ."""
    place = Place(tmp_path)
    error = np.random.default_rng(5).normal(1000, 7, (320, 320)).astype(np.int16)
    both = fits(error, EXTNAME="'ERR     '") + b"XTENSION= 'IMAGE   '".ljust(80) + frame(1)[80:]
    block_id = publish(place, [("both.fits", both)], valkey_url, before=lambda _: None, recipe=recipe)
    assert rewalk(Trail.of(place), block_id).data


def test_a_manifest_that_tells_of_another_image_is_found(tmp_path: Path, valkey_url: str) -> None:
    """The chain starts from the manifest, and here it was altered before the chain was made."""
    place = Place(tmp_path)

    def relabel(batch: Batch) -> None:
        change(
            batch, "manifest.json", lambda kept: {"rows": [{**row, "pixel_sha256": "00" * 32} for row in kept["rows"]]}
        )

    block_id = publish(place, [("a.fits", frame(1))], valkey_url, before=relabel)
    with pytest.raises(ChainBroken, match="pixel_sha256") as caught:
        rewalk(Trail.of(place), block_id)
    assert caught.value.field == "manifest_sha256"


def test_a_ledger_that_was_altered_is_found(published: tuple[Place, Batch, dict[str, bytes]]) -> None:
    place, _, blocks = published
    with sqlite3.connect(place.ledger().path) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE batches SET run_id = 'another'")
    with pytest.raises(LedgerError):
        rewalk(Trail.of(place), next(iter(blocks)))


def test_a_batch_that_was_made_anew_is_not_the_one_in_the_ledger(
    published: tuple[Place, Batch, dict[str, bytes]],
) -> None:
    """Everything in its folder agrees, one microsecond later; only the ledger knows better."""
    place, batch, blocks = published
    change(batch, "intake.json", lambda kept: {**kept, "time_ns": kept["time_ns"] + 1000})
    batch.path(RECEIPT).unlink(missing_ok=True)
    anew = Batch(batch.blobs, batch.key)
    ingest.read_images(anew, place.images(), LIMITS)
    extraction.extract_noise(anew, place.images(), Ledger(place.root / "of the forger"), LIMITS)
    conditioning.hash_blocks(anew)
    validation.validate_blocks(anew)
    with pytest.raises(ChainBroken) as caught:
        rewalk(Trail.of(place), next(iter(blocks)))
    assert caught.value.field == "block_id"


def test_a_block_that_fails_its_tests_now_is_found(
    published: tuple[Place, Batch, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _, blocks = published

    def failing(hashed: HashedBlocks) -> Examination:
        examined = examine_blocks(hashed)
        verdicts = dataclasses.replace(examined.verdicts, passed=np.zeros(len(hashed), bool))
        return dataclasses.replace(examined, verdicts=verdicts)

    monkeypatch.setattr(rewalk_module, "examine_blocks", failing)
    with pytest.raises(ChainBroken) as caught:
        rewalk(Trail.of(place), next(iter(blocks)))
    assert caught.value.field == "verdict"


DAMAGE = [
    *((name, {}) for name in ("intake.json", "records.json", "verdicts.json", "manifest.json", "noise.json")),
    *((name, {"rows": []}) for name in ("records.json", "verdicts.json", "manifest.json")),
    *((name, {"rows": [[5]]}) for name in ("records.json", "verdicts.json", "manifest.json", "noise.json")),
]


@pytest.mark.parametrize("name, damaged", DAMAGE)
def test_a_damaged_file_is_a_problem_and_not_a_crash(
    published: tuple[Place, Batch, dict[str, bytes]], name: str, damaged: dict[str, Any]
) -> None:
    """Whoever asks the service for such a block is told so; the ledger's part is still there."""
    place, batch, blocks = published
    block_id = next(iter(blocks))
    change(batch, name, lambda kept: damaged)
    provenance = Trail.of(place).find(block_id)
    assert provenance is not None
    assert provenance["batch"] == batch.key
    assert ".json" in provenance["problem"]
    with pytest.raises(BatchError):
        rewalk(Trail.of(place), block_id)


def test_what_the_ledger_has_forgotten_is_the_batchs_word_and_is_said(tmp_path: Path, valkey_url: str) -> None:
    """Sketches are a working memory: once they are dropped, an audit can't look any more, and says so."""
    place = Place(tmp_path)
    place.hashed([("earlier.fits", frame(7))], time_ns=10**18)
    block_id = publish(place, [("a.fits", frame(1)), ("b.fits", frame(2))], valkey_url, before=lambda _: None)
    assert not [each for each in rewalk(Trail.of(place), block_id).not_checked if each.fields == ("memory",)]
    with closing(sqlite3.connect(place.ledger_file)) as db:
        db.execute("DELETE FROM sketches WHERE seq = 1")
        db.commit()
    (said,) = (each for each in rewalk(Trail.of(place), block_id).not_checked if each.fields == ("memory",))
    assert "2 more" not in said.sentence
    assert said.sentence.endswith(".")


def test_a_batch_that_tells_of_another_recollection_is_found(tmp_path: Path, valkey_url: str) -> None:
    """Whoever enlarges a credit by a frame that no longer shows anything has the ledger against him."""
    place = Place(tmp_path)
    first, second = (data for _, data in shared_pattern())
    place.hashed([("earlier.png", first)], time_ns=10**18)
    block_id = publish(place, [("later.png", second)], valkey_url, before=lambda _: None)
    with closing(sqlite3.connect(place.ledger_file)) as db:
        db.execute("UPDATE folds SET folds = zeroblob(length(folds)) WHERE seq = 2")
        db.commit()
    with pytest.raises(LedgerError, match="another sketch"):
        rewalk(Trail.of(place), block_id)


def test_what_light_and_header_allow_is_measured_again_by_both_audits(
    tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One frame shows more than the gain in its header allows; of another all noise grows with the square of its light.

    Who forgot to look would credit more than was credited, and both audits find that.
    """
    place, rng = Place(tmp_path), np.random.default_rng(11)
    even, slope = np.full((320, 320), 160.0), np.linspace(40, 160, 288) * np.ones((288, 1))
    told, lit = (rng.poisson(93.7 * light * rng.normal(1, 0.25, light.shape).clip(0)) / 93.7 for light in (even, slope))
    contents = [
        ("told.fits", fits(np.rint(told), EGAIN=93.7, RDNOISE="5.0 / e-")),
        ("lit.fits", fits(np.rint(lit))),
    ]
    limits: list[str] = []

    def look(batch: Batch) -> None:
        limits.extend(row.assessment["limited_by"] for row in noise_rows(batch))

    block_id = publish(place, contents, valkey_url, before=look)
    assert limits == ["header_gain", "photon_transfer"]
    answer = Trail.of(place).find(block_id)
    images = {hashlib.sha256(data).hexdigest(): data for _, data in contents}
    assert rewalk(Trail.of(place), block_id).data == make_again(answer, images).data
    monkeypatch.setattr(assessment, "caps_of_light", lambda *_: {})
    for audit in (lambda: rewalk(Trail.of(place), block_id), lambda: make_again(answer, images)):
        with pytest.raises(ChainBroken) as caught:
            audit()
        assert caught.value.field in ("credit_bits", "reason", "noise")
