"""What streams and downloads share: who may, what it costs them, and what gives way under them."""

import asyncio
import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from entropy_assets.errors import TooManyStreams
from entropy_assets.serving.answers.pieces import Seats, first_of
from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService


@pytest.fixture
def config(valkey_url: str, pool_prefix: str, tmp_path: Path) -> ServiceConfig:
    """Give the configuration of a service on this test's pool that wants a key for streams."""
    return ServiceConfig(
        pool_url=valkey_url,
        pool_prefix=pool_prefix,
        keys=str(tmp_path / "keys"),
        anonymous_scopes=("draw", "stats"),
        streams=StreamLimits(patience_s=2),
    )


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Give headers with a key for each scope, made before the service starts."""
    store = FileKeys(tmp_path / "keys")
    made = {scope: create(store, scope, random_bytes=os.urandom, scopes=(scope,)) for scope in ("draw", "stream")}
    return {scope: {"X-API-Key": key} for scope, (key, _) in made.items()}


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient, keys: object) -> Iterator[RunningService]:
    """Run a service on a pool of 1.6 MB."""
    pool.push(blocks_for_both(400))
    with RunningService(config) as running:
        yield running


def _received(service: RunningService, headers: dict[str, str], credit: int) -> tuple[int, tuple[int, str] | None]:
    """Return how many bytes a stream brings of `credit`, and how it was closed if it was."""
    url = service.url.replace("http", "ws") + "/stream"
    total = 0
    with connect(url, compression=None, max_size=None, additional_headers=headers) as client:
        client.send(json.dumps({"credit": credit}))
        try:
            while total < credit:
                total += len(client.recv(timeout=5))
        except ConnectionClosed:
            assert client.protocol.close_rcvd is not None
            return total, (client.protocol.close_rcvd.code, client.protocol.close_rcvd.reason)
    return total, None


@pytest.mark.parametrize("scope, status", [(None, 401), ("wrong", 401), ("draw", 403), ("stream", 101)])
def test_the_scope_of_the_key_decides_at_the_handshake(
    scope: str | None, status: int, keys: dict[str, dict[str, str]], service: RunningService
) -> None:
    headers = {None: {}, "wrong": {"X-API-Key": "nothing"}, **keys}[scope]
    if status == 101:
        assert _received(service, headers, 1000) == (1000, None)
        return
    with pytest.raises(InvalidStatus) as caught:
        _received(service, headers, 1000)
    assert caught.value.response.status_code == status
    assert json.loads(caught.value.response.body or b"")["type"].startswith("/problems/")


@pytest.mark.parametrize("scope, status", [(None, 401), ("draw", 403), ("stream", 200)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_scope_of_the_key_decides_about_downloads(
    scope: str | None, status: int, method: str, keys: dict[str, dict[str, str]], service: RunningService
) -> None:
    answer = service.client.request(method, "/download/1000", headers=keys[scope] if scope else {})
    assert answer.status_code == status


def test_bytes_of_a_stream_are_metered_and_end_it_when_the_quota_is_used_up(
    config: ServiceConfig, pool: PoolClient, keys: dict[str, dict[str, str]]
) -> None:
    """The bucket holds the longest answer, 64 KiB, and gives 1000 bytes a second: slower than the patience."""
    pool.push(blocks_for_both(400))
    with RunningService(dataclasses.replace(config, limit_bytes=1000)) as service:
        total, ending = _received(service, keys["stream"], 10**6)
        assert 60_000 < total < 75_000
        assert ending is not None
        assert ending[0] == 1008
        assert ending[1].startswith("quota-exceeded: ")
        counts = service.application.service.counts
        assert (counts["streams_closed_quota"], counts["streams_closed_dry"]) == (1, 0)


def test_a_download_beyond_the_quota_is_cut_off(
    config: ServiceConfig, pool: PoolClient, keys: dict[str, dict[str, str]]
) -> None:
    pool.push(blocks_for_both(400))
    with RunningService(dataclasses.replace(config, limit_bytes=1000)) as service:
        with pytest.raises(httpx.RemoteProtocolError):
            service.client.get("/download/1000000", headers=keys["stream"])
        assert service.application.service.counts["served_private_bytes"] < 75_000
        assert service.client.get("/download/60000", headers=keys["stream"]).status_code == 429


def test_a_quota_that_fills_in_time_sets_the_pace(
    config: ServiceConfig, pool: PoolClient, keys: dict[str, dict[str, str]]
) -> None:
    """What goes beyond the bucket comes at the rate of the limit, and nobody is cut off."""
    pool.push(blocks_for_both(400))
    limits = StreamLimits(patience_s=4)
    with RunningService(dataclasses.replace(config, limit_bytes=50_000, streams=limits)) as service:
        policy = service.client.get("/random/8", headers=keys["draw"]).headers["RateLimit-Policy"]
        bucket = int(policy.partition("q=")[2].partition(";")[0])
        started = time.monotonic()
        assert _received(service, keys["stream"], bucket + 100_000) == (bucket + 100_000, None)
        assert 1 < time.monotonic() - started < 6


def test_seats_are_counted() -> None:
    seats = Seats(1)
    with seats.seat("address:a"), pytest.raises(TooManyStreams), seats.seat("address:a"):
        pass
    with seats.seat("address:a"):
        assert seats.taken == 1
    assert seats.taken == 0


async def test_the_first_to_end_ends_the_others() -> None:
    seen: list[str] = []

    async def long() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return "long"

    async def short() -> str:
        return "short"

    async def failing() -> str:
        raise ValueError

    assert await first_of(long(), short()) == "short"
    with pytest.raises(ValueError, match=r"^$"):
        await first_of(long(), failing())
    assert seen == ["cancelled", "cancelled"]


def test_nobody_gets_more_than_half_of_the_seats() -> None:
    """Else one client with a few bytes of credit now and then keeps everybody out."""
    seats = Seats(4)
    with seats.seat("a"), seats.seat("a"):
        with pytest.raises(TooManyStreams), seats.seat("a"):
            pass
        with seats.seat("b"), seats.seat("b"), pytest.raises(TooManyStreams), seats.seat("c"):
            pass
    assert seats.taken == 0
