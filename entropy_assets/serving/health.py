"""Whether bytes can be had, how fresh they are, and every reason for a doubt."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypedDict

from entropy_assets.provenance.reveal import MARGIN_S
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.serving.single_flight import SingleFlight
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.blocks import PoolHealth, PoolStats, ShardState
from entropy_assets.stores.pool.shards import AnyPool

WAIT_S: Final = 1.0
"""Longest wait for the pool or the ledger, seconds: an answer that comes late is of no use to whoever watches."""
FRESH_S: Final = 0.2
"""How long an answer is given again to who asks for health, seconds: anybody may, as often as they like."""

AgeName = Literal["image_age_s", "block_age_s", "health_test_failure_age_s"]


class Ages(TypedDict):
    """How old the supply is: ages in seconds, None where there is no such event or nobody knows.

    Attributes
    ----------
    image_age_s, block_age_s, health_test_failure_age_s
        Since the last image was accepted, the last block published, the last image failed the health tests.
    rejected_images
        How many by reason; None while not all are counted.
    problem
        A sentence if the ledger can't be read.
    doubts
        What else is wrong with the supply, each as a code and a sentence.
    feeds
        What each feed yielded, by name: counts by their names, ages in seconds.
    rejected_of_feeds
        How many images of each feed were not credited, by reason; empty while not all batches are counted.
    """

    image_age_s: float | None
    block_age_s: float | None
    health_test_failure_age_s: float | None
    rejected_images: dict[str, int] | None
    problem: str | None
    doubts: list[tuple[str, str]]
    feeds: dict[str, dict[str, float]]
    rejected_of_feeds: dict[str, dict[str, int]]


NO_AGES: Final[Ages] = {
    "image_age_s": None,
    "block_age_s": None,
    "health_test_failure_age_s": None,
    "rejected_images": None,
    "problem": None,
    "doubts": [],
    "feeds": {},
    "rejected_of_feeds": {},
}
_LATE: Final = f"no answer within {WAIT_S:g} s"
_AGES: Final[tuple[AgeName, ...]] = ("image_age_s", "block_age_s", "health_test_failure_age_s")


class Watch:
    """What lies behind a service, asked for without ever holding it up.

    Parameters
    ----------
    pool
        The pool.
    freshness
        Gives the ages of `ProvenanceReader.freshness`; None where there is no ledger.
    """

    def __init__(self, pool: AnyPool, freshness: Callable[[], Ages] | None) -> None:
        self._surveyed = SingleFlight(pool.health, WAIT_S)
        self._aged = SingleFlight(freshness or NO_AGES.copy, WAIT_S)

    async def look(self, not_older_s: float = 0.0) -> tuple[PoolHealth, Ages]:
        """Return what the pool says of itself and how old the supply is, as of `not_older_s` ago at most."""
        return await asyncio.gather(self.pool_health(not_older_s), self.ages(not_older_s))

    async def pool_health(self, not_older_s: float = 0.0) -> PoolHealth:
        """Return what the pool says of itself."""
        return await self._surveyed.answer(not_older_s) or PoolHealth((_LATE,), None, WAIT_S)

    async def ages(self, not_older_s: float = 0.0) -> Ages:
        """Return how old the supply is, as `ProvenanceReader.freshness`."""
        return await self._aged.answer(not_older_s) or {**NO_AGES, "problem": f"the ledger: {_LATE}"}


def health_document(
    pool: PoolHealth,
    ages: Ages,
    reservoirs: Reservoirs,
    *,
    low_water_bytes: int,
    max_age_s: float,
    doubts: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return the document of ``/health``.

    ``status`` is ``failing`` if no request of either class can be answered, ``degraded`` if there is any reason for a
    doubt, else ``ok``. A stale source degrades only: what was published before is as good as it was, until it expires.

    Parameters
    ----------
    pool, ages
        What `Watch.look` gives.
    reservoirs
        What this process holds.
    low_water_bytes
        Pool depth under which there is a doubt, bytes.
    max_age_s
        Age of the newest push or image above which there is one, seconds.
    doubts
        Further reasons for one, as code and sentence.
    """
    stats = pool.stats
    # what leases and who watches may both have found the same
    reasons = dict.fromkeys((*_reasons(pool, ages, reservoirs, low_water_bytes, max_age_s), *doubts))
    dead = not reservoirs.buffered_bytes and not (stats and stats.bytes and pool.ok)
    broken = any(_is_unsafe(each) or each.has_ended for each in reservoirs)
    return {
        "status": "failing" if dead or broken else "degraded" if reasons else "ok",
        "reasons": [{"code": code, "detail": detail} for code, detail in reasons],
        "pool": {
            "reachable": stats is not None,
            "epoch_ok": bool(stats and stats.epoch_ok),
            "epoch_age_s": stats.epoch_age_s if stats else None,
            "round_trip_ms": round(pool.round_trip_s * 1000, 3),
            "ready_bytes": stats.bytes if stats else 0,
            "low_water_bytes": low_water_bytes,
            "depth": round(stats.bytes / low_water_bytes, 3) if stats and low_water_bytes else None,
            "since_last_push_s": stats.since_last_push_s if stats else None,
            "soonest_expiry_s": stats.soonest_expiry_s if stats else None,
            "lanes": {lane: {"ready_bytes": stats.lanes[lane].bytes if stats else 0} for lane in LANES},
            "shards": [_shard(each) for each in stats.shards] if stats else [],
        },
        "freshness": {name: ages[name] for name in _AGES},
        "reservoir": {
            "buffered_bytes": reservoirs.buffered_bytes,
            "lanes": {each.lane: {"buffered_bytes": each.buffered_bytes} for each in reservoirs},
        },
    }


