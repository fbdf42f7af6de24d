"""What Dagster keeps of batches that were removed and of runs that ended long ago, and how it goes.

By its public interface, so that an instance may be on SQLite, PostgreSQL, or anybody's own storage; but for the file of
a run on SQLite, which Dagster itself never deletes.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

from entropy_assets.defs.cursors import KEYS_AT_ONCE, PARTITION, UNFINISHED, batched, newest_run
from entropy_assets.defs.feeds.jobs import INGEST
from entropy_assets.defs.jobs import AUDIT, REPLENISH
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.stages.retention.limits import DAY_S, FAILED_DAYS, RunLimits
from entropy_assets.stages.retention.plan import Kind, RemovalPlan
from entropy_assets.stages.state import Unfinished
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.removals import removed_keys

RETENTION: Final = "retention"
OF_NO_BATCH: Final = (INGEST, REPLENISH, AUDIT, RETENTION)
"""Jobs whose runs belong to no batch and soon tell nobody anything. The nightly reports are none of them: the history
of a report is its materializations, one a night."""
FORGET_S: Final = 300.0
"""For how long one run of the job deletes, seconds. It holds one of two places for runs (`dagster.yaml`), for which new
images wait. A run on SQLite takes 40 ms, so it gets through five days of looks at a feed that is asked every minute."""
OF_REMOVED: Final = "its batch was removed"
ENDED: Final = tuple(status for status in dg.DagsterRunStatus if status not in UNFINISHED)
_FAILED: Final = dg.DagsterRunStatus.FAILURE
Progress = Callable[[str, int, int], object]
"""Called with what goes, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class History:
    """What goes of Dagster's memory.

    Attributes
    ----------
    runs
        Why each run goes, by its id; those of a removed batch first, the oldest of each reason first.
    partitions
        Keys of removed batches that have no other run any more, each with its runs, which are among `runs`.
    """

    runs: Mapping[str, str] = field(default_factory=dict)
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many runs and partitions went, and how many of both are left for the next time."""

    runs: int = 0
    partitions: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class KnownBatches:
    """What must be known of batches to tell which runs go.

    Attributes
    ----------
    removed
        Keys of those that were removed: their runs go, whatever their age, and their partitions.
    busy
        Keys of those on which something is left to do, or whose files wait in an inbox: while their runs are known they
        are asked for once.
    """

    removed: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()

    @classmethod
    def of(cls, home: Home, plan: RemovalPlan, inboxes: Mapping[str, Inbox]) -> "KnownBatches":
        """Return what they are once `plan` is carried out."""
        batches = home.batches()
        unfinished = {batch.key for batch, _ in Unfinished(batches, home.ledger(readonly=True))}
        noted = removed_keys(batches.blobs)
        put_back = filter(batches.has, noted.intersection(batches.names()))
        return cls(
            noted.difference(put_back).union(item.name for item in plan.of(Kind.BATCH)),
            frozenset(unfinished).union(*(inbox.taken() for inbox in inboxes.values())),
        )


def old_history(instance: dg.DagsterInstance, known: KnownBatches, limits: RunLimits, *, now_s: float) -> History:
    """Return what Dagster need not remember any more. Nothing is changed.

    The newest run of each job stays, from which the key of its next one follows, and the run of the newest
    materialization of each asset: by it Dagster knows of the ledger, and judges how fresh a feed is.

    Parameters
    ----------
    now_s
        The present, seconds since 1970.
    """
    newest = instance.get_latest_materialization_events(list(instance.all_asset_keys())).values()
    kept = {event.run_id for event in newest if event is not None}
    runs: dict[str, str] = {}
    partitions: dict[str, tuple[str, ...]] = {}
    for key, records in _runs_of(instance, known.removed):
        if all(record.dagster_run.status in ENDED for record in records):
            going = tuple(_id(record) for record in records if _id(record) not in kept)
            runs |= dict.fromkeys(going, OF_REMOVED)
            if len(going) == len(records):
                partitions[key] = going
    last: dict[str, str] = {}
    for ended, why in _rules(limits, now_s):
        for record in _every(instance, ended):
            job = record.dagster_run.job_name
            if job not in last:
                last[job] = "" if (run := newest_run(instance, job)) is None else _id(run)
            if _id(record) not in {*kept, last[job]} and _batch_of(record) not in known.busy:
                runs.setdefault(_id(record), why)
    return History(runs, partitions)


def forget(
    instance: dg.DagsterInstance,
    history: History,
    *,
    for_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress = lambda *_: None,
) -> Forgotten:
    """Delete what `history` names, and return what that was.

    A partition goes right after the last of its runs, and only then: by it those are found, so whoever is killed, or
    out of time, leaves what the next look finds.

    Parameters
    ----------
    for_s
        No more is begun once this is over, seconds.
    clock
        Seconds since any moment.
    """
    until, total = clock() + for_s, len(history.runs) + len(history.partitions)
    runs = partitions = done = 0
    for done, (what, delete) in enumerate(_steps(instance, history)):
        if clock() >= until:
            return Forgotten(runs, partitions, total - done)
        went = delete()
        runs += went and what == "run"
        partitions += went and what == "partition"
        progress("history", done + 1, total)
    return Forgotten(runs, partitions)


def _steps(instance: dg.DagsterInstance, history: History) -> Iterator[tuple[str, Callable[[], bool]]]:
    others = dict.fromkeys(history.runs)
    for key, runs in history.partitions.items():
        for run_id in runs:
            del others[run_id]
            yield "run", partial(_delete_run, instance, run_id)
        yield "partition", partial(_delete_partition, instance, key)
    for run_id in others:
        yield "run", partial(_delete_run, instance, run_id)


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> bool:
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        # Dagster empties it, and its empty tables are as large as they were with the events of a run.
        for end in ("", "-wal", "-shm"):
            Path(storage.path_for_shard(run_id) + end).unlink(missing_ok=True)
    return True


def _delete_partition(instance: dg.DagsterInstance, key: str) -> bool:
    # A run of it may have been asked for since the look.
    if instance.get_runs_count(dg.RunsFilter(tags={PARTITION: key})):
        return False
    instance.delete_dynamic_partition(IMAGE_BATCHES, key)
    return True


def _runs_of(instance: dg.DagsterInstance, removed: Collection[str]) -> Iterator[tuple[str, list[dg.RunRecord]]]:
    """Yield each removed batch that has a partition, with its runs, the oldest first."""
    keys = [key for key in instance.get_dynamic_partitions(IMAGE_BATCHES) if key in removed]
    for some in batched(keys, KEYS_AT_ONCE):
        found: dict[str, list[dg.RunRecord]] = {key: [] for key in some}
        for record in instance.get_run_records(dg.RunsFilter(tags={PARTITION: list(some)}), ascending=True):
            found[_batch_of(record)].append(record)
        yield from found.items()


def _rules(limits: RunLimits, now_s: float) -> Iterator[tuple[dg.RunsFilter, str]]:
    """Yield which runs are old, and why they go.

    Those of no batch are asked for by their jobs: an installation may have a hundred times as many of batches.
    """

    def before(days: int) -> datetime:
        return datetime.fromtimestamp(now_s - days * DAY_S, UTC)

    if limits.days is not None:
        why = f"{limits.days} days are kept (ENTROPY_KEEP_RUNS_DAYS)"
        yield dg.RunsFilter(statuses=list(ENDED), updated_before=before(limits.days)), why
    well = [status for status in ENDED if status is not _FAILED]
    for job in OF_NO_BATCH:
        why = f"of no batch: {limits.batchless_days} days are kept (ENTROPY_KEEP_BATCHLESS_RUNS_DAYS)"
        yield dg.RunsFilter(job_name=job, statuses=well, updated_before=before(limits.batchless_days)), why
        if limits.days is None:
            why = f"of no batch, and failed: {FAILED_DAYS} days are kept (ENTROPY_KEEP_RUNS_DAYS)"
            yield dg.RunsFilter(job_name=job, statuses=[_FAILED], updated_before=before(FAILED_DAYS)), why


def _every(instance: dg.DagsterInstance, wanted: dg.RunsFilter) -> Iterator[dg.RunRecord]:
    """Yield all runs that are wanted, the oldest first."""
    cursor = None
    while page := instance.get_run_records(wanted, limit=KEYS_AT_ONCE, ascending=True, cursor=cursor):
        yield from page
        cursor = _id(page[-1])


def _id(record: dg.RunRecord) -> str:
    return record.dagster_run.run_id


def _batch_of(record: dg.RunRecord) -> str:
    return record.dagster_run.tags.get(PARTITION, "")
