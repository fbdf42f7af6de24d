"""Sensors: pure functions of a cursor and what they look at, under thin decorators."""

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import dagster as dg

from entropy_assets.defs.assets import POOL_KEY, validated_blocks
from entropy_assets.defs.jobs import PROCESS, PUBLISH, REPLENISH, process_images, publish_blocks, replenish_pool
from entropy_assets.defs.metadata import pool_depth
from entropy_assets.defs.partitions import IMAGE_BATCHES, image_batches
from entropy_assets.defs.resources import EntropyStores, RedisPool
from entropy_assets.errors import FileStillChanging, ImageRejected, PoolError
from entropy_assets.settings import Settings
from entropy_assets.sources.drop_folder import ReadyFile
from entropy_assets.stages import ingest

_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_EVENTS_PER_TICK: Final = 100
POOL_GRACE_TICKS: Final = 4
"""Ticks for which an absent pool is only skipped; after that the tick is red."""


def first_group(files: list[ReadyFile], max_files: int, max_bytes: int) -> list[ReadyFile]:
    """Return the longest start of `files` within the limits of one batch; one file at least, however large."""
    total = 0
    for count, file in enumerate(files):
        total += file.size
        if count and (count == max_files or total > max_bytes):
            return files[:count]
    return files


def source_of(name: str) -> str:
    """Return the source that a file name in the inbox declares: ``simulated`` for the camera's, else ``drop``."""
    return "simulated" if name.startswith("simulated-") else "drop"


def make_new_images(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that turns the files of the inbox into batches."""

    @dg.sensor(
        name="new_images",
        job=process_images,
        minimum_interval_seconds=settings.inbox_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Inbox -> batch. Takes every file that has stopped changing, fixes the batch, and runs it.",
    )
    def new_images(context: dg.SensorEvaluationContext, stores: EntropyStores) -> dg.SensorResult | dg.SkipReason:
        now = time.time()
        take_batches(stores, settings, now, time.time_ns())
        known = set(context.instance.get_dynamic_partitions(IMAGE_BATCHES))
        keys = [key for key in stores.inbox.taken() if key not in known]
        if not keys:
            return dg.SkipReason(f"no new batch; {len(stores.inbox.pending(now))} entries of the inbox are left alone")
        return dg.SensorResult(
            dynamic_partitions_requests=[image_batches.build_add_request(keys)],
            run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in keys],
        )

    return new_images


def take_batches(stores: EntropyStores, settings: Settings, now: float, time_ns: int) -> None:
    """Group the ready files of the inbox into batches, keep their images, and move the files out of the way.

    A crash at any point loses nothing: until a file is moved, the next tick sees it again and gives the same files the
    same batch; once moved, its batch is found among the unsettled ones.
    """
    ready = stores.inbox.ready(now)
    for source in sorted({source_of(file.name) for file in ready}):
        files = [file for file in ready if source_of(file.name) == source]
        while files:
            group = first_group(files, settings.batch_max_files, settings.batch_max_bytes)
            files = files[len(group) :]
            take_batch(stores, group, source, time_ns)


def take_batch(stores: EntropyStores, group: list[ReadyFile], source: str, time_ns: int) -> None:
    """Make one batch of `group`; a file that changed since it was listed stays for the next tick."""
    contents, taken = [], []
    for file in group:
        with suppress(FileStillChanging, ImageRejected, FileNotFoundError):
            contents.append((file.name, stores.inbox.read(file)))
            taken.append(file)
    if not taken:
        return
    batch = ingest.open_batch(
        stores.batches,
        stores.images,
        contents,
        source=source,
        newest_ns=max(file.mtime_ns for file in taken),
        time_ns=time_ns,
        os_bytes=secrets.token_bytes(32),
        recipe=stores.recipe,
    )
    stores.inbox.take(taken, batch.key)


def make_publish_validated_blocks(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that publishes every validated batch."""

    @dg.sensor(
        name="publish_validated_blocks",
        job=publish_blocks,
        minimum_interval_seconds=settings.publish_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Validated batch -> publish run. Reads every materialisation since its cursor, in order.",
    )
    def publish_validated_blocks(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # An asset sensor would see only the newest event of a tick, and a run-status sensor loses an event when its
        # body raises; a cursor over storage ids sees each one at least once, and publishing twice does nothing.
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=validated_blocks.key, after_storage_id=int(context.cursor) if context.cursor else None
            ),
            limit=_EVENTS_PER_TICK,
            ascending=True,
        ).records
        if not records:
            return dg.SkipReason("no batch was validated since the last tick")
        requests = [
            dg.RunRequest(
                run_key=f"publish:{record.partition_key}:{record.storage_id}", partition_key=record.partition_key
            )
            for record in records
            if record.partition_key
        ]
        return dg.SensorResult(run_requests=requests, cursor=str(records[-1].storage_id))

    return publish_validated_blocks


@dataclass(frozen=True, slots=True)
class ReplenishCursor:
    """Memory of the low-water sensor between ticks.

    Attributes
    ----------
    round
        Requests so far; makes each run key new.
    filling
        Whether the pool went under the low mark and has not reached the high one yet.
    pool_absent_ticks
        Ticks in a row without an answer from the pool.
    """

    round: int = 0
    filling: bool = False
    pool_absent_ticks: int = 0

    @classmethod
    def loads(cls, text: str | None) -> "ReplenishCursor":
        """Read a cursor; a missing one is a new one."""
        return cls(**json.loads(text)) if text else cls()

    def dumps(self) -> str:
        """Return the cursor as text."""
        return json.dumps(asdict(self))


def next_filling(filling: bool, ready_bytes: int, low: int, high: int) -> bool:
    """Return whether the pool is to be filled: from below `low` until `high` is reached."""
    return ready_bytes < (high if filling else low)


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
        context: dg.SensorEvaluationContext, stores: EntropyStores, pool: RedisPool
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
    waiting = stores.inbox.ready(time.time() + stores.settle_seconds)
    # A batch that has its partition had its run; one that failed must not keep the pool empty.
    unlaunched = set(stores.inbox.taken()) - set(context.instance.get_dynamic_partitions(IMAGE_BATCHES))
    return runs + len(waiting) + len(unlaunched)


def _pool_absent(context: dg.SensorEvaluationContext, cursor: ReplenishCursor) -> dg.SkipReason:
    absent = cursor.pool_absent_ticks + 1
    context.update_cursor(ReplenishCursor(cursor.round, cursor.filling, absent).dumps())
    if absent > POOL_GRACE_TICKS:
        raise dg.Failure(description=f"the pool has not answered for {absent} ticks; is its server running?")
    return dg.SkipReason(f"the pool does not answer (tick {absent} of {POOL_GRACE_TICKS} that are borne)")


def make_run_failure_alert(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that writes an alert for every failed run."""
    path = settings.alerts_path

    @dg.run_failure_sensor(
        name="run_failure_alert",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Failed run -> one line of JSON in alerts.jsonl. It holds names and errors, never bytes.",
    )
    def run_failure_alert(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        append_alert(
            path,
            run_id=run.run_id,
            job=run.job_name,
            batch=run.tags.get("dagster/partition", ""),
            error=context.failure_event.message or "",
        )

    return run_failure_alert


def append_alert(path: Path, **facts: str) -> None:
    """Append one alert to the file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), **facts}, sort_keys=True) + "\n")


MAKERS: Final[tuple[Callable[[Settings], dg.SensorDefinition], ...]] = (
    make_new_images,
    make_publish_validated_blocks,
    make_replenish_low_pool,
    make_run_failure_alert,
)