def _shard(state: ShardState) -> dict[str, Any]:
    return {
        "place": state.place,
        "reachable": state.stats is not None,
        "reason": state.reason,
        "ready_bytes": state.stats.bytes if state.stats else 0,
    }


def _is_unsafe(reservoir: Reservoir) -> bool:
    return reservoir.problem is not None and reservoir.problem.code == "unsafe-pool-server"


def _reasons(
    pool: PoolHealth, ages: Ages, reservoirs: Reservoirs, low_water_bytes: int, max_age_s: float
) -> Iterator[tuple[str, str]]:
    if pool.stats is None:
        yield "pool-unavailable", "; ".join(pool.reasons)
    elif not pool.stats.epoch_ok:
        yield "pool-epoch-changed", "; ".join(pool.reasons)
    else:
        yield from _depth_reasons(pool.stats.bytes, low_water_bytes)
        yield from _lane_reasons(pool.stats, reservoirs)
        yield from _push_reasons(pool.stats.since_last_push_s, max_age_s)
        yield from _shard_reasons(pool.stats.shards)
        yield from _clock_reasons(pool.stats.ahead_s)
    unsafe = next((each.problem for each in reservoirs if _is_unsafe(each)), None)
    if unsafe is not None:
        yield unsafe.code, unsafe.message
    if any(each.has_ended for each in reservoirs):
        yield "filler-ended", "what leases blocks has ended; restart this worker"
    yield from _supply_reasons(ages, max_age_s)


def _shard_reasons(shards: Sequence[ShardState]) -> Iterator[tuple[str, str]]:
    """Tell of shards that give nothing while another one does."""
    for each in shards:
        if each.reason is not None:
            yield "shard-left-out", f"shard {each.place} of {len(shards)}: {each.reason}"


def _clock_reasons(ahead_s: float) -> Iterator[tuple[str, str]]:
    if abs(ahead_s) > MARGIN_S:
        how = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        yield "pool-clock-wrong", f"the clock of the pool's server is {how}: no block reveals until it is mended"


def _depth_reasons(ready: int, low_water_bytes: int) -> Iterator[tuple[str, str]]:
    if ready == 0:
        yield "pool-empty", "no block is ready"
    elif ready < low_water_bytes:
        yield "pool-low", f"{ready} bytes are ready, the low water mark is {low_water_bytes}"


def _lane_reasons(stats: PoolStats, reservoirs: Reservoirs) -> Iterator[tuple[str, str]]:
    """Tell of a lane that is dry while the other is not."""
    for each in reservoirs:
        if stats.blocks and not stats.lanes[each.lane].blocks and not each.buffered_bytes:
            yield "lane-empty", f"no {each.lane} block is ready"


def _push_reasons(since_push_s: float | None, max_age_s: float) -> Iterator[tuple[str, str]]:
    if since_push_s is None:
        yield "pool-never-filled", "nothing was published to this server yet"
    elif since_push_s > max_age_s:
        yield "pool-stale", f"the newest block was published {since_push_s:.0f} s ago"


def _supply_reasons(ages: Ages, max_age_s: float) -> Iterator[tuple[str, str]]:
    image, failure = ages["image_age_s"], ages["health_test_failure_age_s"]
    if image is not None and image > max_age_s:
        yield "image-stale", f"the last image was accepted {image:.0f} s ago"
    if failure is not None and (image is None or failure < image):
        yield "health-test-failed", f"an image failed the health tests {failure:.0f} s ago and none was accepted since"
    if ages["problem"] is not None:
        yield "ledger-error", ages["problem"]
    yield from ages["doubts"]
