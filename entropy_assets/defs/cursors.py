"""What the sensors know from tick to tick: little, since a cursor outlives the runs and events that it tells of.

``dagster run wipe`` numbers events from 1 again and keeps the cursors; a deleted DAGSTER_HOME loses all. So what is to
be done is asked of the batches, and a run key follows from the newest run that Dagster still has.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Final

import dagster as dg

PUBLISH_AGAIN_S: Final = 300.0
"""Seconds after the end of its last run after which a batch that is still not in the ledger is asked for again."""
LOST_RETRY_S: Final = 60.0
"""Seconds after the end of a run after which the retry that Dagster promised for it counts as lost."""
MOST_RUNS: Final = 100
"""Runs of one job that are asked for before any of them has ended. The batches behind them wait where they cost
nothing: Dagster's queue is read as a whole at every look."""
KEYS_AT_ONCE: Final = 100
"""Batches that one question is about: an instance on SQLite opens its file anew for each."""
PARTITION: Final = "dagster/partition"
"""Tag by which Dagster knows the batch of a run."""
WILL_RETRY: Final = "dagster/will_retry"
"""Tag of a failed run that Dagster's daemon will retry, if its value is ``true``."""
RETRIED_BY: Final = "dagster/auto_retry_run_id"
"""Tag by which a failed run names its retry."""
UNFINISHED: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def newest_run(instance: dg.DagsterInstance, job: str, batch_key: str | None = None) -> dg.RunRecord | None:
    """Return the newest run of `job`, with `batch_key` the newest for this batch; None if Dagster has none."""
    tags = {} if batch_key is None else {PARTITION: batch_key}
    records = instance.get_run_records(dg.RunsFilter(job_name=job, tags=tags), limit=1)
    return records[0] if records else None


def newest_runs(instance: dg.DagsterInstance, job: str, batch_keys: Iterable[str]) -> dict[str, dg.RunRecord]:
    """Return the newest run of `job` for each of `batch_keys` that has one, at the cost of a look for many."""
    found: dict[str, dg.RunRecord] = {}
    for keys in batched(batch_keys, KEYS_AT_ONCE):
        for record in instance.get_run_records(dg.RunsFilter(job_name=job, tags={PARTITION: list(keys)})):
            found.setdefault(record.dagster_run.tags[PARTITION], record)  # they come newest first
    return found


def batched(keys: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield `keys` in their order, at most so many at once."""
    rest = iter(keys)
    while part := tuple(islice(rest, size)):
        yield part


def key_after(what: str, newest: dg.RunRecord | None) -> str:
    """Return the key of the run that follows on the `newest` one.

    It is the same until that run is there, so a tick that is repeated asks for one run; and no run that Dagster still
    has was asked for by it, whatever was wiped or forgotten.
    """
    return f"{what}:after:{newest.dagster_run.run_id if newest else 'none'}"


def is_due(newest: dg.RunRecord | None, now: float) -> bool:
    """Tell whether a batch that is not published may be asked for: never yet, or its last run ended a while ago.

    Never while a run of it waits or works, however long: a backlog would feed itself. After a run that failed the pool
    may be away. The distance counts in both directions, so that a clock that was set back delays nothing for long.
    """
    if newest is None or has_lost_its_retry(newest, now):
        return True
    ended = newest.dagster_run.status not in UNFINISHED
    return ended and abs(now - newest.update_timestamp.timestamp()) >= PUBLISH_AGAIN_S


def has_lost_its_retry(newest: dg.RunRecord, now: float) -> bool:
    """Tell whether a run failed, Dagster promised to retry it, and has not.

    Its daemon reads of each failure once. If it does just before the run's row says so too, it takes the run for one
    that works, and never looks again (1.13).
    """
    tags = newest.dagster_run.tags
    is_promised = newest.dagster_run.status is dg.DagsterRunStatus.FAILURE and tags.get(WILL_RETRY) == "true"
    is_over = abs(now - newest.update_timestamp.timestamp()) >= LOST_RETRY_S
    return is_promised and is_over and RETRIED_BY not in tags


def due(
    instance: dg.DagsterInstance, job: str, batch_keys: Iterable[str], now: float
) -> list[tuple[str, dg.RunRecord | None]]:
    """Return those of `batch_keys` that a run of `job` may be asked for, in their order, each with its newest run.

    So many that no more than `MOST_RUNS` are unfinished. Of the others Dagster is not asked: thousands may wait.
    """
    unfinished = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=MOST_RUNS)
    waiting = {record.dagster_run.tags.get(PARTITION) for record in unfinished}
    found: list[tuple[str, dg.RunRecord | None]] = []
    for keys in batched((key for key in batch_keys if key not in waiting), KEYS_AT_ONCE):
        room = MOST_RUNS - len(unfinished) - len(found)
        if room <= 0:
            break
        newest = newest_runs(instance, job, keys)
        found += [(key, newest.get(key)) for key in keys if is_due(newest.get(key), now)][:room]
    return found


@dataclass(frozen=True, slots=True)
class ReplenishCursor:
    """Memory of the low-water sensor between ticks.

    Attributes
    ----------
    filling
        Whether the pool went under the low mark and has not reached the high one yet.
    pool_absent_ticks
        Ticks in a row without an answer from the pool.
    """

    filling: bool = False
    pool_absent_ticks: int = 0

    @classmethod
    def loads(cls, text: str | None) -> "ReplenishCursor":
        """Read a cursor; a missing one is a new one. The first release kept a ``round`` besides."""
        fields = json.loads(text) if text else {}
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})

    def dumps(self) -> str:
        """Return the cursor as text."""
        return json.dumps(asdict(self))


def next_filling(filling: bool, ready_bytes: int, low: int, high: int) -> bool:
    """Return whether the pool is to be filled: from below `low` until `high` is reached."""
    return ready_bytes < (high if filling else low)
