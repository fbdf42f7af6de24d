"""Each alert fires in a real Prometheus when its fault is there, and clears when it is gone.

The rules are those of the project with seconds for minutes: ``for: 1s`` and windows of 6 s (see `quick_rules`).
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import redis

from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals, FeedTrouble
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets_tests.monitoring.conftest import PoolServer, Start, Watched
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.provenance.test_freshness import ACCEPTED, FAILED, assessed, taken_in

pytestmark = pytest.mark.e2e


def test_a_pool_that_hangs_pages_and_so_does_the_stall_that_follows(watched: Start) -> None:
    """SIGSTOP, and clients that go on asking after the reservoir is empty; SIGCONT ends both alerts."""
    running = watched()
    running.pool.push(blocks_for_both(60))
    running.service.client.get("/random/1000").raise_for_status()
    running.pool_server.signal(signal.SIGSTOP)
    running.prometheus.fires("EntropyPoolDown")
    while running.service.client.get("/random/65536").is_success:
        pass
    asked = [running.service.client.get("/random/65536").status_code]

    def stalled() -> bool:
        asked.append(running.service.client.get("/random/65536").status_code)
        return "EntropyStalled" in running.prometheus.firing()

    running.prometheus.until("the stall", stalled, 90)
    running.prometheus.fires("EntropyStalled")
    assert set(asked) == {503}
    running.pool_server.signal(signal.SIGCONT)
    running.prometheus.clears("EntropyPoolDown")
    running.prometheus.clears("EntropyStalled")


def test_a_pool_that_comes_back_empty_pages_until_it_is_filled(watched: Start) -> None:
    running = watched()
    running.pool.push(blocks_for_both(60))
    running.pool_server.stop()
    running.prometheus.fires("EntropyPoolDown")
    running.pool_server.start()
    running.prometheus.clears("EntropyPoolDown")
    running.prometheus.fires("EntropyPoolLow")
    running.pool.push(blocks_for_both(60, first=60))
    running.prometheus.clears("EntropyPoolLow")


def test_a_shard_that_is_gone_is_told_while_another_one_serves(watched: Start, tmp_path: Path) -> None:
    other = PoolServer(tmp_path)
    other.start()
    running = watched(beside=f"\n{other.url}")
    running.pool.push(blocks_for_both(60))
    other.stop()
    running.prometheus.fires("EntropyShardLeftOut")
    running.service.client.get("/random/1000").raise_for_status()
    other.start()
    running.prometheus.clears("EntropyShardLeftOut")
    other.stop()


def test_a_pool_that_comes_back_with_its_keys_pages_until_something_is_published(watched: Start) -> None:
    """A server that snapshots and is restarted: the blocks are there, and must not be served."""
    running = watched(keeps=True)
    running.pool.push(blocks_for_both(60))
    running.pool_server.stop()
    running.pool_server.start(keeps=True)
    running.prometheus.fires("EntropyEpochNotOk")
    running.pool.push(blocks_for_both(60, first=60))
    running.prometheus.clears("EntropyEpochNotOk")


def test_a_duplicate_push_pages(watched: Start) -> None:
    running = watched()
    running.pool.push(blocks_for_both(60))
    _scraped(running, "entropy_pool_pushed_blocks_total == 120")
    running.pool.push(blocks_for_both(1))
    running.prometheus.fires("EntropyDuplicatePushed")
    running.prometheus.clears("EntropyDuplicatePushed")


def test_blocks_that_somebody_else_altered_or_deleted_are_told(watched: Start) -> None:
    running = watched()
    blocks = pool_blocks(120)
    running.pool.push(blocks)
    _scraped(running, "entropy_pool_pushed_blocks_total == 120")
    client = redis.Redis.from_url(running.pool_server.url)
    for number, block in enumerate(blocks):
        key = f"entropy:block:{block.block_id}"
        if number % 2 == 0:
            client.delete(key)
        elif (document := client.get(key)) is not None:
            client.set(key, json.dumps({**json.loads(document), "hash": "00" * 32}), keepttl=True)
    client.close()
    for _ in range(3):
        running.service.client.get("/random/65536")
    running.prometheus.fires("EntropyBlockAltered")
    running.prometheus.fires("EntropyGhostBlocks")
    running.prometheus.clears("EntropyBlockAltered")
    running.prometheus.clears("EntropyGhostBlocks")


def test_a_killed_worker_pages_with_what_it_held(watched: Start) -> None:
    running = watched("--workers", "2")
    running.pool.push(blocks_for_both(60))
    # what two workers hold of two lanes when nobody asks: with less, the one that is killed may hold nothing yet
    _scraped(running, f"entropy_buffered_bytes >= {2 * len(LANES) * ReservoirLimits().least_bytes}")
    victim = next(line["pid"] for line in running.service.lines() if line["event"] == "worker-started")
    os.kill(victim, signal.SIGKILL)
    running.prometheus.fires("EntropyBytesLost")
    running.prometheus.clears("EntropyBytesLost")


def test_blocks_that_expire_in_the_hands_of_a_worker_page(watched: Start) -> None:
    running = watched()
    pool = type(running.pool).from_url(running.pool_server.url, ttl_s=1.0)
    first = iter(range(0, 10**6, 8))

    def burning() -> bool:
        pool.push(blocks_for_both(8, first=next(first)))
        return "EntropyBytesBurned" in running.prometheus.firing()

    running.prometheus.until("burned bytes", burning, 90)
    pool.close()
    running.prometheus.fires("EntropyBytesBurned")
    running.prometheus.clears("EntropyBytesBurned")


def test_a_service_that_hangs_pages(watched: Start) -> None:
    running = watched()
    running.service.process.send_signal(signal.SIGSTOP)
    try:
        running.prometheus.fires("EntropyServiceDown")
    finally:
        running.service.process.send_signal(signal.SIGCONT)
    running.prometheus.clears("EntropyServiceDown")


def test_a_supply_that_stops_or_fails_its_health_tests_pages(watched: Start) -> None:
    """The last image is too old; then a source fails, almost an hour ago; then a good image comes."""
    running = watched(ENTROPY_MAX_AGE_SECONDS="100")
    root = running.home / "batches"
    assessed(_taken_in(root, 3600 - 20, 1), ACCEPTED, FAILED)
    running.prometheus.fires("EntropyImageStale")
    running.prometheus.fires("EntropyHealthTestFailed")
    assessed(_taken_in(root, 0, 2), ACCEPTED)
    running.prometheus.clears("EntropyImageStale")
    running.prometheus.clears("EntropyHealthTestFailed")


def test_a_ledger_that_can_not_be_read_is_told_and_bytes_are_served_on(watched: Start) -> None:
    running = watched()
    running.pool.push(blocks_for_both(10))
    ledger = running.home / "ledger.sqlite"
    Ledger(ledger).spend_image("ab" * 32, None, "b")
    kept = ledger.read_bytes()
    ledger.write_bytes(b"no database" * 500)
    running.prometheus.fires("EntropyLedgerUnreadable")
    assert running.service.client.get("/random/8").is_success
    ledger.write_bytes(kept)
    running.prometheus.clears("EntropyLedgerUnreadable")


def test_a_feed_that_stays_in_trouble_is_told_until_it_is_well(watched: Start) -> None:
    running = watched()
    journals = FeedJournals(running.home / "feeds")
    trouble = FeedTrouble("feed-unavailable", "answers 503", time.time(), 3, ("feed-unavailable",))
    journals.write(FeedJournal(name="sky", trouble=trouble, due_s=time.time() + 60))
    running.prometheus.fires("EntropyFeedQuarantined")
    reasons = {each["code"] for each in running.service.client.get("/health").json()["reasons"]}
    assert "feed-quarantined" in reasons
    journals.write(FeedJournal(name="sky", due_s=time.time() + 60))
    running.prometheus.clears("EntropyFeedQuarantined")


def test_keys_that_can_not_be_read_page_until_they_can(watched: Start) -> None:
    running = watched()
    keys = running.home / "keys.json"
    keys.parent.mkdir(exist_ok=True)
    os.mkfifo(keys, 0o600)
    running.prometheus.fires("EntropyKeysUnreadable")
    keys.unlink()
    running.prometheus.clears("EntropyKeysUnreadable")


def _taken_in(root: Path, age_s: float, number: int) -> Path:
    return taken_in(root, age_s, number, now_ns=time.time_ns())


def _scraped(running: Watched, expression: str) -> None:
    running.prometheus.until(expression, lambda: running.prometheus.query(expression), 60)
