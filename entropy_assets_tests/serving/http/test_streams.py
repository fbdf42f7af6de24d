"""``/stream`` with a real client on a real server: credit, labels, ends, and what a client that leaves costs."""

import contextlib
import dataclasses
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from entropy_assets.errors import PoolUnavailable
from entropy_assets.serving.access.meter import Meter
from entropy_assets.serving.answers.pieces import Pieces
from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.serving.http.streams import MOST_CREDIT
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.reservoir.filler import IDLE_S
from entropy_assets.serving.server.bounds import BoundedStream
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.http.streaming import (
    grant,
    leased,
    open_stream,
    raw_client,
    read,
    read_public,
    served,
    stands_still,
    wait_until,
)
from entropy_assets_tests.serving.running import RunningService

BLOCKS = 400


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool; its streams have little patience."""
    limits = StreamLimits(patience_s=2, idle_s=5, most=16)
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, streams=limits)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool of 1.6 MB."""
    pool.push(blocks_for_both(BLOCKS))
    with RunningService(config) as running:
        yield running


def _closed(client: ClientConnection) -> tuple[int, str]:
    """Read until the service closes and return how it did."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            client.recv(timeout=30)
    return _ending(client)


def _ending(client: ClientConnection) -> tuple[int, str]:
    assert client.protocol.close_rcvd is not None
    return client.protocol.close_rcvd.code, client.protocol.close_rcvd.reason


def test_exactly_the_credit_comes_and_not_a_byte_before(service: RunningService) -> None:
    with open_stream(service) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)
        assert served(service) == 0
        for credit in (1, 65_536, 65_537, 300_000):
            grant(client, credit)
            messages = read(client, credit)
            assert max(map(len, messages)) <= 65_536
        assert served(service) == 1 + 65_536 + 65_537 + 300_000
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.2)


def test_credits_add_up(service: RunningService) -> None:
    with open_stream(service) as client:
        for _ in range(10):
            grant(client, 1000)
        read(client, 10_000)


@pytest.mark.parametrize("takes_parts", [True, False])
def test_public_messages_name_the_ranges_that_they_carry(
    takes_parts: bool, service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the server takes a message in parts, or as all ASGI servers do."""
    if not takes_parts:
        for name in ("handle_connect", "send"):
            monkeypatch.setattr(BoundedStream, name, getattr(WebSocketsSansIOProtocol, name))
    data = {block.block_id: block.data for block in pool_blocks(BLOCKS)}
    with open_stream(service, "?class=public") as client:
        grant(client, 200_000)
        for block_id, start, end, part in read_public(client, 200_000):
            assert part == data[block_id][start:end]


def test_private_messages_are_not_the_pools_bytes(service: RunningService) -> None:
    pool_bytes = b"".join(block.data for block in blocks_for_both(BLOCKS))
    with open_stream(service) as client:
        grant(client, 100_000)
        assert all(message[:32] not in pool_bytes for message in read(client, 100_000))


