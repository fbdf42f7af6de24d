"""What the sensors know from tick to tick: little, since a cursor outlives the runs and events that it tells of.

``dagster run wipe`` numbers events from 1 again and keeps the cursors; a deleted DAGSTER_HOME loses all. So what is to
be done is asked of the batches, and a run key follows from the newest run that Dagster still has.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

import dagster as dg

PUBLISH_AGAIN_S: Final = 300.0
"""Seconds after which a batch that is still not in the ledger is asked for again."""


def newest_run(instance: dg.DagsterInstance, job: str, batch_key: str | None = None) -> dg.RunRecord | None:
    """Return the newest run of `job`, with `batch_key` the newest for this batch; None if Dagster has none."""
    tags = {} if batch_key is None else {"dagster/partition": batch_key}
    records = instance.get_run_records(dg.RunsFilter(job_name=job, tags=tags), limit=1)
    return records[0] if records else None


def key_after(what: str, newest: dg.RunRecord | None) -> str:
    """Return the key of the run that follows on the `newest` one.

    It is the same until that run is there, so a tick that is repeated asks for one run; and no run that Dagster still
    has was asked for by it, whatever was wiped or forgotten.
    """
    return f"{what}:after:{newest.dagster_run.run_id if newest else 'none'}"


def is_due(newest: dg.RunRecord | None, now: float) -> bool:
    """Tell whether a batch that is not published may be asked for: never yet, or a while ago (the pool may be away).

    The distance counts in both directions, so that a clock that was set back delays nothing for long.
    """
    return newest is None or abs(now - newest.create_timestamp.timestamp()) >= PUBLISH_AGAIN_S


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
