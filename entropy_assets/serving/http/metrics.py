"""``/metrics`` in the Prometheus text format: integers that are counted anyway, put into words when somebody asks.

A number that is not known at the moment is left out, and ``entropy_pool_up`` says whether the pool answered.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Response
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from entropy_assets.serving.answers.formats import CLASSES
from entropy_assets.serving.health import AgeName, Ages
from entropy_assets.serving.http.admission import admitted
from entropy_assets.serving.problems import PROBLEMS, UNSTORED
from entropy_assets.serving.service import RandomService
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.blocks import PoolHealth, PoolStats, ShardState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The version that every Prometheus reads; what is said here needs no newer one."""

_SERVICE_COUNTERS: Final = {
    "leased_blocks": ("entropy_service_leased_blocks", "Blocks that the workers took out of the pool."),
    "leased_bytes": ("entropy_service_leased_bytes", "Bytes that the workers took out of the pool."),
    "burned_bytes": ("entropy_burned_bytes", "Leased bytes dropped unserved: closed, expired, or held at a stop."),
    "lost_bytes": ("entropy_lost_bytes", "Leased bytes of workers that were killed; nobody knows what was served."),
    "altered_blocks": ("entropy_altered_blocks", "Leased blocks whose bytes did not match their hash; dropped."),
    "waited_answers": ("entropy_waits", "Requests that had to wait for bytes."),
    "dry_answers": ("entropy_dry_answers", "Requests for which bytes did not come in time."),
    "pool_failures": ("entropy_pool_failures", "Leases that failed."),
    "undelivered_bytes": ("entropy_undelivered_bytes", "Served bytes for answers that then could not be given."),
}
_OF_LANES: Final = {
    ("leased", "blocks"): "Blocks that the workers took out of the pool, by lane.",
    ("leased", "bytes"): "Bytes that the workers took out of the pool, by lane.",
    (
        "burned",
        "bytes",
    ): "Leased bytes that were dropped unserved, by lane; what is left of a public block that is closed too.",
    ("lost", "bytes"): "Leased bytes of workers that were killed, by lane.",
}
_SERVICE_EVENTS: Final = {
    "streams": ("What became of streams.", ("opened", "ended", "closed_dry", "closed_quota")),
    "downloads": ("What became of long draws.", ("begun", "finished", "cut")),
}
_SERVICE_GAUGES: Final = {
    "buffered_bytes": ("entropy_buffered_bytes", "Leased bytes that the workers hold for the next requests."),
    "workers": ("entropy_workers", "Workers of the service that live."),
}
_POOL_COUNTERS: Final = {
    "pushed_blocks": "Blocks that entered the pool in this epoch.",
    "leased_blocks": "Blocks that left it by a lease.",
    "expired_blocks": "Blocks that expired in it.",
    "ghost_blocks": "Blocks whose key was gone before its time: evicted, or deleted by somebody else.",
    "refused_blocks": "Pushes of a block that was in the pool before: a duplicate, stopped.",
    "inherited_blocks": "Blocks of an earlier server process that were dropped.",
}
_POOL_GAUGES: Final = {
    "ready_blocks": ("blocks", "Blocks that may be leased now."),
    "ready_bytes": ("bytes", "Bytes that may be leased now."),
    "tombstones": ("tombstones", "Ids that may not enter the pool again."),
    "epoch_ok": ("epoch_ok", "1 if the pool was filled on the server process that answers; else nothing is leased."),
    "epoch_age_seconds": ("epoch_age_s", "Time since the pool's epoch began."),
    "since_last_push_seconds": ("since_last_push_s", "Time since the last push of this epoch."),
    "since_last_lease_seconds": ("since_last_lease_s", "Time since the last lease of this epoch."),
    "soonest_expiry_seconds": ("soonest_expiry_s", "Life left of the block that expires first."),
}
_AGE_GAUGES: Final[Mapping[AgeName, tuple[str, str]]] = {
    "image_age_s": ("entropy_image_age_seconds", "Time since the intake of the last batch with an accepted image."),
    "block_age_s": ("entropy_block_age_seconds", "Time since the last publication in the ledger."),
    "health_test_failure_age_s": (
        "entropy_health_test_failure_age_seconds",
        "Time since the intake of the last batch with an image that failed the health tests.",
    ),
}
_FEED_COUNTERS: Final = {
    "images": ("entropy_feed_images", "New images that a feed brought."),
    "bytes": ("entropy_feed_bytes", "Bytes of them."),
    "read_bytes": ("entropy_feed_read_bytes", "Bytes that were read for a feed, of use or not."),
    "unchanged": ("entropy_feed_unchanged", "Images that a feed was asked for and that were what they were."),
    "duplicates": ("entropy_feed_duplicates", "Images whose bytes were known already."),
    "refused": ("entropy_feed_refused", "Images that were too old, or could not be had."),
    "failures": ("entropy_feed_failures", "Rounds of a feed that ended in trouble."),
    "credit_bits": ("entropy_feed_credit_bits", "Credit of the images that a feed brought, over all batches."),
}
_FEED_GAUGES: Final = {
    "in_trouble": ("entropy_feed_in_trouble", "1 if the feed is in quarantine."),
    "image_age_s": ("entropy_feed_image_age_seconds", "Time since the feed brought a new image."),
}


