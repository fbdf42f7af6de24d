"""The fast lane and the slow way, tried with the same requests and with what chance makes of them.

The lane, with its short-cuts, stands against FastAPI alone inside uvicorn's protocol with its bounds: status, headers,
bodies but for the bytes drawn, how many requests were answered, whether the connection was kept, and all that was
counted. The one difference that `docs/fast-lane.md` names is one of time, and not tried here: between two segments
either all is answered or nothing has begun. No other is let pass.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from entropy_assets.scopes import SCOPES
from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.serving.counts import COUNTS, place_of
from entropy_assets.serving.http.app import MemoryFirst, create_app
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.server.bounds import Bounded
from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.keyed import key_of
from entropy_assets_tests.serving.server.wire import Outcome, Way
from entropy_assets_tests.serving.server.wire_cases import Case, cases

STOCK = 2**21
"""Held ahead, so that nobody waits: how long that takes differs."""
LIMITS = ReservoirLimits(least_bytes=2 * STOCK, most_bytes=2 * STOCK)
OF_THE_RESERVOIR = (
    *(what.format(lane) for lane in LANES for what in ("leased_{}_blocks", "leased_{}_bytes", "burned_{}_bytes")),
    "altered_blocks",
    "waited_answers",
    "pool_failures",
)
COUNTED = [name for name in COUNTS if name not in OF_THE_RESERVOIR]
SEED = 20261128


class WithoutShortCut:
    """The same service by FastAPI alone."""

    def __init__(self, application: MemoryFirst) -> None:
        self._app = application.app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


class Bench:
    """One service, and both ways to it."""

    def __init__(self, application: MemoryFirst, pool: PoolClient) -> None:
        self.service = application.service
        self.ways = (Way(application, FastLane), Way(WithoutShortCut(application), Bounded))
        self._pool = pool
        self._next = count(0, 500)

    async def outcomes(self, case: Case) -> list[Outcome]:
        """Return what becomes of `case` in the lane, and by the slow way."""
        outcomes = []
        for way in self.ways:
            await self._fill()
            before = [*self.service.counts.cells]
            outcome = await way.outcome(case.segments, half_closed=case.half_closed)
            after = [*self.service.counts.cells]
            changes = {name: after[place_of(name)] - before[place_of(name)] for name in COUNTED}
            outcome.counted = {name: change for name, change in changes.items() if change}
            outcomes.append(outcome)
        return outcomes

    async def _fill(self) -> None:
        while any(each.buffered_bytes < STOCK for each in self.service.reservoirs):
            if any(lane.blocks < 500 for lane in self._pool.stats().lanes.values()):
                self._pool.push(blocks_for_both(500, first=next(self._next)))
            await asyncio.sleep(0.002)


@asynccontextmanager
async def bench(config: ServiceConfig, pool: PoolClient) -> AsyncIterator[Bench]:
    """Run a service without a server while the ``with`` statement lasts."""
    application = create_app(config)
    async with application.app.router.lifespan_context(application.app):
        yield Bench(application, pool)


async def _compare(bench: Bench, drawn: Iterator[Case], requests: int) -> None:
    tried = answered = 0
    while tried < requests:
        case = next(drawn)
        tried += case.requests
        if case.requests == 1:  # then it comes again, and is answered without being read if it was from memory
            await bench.outcomes(case)
        lane, slow = await bench.outcomes(case)
        assert lane == slow, f"{case}\n\nthe lane:     {lane}\n\nthe slow way: {slow}"
        answered += len(lane.answers)
        assert all(answer.status != 500 for answer in lane.answers), case.segments
    assert answered > requests / 2, "the tries are too odd to say much"


@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
@pytest.mark.parametrize("requests", [1500, pytest.param(50_000, marks=pytest.mark.slow)])
async def test_the_lane_answers_as_the_slow_way(
    requests: int,
    keyed: bool,
    valkey_url: str,
    pool_prefix: str,
    pool: PoolClient,
    store: FileKeys,
    tmp_path: Path,
    lane_answers: list[int],
    unread: list[bytes],
) -> None:
    config = ServiceConfig(
        pool_url=valkey_url,
        pool_prefix=pool_prefix,
        reservoir=LIMITS,
        streams=StreamLimits(max_download_bytes=100_000),
        keys=str(tmp_path / "keys.json") if keyed else None,
        anonymous_scopes=("stats", "provenance") if keyed else SCOPES,
    )
    key = key_of(store, "draw", "stream")
    async with bench(config, pool) as running:
        await _compare(running, cases(Random(SEED + keyed), key.encode()), requests)
    assert len(lane_answers) > requests / 10, "the lane is hardly tried"
    assert len(unread) > requests / 100, "what comes again is hardly tried"
