"""Many short requests at once, before enough is held for them: they wait a little where they are and are answered."""

import asyncio
import contextlib
import itertools
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.errors import PoolUnavailable
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.pool.blocks import SealedLease
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.http.streaming import wait_until
from entropy_assets_tests.serving.reservoir.leases import Supply, held, running, sealed_of
from entropy_assets_tests.serving.running import RunningService

CLIENTS = 48


async def test_who_waits_is_woken_by_the_next_blocks_and_leaves_no_want_behind() -> None:
    """More than a reservoir holds that has grown once. What was asked for before they came brings nothing."""
    supply = Supply(pool_blocks(200))
    leases = itertools.count()
    asked, all_wait = threading.Event(), threading.Event()

    def late(most: int) -> SealedLease:
        if next(leases) != 1:
            return supply(most)
        asked.set()
        all_wait.wait(10)
        return sealed_of([], left=len(supply.blocks))

    async with running(late, ReservoirLimits(wait_s=60)) as reservoir:
        await held(reservoir, reservoir.limits.least_bytes)
        reservoir.take(reservoir.buffered_bytes)
        await asyncio.to_thread(asked.wait, 10)
        waiting = [asyncio.create_task(reservoir.more(2048)) for _ in range(64)]
        await asyncio.sleep(0)
        all_wait.set()
        async with asyncio.timeout(5):  # before they lose patience
            assert await asyncio.gather(*waiting) == [True] * 64
        assert reservoir.buffered_bytes >= 64 * 2048, "what is leased covers all who wait"
        assert reservoir._demand.waiting_bytes == 0


async def test_nobody_waits_for_a_dry_pool_or_one_that_is_away() -> None:
    supply = Supply(pool_blocks(4))
    async with running(supply, ReservoirLimits(wait_s=60)) as reservoir:
        await held(reservoir, 4 * 4096)
        reservoir.take(4 * 4096)
        started = time.monotonic()
        assert not await reservoir.more(1)
        supply.failing = PoolUnavailable("away")
        while reservoir.problem is None:  # noqa: ASYNC110 - the reservoir tells nobody
            await asyncio.sleep(0.01)
        assert not await reservoir.more(1)
        assert time.monotonic() - started < 60, "it waited"


async def test_the_wait_is_bounded_while_a_lease_hangs() -> None:
    goes_on = threading.Event()

    def hanging(most: int) -> SealedLease:
        goes_on.wait(10)
        return sealed_of([])

    async with running(hanging, ReservoirLimits(wait_s=0.2)) as reservoir:
        try:
            first = asyncio.create_task(reservoir.more(1))
            a_little_longer = asyncio.create_task(asyncio.sleep(0.25))
            await asyncio.sleep(0.1)
            second = asyncio.create_task(reservoir.more(1))
            await a_little_longer
            for _ in range(10):  # what was due before has its turn, however busy the machine is
                await asyncio.sleep(0)
            assert second.done(), "who comes later does not wait longer than the first"
            assert (first.result(), second.result()) == (False, False)
            assert reservoir._demand.waiting_bytes == 0
        finally:
            goes_on.set()


async def test_who_leaves_while_it_waits_wants_nothing_any_more() -> None:
    reservoir = Reservoir("private", lambda most: sealed_of([]))
    waiting = asyncio.create_task(reservoir.more(1000))
    await asyncio.sleep(0)
    assert reservoir._demand.waiting_bytes == 1000
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert reservoir._demand.waiting_bytes == 0


async def test_who_waits_in_the_queue_comes_first() -> None:
    reservoir = Reservoir("private", lambda most: sealed_of([]), ReservoirLimits(wait_s=5))
    queued = asyncio.create_task(reservoir.draw(5000))
    await asyncio.sleep(0)
    assert not await reservoir.more(1)
    queued.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await queued


@pytest.mark.parametrize("lane", [True, False])
def test_a_sudden_load_is_answered_without_the_way_through_fastapi(
    lane: bool, valkey_url: str, pool_prefix: str, pool: PoolClient
) -> None:
    """That way takes ten times as long, so that a load for which too little is held would slow itself down."""
    pool.push(blocks_for_both(400))
    patient = ReservoirLimits(wait_s=5)
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, fast_lane=lane, reservoir=patient)
    with RunningService(config) as service, contextlib.ExitStack() as stack:
        application, reservoir = service.application, service.application.service.reservoirs.public
        wait_until(lambda: reservoir.buffered_bytes == reservoir.limits.least_bytes)
        lease = reservoir._filler.lease
        reservoir._filler.lease = lambda most: (time.sleep(0.05), lease(most))[1]  # so that all of them do wait
        application.app = _closed
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 5)) for _ in range(CLIENTS)
        ]
        wait_until(lambda: len(service.connections) == CLIENTS)
        with service.standing_still():
            for client in clients:
                client.sendall(b"GET /random/1024?class=public HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = [_answer(client) for client in clients]
        assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * CLIENTS
        bodies = {answer.partition(b"\r\n\r\n")[2] for answer in answers}
        assert len(bodies) == CLIENTS
        counts = application.service.counts
        assert counts["public_answers"] == CLIENTS
        assert counts["waited_answers"] == CLIENTS - reservoir.limits.least_bytes // 1024


def test_nothing_is_leased_for_who_has_no_key(
    valkey_url: str, pool_prefix: str, pool: PoolClient, tmp_path: Path
) -> None:
    pool.push(blocks_for_both(400))
    keys = tmp_path / "keys.json"
    create(FileKeys(keys), "somebody", random_bytes=os.urandom)
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, keys=str(keys), anonymous_scopes=())
    with RunningService(config) as service:
        reservoir = service.application.service.reservoirs.private
        wait_until(lambda: reservoir.buffered_bytes == reservoir.limits.least_bytes)
        for headers in ({}, {"X-API-Key": "mistyped"}):
            assert service.client.get("/random/65536", headers=headers).status_code == 401
        time.sleep(0.2)
        assert reservoir.counts["leased_private_bytes"] == reservoir.limits.least_bytes


def test_nothing_is_leased_for_the_page_of_another_site(valkey_url: str, pool_prefix: str, pool: PoolClient) -> None:
    pool.push(blocks_for_both(400))
    with RunningService(ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)) as service:
        reservoir = service.application.service.reservoirs.private
        wait_until(lambda: reservoir.buffered_bytes == reservoir.limits.least_bytes)
        answer = service.client.get("/random/65536", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        time.sleep(0.2)
        assert reservoir.counts["leased_private_bytes"] == reservoir.limits.least_bytes


async def _closed(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def _answer(client: socket.socket) -> bytes:
    answer = b""
    while len(answer.partition(b"\r\n\r\n")[2]) < 1024:
        part = client.recv(65_536)
        if not part:
            return answer
        answer += part
        if answer.startswith(b"HTTP/1.1 5"):
            return answer
    return answer
