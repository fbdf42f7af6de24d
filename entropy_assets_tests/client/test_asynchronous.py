"""The awaited client: the same draws, and what is its own, cancelling and waiting."""

import asyncio
import threading
import time

import pytest

from entropy_assets.client import AsyncRandomClient, Drawn, LocalBytesWarning
from entropy_assets.errors import ClientMisused
from entropy_assets_tests.client.real_service import BLOCKS, DATA, KNOWN_BLOCK, overlaps, ranges
from entropy_assets_tests.client.scripted import ScriptedServer, good
from entropy_assets_tests.serving.running import RunningService


async def test_it_gives_what_the_other_gives(service: RunningService) -> None:
    async with AsyncRandomClient([service.url]) as client:
        assert len(await client.random_bytes(70_000)) == 70_000
        drawn = await client.draw(5)
        assert isinstance(drawn, Drawn)
        public = await client.public(5000)
        assert public.data == b"".join(DATA[block_id][start:end] for block_id, start, end in public.blocks)
        assert (await client.provenance(KNOWN_BLOCK))["batch"] == "b"
        assert (await client.stats())["pool"]["pushed_blocks"] == 2 * BLOCKS
        assert 0 <= (await client.generator()).random() < 1
        assert repr(client) == f"AsyncRandomClient(['{service.url}'])"


async def test_many_draws_at_once_share_no_byte_and_few_connections(service: RunningService) -> None:
    async with AsyncRandomClient([service.url], concurrency=4, timeout_s=20) as client:
        draws = await asyncio.gather(*(client.public(300) for _ in range(200)))
        assert len(client._draws.endpoints[0]._idle) <= 4
    assert overlaps(ranges(draws)) == []


async def test_local_bytes_warn_where_they_are_drawn(empty: RunningService) -> None:
    async with AsyncRandomClient([empty.url], when_dry="local") as client:
        with pytest.warns(LocalBytesWarning):
            assert len(await client.random_bytes(9)) == 9
        assert client.local_bytes == 9


async def test_a_cancelled_draw_ends_at_once_and_its_answer_goes_to_nobody() -> None:
    release = threading.Event()
    letters = iter(b"abc")

    def slow(connection, n: int) -> None:
        letter = next(letters)
        release.wait(5)
        connection.sendall(good(n, bytes([letter]) * n))

    with ScriptedServer(slow) as server:
        async with AsyncRandomClient([server.url], mix=False, concurrency=1) as client:
            drawing = asyncio.create_task(client.random_bytes(4))
            while not server.requests:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
            start = time.monotonic()
            drawing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await drawing
            assert time.monotonic() - start < 3, "the answer comes after five seconds"
            release.set()
            assert await client.random_bytes(4) == b"bbbb"


async def test_waiting_holds_no_thread(empty: RunningService) -> None:
    async with AsyncRandomClient([empty.url], when_dry="wait", wait_s=30, concurrency=1) as client:
        waiting = [asyncio.create_task(client.random_bytes(8)) for _ in range(3)]
        async with asyncio.timeout(20):  # who waits in a thread keeps it for thirty seconds
            while empty.application.service.counts["refused_pool-exhausted"] < 1 or client._threads._work_queue.qsize():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        for task in waiting:
            assert not task.done()
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*waiting, return_exceptions=True)
        )


async def test_a_closed_client_draws_no_more(service: RunningService) -> None:
    client = AsyncRandomClient([service.url])
    draws = [asyncio.create_task(client.random_bytes(8)) for _ in range(20)]
    await asyncio.sleep(0)
    await client.close()
    for drawn in await asyncio.gather(*draws, return_exceptions=True):
        assert isinstance(drawn, ClientMisused) or len(drawn) == 8
    with pytest.raises(ClientMisused):
        await client.random_bytes(8)
