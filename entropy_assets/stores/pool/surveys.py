"""The reply of the script `scripts.SURVEY`, as the statistics that it stands for."""

from collections.abc import Sequence
from typing import Any, Final

from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.blocks import LaneStats, PoolStats

_COUNTERS: Final = tuple(name for name in LaneStats.__dataclass_fields__ if name.endswith(("_blocks", "_bytes")))


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
        **{name: sum(getattr(lane, name) for lane in lanes.values()) for name in _COUNTERS},
        lanes=lanes,
    )
