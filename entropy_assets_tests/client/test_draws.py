"""The client against the real service on a real pool."""

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropy_assets.client import AsyncRandomClient, Drawn, LocalBytesWarning, RandomClient
from entropy_assets.errors import BlockUnknown, ClientDry, ClientMisused, NoBytes, RequestRefused
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.health import NO_AGES
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks
from entropy_assets_tests.serving.running import RunningService

NOWHERE = "http://127.0.0.1:1"
KNOWN_BLOCK = pool_block(0).block_id
BLOCKS = 100
MANY_BLOCKS = 3000
DATA = {block.block_id: block.data for block in pool_blocks(BLOCKS)}


class OneBlock:
    """Provenance of one block."""

    def freshness(self) -> dict[str, Any]:
        """Know of nothing."""
        return dict(NO_AGES)

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Know of nothing."""
        return []

    def find(self, block_id: str) -> dict[str, Any] | None:
        """Return the one block."""
        return {"block_id": block_id, "batch": "b", "images": []} if block_id == KNOWN_BLOCK else None


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool."""
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool of 100 blocks."""
    pool.push(pool_blocks(BLOCKS))
    with RunningService(config, OneBlock()) as running:
        yield running


@pytest.fixture
def empty(config: ServiceConfig) -> Iterator[RunningService]:
    """Run a service on an empty pool."""
    with RunningService(config) as running:
        yield running


def ranges(draws: list) -> list[tuple[str, int, int]]:
    return sorted(cut for draw in draws for cut in draw.blocks)


def overlaps(cuts: list[tuple[str, int, int]]) -> list:
    return [pair for pair in pairwise(cuts) if pair[0][0] == pair[1][0] and pair[1][1] < pair[0][2]]


@pytest.mark.parametrize("n", [0, 1, 31, 4097, 65_536, 65_537, 200_000])
def test_there_are_exactly_as_many_bytes_as_were_asked_for(n: int, service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        assert len(client.random_bytes(n)) == n


def test_any_number_of_bytes_is_that_number(config: ServiceConfig, pool: PoolClient) -> None:
    """Property, also where the service gives fewer at once than is asked for, which the client learns once."""
    pool.push(pool_blocks(MANY_BLOCKS))
    with RunningService(replace(config, max_request_bytes=3000)) as service, RandomClient([service.url]) as client:

        @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.integers(0, 9_001))
        def holds(n: int) -> None:
            assert len(client.random_bytes(n)) == n
            draw = client.public(n)
            assert len(draw.data) == n == sum(end - start for _, start, end in draw.blocks)

        holds()
        assert client._endpoints[0].longest == 3000
        assert service.client.get("/stats").json()["service"]["refused"]["invalid-request"] <= 1


def test_public_bytes_are_the_named_ranges_of_the_blocks(service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        draws = [client.public(n) for n in (10, 5000, 70_000)]
    for draw in draws:
        assert draw.data == b"".join(DATA[block_id][start:end] for block_id, start, end in draw.blocks)
        assert not draw.simulated
    assert overlaps(ranges(draws)) == []


def test_private_bytes_are_mixed_with_those_of_this_machine_unless_that_is_switched_off() -> None:
    with ScriptedServer(lambda connection, n: connection.sendall(good(n))) as broken:
        with RandomClient([broken.url]) as client:
            mixed = client.random_bytes(10_000)
        with RandomClient([broken.url], mix=False) as client:
            assert client.random_bytes(10_000) == bytes(10_000)
    assert len(set(mixed)) == 256


def test_simulated_bytes_are_called_so(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(pool_blocks(4, simulated=True))
    with RunningService(config) as service, RandomClient([service.url]) as client:
        assert client.draw(10).simulated
        assert client.public(10).simulated


def test_what_is_shown_of_a_draw_holds_no_bytes(service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        drawn, public = client.draw(4), client.public(4)
    assert repr(drawn) == "Drawn(source='service', simulated=False)"
    assert repr(public.data) not in repr(public)


def test_provenance_of_a_block_is_found_and_of_an_unknown_one_not(service: RunningService) -> None:
    with RandomClient([NOWHERE, service.url]) as client:
        assert client.provenance(KNOWN_BLOCK)["batch"] == "b"
    with RandomClient([service.url]) as client, pytest.raises(BlockUnknown):
        client.provenance("00000000-0000-8000-8000-000000000000")


@pytest.mark.parametrize("block_id", ["", "../stats", KNOWN_BLOCK.upper() + "A", KNOWN_BLOCK + "\r\nx: y"])
def test_what_is_no_block_id_never_leaves(block_id: str) -> None:
    with RandomClient([NOWHERE]) as client, pytest.raises(ClientMisused):
        client.provenance(block_id)


def test_an_empty_pool_is_an_error_that_says_when_to_come_back(empty: RunningService) -> None:
    with RandomClient([NOWHERE, empty.url]) as client, pytest.raises(ClientDry) as caught:
        client.random_bytes(8)
    codes = [(failure["endpoint"], failure["code"]) for failure in caught.value.data["failures"]]
    assert codes == [(NOWHERE, "endpoint-unreachable"), (empty.url, "endpoint-dry")]
    assert caught.value.data["failures"][1]["retry_after_s"] >= 1


@pytest.mark.slow  # an empty service asks for 5 s
def test_waiting_lasts_until_blocks_are_published(empty: RunningService, pool: PoolClient) -> None:
    with RandomClient([empty.url], when_dry="wait", wait_s=20) as client:
        threading.Timer(0.3, pool.push, [pool_blocks(2)]).start()
        assert len(client.random_bytes(100)) == 100


def test_local_bytes_are_said_to_be_local_in_three_ways(empty: RunningService) -> None:
    with RandomClient([empty.url], when_dry="local") as client:
        with pytest.warns(LocalBytesWarning, match="20 bytes came from os.urandom alone") as caught:
            assert len(client.random_bytes(20)) == 20
        assert caught[0].filename == __file__
        drawn = client.draw(30)
        assert (len(drawn.data), drawn.source, client.local_bytes) == (30, "local", 50)
        with pytest.raises(NoBytes):
            client.public(8)


def test_a_pool_that_runs_dry_on_the_way_gives_no_half_answer(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(pool_blocks(20))
    with RunningService(config) as service:
        with RandomClient([service.url]) as client, pytest.raises(ClientDry):
            client.random_bytes(300_000)
        with RandomClient([service.url], when_dry="local") as client:
            drawn = client.draw(300_000)
            assert (len(drawn.data), drawn.source) == (300_000, "local")


def test_connections_are_kept(service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        client.random_bytes(8)
        [(_, kept)] = client._endpoints[0]._idle
        for _ in range(20):
            client.random_bytes(8)
        assert [connection for _, connection in client._endpoints[0]._idle] == [kept]


def test_many_threads_share_a_client_and_no_byte(service: RunningService) -> None:
    with RandomClient([service.url], timeout_s=20) as client, ThreadPoolExecutor(16) as threads:
        draws = list(threads.map(client.public, [300] * 400))
        assert len(client._endpoints[0]._idle) <= 8
    assert overlaps(ranges(draws)) == []
    for draw in draws:
        assert draw.data == b"".join(DATA[block_id][start:end] for block_id, start, end in draw.blocks)


def test_a_forked_child_uses_no_connection_of_its_parent() -> None:
    with ScriptedServer(lambda c, n: c.sendall(good(n))) as server, RandomClient([server.url]) as client:
        client.random_bytes(8)
        if (child := os.fork()) == 0:
            drawn = 0
            try:
                drawn = len(client.random_bytes(8))
            finally:
                os._exit(drawn)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
        assert server.connections == 2
        client.random_bytes(8)
        assert server.connections == 2


def test_a_closed_client_draws_no_more(service: RunningService) -> None:
    client = RandomClient([service.url])
    client.random_bytes(1)
    client.close()
    client.close()
    assert not client._endpoints[0]._idle
    with pytest.raises(ClientMisused, match="closed"):
        client.random_bytes(1)


class TestKeys:
    """With the real gate: a key that is good, one that is none, and one whose quota is spent."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> str:
        key, _ = create(FileKeys(tmp_path / "keys.json"), "reader", random_bytes=os.urandom)
        return key

    @pytest.fixture
    def guarded(self, config: ServiceConfig, pool: PoolClient, tmp_path: Path, key: str) -> Iterator[RunningService]:
        pool.push(pool_blocks(BLOCKS))
        closed = replace(config, keys=str(tmp_path / "keys.json"), anonymous_scopes=(), limit_bytes=1000)
        with RunningService(closed, OneBlock()) as running:
            yield running

    def test_a_key_opens_the_service(self, guarded: RunningService, key: str) -> None:
        with RandomClient([guarded.url], key=key) as client:
            assert len(client.random_bytes(16)) == 16

    @pytest.mark.parametrize("wrong", [None, "ea_no-key"])
    def test_without_a_good_one_it_refuses_and_says_why(self, guarded: RunningService, wrong: str | None) -> None:
        with (
            RandomClient([guarded.url], key=wrong, when_dry="local") as client,
            pytest.raises(RequestRefused, match="key") as caught,
        ):
            client.random_bytes(16)
        assert caught.value.data["status"] == 401

    def test_what_a_key_is_not_for_is_refused(self, guarded: RunningService, key: str) -> None:
        with RandomClient([guarded.url], key=key) as client, pytest.raises(RequestRefused) as caught:
            client.provenance(KNOWN_BLOCK)
        assert caught.value.data["status"] == 403

    def test_a_spent_quota_is_dry_and_says_when_to_come_back(self, guarded: RunningService, key: str) -> None:
        with RandomClient([guarded.url], key=key) as client, pytest.raises(ClientDry) as caught:
            [client.random_bytes(60_000) for _ in range(5)]
        assert caught.value.data["failures"][0]["status"] == 429
        assert caught.value.data["retry_after_s"] > 0


