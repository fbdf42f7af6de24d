"""Sensors: thin decorators over what the stages do and what `cursors` remember."""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.assets import POOL_KEY
from entropy_assets.defs.cursors import (
    KEYS_AT_ONCE,
    UNFINISHED,
    ReplenishCursor,
    due,
    has_lost_its_retry,
    key_after,
    newest_run,
    newest_runs,
    next_filling,
)
from entropy_assets.defs.feeds.asking import Feeds, ImageFeeds
from entropy_assets.defs.feeds.jobs import INGEST, MOST_WORDS
from entropy_assets.defs.jobs import PROCESS, PUBLISH, REPLENISH, publish_blocks, replenish_pool
from entropy_assets.defs.metadata import pool_depth
from entropy_assets.defs.partitions import image_batches
from entropy_assets.defs.resources import EntropyStores, Pool, RedisPool, Stores, typed_failures
from entropy_assets.errors import BatchError, PoolError
from entropy_assets.settings import Settings
from entropy_assets.stages.intake import (
    Linger,
    finish_intakes,
    lane_by_demand,
    settle_assessed,
    take_batches,
    urgency_of,
)
from entropy_assets.stages.state import LedgerWatch, Stage, Unfinished
from entropy_assets.stores.home import Home
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.pool.blocks import LaneStats

BEGIN_AGAIN_S: Final = 60.0
"""Seconds for which nothing has changed in a batch without a run before it is begun again."""
ALERT_AGE: Final = timedelta(days=1)
"""Runs that failed longer ago are no news, also to a log of alerts that was emptied."""
MOST_TOLD: Final = 16
"""Failed runs that one look tells of: to read why one failed takes Dagster a twentieth of a second."""
PRIORITY: Final = "dagster/priority"
"""Tag by which Dagster's queue lets a run go before others."""
POOL_GRACE_TICKS: Final = 4
"""Ticks for which an absent pool is only skipped; after that the tick is red."""


