"""The client against the real service on a real pool."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropy_assets.client import LocalBytesWarning, RandomClient
from entropy_assets.errors import BlockUnknown, ClientDry, ClientMisused, NoBytes, RequestRefused
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.client.real_service import BLOCKS, DATA, KNOWN_BLOCK, OneBlock, overlaps, ranges
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.running import RunningService

NOWHERE = "http://127.0.0.1:1"
MANY_BLOCKS = 3000


@pytest.mark.parametrize("n", [0, 1, 31, 4097, 65_536, 65_537, 200_000])
def test_there_are_exactly_as_many_bytes_as_were_asked_for(n: int, service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        assert len(client.random_bytes(n)) == n


def test_any_number_of_bytes_is_that_number(config: ServiceConfig, pool: PoolClient) -> None:
    """Property, also where the service gives fewer at once than is asked for, which the client learns once."""
    pool.push(blocks_for_both(MANY_BLOCKS))
    with RunningService(replace(config, max_request_bytes=3000)) as service, RandomClient([service.url]) as client:

        @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.integers(0, 9_001))
        def holds(n: int) -> None:
            assert len(client.random_bytes(n)) == n
            draw = client.public(n)
            assert len(draw.data) == n == sum(end - start for _, start, end in draw.blocks)

        holds()
        assert client._draws.endpoints[0].longest == 3000
        assert service.client.get("/stats").json()["service"]["refused"]["invalid-request"] <= 1


def test_public_bytes_are_the_named_ranges_of_the_blocks(service: RunningService) -> None:
    with RandomClient([service.url]) as client:
        draws = [client.public(n) for n in (10, 5000, 70_000)]
    for draw in draws:
        assert draw.data == b"".join(DATA[block_id][start:end] for block_id, start, end in draw.blocks)
        assert not draw.simulated
    assert overlaps(ranges(draws)) == []


def test_simulated_bytes_are_called_so(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(4, simulated=True))
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


def test_statistics_are_those_of_the_first_service_that_tells_them(service: RunningService) -> None:
    with RandomClient([NOWHERE, service.url]) as client:
        client.random_bytes(8)
        assert client.stats()["service"]["answers"]["private"] == 1


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
    pool.push(blocks_for_both(20))
    with RunningService(config) as service:
        with RandomClient([service.url]) as client, pytest.raises(ClientDry):
            client.random_bytes(300_000)
        with RandomClient([service.url], when_dry="local") as client:
            drawn = client.draw(300_000)
            assert (len(drawn.data), drawn.source) == (300_000, "local")


def test_many_threads_share_a_client_and_no_byte(service: RunningService) -> None:
    with RandomClient([service.url], timeout_s=20) as client, ThreadPoolExecutor(16) as threads:
        draws = list(threads.map(client.public, [300] * 400))
        assert len(client._draws.endpoints[0]._idle) <= 8
    assert overlaps(ranges(draws)) == []
    for draw in draws:
        assert draw.data == b"".join(DATA[block_id][start:end] for block_id, start, end in draw.blocks)


def test_a_closed_client_draws_no_more(service: RunningService) -> None:
    client = RandomClient([service.url])
    client.random_bytes(1)
    client.close()
    client.close()
    assert not client._draws.endpoints[0]._idle
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
        pool.push(blocks_for_both(BLOCKS))
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
