"""Forty batches over machines that share no folder, while each of their parts is killed once: published once each."""

import json
import time
from collections import Counter

import pytest

from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.distributed.site import AWAY_S, Site
from entropy_assets_tests.e2e.running import eventually
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.distributed
BATCHES = 40
PATIENCE_S = 900.0


def _drop(site: Site, first: int, count: int) -> None:
    for number in range(first, first + count):
        site.drop(f"frame-{number}.fits", frame(4_000 + number, 512))


def _published(site: Site, count: int) -> None:
    ledger = site.home().ledger(readonly=True)
    eventually(f"{count} publications", lambda: len(ledger.published_keys()) >= count, PATIENCE_S, 2)


def _working(site: Site) -> bool:
    """Tell whether a worker is in the middle of a batch."""
    return any("received" in worker.log for worker in site.workers)


def test_forty_batches_are_published_once_each_whatever_is_killed_on_the_way(site: Site) -> None:
    """And a machine that had no part in it makes a block again from its image, to the same bytes."""
    _drop(site, 0, 10)
    eventually("work", lambda: _working(site))
    _published(site, 3)
    site.workers[0].kill()
    time.sleep(AWAY_S)
    site.start_worker(site.workers[0])
    _drop(site, 10, 10)
    _published(site, 12)
    site.daemon.kill()
    time.sleep(AWAY_S)
    site.start_daemon()
    _drop(site, 20, 10)
    _published(site, 22)
    site.owner.kill()
    time.sleep(AWAY_S)
    site.start_owner()
    _drop(site, 30, 10)
    _published(site, 32)
    site.fail_over()
    _published(site, BATCHES)

    ledger = site.home().ledger(readonly=True)
    ledger.verify()
    publications = ledger.publications(limit=10 * BATCHES)
    assert len(publications) == BATCHES
    eventually("an empty .taken", lambda: site.taken() == [])
    pool = PoolClient.from_url(site.servers.pool)
    drawn = [leased.block.block_id for lane in LANES for leased in _drawn(pool, lane)]
    stats = pool.stats()
    pool.close()
    assert [block for block, times in Counter(drawn).items() if times > 1] == []
    assert [block for block in drawn if ledger.find_block(block) is None] == [], "in the pool, and not in the ledger"
    assert (stats.refused_blocks, stats.ghost_blocks, stats.altered_blocks) == (0, 0, 0), "no block came twice"
    assert stats.pushed_blocks == len(drawn) + stats.expired_blocks
    # Less where a publisher was killed between the ledger's row and the push: such blocks are lost, and never repeated.
    assert stats.pushed_blocks <= sum(publication.block_count for publication in publications)
    audited = site.auditor.run("entropy-assets", "audit", drawn[0], "--json")
    assert audited.returncode == 0, audited.stderr
    assert json.loads(audited.stdout)["reproduced"] is True


def _drawn(pool: PoolClient, lane: str) -> list:
    blocks = []
    while leased := pool.lease(100, lane=lane).blocks:
        blocks += leased
    return blocks
