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

from entropy_assets.stores.ledger.sqlite import Ledger
from entropy_assets_tests.monitoring.conftest import Start, Watched
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.provenance.test_freshness import ACCEPTED, FAILED, assessed, taken_in

pytestmark = pytest.mark.e2e


def test_a_pool_that_hangs_pages_and_so_does_the_stall_that_follows(watched: Start) -> None:
    """SIGSTOP, and clients that go on asking after the reservoir is empty; SIGCONT ends both alerts."""
    here = watched()
    here.pool.push(pool_blocks(60))
    here.service.client.get("/random/1000").raise_for_status()
    here.pool_server.signal(signal.SIGSTOP)
    here.prometheus.fires("EntropyPoolDown")
    while here.service.client.get("/random/65536").is_success:
        pass
    asked = [here.service.client.get("/random/65536").status_code]

    def stalled() -> bool:
        asked.append(here.service.client.get("/random/65536").status_code)
        return "EntropyStalled" in here.prometheus.firing()

    here.prometheus.until("the stall", stalled, 90)
    here.prometheus.fires("EntropyStalled")
    assert set(asked) == {503}
    here.pool_server.signal(signal.SIGCONT)
    here.prometheus.clears("EntropyPoolDown")
    here.prometheus.clears("EntropyStalled")


def test_a_pool_that_comes_back_empty_pages_until_it_is_filled(watched: Start) -> None:
    here = watched()
    here.pool.push(pool_blocks(60))
    here.pool_server.stop()
    here.prometheus.fires("EntropyPoolDown")
    here.pool_server.start()
    here.prometheus.clears("EntropyPoolDown")
    here.prometheus.fires("EntropyPoolLow")
    here.pool.push(pool_blocks(60, first=60))
    here.prometheus.clears("EntropyPoolLow")


def test_a_pool_that_comes_back_with_its_keys_pages_until_something_is_published(watched: Start) -> None:
    """A server that snapshots and is restarted: the blocks are there, and must not be served."""
    here = watched(keeps=True)
    here.pool.push(pool_blocks(60))
    here.pool_server.stop()
    here.pool_server.start(keeps=True)
    here.prometheus.fires("EntropyEpochNotOk")
    here.pool.push(pool_blocks(60, first=60))
    here.prometheus.clears("EntropyEpochNotOk")


def test_a_duplicate_push_pages(watched: Start) -> None:
    here = watched()
    here.pool.push(pool_blocks(60))
    _scraped(here, "entropy_pool_pushed_blocks_total == 60")
    here.pool.push(pool_blocks(1))
    here.prometheus.fires("EntropyDuplicatePushed")
    here.prometheus.clears("EntropyDuplicatePushed")


def test_blocks_that_somebody_else_altered_or_deleted_are_told(watched: Start) -> None:
    here = watched()
    blocks = pool_blocks(120)
    here.pool.push(blocks)
    _scraped(here, "entropy_pool_pushed_blocks_total == 120")
    client = redis.Redis.from_url(here.pool_server.url)
    for number, block in enumerate(blocks):
        key = f"entropy:block:{block.block_id}"
        if number % 2 == 0:
            client.delete(key)
        elif (document := client.get(key)) is not None:
            client.set(key, json.dumps({**json.loads(document), "hash": "00" * 32}), keepttl=True)
    client.close()
    for _ in range(3):
        here.service.client.get("/random/65536")
    here.prometheus.fires("EntropyBlockAltered")
    here.prometheus.fires("EntropyGhostBlocks")
    here.prometheus.clears("EntropyBlockAltered")
    here.prometheus.clears("EntropyGhostBlocks")


def test_a_killed_worker_pages_with_what_it_held(watched: Start) -> None:
    here = watched("--workers", "2")
    here.pool.push(pool_blocks(60))
    _scraped(here, "entropy_buffered_bytes > 16384")
    victim = next(line["pid"] for line in here.service.lines() if line["event"] == "worker-started")
    os.kill(victim, signal.SIGKILL)
    here.prometheus.fires("EntropyBytesLost")
    here.prometheus.clears("EntropyBytesLost")


def test_blocks_that_expire_in_the_hands_of_a_worker_page(watched: Start) -> None:
    here = watched()
    pool = type(here.pool).from_url(here.pool_server.url, ttl_s=1.0)
    first = iter(range(0, 10**6, 8))

    def burning() -> bool:
        pool.push(pool_blocks(8, first=next(first)))
        return "EntropyBytesBurned" in here.prometheus.firing()

    here.prometheus.until("burned bytes", burning, 90)
    pool.close()
    here.prometheus.fires("EntropyBytesBurned")
    here.prometheus.clears("EntropyBytesBurned")


def test_a_service_that_hangs_pages(watched: Start) -> None:
    here = watched()
    here.service.process.send_signal(signal.SIGSTOP)
    try:
        here.prometheus.fires("EntropyServiceDown")
    finally:
        here.service.process.send_signal(signal.SIGCONT)
    here.prometheus.clears("EntropyServiceDown")


def test_a_supply_that_stops_or_fails_its_health_tests_pages(watched: Start) -> None:
    """The last image is too old; then a source fails, almost an hour ago; then a good image comes."""
    here = watched(ENTROPY_MAX_AGE_SECONDS="100")
    root = here.home / "batches"
    assessed(_taken_in(root, 3600 - 20, 1), ACCEPTED, FAILED)
    here.prometheus.fires("EntropyImageStale")
    here.prometheus.fires("EntropyHealthTestFailed")
    assessed(_taken_in(root, 0, 2), ACCEPTED)
    here.prometheus.clears("EntropyImageStale")
    here.prometheus.clears("EntropyHealthTestFailed")


def test_a_ledger_that_can_not_be_read_is_told_and_bytes_are_served_on(watched: Start) -> None:
    here = watched()
    here.pool.push(pool_blocks(10))
    ledger = here.home / "ledger.sqlite"
    Ledger(ledger).claim_image("ab" * 32, None, "b")
    kept = ledger.read_bytes()
    ledger.write_bytes(b"no database" * 500)
    here.prometheus.fires("EntropyLedgerUnreadable")
    assert here.service.client.get("/random/8").is_success
    ledger.write_bytes(kept)
    here.prometheus.clears("EntropyLedgerUnreadable")


def _taken_in(root: Path, age_s: float, number: int) -> Path:
    return taken_in(root, age_s, number, now_ns=time.time_ns())


def _scraped(here: Watched, expression: str) -> None:
    here.prometheus.until(expression, lambda: here.prometheus.query(expression), 60)
