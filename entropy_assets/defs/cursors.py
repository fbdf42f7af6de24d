"""What the sensors remember from tick to tick: pure functions of a cursor and what was seen."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

import dagster as dg

PUBLISH_AGAIN_S: Final = 300.0
"""Seconds after which a batch that is still not in the ledger is asked for again."""


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
        fields = json.loads(text)
        waiting = {key: PublishRequest(**asked) for key, asked in fields["waiting"].items()}
        return cls(fields["storage_id"], waiting)

    def dumps(self) -> str:
        """Return the cursor as text."""
        return json.dumps(asdict(self))

    def note(self, storage_id: int, key: str | None) -> None:
        """Note that batch `key` was validated: it waits from now on, as one that was never asked for."""
        self.storage_id = storage_id
        if key:
            self.waiting[key] = PublishRequest(storage_id)

    def requests(self, now: float) -> Iterator[dg.RunRequest]:
        """Yield a run for each batch that was never asked for, or not for a while: the pool may have been away."""
        for key, asked in self.waiting.items():
            if now - asked.asked_at >= PUBLISH_AGAIN_S:
                yield dg.RunRequest(run_key=f"publish:{key}:{asked.storage_id}:{asked.round}", partition_key=key)
                asked.round += 1
                asked.asked_at = now


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