@dataclass(frozen=True, slots=True)
class Exposition(Collector):
    """What is told at one moment.

    Attributes
    ----------
    totals
        `Board.totals`.
    pool, ages
        `Watch.look`.
    low_water_bytes, max_age_s
        The limits of health.
    now_us
        Microseconds since 1970.
    keys_age_s
        `Gate.keys_age_s` of the worker that answers.
    """

    totals: Mapping[str, int]
    pool: PoolHealth
    ages: Ages
    low_water_bytes: int
    max_age_s: float
    now_us: int
    keys_age_s: float | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a value."""
        yield from self._of_service()
        yield _gauge("entropy_pool_up", "1 if the pool's server answered.", self.pool.stats is not None)
        yield _gauge("entropy_pool_low_water_bytes", "Depth under which the pool is replenished.", self.low_water_bytes)
        if self.pool.stats is not None:
            yield _gauge("entropy_pool_round_trip_seconds", "Time that the pool's answer took.", self.pool.round_trip_s)
            yield from _of_pool(self.pool.stats)
        yield from self._of_supply()

    def _of_service(self) -> Iterator[Metric]:
        totals = self.totals
        for count, (name, text) in _SERVICE_COUNTERS.items():
            yield CounterMetricFamily(name, text, totals[count])
        for count, (name, text) in _SERVICE_GAUGES.items():
            yield _gauge(name, text, totals[count])
        if totals["last_lease_us"]:
            text = "Time since a worker last got a block."
            yield _gauge("entropy_reservoir_age_seconds", text, max(0, self.now_us - totals["last_lease_us"]) / 1e6)
        if self.keys_age_s is not None:
            text = "Time since a worker last read the store of API keys; after 60 s it lets no key in."
            yield _gauge("entropy_keys_age_seconds", text, self.keys_age_s)
        served = {name: totals[f"served_{name}_bytes"] for name in CLASSES}
        yield _labelled("entropy_served_bytes", "Bytes that were served.", "class", served)
        for (what, unit), text in _OF_LANES.items():
            values = {lane: totals[f"{what}_{lane}_{unit}"] for lane in LANES}
            yield _labelled(f"entropy_lane_{what}_{unit}", text, "lane", values)
        answers = {name: totals[f"{name}_answers"] for name in CLASSES}
        yield _labelled("entropy_answers", "Draws that were answered with bytes.", "class", answers)
        for what, (text, events) in _SERVICE_EVENTS.items():
            yield _labelled(f"entropy_{what}", text, "event", {event: totals[f"{what}_{event}"] for event in events})
        refused = {code: totals[f"refused_{code}"] for code in sorted(PROBLEMS)}
        yield _labelled(
            "entropy_refused_requests", "Requests answered with a problem that has a type, by it.", "code", refused
        )

    def _of_supply(self) -> Iterator[Metric]:
        for age, (name, text) in _AGE_GAUGES.items():
            if self.ages[age] is not None:
                yield _gauge(name, text, self.ages[age])
        yield _gauge("entropy_max_age_seconds", "Age of the newest image that is still fresh.", self.max_age_s)
        yield _gauge("entropy_ledger_up", "1 if the ledger and the batches could be read.", not self.ages["problem"])
        if self.ages["rejected_images"] is not None:
            text = "Images that were not credited, over all batches, by reason."
            yield _labelled("entropy_rejected_images", text, "reason", self.ages["rejected_images"])
        yield from self._of_feeds()

    def _of_feeds(self) -> Iterator[Metric]:
        feeds = self.ages["feeds"]
        for figure, (name, text) in _FEED_COUNTERS.items():
            counts = {feed: told[figure] for feed, told in feeds.items() if figure in told}
            if counts:
                yield _labelled(name, text, "feed", counts)
        text = "Images that a feed brought and that were not credited, over all batches, by reason."
        refused = CounterMetricFamily("entropy_feed_rejected_images", text, labels=["feed", "reason"])
        for feed, reasons in self.ages["rejected_of_feeds"].items():
            for reason, images in reasons.items():
                refused.add_metric([feed, reason], images)
        if refused.samples:
            yield refused
        for figure, (name, text) in _FEED_GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=["feed"])
            for feed, told in feeds.items():
                if figure in told:
                    family.add_metric([feed], told[figure])
            if family.samples:
                yield family


def add_metrics(app: FastAPI, service: RandomService) -> None:
    """Add the route ``/metrics``.

    Parameters
    ----------
    app
        Where to add it.
    service
        What it tells of, all workers of it.
    """

    @app.get(
        "/metrics",
        summary="Counts and ages for Prometheus",
        tags=["service"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        dependencies=[admitted("stats")],
    )
    async def metrics() -> Response:
        """Return counts over all workers, the pool's own, and the ages of the supply."""
        pool, ages = await service.watch.look()
        exposition = Exposition(
            totals=service.board.totals(),
            pool=pool,
            ages=ages,
            low_water_bytes=service.config.low_water_bytes,
            max_age_s=service.config.max_age_s,
            now_us=time.time_ns() // 1000,
            keys_age_s=service.gate.keys_age_s,
        )
        return Response(generate_latest(exposition), media_type=CONTENT_TYPE, headers=UNSTORED)


