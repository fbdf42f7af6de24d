"""The reply of the script `scripts.SURVEY`, as the statistics that it stands for; those of several pools as one."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from entropy_assets.errors import PoolError
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.blocks import EPOCH_CHANGED, LaneStats, PoolHealth, PoolStats, ShardState

_COUNTERS: Final = tuple(name for name in LaneStats.__dataclass_fields__ if name.endswith(("_blocks", "_bytes")))
_OF_LANE: Final = ("blocks", "bytes", *_COUNTERS)


def stats_of(reply: Sequence[Any]) -> PoolStats:
    """Return what `reply` says: the counts of each lane, and their sums."""
    status, now, run_id, public, private, tombstones, soonest, *meta = reply
    fields = {name.decode(): value.decode() for name, value in zip(meta[::2], meta[1::2], strict=True)}
    now_ms = float(now)
    epoch_ok = status == b"OK"

    def age_s(field: str) -> float | None:
        return (now_ms - float(fields[field])) / 1000 if field in fields else None

    lanes: dict[Lane, LaneStats] = {
        lane: LaneStats(
            blocks=int(blocks) if epoch_ok else 0,
            bytes=int(fields.get(f"{lane}_bytes", 0)) if epoch_ok else 0,
            **{name: int(fields.get(f"{lane}_{name}", 0)) for name in _COUNTERS},
        )
        for lane, blocks in zip(LANES, (public, private), strict=True)
    }
    return PoolStats(
        blocks=sum(lane.blocks for lane in lanes.values()),
        bytes=sum(lane.bytes for lane in lanes.values()),
        epoch=fields.get("epoch", ""),
        run_id=run_id.decode(),
        epoch_ok=epoch_ok,
        tombstones=int(tombstones),
        soonest_expiry_s=(float(soonest) - now_ms) / 1000 if soonest else None,
        epoch_age_s=age_s("since_ms"),
        since_last_push_s=age_s("last_push_ms"),
        since_last_lease_s=age_s("last_lease_ms"),
        ahead_s=now_ms / 1000 - time.time(),
        **{name: sum(getattr(lane, name) for lane in lanes.values()) for name in _COUNTERS},
        lanes=lanes,
    )


def sum_of(shards: Sequence[ShardState]) -> PoolStats:
    """Return what several pools say together; at least one of them must say something."""
    told = [shard.stats for shard in shards if shard.stats is not None]

    def youngest(field: str) -> float | None:
        return min((value for each in told if (value := getattr(each, field)) is not None), default=None)

    lanes: dict[Lane, LaneStats] = {
        lane: LaneStats(**{name: sum(getattr(each.lanes[lane], name) for each in told) for name in _OF_LANE})
        for lane in LANES
    }
    return PoolStats(
        epoch=",".join(each.epoch for each in told),
        run_id=",".join(each.run_id for each in told),
        epoch_ok=any(each.epoch_ok for each in told),
        tombstones=sum(each.tombstones for each in told),
        soonest_expiry_s=youngest("soonest_expiry_s"),
        epoch_age_s=max((each.epoch_age_s for each in told if each.epoch_age_s is not None), default=None),
        since_last_push_s=youngest("since_last_push_s"),
        since_last_lease_s=youngest("since_last_lease_s"),
        ahead_s=max((each.ahead_s for each in told), key=abs),
        **{name: sum(getattr(lane, name) for lane in lanes.values()) for name in _OF_LANE},
        lanes=lanes,
        shards=tuple(shards),
    )


def health_of(ask: Callable[[], PoolStats]) -> PoolHealth:
    """Return whether a pool can serve, by what it says of itself when it is asked; never raises a `PoolError`."""
    before = time.monotonic()
    try:
        stats = ask()
    except PoolError as error:
        return PoolHealth((error.message,), None, time.monotonic() - before)
    return PoolHealth(() if stats.epoch_ok else (EPOCH_CHANGED,), stats, time.monotonic() - before)
