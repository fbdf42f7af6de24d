"""Sensors: pure functions of a cursor and what they look at, under thin decorators."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import dagster as dg

from entropy_assets.defs.assets import POOL_KEY, validated_blocks
from entropy_assets.defs.jobs import PROCESS, PUBLISH, REPLENISH, process_images, publish_blocks, replenish_pool
from entropy_assets.defs.metadata import pool_depth
from entropy_assets.defs.partitions import IMAGE_BATCHES, image_batches
from entropy_assets.defs.resources import EntropyStores, RedisPool
from entropy_assets.errors import FileStillChanging, PoolError
from entropy_assets.settings import Settings
from entropy_assets.stages import ingest
from entropy_assets.stages.state import state_of
from entropy_assets.stores.batches import batch_key
from entropy_assets.stores.home import Home
from entropy_assets.stores.inbox import DropFolder, ReadyFile, printable

_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_EVENTS_PER_TICK: Final = 100
PUBLISH_AGAIN_S: Final = 300.0
"""Seconds after which a batch that is still not in the ledger is asked for again."""
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
        take_batches(stores, settings, time.time())
        keys = sorted(finish_intakes(stores, settings))
        if not keys:
            alone = sum(len(inbox.pending(time.time())) for inbox in stores.inboxes().values())
            return dg.SkipReason(f"no new batch; {alone} entries of the inbox are left alone")
        # Every batch with files that are not settled is asked for at each tick: Dagster knows by the run key which of
        # them had their run, and a daemon that was killed between partition and run loses none.
        return dg.SensorResult(
            dynamic_partitions_requests=[image_batches.build_add_request(keys)],
            run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in keys],
        )

    return new_images


def take_batches(stores: EntropyStores, settings: Settings, now: float) -> None:
    """Move the ready files of every inbox into groups, each under the key of its batch to be.

    Files move before anything else is done with them, so a crash at any point leaves each file either in the inbox or
    in a group that `finish_intakes` finds.
    """
    for source, inbox in stores.inboxes().items():
        files = inbox.ready(now)
        while files:
            group = first_group(files, settings.batch_max_files, settings.batch_max_bytes)
            files = files[len(group) :]
            listed = [(printable(file.name), str(file.mtime_ns), file.size) for file in group]
            inbox.take(group, batch_key(source, time.time_ns(), listed))


def finish_intakes(stores: EntropyStores, settings: Settings) -> Iterator[str]:
    """Yield the keys of the batches with files that are not settled, each with its intake fixed."""
    for source, inbox in stores.inboxes().items():
        for key in inbox.taken():
            if not stores.place.batches().has(key):
                _fix_intake(stores, settings, inbox, source, key)
            if stores.place.batches().has(key):
                yield key


def _fix_intake(stores: EntropyStores, settings: Settings, inbox: DropFolder, source: str, key: str) -> None:
    ingest.open_batch(
        stores.place.batches(),
        stores.place.images(),
        _contents(inbox, key),
        key=key,
        source=source,
        time_ns=time.time_ns(),
        os_bytes=secrets.token_bytes(32),
        recipe=settings.recipe,
        limits=stores.limits,
    )


def _contents(inbox: DropFolder, key: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file of a group; one that still changes goes back to the inbox."""
    for file in inbox.files_of(key):
        try:
            yield file.name, inbox.read(file)
        except FileStillChanging:
            inbox.put_back(key, file.name)


@dataclass(slots=True)
class PublishRequest:
    """One batch that waits to be published.

    Attributes
    ----------
    storage_id
        Of the materialisation that asked for it.
    round
        Runs that were asked for.
    asked_at
        When the last of them was, seconds since 1970.
    """

    storage_id: int
    round: int = 0
    asked_at: float = 0.0


@dataclass(slots=True)
class PublishCursor:
    """Memory of the publish sensor: how far it read, and which batches are not in the ledger yet."""

    storage_id: int = 0
    waiting: dict[str, PublishRequest] = field(default_factory=dict)

    @classmethod
    def loads(cls, text: str | None) -> "PublishCursor":
        """Read a cursor; a missing one is a new one."""
        if not text:
            return cls()
        known = json.loads(text)
        waiting = {key: PublishRequest(**asked) for key, asked in known["waiting"].items()}
        return cls(known["storage_id"], waiting)

    def dumps(self) -> str:
        """Return the cursor as text."""
        return json.dumps(asdict(self))

    def requests(self, now: float) -> Iterator[dg.RunRequest]:
        """Yield a run for each batch that was never asked for, or not for a while: the pool may have been away."""
        for key, asked in self.waiting.items():
            if now - asked.asked_at >= PUBLISH_AGAIN_S:
                yield dg.RunRequest(run_key=f"publish:{key}:{asked.storage_id}:{asked.round}", partition_key=key)
                asked.round += 1
                asked.asked_at = now


def _is_due(stores: EntropyStores, key: str, asked: PublishRequest) -> bool:
    """Tell whether a batch has something to publish, or has to show in its run that it was published before."""
    return asked.round == 0 or state_of(stores.batch(key), stores.place.ledger()).awaits_publication


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
        context: dg.SensorEvaluationContext, stores: EntropyStores
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
            cursor.storage_id = record.storage_id
            if record.partition_key:
                cursor.waiting[record.partition_key] = PublishRequest(record.storage_id)
        cursor.waiting = {key: asked for key, asked in cursor.waiting.items() if _is_due(stores, key, asked)}
        requests = list(cursor.requests(time.time()))
        if not requests:
            context.update_cursor(cursor.dumps())
            return dg.SkipReason(f"{len(cursor.waiting)} batches wait for their publish run")
        return dg.SensorResult(run_requests=requests, cursor=cursor.dumps())

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
    known = set(context.instance.get_dynamic_partitions(IMAGE_BATCHES))
    for inbox in stores.inboxes().values():
        # A batch that has its partition had its run; one that failed must not keep the pool empty.
        runs += len(inbox.ready(time.time() + stores.settle_seconds)) + len(set(inbox.taken()) - known)
    return runs


def _pool_absent(context: dg.SensorEvaluationContext, cursor: ReplenishCursor) -> dg.SkipReason:
    absent = cursor.pool_absent_ticks + 1
    context.update_cursor(ReplenishCursor(cursor.round, cursor.filling, absent).dumps())
    if absent > POOL_GRACE_TICKS:
        raise dg.Failure(description=f"the pool has not answered for {absent} ticks; is its server running?")
    return dg.SkipReason(f"the pool does not answer (tick {absent} of {POOL_GRACE_TICKS} that are borne)")


def make_run_failure_alert(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that writes an alert for every failed run."""
    path = Home(settings.home).alerts_file

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