class TestGenerator:
    @pytest.mark.parametrize("name", ["PCG64DXSM", "PCG64", "Philox", "SFC64", "MT19937"])
    def test_it_is_numpys_and_seeded_by_one_draw(self, name, service: RunningService) -> None:
        with RandomClient([service.url]) as client:
            first, second = client.generator(name), client.generator(name)
        assert type(first.bit_generator).__name__ == name
        assert not np.array_equal(first.random(8), second.random(8))
        assert service.client.get("/stats").json()["service"]["answers"]["private"] == 2

    def test_all_of_the_seed_counts_and_what_is_written_down_repeats_the_run(self) -> None:
        seeds = [bytes(31 * [7]) + bytes([last]) for last in (1, 2)]
        numbers = []
        for seed in seeds:
            with ScriptedServer(answering(good(32, seed))) as server, RandomClient([server.url], mix=False) as client:
                generator = client.generator()
            sequence: Any = generator.bit_generator.seed_seq
            assert 32 * sequence.pool_size == 8 * len(seed)
            assert b"".join(word.to_bytes(4, "little") for word in sequence.entropy) == seed
            again = np.random.SeedSequence(sequence.entropy, pool_size=sequence.pool_size)
            expected = np.random.Generator(np.random.PCG64DXSM(again)).random(8)
            numbers.append(generator.random(8))
            assert np.array_equal(numbers[-1], expected)
        assert not np.array_equal(*numbers)

    def test_another_name_is_refused(self, service: RunningService) -> None:
        with RandomClient([service.url]) as client, pytest.raises(ClientMisused, match="PCG64DXSM"):
            client.generator("default_rng")  # type: ignore[arg-type]