def _of_pool(stats: PoolStats) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "entropy_pool_lane_ready_bytes", "Bytes that may be leased now, by lane.", labels=["lane"]
    )
    for lane in LANES:
        family.add_metric([lane], stats.lanes[lane].bytes)
    yield family
    if stats.shards:
        yield from _of_shards(stats.shards)
    for name, (field, text) in _POOL_GAUGES.items():
        value = getattr(stats, field)
        if value is not None:
            yield _gauge(f"entropy_pool_{name}", text, value)
    for field, text in _POOL_COUNTERS.items():
        yield CounterMetricFamily(f"entropy_pool_{field}", text, getattr(stats, field))


def _of_shards(shards: Sequence[ShardState]) -> Iterator[Metric]:
    up = GaugeMetricFamily("entropy_pool_shard_up", "1 if blocks may be leased from this shard.", labels=["shard"])
    ready = GaugeMetricFamily(
        "entropy_pool_shard_ready_bytes", "Bytes that may be leased now, by shard and lane.", labels=["shard", "lane"]
    )
    for each in shards:
        up.add_metric([str(each.place)], each.reason is None)
        for lane in LANES:
            ready.add_metric([str(each.place), lane], each.stats.lanes[lane].bytes if each.stats else 0)
    yield from (up, ready)


def _gauge(name: str, text: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, text, float(value))


def _labelled(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
