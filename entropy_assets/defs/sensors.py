"""Sensors: thin decorators over what the stages do and what `cursors` remember."""

import time
from collections.abc import Callable
from typing import Final

import dagster as dg

from entropy_assets.defs.assets import POOL_KEY, validated_blocks
from entropy_assets.defs.cursors import PublishCursor, PublishRequest, ReplenishCursor, next_filling
from entropy_assets.defs.jobs import PROCESS, PUBLISH, REPLENISH, process_images, publish_blocks, replenish_pool
from entropy_assets.defs.metadata import pool_depth
from entropy_assets.defs.partitions import IMAGE_BATCHES, image_batches
from entropy_assets.defs.resources import EntropyStores, Pool, Stores
from entropy_assets.errors import PoolError
from entropy_assets.settings import Settings
from entropy_assets.stages.intake import finish_intakes, take_batches
from entropy_assets.stages.state import state_of
from entropy_assets.stores.home import Home

_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_EVENTS_PER_TICK: Final = 100
POOL_GRACE_TICKS: Final = 4
"""Ticks for which an absent pool is only skipped; after that the tick is red."""


def make_new_images(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that turns the files of the inbox into batches."""

    @dg.sensor(
        name="new_images",
        job=process_images,
        minimum_interval_seconds=settings.inbox_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Inbox -> batch. Takes every file that has stopped changing, fixes the batch, and runs it.",
    )
    def new_images(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult | dg.SkipReason:
        inboxes = stores.inboxes()
        take_batches(inboxes, max_files=settings.batch_max_files, max_bytes=settings.batch_max_bytes)
        keys = sorted(finish_intakes(stores.layout, inboxes, recipe=settings.recipe, limits=stores.limits))
        if not keys:
            alone = sum(len(inbox.pending(time.time())) for inbox in inboxes.values())
            return dg.SkipReason(f"no new batch; {alone} entries of the inbox are left alone")
        # Every batch with files that are not settled is asked for at each tick: Dagster knows by the run key which of
        # them had their run, and a daemon that was killed between partition and run loses none.
        return dg.SensorResult(
            dynamic_partitions_requests=[image_batches.build_add_request(keys)],
            run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in keys],
        )

    return new_images


def _is_due(stores: EntropyStores, key: str, asked: PublishRequest) -> bool:
    """Tell whether a batch has something to publish, or has to show in its run that it was published before."""
    return asked.round == 0 or state_of(stores.batch(key), stores.layout.ledger()).awaits_publication


def make_publish_validated_blocks(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that publishes every validated batch."""

    @dg.sensor(
        name="publish_validated_blocks",
        job=publish_blocks,
        minimum_interval_seconds=settings.publish_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Validated batch -> publish run. Reads every materialisation since its cursor, in order.",
    )
    def publish_validated_blocks(
        context: dg.SensorEvaluationContext, stores: Stores
    ) -> dg.SensorResult | dg.SkipReason:
        # An asset sensor would see only the newest event of a tick, and a run-status sensor loses an event when its
        # body raises; a cursor over storage ids sees each one at least once, and publishing twice does nothing.
        cursor = PublishCursor.loads(context.cursor)
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=validated_blocks.key, after_storage_id=cursor.storage_id or None),
            limit=_EVENTS_PER_TICK,
            ascending=True,
        ).records
        for record in records:
            cursor.note(record.storage_id, record.partition_key)
        cursor.waiting = {key: asked for key, asked in cursor.waiting.items() if _is_due(stores, key, asked)}
        requests = list(cursor.requests(time.time()))
        if not requests:
            context.update_cursor(cursor.dumps())
            return dg.SkipReason(f"{len(cursor.waiting)} batches wait for their publish run")
        return dg.SensorResult(run_requests=requests, cursor=cursor.dumps())

    return publish_validated_blocks


def make_replenish_low_pool(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for more images when the pool runs low."""

    @dg.sensor(
        name="replenish_low_pool",
        job=replenish_pool,
        minimum_interval_seconds=settings.replenish_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Low pool -> fetch images. Starts under the low-water mark, stops at the high one, and waits "
        "while anything is on its way.",
    )
    def replenish_low_pool(
        context: dg.SensorEvaluationContext, stores: Stores, pool: Pool
    ) -> dg.SensorResult | dg.SkipReason:
        cursor = ReplenishCursor.loads(context.cursor)
        try:
            with pool.connect() as client:
                stats = client.stats()
        except PoolError:
            return _pool_absent(context, cursor)
        filling = next_filling(cursor.filling, stats.bytes, settings.low_water_bytes, settings.high_water_bytes)
        numbers = f"{stats.bytes} bytes ready, marks {settings.low_water_bytes} and {settings.high_water_bytes}"
        on_the_way = _on_the_way(context, stores)
        if not filling or on_the_way or not settings.simulated_camera:
            context.update_cursor(ReplenishCursor(cursor.round, filling).dumps())
            return dg.SkipReason(f"{numbers}; {_why_not(filling, on_the_way)}")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"replenish:{cursor.round}")],
            asset_events=[dg.AssetObservation(POOL_KEY, metadata=pool_depth(stats.blocks))],
            cursor=ReplenishCursor(cursor.round + 1, filling=True).dumps(),
        )

    return replenish_low_pool


def _why_not(filling: bool, on_the_way: int) -> str:
    if not filling:
        return "enough"
    if on_the_way:
        return f"{on_the_way} runs or files are on their way"
    return "low, and no source can be asked: drop images into the inbox"


def _on_the_way(context: dg.SensorEvaluationContext, stores: EntropyStores) -> int:
    runs = sum(
        context.instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=_UNFINISHED))
        for job in (PROCESS, PUBLISH, REPLENISH)
    )
    partitions = set(context.instance.get_dynamic_partitions(IMAGE_BATCHES))
    for inbox in stores.inboxes().values():
        # A batch that has its partition had its run; one that failed must not keep the pool empty.
        runs += len(inbox.ready(time.time() + stores.settle_seconds)) + len(set(inbox.taken()) - partitions)
    return runs


def _pool_absent(context: dg.SensorEvaluationContext, cursor: ReplenishCursor) -> dg.SkipReason:
    absent = cursor.pool_absent_ticks + 1
    context.update_cursor(ReplenishCursor(cursor.round, cursor.filling, absent).dumps())
    if absent > POOL_GRACE_TICKS:
        raise dg.Failure(description=f"the pool has not answered for {absent} ticks; is its server running?")
    return dg.SkipReason(f"the pool does not answer (tick {absent} of {POOL_GRACE_TICKS} that are borne)")


def make_run_failure_alert(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that writes an alert for every failed run."""
    alerts = Home(settings.home).alerts()

    @dg.run_failure_sensor(
        name="run_failure_alert",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Failed run -> one line of JSON in alerts.jsonl. It holds names and errors, never bytes.",
    )
    def run_failure_alert(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        alerts.append(
            run_id=run.run_id,
            job=run.job_name,
            batch=run.tags.get("dagster/partition", ""),
            error=context.failure_event.message or "",
        )

    return run_failure_alert


MAKERS: Final[tuple[Callable[[Settings], dg.SensorDefinition], ...]] = (
    make_new_images,
    make_publish_validated_blocks,
    make_replenish_low_pool,
    make_run_failure_alert,
)