class TestTLS:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[ScriptedServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with ScriptedServer(lambda c, n: c.sendall(good(n, b"\1" * n)), tls=context) as server:
            yield server

    def test_a_service_whose_certificate_is_good_is_drawn_from(
        self, secure: ScriptedServer, authority: trustme.CA
    ) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with RandomClient([secure.url], tls=context, key="ea_k", mix=False) as client:
            assert [client.random_bytes(4) for _ in range(3)] == [b"\1" * 4] * 3

    def test_a_service_of_an_unknown_authority_gets_neither_key_nor_trust(self, secure: ScriptedServer) -> None:
        with RandomClient([secure.url], key="ea_k") as client, pytest.raises(NoBytes, match="CERTIFICATE_VERIFY"):
            client.random_bytes(4)
        assert secure.requests == []


class TestAsync:
    async def test_it_gives_what_the_other_gives(self, service: RunningService) -> None:
        async with AsyncRandomClient([service.url]) as client:
            assert len(await client.random_bytes(70_000)) == 70_000
            drawn = await client.draw(5)
            assert isinstance(drawn, Drawn)
            public = await client.public(5000)
            assert public.data == b"".join(DATA[block_id][start:end] for block_id, start, end in public.blocks)
            assert (await client.provenance(KNOWN_BLOCK))["batch"] == "b"
            assert 0 <= (await client.generator()).random() < 1
            assert repr(client) == f"AsyncRandomClient(['{service.url}'])"

    async def test_many_draws_at_once_share_no_byte_and_few_connections(self, service: RunningService) -> None:
        async with AsyncRandomClient([service.url], concurrency=4, timeout_s=20) as client:
            draws = await asyncio.gather(*(client.public(300) for _ in range(200)))
            assert len(client._client._endpoints[0]._idle) <= 4
        assert overlaps(ranges(draws)) == []

    async def test_local_bytes_warn_where_they_are_drawn(self, empty: RunningService) -> None:
        async with AsyncRandomClient([empty.url], when_dry="local") as client:
            with pytest.warns(LocalBytesWarning):
                assert len(await client.random_bytes(9)) == 9
            assert client.local_bytes == 9

    async def test_a_cancelled_draw_ends_at_once_and_its_answer_goes_to_nobody(self) -> None:
        release = threading.Event()
        letters = iter(b"abc")

        def slow(connection, n: int) -> None:
            letter = next(letters)
            release.wait(5)
            connection.sendall(good(n, bytes([letter]) * n))

        with ScriptedServer(slow) as server:
            async with AsyncRandomClient([server.url], mix=False, concurrency=1) as client:
                start = time.monotonic()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.random_bytes(4), 0.2)
                assert time.monotonic() - start < 1
                release.set()
                assert await client.random_bytes(4) == b"bbbb"

    async def test_waiting_holds_no_thread(self, empty: RunningService) -> None:
        async with AsyncRandomClient([empty.url], when_dry="wait", wait_s=30, concurrency=1) as client:
            waiting = [asyncio.create_task(client.random_bytes(8)) for _ in range(3)]
            await asyncio.sleep(0.5)
            assert client._threads._work_queue.qsize() == 0
            for task in waiting:
                assert not task.done()
                task.cancel()
            assert all(
                isinstance(one, asyncio.CancelledError)
                for one in await asyncio.gather(*waiting, return_exceptions=True)
            )

    async def test_a_closed_client_draws_no_more(self, service: RunningService) -> None:
        client = AsyncRandomClient([service.url])
        draws = [asyncio.create_task(client.random_bytes(8)) for _ in range(20)]
        await asyncio.sleep(0)
        await client.close()
        for drawn in await asyncio.gather(*draws, return_exceptions=True):
            assert isinstance(drawn, ClientMisused) or len(drawn) == 8
        with pytest.raises(ClientMisused):
            await client.random_bytes(8)
