"""What Dagster keeps of batches that were removed and of runs that ended long ago, and how it goes.

By its public interface alone: an instance may be on SQLite, PostgreSQL, or anybody's own storage.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from entropy_assets.defs.anchors import run_of_anchor
from entropy_assets.defs.cursors import KEYS_AT_ONCE, PARTITION, UNFINISHED, batched, newest_run
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.stages.retention.limits import DAY_S

MOST_AT_ONCE: Final = 500
"""Runs, and partitions, that one look takes: a run on SQLite takes tens of milliseconds to delete."""
ENDED: Final = tuple(status for status in dg.DagsterRunStatus if status not in UNFINISHED)


@dataclass(frozen=True, slots=True)
class History:
    """What goes of Dagster's memory.

    Attributes
    ----------
    runs
        Ids of the runs, the oldest first.
    partitions
        Keys of removed batches that have no other run any more.
    """

    runs: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()


def old_history(
    instance: dg.DagsterInstance, *, removed: Collection[str], busy: Collection[str], days: int | None, now_s: float
) -> History:
    """Return what Dagster need not remember any more, the oldest first, `MOST_AT_ONCE` of each at most.

    The newest run of each job stays, from which the key of its next one follows, and the run that tells what Dagster
    knows of the ledger.

    Parameters
    ----------
    removed
        Keys of the batches that were removed: their runs go, whatever their age, and their partitions.
    busy
        Keys of batches on which something is left to do: while their runs are known they are asked for once.
    days
        Age at which runs of other batches and of no batch go, days since they ended; None for never.
    now_s
        The present, seconds since 1970.
    """
    kept = {run_of_anchor(instance)}
    known = [key for key in instance.get_dynamic_partitions(IMAGE_BATCHES) if key in removed][:MOST_AT_ONCE]
    runs: dict[str, None] = {}
    partitions: list[str] = []
    for keys in batched(known, KEYS_AT_ONCE):
        records = instance.get_run_records(dg.RunsFilter(tags={PARTITION: list(keys)}), ascending=True)
        at_work = {_batch_of(record) for record in records if record.dagster_run.status in UNFINISHED}
        partitions += [key for key in keys if key not in at_work]
        runs |= {_id(record): None for record in records if _batch_of(record) not in at_work}
    if days is not None:
        before = datetime.fromtimestamp(now_s - days * DAY_S, UTC)
        runs |= dict.fromkeys(map(_id, _old_runs(instance, before, busy)))
    return History(tuple(run for run in runs if run not in kept)[: 2 * MOST_AT_ONCE], tuple(partitions))


def _old_runs(instance: dg.DagsterInstance, before: datetime, busy: Collection[str]) -> Iterator[dg.RunRecord]:
    newest: dict[str, str] = {}
    cursor, found = None, 0
    ended = dg.RunsFilter(statuses=list(ENDED), updated_before=before)
    while page := instance.get_run_records(ended, limit=KEYS_AT_ONCE, ascending=True, cursor=cursor):
        cursor = _id(page[-1])
        for record in page:
            job = record.dagster_run.job_name
            if job not in newest:
                last = newest_run(instance, job)
                newest[job] = "" if last is None else _id(last)
            if _id(record) != newest[job] and _batch_of(record) not in busy:
                yield record
                found += 1
            if found == MOST_AT_ONCE:
                return


def forget(instance: dg.DagsterInstance, history: History) -> None:
    """Delete what `history` names. A partition goes after its runs, so that who is killed finds the rest again."""
    for run_id in history.runs:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    for key in history.partitions:
        instance.delete_dynamic_partition(IMAGE_BATCHES, key)


def _id(record: dg.RunRecord) -> str:
    return record.dagster_run.run_id


def _batch_of(record: dg.RunRecord) -> str:
    return record.dagster_run.tags.get(PARTITION, "")