def make_new_images(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that turns the files of the inbox into batches."""
    home = Home.of(settings)
    unfinished = Unfinished(home.batches(), home.ledger(readonly=True))
    ledger = LedgerWatch(home.batches(), home.ledger(readonly=True))

    @dg.sensor(
        name="new_images",
        job_name=PROCESS,
        minimum_interval_seconds=settings.inbox_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Inbox -> batch. Takes every file that has stopped changing, fixes the batch, and runs it.",
    )
    def new_images(
        context: dg.SensorEvaluationContext, stores: Stores, pool: Pool, feeds: Feeds
    ) -> dg.SensorResult | dg.SkipReason:
        inboxes = stores.inboxes()

        def warn(text: str) -> None:
            context.log.warning(text)  # a tick has a log once it is asked for

        settle_assessed(stores.layout, inboxes, warn)
        most = settings.batch_max_files
        take_batches(
            inboxes,
            max_files=most,
            max_bytes=settings.batch_max_bytes,
            now=time.time(),
            are_first=settings.public_share not in (0, 1) and not any(stores.layout.batches()),
            linger=Linger(settings.linger_files, settings.linger_seconds),
        )
        taken = set(
            finish_intakes(
                stores.layout,
                inboxes,
                recipe=settings.recipe,
                limits=stores.limits,
                next_lane=lambda source: feeds.lane_of(source) or _next_lane(unfinished, pool, settings.public_share),
                warn=warn,
            )
        )
        run_keys = {key: key for key in taken} | _lost(context, unfinished, taken)
        keys = sorted(run_keys)
        if not keys:
            alone = sum(len(inbox.pending(time.time())) for inbox in inboxes.values())
            return dg.SkipReason(f"no new batch; {alone} entries of the inbox are left alone")
        _refuse_unsound(context, ledger)
        urgency = {
            key: urgency_of(source, len(inbox.files_of(key)), most)
            for source, inbox in inboxes.items()
            for key in inbox.taken()
        }
        # Every batch with files that are not settled is asked for at each tick: Dagster knows by the run key which of
        # them had their run, and a daemon that was killed between partition and run loses none.
        return dg.SensorResult(
            dynamic_partitions_requests=[image_batches.build_add_request(keys)],
            run_requests=[
                dg.RunRequest(run_key=run_keys[key], partition_key=key, tags={PRIORITY: str(urgency.get(key, 0))})
                for key in keys
            ],
        )

    return new_images


def _refuse_unsound(context: dg.SensorEvaluationContext, ledger: LedgerWatch) -> None:
    """Let the tick fail if the ledger is behind: its runs would fail, and each batch would then need another one."""
    with typed_failures():
        ledger.refuse_if_behind(known_to_dagster(context.instance))


def _lost(context: dg.SensorEvaluationContext, unfinished: Unfinished, taken: Collection[str]) -> dict[str, str]:
    """Return the key of the next run for each batch that stands still before its verdicts.

    Either it is in no inbox and has no run, since it was wiped; or Dagster has lost the retry of its run.
    """
    quiet = [
        batch.key
        for batch, state in unfinished
        if not isinstance(state, BatchError)
        and state.stage is not Stage.VALIDATED
        and not state.is_known_beforehand
        and abs(time.time() - batch.changed_at()) >= BEGIN_AGAIN_S
    ]
    begun, now = newest_runs(context.instance, PROCESS, quiet), time.time()
    wiped = {key: key for key in quiet if key not in begun and key not in taken}
    return wiped | {key: key_after(key, run) for key, run in begun.items() if has_lost_its_retry(run, now)}


def _next_lane(unfinished: Unfinished, pool: RedisPool, public_share: float | None) -> Lane:
    """Return the lane of the next batch, also if the pool does not answer."""
    lanes: Mapping[Lane, LaneStats] = {}
    with contextlib.suppress(PoolError), pool.connect() as client:
        lanes = client.stats().lanes
    return lane_by_demand(unfinished, lanes, public_share)


def make_publish_validated_blocks(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that publishes every validated batch."""
    home = Home.of(settings)
    unfinished = Unfinished(home.batches(), home.ledger(readonly=True))
    ledger = LedgerWatch(home.batches(), home.ledger(readonly=True))

    @dg.sensor(
        name="publish_validated_blocks",
        job=publish_blocks,
        minimum_interval_seconds=settings.publish_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Validated batch -> publish run. Asks the batches which of them are validated and not published; "
        "Dagster's events may be gone.",
    )
    def publish_validated_blocks(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        waiting = _awaiting(unfinished)
        requests = [
            dg.RunRequest(run_key=key_after(f"publish:{key}", newest), partition_key=key)
            for key, newest in due(context.instance, PUBLISH, waiting, time.time())
        ]
        if not requests:
            return dg.SkipReason(f"{len(waiting)} batches wait for their publish run")
        _refuse_unsound(context, ledger)
        keys = [request.partition_key for request in requests if request.partition_key]
        return dg.SensorResult(
            dynamic_partitions_requests=[image_batches.build_add_request(keys)], run_requests=requests
        )

    return publish_validated_blocks


def make_replenish_low_pool(settings: Settings, feeds: ImageFeeds, asking: dg.JobDefinition) -> dg.SensorDefinition:
    """Return the sensor that asks for more images when the pool runs low.

    Parameters
    ----------
    feeds, asking
        The feeds, and the job that asks them.
    """
    home = Home.of(settings)
    unfinished = Unfinished(home.batches(), home.ledger(readonly=True))

    @dg.sensor(
        name="replenish_low_pool",
        jobs=[replenish_pool, asking],
        minimum_interval_seconds=settings.replenish_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Low pool -> fetch images. Starts under the low-water mark, stops at the high one, and waits "
        "while anything is on its way.",
    )
    def replenish_low_pool(
        context: dg.SensorEvaluationContext, stores: Stores, pool: Pool
    ) -> dg.SensorResult | dg.SkipReason:
        cursor = ReplenishCursor.loads(context.cursor)
        on_the_way = _on_the_way(context, stores, unfinished)
        try:
            with pool.connect() as client:
                stats = client.stats()  # after the looks at all that comes before the pool: see `_on_the_way`
        except PoolError:
            return _pool_absent(context, cursor)
        filling = next_filling(cursor.filling, stats.bytes, settings.low_water_bytes, settings.high_water_bytes)
        numbers = f"{stats.bytes} bytes ready, marks {settings.low_water_bytes} and {settings.high_water_bytes}"
        requests: list[dg.RunRequest] = []
        why_not = f"{on_the_way} runs, batches or files are on their way" if filling else "enough"
        if filling and not on_the_way:
            requests, why_not = _more_images(context.instance, settings, feeds)
        if not requests:
            # Filling begins with a request. What is on its way may be enough, if not up to the high mark.
            context.update_cursor(ReplenishCursor(filling and cursor.filling).dumps())
            return dg.SkipReason(f"{numbers}; {why_not}")
        return dg.SensorResult(
            run_requests=requests,
            asset_events=[dg.AssetObservation(POOL_KEY, metadata=pool_depth(stats.blocks, stats.shards))],
            cursor=ReplenishCursor(filling=True).dumps(),
        )

    return replenish_low_pool


def _more_images(
    instance: dg.DagsterInstance, settings: Settings, feeds: ImageFeeds
) -> tuple[list[dg.RunRequest], str]:
    """Return the runs that bring more images, and why nothing is asked if there is none."""
    requests = []
    if settings.simulated_camera:
        key = key_after("replenish", newest_run(instance, REPLENISH))
        requests.append(dg.RunRequest(run_key=key, job_name=REPLENISH))
    feeds = feeds.read_again()
    if feeds.refusal is not None:
        return requests, f"low, and no feed can be asked: {feeds.refusal.message}"
    if not feeds.is_configured:
        return requests, "low, and no source can be asked: drop images into the inbox, or configure a feed"
    due, others = feeds.due()
    if due:
        requests.append(dg.RunRequest(run_key=key_after(INGEST, newest_run(instance, INGEST)), job_name=INGEST))
    return requests, f"low, and no feed is due: {'; '.join(others)}"[:MOST_WORDS]


def _on_the_way(context: dg.SensorEvaluationContext, stores: EntropyStores, unfinished: Unfinished) -> int:
    """Count what may still fill the pool without the camera: runs, files, and batches between their two runs.

    The looks go the way of the images. What moves on between two looks is then counted twice; in any other order it
    could be missed by both.
    """
    instance = context.instance
    found = _unfinished_runs(instance, REPLENISH) + _unfinished_runs(instance, INGEST)
    for inbox in stores.inboxes().values():
        found += len(inbox.ready(time.time() + stores.settle_seconds))
        # One whose run failed must not keep the pool empty.
        taken = inbox.taken()
        found += len(taken) - len(newest_runs(instance, PROCESS, taken))
    found += _unfinished_runs(instance, PROCESS)
    # Of a heap the newest ones are enough. One whose publish run failed must not keep the pool empty either.
    waiting = _awaiting(unfinished)[-KEYS_AT_ONCE:]
    found += len(waiting) - len(newest_runs(instance, PUBLISH, waiting))
    return found + _unfinished_runs(instance, PUBLISH)


def _awaiting(unfinished: Unfinished) -> list[str]:
    """Return the batches that wait for their publication, the oldest first."""
    return [batch.key for batch, state in unfinished if not isinstance(state, BatchError) and state.awaits_publication]


def _unfinished_runs(instance: dg.DagsterInstance, job: str) -> int:
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=UNFINISHED))