def test_eight_streams_draw_until_dry_and_nothing_comes_twice(service: RunningService) -> None:
    """Every block is given out whole, every range once, and each stream is told why it ends: 1013."""
    ranges: list[tuple[str, int, int]] = []
    endings: list[tuple[int, str]] = []

    def drain(number: int) -> None:
        with open_stream(service, "?class=public") as client:
            for n in (1 + 7919 * turn % 150_000 for turn in itertools.count(number)):
                grant(client, n)
                try:
                    for block_id, start, end, _ in read_public(client, n):
                        ranges.append((block_id, start, end))
                except ConnectionClosed:
                    endings.append(_ending(client))
                    return

    threads = [threading.Thread(target=drain, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(endings) == 8
    assert {code for code, _ in endings} == {1013}
    assert all(reason.startswith("pool-exhausted: ") for _, reason in endings)
    for (block, _, end), (other, start, _) in itertools.pairwise(sorted(ranges)):
        assert block != other or end <= start, "a byte was sent twice"
    assert sum(end - start for _, start, end in ranges) == served(service) == BLOCKS * 4096
    assert service.application.service.counts["streams_closed_dry"] == 8


def test_a_pool_that_gives_slowly_is_waited_for(config: ServiceConfig, pool: PoolClient) -> None:
    """A block now and then reaches the client then, not only when 64 KiB are together."""
    config = dataclasses.replace(config, streams=StreamLimits(patience_s=3))
    with RunningService(config) as service, open_stream(service) as client:
        grant(client, 65_536)
        for seed in range(3):
            pool.push(blocks_for_both(1, first=seed))
            assert len(client.recv(timeout=30)) == 4096


@pytest.mark.parametrize(
    "message, code",
    [
        (b"\x00" * 8, 1003),
        ("", 1008),
        ("credit", 1008),
        ("[]", 1008),
        ('{"credit": 0}', 1008),
        ('{"credit": -1}', 1008),
        ('{"credit": 1.5}', 1008),
        ('{"credit": "9"}', 1008),
        ('{"credit": true}', 1008),
        ('{"credit": 1, "class": "public"}', 1008),
        (f'{{"credit": {MOST_CREDIT + 1}}}', 1008),
        (f'{{"credit": 1{" " * 300}}}', 1008),
        ("[" * 4000, 1008),
    ],
)
def test_a_message_that_is_no_credit_ends_the_stream(message: str | bytes, code: int, service: RunningService) -> None:
    with open_stream(service) as client:
        client.send(message)
        got, reason = _closed(client)
    assert got == code
    assert reason.startswith("invalid-request: ")
    assert served(service) == 0


def test_open_credit_is_capped(config: ServiceConfig) -> None:
    with RunningService(config) as service, open_stream(service) as client:
        grant(client, MOST_CREDIT)
        grant(client, 1)
        code, reason = _closed(client)
    assert (code, "credit are open" in reason) == (1008, True)


def test_a_stream_without_credit_is_closed_after_a_while(config: ServiceConfig) -> None:
    config = dataclasses.replace(config, streams=StreamLimits(idle_s=0.3))
    with RunningService(config) as service, open_stream(service) as client:
        assert _closed(client)[0] == 1001


def test_simulated_bytes_are_labelled_before_they_come(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(4, simulated=True))
    with RunningService(config) as service:
        with open_stream(service) as client:
            grant(client, 100)
            assert json.loads(client.recv(timeout=30)) == {"simulated": True}
            read(client, 100)
            grant(client, 100)
            read(client, 100)
        with open_stream(service, "?class=public") as client:
            grant(client, 100)
            assert json.loads(client.recv(timeout=30))["simulated"] is True


def test_the_handshake_is_refused_with_a_problem_document(service: RunningService) -> None:
    with pytest.raises(InvalidStatus) as caught, open_stream(service, "?class=secret"):
        pass
    response = caught.value.response
    assert response.status_code == 422
    assert json.loads(response.body or b"")["type"] == "/problems/invalid-request"


@pytest.mark.parametrize(
    "origin, accepted", [("http://evil.example", False), ("http://[", False), ("null", False), ("own", True)]
)
def test_a_page_of_another_origin_can_not_stream(origin: str, accepted: bool, service: RunningService) -> None:
    """A browser lets any page open a WebSocket to anywhere, also to a service on this machine."""
    origin = service.url if origin == "own" else origin
    if accepted:
        with open_stream(service, origin=origin) as client:
            grant(client, 10)
            read(client, 10)
        return
    with pytest.raises(InvalidStatus) as caught, open_stream(service, origin=origin):
        pass
    assert caught.value.response.status_code == 403


def _broken(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("name", ["next", "messages"])
def test_what_nobody_foresaw_closes_the_stream_with_the_number_that_is_in_the_log(
    name: str,
    service: RunningService,
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    monkeypatch.setattr(Pieces, name, _broken)
    with open_stream(service, "?class=public" if name == "messages" else "") as client:
        grant(client, 8)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)
    [line] = [line for line in lines() if line["event"] == "unhandled-error"]
    assert (line["error"], line["route"]) == ("ZeroDivisionError", "/stream")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert line["request_id"] in closed.value.rcvd.reason
    assert served(service) == 0


def test_a_handshake_that_fails_is_a_500_with_the_number_that_is_in_the_log(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setattr(Meter, "started", _broken)
    with pytest.raises(InvalidStatus) as refused, open_stream(service):
        pass
    assert refused.value.response.status_code == 500
    [line] = [line for line in lines() if line["event"] == "unhandled-error"]
    assert refused.value.response.headers["X-Request-Id"] == line["request_id"]


def test_a_reason_that_no_encoder_takes_still_closes_the_stream(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise PoolUnavailable("away: \udcff" + "\u661f" * 100)

    monkeypatch.setattr(Pieces, "next", away)
    with open_stream(service) as client:
        grant(client, 8)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason.startswith(r"pool-unavailable: away: \xff")


def test_more_streams_than_seats_are_refused_until_one_leaves(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(2))
    config = dataclasses.replace(config, streams=StreamLimits(most=1))
    with RunningService(config) as service:
        with open_stream(service):
            with pytest.raises(InvalidStatus) as caught, open_stream(service):
                pass
            assert caught.value.response.status_code == 503
            assert int(caught.value.response.headers["Retry-After"]) >= 1
        wait_until(lambda: service.application.service.counts["streams_ended"] == 1)
        with open_stream(service) as client:
            grant(client, 10)
            read(client, 10)


# --- clients that leave or do not read -----------------------------------------------------------------------------


def _settled(service: RunningService) -> int:
    """Return what was served once that stands still, and the reservoir has topped up.

    The filler looks once every `IDLE_S`: one look raises what is to be held, and the next one leases it.
    """
    before: tuple[int, int] | None = None
    while before != (now := (served(service), leased(service))):
        before = now
        time.sleep(2.5 * IDLE_S)
    return served(service)


def _assert_costs_nothing(service: RunningService, seconds: float = 1.0) -> None:
    """No byte is drawn or leased, and next to no processor time is spent, by the service in this process."""
    before, spent = (served(service), leased(service)), time.process_time()
    time.sleep(seconds)
    assert (served(service), leased(service)) == before
    assert time.process_time() - spent < 0.25 * seconds


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("answer_class", ["private", "public"])
def test_a_client_that_leaves_costs_nothing_afterwards(
    answer_class: str, abruptly: bool, config: ServiceConfig, pool: PoolClient
) -> None:
    pool.push(blocks_for_both(4000))
    with RunningService(config) as service:
        raw = raw_client(service, f"?class={answer_class}")
        raw.recv(65_536)
        if abruptly:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        raw.close()
        wait_until(lambda: service.application.service.counts["streams_ended"] == 1)
        _settled(service)
        _assert_costs_nothing(service)
        assert service.client.get("/random/8").status_code == 200


def test_a_client_that_leaves_while_the_pool_is_dry_costs_nothing_afterwards(
    config: ServiceConfig, pool: PoolClient
) -> None:
    config = dataclasses.replace(config, streams=StreamLimits(patience_s=30))
    with RunningService(config) as service:
        raw = raw_client(service)
        time.sleep(0.3)
        raw.close()
        wait_until(lambda: service.application.service.counts["streams_ended"] == 1)
        pool.push(blocks_for_both(10))
        time.sleep(1.2)
        assert served(service) == 0


def test_a_client_that_does_not_read_stops_only_itself(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(4000))
    config = dataclasses.replace(config, streams=StreamLimits(idle_s=2))
    with RunningService(config) as service, raw_client(service):
        held = stands_still(service)
        assert held < 8 * 2**20, "what is on the way to it is bounded by buffers, not by its credit"
        with open_stream(service) as client:
            grant(client, 500_000)
            read(client, 500_000)
        assert served(service) == held + 500_000
        wait_until(lambda: service.application.service.counts["streams_ended"] == 2)


def test_streams_take_turns(config: ServiceConfig, pool: PoolClient) -> None:
    """Of streams that all want more than the pool gives, none gets more than its share and some pieces."""
    pool.push(blocks_for_both(3000))
    limits = ReservoirLimits(least_bytes=2**20)
    got: list[int] = []

    def drain() -> None:
        with open_stream(service) as client:
            grant(client, MOST_CREDIT)
            barrier.wait()
            total = 0
            try:
                while True:
                    total += len(client.recv(timeout=30))
            except ConnectionClosed:
                got.append(total)

    with RunningService(dataclasses.replace(config, reservoir=limits)) as service:
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=drain) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(got) == 4
    assert sum(got) == 3000 * 4096
    assert min(got) > sum(got) / 16
