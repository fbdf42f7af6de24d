"""Jobs: process a batch, publish a batch, fetch more images, audit."""

import time
from collections import Counter
from typing import Final

import dagster as dg

from entropy_assets.defs.assets import ASSETS, POOL_KEY
from entropy_assets.defs.metadata import pool_depth
from entropy_assets.defs.resources import EntropyStores, ImageSources, RedisPool, typed_failures

PROCESS: Final = "process_images"
PUBLISH: Final = "publish_blocks"
REPLENISH: Final = "replenish_pool"
AUDIT: Final = "daily_audit"

process_images = dg.define_asset_job(
    PROCESS,
    selection=dg.AssetSelection.assets(*ASSETS[:-1]),
    description="One batch from its images to its verdicts.",
    tags={"entropy/stage": "process"},
)

publish_blocks = dg.define_asset_job(
    PUBLISH,
    selection=dg.AssetSelection.assets(ASSETS[-1]),
    description="One validated batch into the ledger and the pool.",
    tags={"entropy/stage": "publish"},
)


@dg.op
def collect_images(context: dg.OpExecutionContext, stores: EntropyStores, sources: ImageSources) -> None:
    """Ask every source for new images and put them into the inbox, from where the sensor takes them."""
    delivered: Counter[str] = Counter()
    for source, name, data in sources.collect():
        stores.inbox.deposit(name, data)
        delivered[source] += 1
    for source, count in delivered.items():
        context.log.info("%d images from %s", count, source)
    if not delivered:
        context.log.warning("no source is enabled: drop images into %s, or set ENTROPY_SIMULATED_CAMERA", stores.home)


@dg.job(name=REPLENISH, tags={"entropy/stage": "replenish"})
def replenish_pool() -> None:
    """Fetch more images for a pool that runs low."""
    collect_images()


@dg.op
def compare_pool_and_ledger(context: dg.OpExecutionContext, stores: EntropyStores, pool: RedisPool) -> None:
    """Re-walk the ledger's chain, list batches that are stuck, and compare the pool's pushes with the ledger."""
    with typed_failures(), pool.connect() as client:
        head = stores.ledger.verify()
        stuck = stores.stuck_batches(older_than_s=3600.0, now=time.time())
        stats = client.stats()
        context.log_event(dg.AssetObservation(POOL_KEY, metadata=pool_depth(stats.blocks)))
        context.add_output_metadata(
            {
                "ledger_head": head,
                "batches_published": len(stores.ledger.publications(limit=1_000_000)),
                "stuck_batches": len(stuck),
                "stuck": dg.MetadataValue.json(stuck[:20]),
                "pool_pushed": stats.pushed_blocks,
                "pool_ready": stats.blocks,
            }
        )
    if stuck:
        raise dg.Failure(
            description=f"{len(stuck)} batches were validated and not published, the first is {stuck[0]}; "
            "launch publish_blocks for them",
            metadata={"stuck": dg.MetadataValue.json(stuck[:20])},
            allow_retries=False,
        )


@dg.job(name=AUDIT, tags={"entropy/stage": "audit"})
def daily_audit() -> None:
    """Check that the ledger's chain is whole, nothing is stuck, and the pool agrees with the ledger."""
    compare_pool_and_ledger()


JOBS: Final = (process_images, publish_blocks, replenish_pool, daily_audit)
