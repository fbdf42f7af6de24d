"""A program that publishes blocks in batches as the pipeline does: into the ledger, then into the pool.

``python -m entropy_assets_tests.chaos.publisher LEDGER URL FIRST BATCHES``; the ledger is a file, or the address of a
PostgreSQL. However often it is started, it goes over all batches from the first one, as a re-executed run or a backfill
would. ``CHAOS_BREAK`` takes a guard out of it.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.shards import AnyPool, pool_at
from entropy_assets_tests.pool_blocks import pool_blocks

BATCH = 500
"""Blocks: several calls of the pool each, so that a kill finds it between two."""
PAUSE_S = 0.02


def batch_blocks(first: int, number: int) -> list[PoolBlock]:
    """Give the blocks of one batch; one in four is private."""
    return pool_blocks(BATCH, first + number * BATCH, lane="private" if number % 4 == 3 else "public")


def publish(ledger: Ledger, pool: AnyPool, number: int, blocks: list[PoolBlock]) -> None:
    """Publish one batch unless the ledger knows it."""
    shard = pool.taker(blocks[0].lane)
    rows = [LedgerBlock(block.block_id, place, block.sha256, block.link) for place, block in enumerate(blocks)]
    if ledger.append_publication(f"chaos-{number:04}", blocks[-1].sha256, rows, run_id="chaos", time_us=number):
        shard.push(blocks)


def ledger_at(place: str, **more: Any) -> Ledger:
    """Give the ledger in a file or at an address; whether its server has a standby is the test's affair."""
    return Ledger(LedgerServer(place, is_single=True) if "://" in place else Path(place), **more)


def main() -> None:
    """Publish every batch."""
    place, url, first, batches = sys.argv[1:]
    if guard := os.environ.get("CHAOS_BREAK"):
        from entropy_assets_tests.chaos.broken import BREAKS, MonkeyPatch

        BREAKS[guard](MonkeyPatch())
    ledger, pool = ledger_at(place), pool_at(url)
    for number in range(int(batches)):
        publish(ledger, pool, number, batch_blocks(int(first), number))
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