def _pool_absent(context: dg.SensorEvaluationContext, cursor: ReplenishCursor) -> dg.SkipReason:
    absent = cursor.pool_absent_ticks + 1
    context.update_cursor(ReplenishCursor(cursor.filling, absent).dumps())
    if absent > POOL_GRACE_TICKS:
        raise dg.Failure(description=f"the pool has not answered for {absent} ticks; is its server running?")
    return dg.SkipReason(f"the pool does not answer (tick {absent} of {POOL_GRACE_TICKS} that are borne)")


def make_run_failure_alert(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that writes an alert for every failed run."""
    alerts = Home.of(settings).alerts()

    # Not a run status sensor: its cursor is the number of an event, and a wipe numbers events from 1 again.
    @dg.sensor(
        name="run_failure_alert",
        minimum_interval_seconds=settings.replenish_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Failed run -> one line of JSON in alerts.jsonl. It holds names and errors, never bytes.",
    )
    def run_failure_alert(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        told = {alert["run_id"] for alert in alerts.read()}
        yesterday = datetime.now(UTC) - ALERT_AGE
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=yesterday)
        # Without a limit, which would leave out those that failed first, at every look. If more fail in a
        # day than the log holds, some thousand, they are told again.
        records = context.instance.get_run_records(failed, order_by="update_timestamp")
        new = [record.dagster_run for record in records if record.dagster_run.run_id not in told]
        for run in reversed(new[-MOST_TOLD:]):  # those that failed first; the others are as new at the next look
            alerts.append(
                run_id=run.run_id,
                job=run.job_name,
                batch=run.tags.get("dagster/partition", ""),
                error=_failure_of(context.instance, run.run_id),
            )
        later = max(0, len(new) - MOST_TOLD)
        rest = f"; {later} of them are told at the next ones" if later else ""
        return dg.SkipReason(f"{len(new)} runs failed since the last look{rest}")

    return run_failure_alert


def _failure_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return why a run failed, in Dagster's words; empty if it does not say."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return str(events[-1].get_dagster_event().message or "") if events else ""


MAKERS: Final[tuple[Callable[[Settings], dg.SensorDefinition], ...]] = (
    make_new_images,
    make_publish_validated_blocks,
    make_run_failure_alert,
)
