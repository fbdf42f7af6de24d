"""Publishing: ledger first, each batch once, nothing that does not verify, whatever fails in between."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from itertools import count
from typing import Any

import numpy as np
import pytest

from entropy_assets.errors import BatchError, BlockRefused, ChainBroken, ClaimRefused, PoolUnavailable
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import BLOCKS, INTAKE, MANIFEST, NOISE, RECEIPT, RECORDS, VERDICTS, Batch, Document
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.pool.fitness import PoolFull
from entropy_assets_tests.distributed.machines import need_namespaces
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stages.batches_made import (
    TIME_NS,
    Place,
    alter_json,
    break_conditioning,
    frame,
    simulated_frame,
)


def drain(pool: PoolClient) -> list[str]:
    return [leased.block.block_id for leased in pool.lease(1000, lane="public").blocks]


def test_every_released_block_enters_the_pool_once(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    released = batch.read_json(VERDICTS)["released"]
    first = publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    again = publish_batch(batch, place.ledger(), pool, run_id="again", now_us=2)
    assert (first.newly_published, first.pushed) == (True, len(released))
    assert (again.newly_published, again.pushed) == (False, 0)
    assert sorted(drain(pool)) == sorted(released)


def test_a_published_batch_stays_out_after_its_blocks_were_consumed(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert drain(pool)
    assert publish_batch(batch, place.ledger(), pool, run_id="again", now_us=2).pushed == 0
    assert drain(pool) == []


def test_a_crash_between_ledger_and_push_loses_the_blocks_and_repeats_none(
    place: Place, pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = place.validated([("a.fits", frame(1))])

    def killed(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pool, "push", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert place.ledger().is_published(batch.key)
    retry = publish_batch(batch, place.ledger(), pool, run_id="retry", now_us=2)
    assert (retry.newly_published, retry.pushed, drain(pool)) == (False, 0, [])


def test_an_absent_pool_leaves_the_ledger_untouched_so_a_retry_publishes(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    nowhere = PoolClient.from_url("unix:///nonexistent.sock")
    with pytest.raises(PoolUnavailable):
        publish_batch(batch, place.ledger(), nowhere, run_id="run", now_us=1)
    assert not place.ledger().is_published(batch.key)
    assert publish_batch(batch, place.ledger(), pool, run_id="retry", now_us=2).newly_published


@pytest.mark.parametrize("blocks_each", [64, 40, 1])
def test_a_pool_that_its_pushes_filled_leaves_the_ledger_untouched_so_a_retry_publishes(
    place: Place, blocks_each: int
) -> None:
    """Else every batch of the hours in which its server is full would be lost, and its images spent.

    The last push that found no room leaves less than itself: what a push carries is more than a few bytes.
    """
    batch = place.validated([(f"{seed}.fits", frame(seed)) for seed in range(1, 6)])
    with EmbeddedServer(max_memory_bytes=8 * 2**20) as server, closing(PoolClient.from_url(server.url)) as pool:
        with suppress(PoolFull):
            for first in count(step=blocks_each):
                pool.push(pool_blocks(blocks_each, first, lane="public"))
        with pytest.raises(PoolFull, match="maxmemory"):
            publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
        assert not place.ledger().is_published(batch.key)
        drain(pool)
        done = publish_batch(batch, place.ledger(), pool, run_id="retry", now_us=2)
        assert done.pushed == len(batch.read_json(VERDICTS)["released"])


def test_a_disk_that_is_full_leaves_the_ledger_untouched_so_a_retry_publishes(place: Place, valkey_url: str) -> None:
    """Where the ledger is on another disk, or a server's: the receipt in the batch comes after the append."""
    need_namespaces()
    batch = place.validated([("a.fits", frame(1))])
    alone = ("unshare", "--mount", "--propagation", "private")
    script = (sys.executable, "-m", "entropy_assets_tests.stages.full_disk", place.root, batch.key, valkey_url)
    tries = subprocess.run([*alone, *script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert tries == ["No space left on device", str(len(batch.read_json(VERDICTS)["released"]))]


def test_a_batch_without_verdicts_is_not_published(place: Place, pool: PoolClient) -> None:
    batch = place.hashed([("a.fits", frame(1))])
    with pytest.raises(BatchError, match="materialise validated_blocks first"):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert not place.ledger().is_published(batch.key)


def test_a_block_altered_after_validation_is_not_published(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    blocks = np.load(batch.path(BLOCKS))
    blocks[0, 0] ^= 1
    np.save(batch.path(BLOCKS), blocks)
    with pytest.raises(ChainBroken):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert (place.ledger().is_published(batch.key), drain(pool)) == (False, [])


@pytest.mark.parametrize("document", [INTAKE, MANIFEST, NOISE, RECORDS, VERDICTS])
def test_what_another_worker_made_anew_meanwhile_is_not_pushed(
    place: Place, pool: PoolClient, monkeypatch: pytest.MonkeyPatch, document: Document
) -> None:
    """A worker that was given up, of another release, credits less. Who drew the blocks could not walk them back."""
    batch = place.validated([("a.fits", frame(1))])
    append = Ledger.append_publication

    def beside(self: Ledger, *args: Any, **more: Any) -> bool:
        alter_json(batch, document, lambda value: value.update(of_another_release=True))
        return append(self, *args, **more)

    monkeypatch.setattr(Ledger, "append_publication", beside)
    with pytest.raises(BlockRefused, match="was written to while it was published"):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert (place.ledger().is_published(batch.key), drain(pool)) == (True, [])


def test_what_is_bound_is_the_intake_that_is_used_and_no_later_one(place: Place, pool: PoolClient) -> None:
    """Else who writes to the batches could have public blocks served as private ones, and then let them reveal."""
    kept = place.validated([("a.fits", frame(1))])
    intake = kept.path(INTAKE).read_bytes()
    alter_json(kept, INTAKE, lambda told: told.update(lane="private"))
    batch = place.batches().batch(kept.key)
    assert batch.intake.lane == "private"
    kept.path(INTAKE).write_bytes(intake)
    with pytest.raises(ClaimRefused):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert pool.lease(1000).blocks == pool.lease(1000, lane="public").blocks == ()


def test_verdicts_of_another_making_are_not_believed(place: Place, pool: PoolClient) -> None:
    """Whoever writes a passing verdict by hand still has to pass the tests, which are run again."""
    batch = place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    verdicts = batch.read_json(VERDICTS)
    batch.write_json(VERDICTS, {**verdicts, "released": verdicts["released"][:-1]})
    with pytest.raises(BlockRefused, match="not what was validated"):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert not place.ledger().is_published(batch.key)


def test_blocks_that_fail_their_tests_are_not_published_even_with_forged_verdicts(
    place: Place, pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_conditioning(monkeypatch)
    batch = place.hashed([("a.fits", frame(1))])
    record = batch.read_json(RECORDS)["rows"][-1]
    batch.write_json(
        VERDICTS, {"chain_head": record["link"], "released": [record["block_id"]], "rows": [], "report": {}}
    )
    with pytest.raises(BlockRefused, match="none of its blocks is released"):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert (place.ledger().is_published(batch.key), drain(pool)) == (False, [])


def test_a_batch_without_blocks_is_not_entered_in_the_ledger(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("empty.jpg", b"")])
    assert publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1).pushed == 0
    assert not place.ledger().is_published(batch.key)


def test_the_label_simulated_travels_with_each_block(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", simulated_frame(1))], source="simulated")
    publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert all(leased.block.simulated for leased in pool.lease(10, lane="public").blocks)


def copied(batch: Batch, key: str, **changes: object) -> Batch:
    """Copy the folder of a batch to another key, or the same in another home, with an intake that says otherwise."""
    root = batch.root.parent / key
    shutil.copytree(batch.root, root)
    (root / RECEIPT.file).unlink(missing_ok=True)
    other = Batch(batch.blobs, key)
    alter_json(other, INTAKE, lambda intake: intake.update(key=key, **changes))
    conditioning.hash_blocks(other)
    validation.validate_blocks(other)
    return other


def test_a_copied_batch_of_another_time_gives_no_blocks_of_spent_images(place: Place, pool: PoolClient) -> None:
    """Its blocks are new and pass all tests, and no image of it was ever spent by it."""
    batch = place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    drain(pool)
    other = copied(batch, f"{batch.key}x", time_ns=TIME_NS + 10**9)
    with pytest.raises(ClaimRefused, match="did not spend"):
        publish_batch(other, place.ledger(), pool, run_id="run", now_us=2)
    assert (place.ledger().is_published(other.key), drain(pool)) == (False, [])


@pytest.mark.parametrize("change", [{"time_ns": TIME_NS + 10**9}, {"os_bytes": "08" * 32}])
def test_a_batch_whose_intake_was_altered_after_its_images_were_spent_is_refused(
    place: Place, pool: PoolClient, change: dict[str, object]
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    alter_json(batch, INTAKE, lambda intake: intake.update(change))
    altered = Batch(batch.blobs, batch.key)
    conditioning.hash_blocks(altered)
    validation.validate_blocks(altered)
    with pytest.raises(ClaimRefused, match="bound"):
        publish_batch(altered, place.ledger(), pool, run_id="run", now_us=1)
    with pytest.raises(ClaimRefused, match="bound"):
        extraction.extract_noise(altered, place.images(), place.ledger(), altered.intake.limits)
    assert (place.ledger().is_published(batch.key), drain(pool)) == (False, [])


def test_a_deterministic_batch_is_never_published(place: Place, pool: PoolClient) -> None:
    """Who has the images knows all its bytes beforehand."""
    batch = place.open([("a.fits", frame(1))], os_bytes=b"")
    ingest.read_images(batch, place.images(), batch.intake.limits)
    extraction.extract_noise(batch, place.images(), place.ledger(), batch.intake.limits)
    conditioning.hash_blocks(batch)
    validation.validate_blocks(batch)
    with pytest.raises(BlockRefused, match="known beforehand"):
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    assert (place.ledger().is_published(batch.key), drain(pool)) == (False, [])


def test_a_batch_that_an_older_release_bound_to_nothing_is_published_once_and_bound_then(
    place: Place, pool: PoolClient
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    with closing(sqlite3.connect(place.ledger_file, isolation_level=None)) as db:
        db.execute("DROP TRIGGER bindings_no_delete")
        db.execute("DELETE FROM bindings")
    assert publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1).pushed > 0
    drain(pool)
    batch.path(RECEIPT).unlink()
    alter_json(batch, INTAKE, lambda intake: intake.update(time_ns=TIME_NS + 10**9))
    altered = Batch(batch.blobs, batch.key)
    conditioning.hash_blocks(altered)
    validation.validate_blocks(altered)
    with pytest.raises(ClaimRefused, match="bound"):
        publish_batch(altered, place.ledger(), pool, run_id="run", now_us=2)
    assert drain(pool) == []
