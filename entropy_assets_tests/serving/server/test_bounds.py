"""What one connection may hold, on both ways through the protocol: each test is an attack that cost memory."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from entropy_assets.serving.answers.hot_path import HotAnswer
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.server import bounds
from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets_tests.serving.running import RunningService

HEAD = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
WAIT_S = 10.0


@pytest.fixture(params=[True, False], ids=["lane", "no lane"])
def service(request: pytest.FixtureRequest, valkey_url: str, pool_prefix: str) -> Iterator[RunningService]:
    """Run a service with the fast lane, or without."""
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, fast_lane=request.param)
    with RunningService(config) as running:
        yield running


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request have a second."""
    monkeypatch.setattr(bounds, "REQUEST_S", 1.0)


def _is_cut(link: socket.socket, within_s: float = WAIT_S) -> bool:
    link.settimeout(within_s)
    try:
        while link.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def _accepts(link: socket.socket, data: bytes, most: int) -> int:
    """Send `data` again and again; return how many bytes the other side took, `most` at most."""
    sent = 0
    try:
        while sent < most:
            sent += link.send(data)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize(
    "begin",
    [
        HEAD + b"X-Endless: ",
        b"GET /",
        b"POST /random HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
    ],
    ids=["header", "address", "trailer"],
)
def test_a_request_without_end_is_cut_off(service: RunningService, begin: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=2) as link:
        link.sendall(begin)
        assert _accepts(link, b"a" * 65_536, 2**26) < 2**26
    assert service.client.get("/livez").status_code == 200


def test_a_long_but_finite_head_is_read(service: RunningService) -> None:
    """As much as a browser may send in cookies."""
    assert service.client.get("/livez", headers={"Cookie": "c=" + "a" * 60_000}).status_code == 200


def test_no_more_requests_are_read_while_many_wait(service: RunningService) -> None:
    """uvicorn reads on after each answer, so that those that wait grow without bound."""
    requests = (HEAD + b"\r\n") * 2000
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
        link.setblocking(False)
        waiting, deadline = 0, time.monotonic() + 2
        while time.monotonic() < deadline:
            for act in (lambda: link.send(requests), lambda: link.recv(2**20)):
                with suppress(BlockingIOError):
                    act()
            waiting = max(waiting, *(len(each.pipeline) for each in [*service.connections]), 0)
    assert 0 < waiting * len(HEAD + b"\r\n") <= 2 * 2**18


@pytest.mark.usefixtures("hasty")
def test_a_connection_that_says_nothing_is_closed(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as link:
        assert _is_cut(link)


@pytest.mark.usefixtures("hasty")
def test_a_request_that_drips_in_is_cut_off(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as link:
        begun = time.monotonic()
        link.sendall(HEAD)
        while not _is_cut(link, 0.1) and time.monotonic() < begun + WAIT_S:
            link.sendall(b"X: a\r\n")
        assert time.monotonic() - begun < 3


@pytest.mark.usefixtures("hasty")
def test_a_connection_in_use_is_left_alone(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=WAIT_S) as link:
        for _ in range(8):
            link.sendall(HEAD + b"\r\n")
            assert link.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.3)


class OneAnswer:
    """An application whose memory holds one answer."""

    def __init__(self) -> None:
        self.hot_path = self

    def answer(self, target: bytes, headers: object, address: str) -> HotAnswer | None:
        return ([], b"content-length: 4\r\n", [], b"lane")

    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


class Nowhere(asyncio.Transport):
    """A connection that leads nowhere: keeps what is written to it, and whether it was cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...


async def test_many_whole_requests_in_a_packet_are_no_long_request() -> None:
    """A packet may hold more than one request is allowed to have."""
    transport = Nowhere()
    config = uvicorn.Config(OneAnswer(), proxy_headers=False, log_config=None, lifespan="off")
    lane = FastLane(config, ServerState(), {}, _loop=asyncio.get_running_loop())
    lane.connection_made(transport)
    request = b"GET /random/4 HTTP/1.1\r\nHost: a\r\n\r\n"
    count = 2 * bounds.MOST_REQUEST_BYTES // len(request)
    lane.data_received(request * count + request[:10])
    assert (len(transport.written), transport.aborted) == (count, False)
    for _ in range(3):
        lane.data_received(b"a" * (bounds.MOST_REQUEST_BYTES // 2))
    assert transport.aborted
    lane.connection_lost(None)
