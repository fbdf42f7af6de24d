"""Jobs: process a batch, publish a batch, fetch more images, audit."""

import math
import time
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import dagster as dg

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.assets import ASSETS, POOL_KEY
from entropy_assets.defs.metadata import TABLE_ROWS, pool_depth, table
from entropy_assets.defs.resources import Pool, Sources, Stores, typed_failures
from entropy_assets.stages.state import sound_ledger
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import BURNED

PROCESS: Final = "process_images"
PUBLISH: Final = "publish_blocks"
REPLENISH: Final = "replenish_pool"
AUDIT: Final = "daily_audit"
STUCK_AFTER_S: Final = 3600.0
"""Age at which a batch that is not finished counts as stuck."""
EPOCH_SLACK_S: Final = 60.0
"""An epoch begins with its first push, which comes this long after its append at most."""
ARRAYS: Final = "entropy/arrays"
"""Tag of the runs that need a card: a run launcher or a limit of runs can tell them by it."""
LONG_RUN_ALPHA: Final = 1e-6
"""Level of the daily look at all P-values: an honest stream fails it once in millions of days."""


def process_images(arrays: str) -> Any:  # its type has no public name
    """Return the job that makes the blocks of a batch.

    Parameters
    ----------
    arrays
        As `Settings.arrays`: its runs need a card, and say so, if that is ``"cupy"``.
    """
    return dg.define_asset_job(
        PROCESS,
        selection=dg.AssetSelection.assets(*ASSETS[:-1]),
        description="One batch from its images to its verdicts.",
        tags={"entropy/stage": "process", **({ARRAYS: arrays} if arrays == "cupy" else {})},
    )


publish_blocks = dg.define_asset_job(
    PUBLISH,
    selection=dg.AssetSelection.assets(ASSETS[-1]),
    description="One validated batch into the ledger and the pool.",
    tags={"entropy/stage": "publish"},
)


@dg.op
def collect_images(context: dg.OpExecutionContext, stores: Stores, sources: Sources) -> None:
    """Ask every source for new images and put them into the inbox, from where the sensor takes them."""
    delivered: Counter[str] = Counter()
    for source, name, data in sources.collect():
        stores.inbox_of(source).deposit(name, data)
        delivered[source] += 1
    for source, count in delivered.items():
        context.log.info("%d images from %s", count, source)
    if not delivered:
        inbox = stores.layout.inbox_url or stores.layout.inbox_folder
        context.log.warning("no source is enabled: drop images into %s, or set ENTROPY_SIMULATED_CAMERA", inbox)


@dg.job(name=REPLENISH, tags={"entropy/stage": "replenish"})
def replenish_pool() -> None:
    """Fetch more images for a pool that runs low."""
    collect_images()


@dg.op
def compare_pool_and_ledger(context: dg.OpExecutionContext, stores: Stores, pool: Pool) -> None:
    """Re-walk the ledger, hold it against its anchors, list batches that are stuck, and compare the pool's pushes."""
    now = time.time()
    with typed_failures(), pool.connect() as client:
        sound_ledger(stores.layout, known_to_dagster(context.instance))
        ledger = stores.layout.ledger(readonly=True)
        head = ledger.verify()
        stuck = stores.stuck_batches(older_than_s=STUCK_AFTER_S, now=now)
        stats = client.stats()
        published = _published_since(ledger, now - (stats.epoch_age_s or 0.0))
    context.log_event(dg.AssetObservation(POOL_KEY, metadata=pool_depth(stats.blocks, stats.shards)))
    context.add_output_metadata(
        {
            "ledger_head": head,
            "blocks_published": float(published),
            "blocks_pushed": float(stats.pushed_blocks),
            "blocks_lost": float(max(0, published - stats.pushed_blocks)),
            "blocks_ready": float(stats.blocks),
            "stuck_batches": float(len(stuck)),
            "stuck": table({"batch": key, "state": state} for key, state in stuck.items()),
        }
    )
    _refuse_disagreement(stuck, pushed=stats.pushed_blocks, published=published)


def _refuse_disagreement(stuck: Mapping[str, str], *, pushed: int, published: int) -> None:
    """Raise if batches are stuck, or more blocks were pushed than the ledger has."""
    problems = [f"batch {key} is {state}" for key, state in islice(stuck.items(), 3)]
    if pushed > published:
        problems.insert(0, f"the pool took {pushed} blocks and the ledger knows {published}: find who pushed")
    if problems:
        raise dg.Failure(
            description=f"{len(stuck)} stuck batches; " + "; ".join(problems),
            metadata={"stuck": dg.MetadataValue.json(dict(islice(stuck.items(), TABLE_ROWS)))},
            allow_retries=False,
        )


def _published_since(ledger: Ledger, since_s: float) -> int:
    """Return the blocks that the ledger took since the pool's epoch began, to be pushed: burned ones never were."""
    since_us = (since_s - EPOCH_SLACK_S) * 1e6
    return sum(
        each.block_count
        for each in ledger.every_publication()
        if each.published_at_us >= since_us and each.run_id != BURNED
    )


@dg.op
def look_at_all_p_values(context: dg.OpExecutionContext, stores: Stores) -> None:
    """Test the P-values of every block ever tested together: this is where small deviations show."""
    # pandas takes half a second to import, and every run loads this module.
    from entropy_assets.stages.long_run import long_run_report, verdict_history

    with typed_failures():
        report = long_run_report(verdict_history(stores.layout.batches()))
    columns = report.rename_axis("test").reset_index()
    context.add_output_metadata(
        {
            "blocks": float(report["blocks"].max()),
            "smallest_corrected_p": float(report["corrected_p"].min()),
            "tests": table(
                {str(name): _shown(value) for name, value in row.items()} for row in columns.to_dict("records")
            ),
        }
    )
    low = report.index[report["corrected_p"] < LONG_RUN_ALPHA]
    if len(low):
        raise dg.Failure(
            description=f"over all blocks the P-values of {', '.join(low)} are not those of good blocks; "
            "look at the source of the newest batches before drawing from the pool",
            allow_retries=False,
        )


def _shown(value: object) -> str | float | None:
    if isinstance(value, str):
        return value
    number = math.nan if value is None else float(str(value))
    return None if math.isnan(number) else number


@dg.job(name=AUDIT, tags={"entropy/stage": "audit"})
def daily_audit() -> None:
    """Check that the ledger's chain is whole, nothing is stuck, the pool agrees with it, and the P-values are even."""
    compare_pool_and_ledger()
    look_at_all_p_values()


JOBS: Final = (publish_blocks, replenish_pool, daily_audit)
