"""What one connection may hold, on both ways through the protocol: each test is an attack that cost memory."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from entropy_assets.serving.answers.hot_path import Taken
from entropy_assets.serving.config import ConnectionLimits, ServiceConfig, StreamLimits
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.server.bounds import Bounded
from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.server.wire import Way

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
DRAW = b"GET /random/65536 HTTP/1.1\r\nHost: localhost\r\n\r\n"
WAIT_S = 60.0
"""How long what must come may take on a machine that does other things too."""
HASTY = ConnectionLimits(request_s=1.0, idle_s=1.0, write_s=1.0, closing_s=1.0)
PATIENT_S = 300.0
PATIENT = ConnectionLimits(request_s=PATIENT_S, idle_s=PATIENT_S, write_s=PATIENT_S, closing_s=PATIENT_S)
MOST_REQUEST_BYTES = ConnectionLimits().most_request_bytes
STREAM = (
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
BLOCKS = 2000
STOCK = ReservoirLimits(least_bytes=2**23, most_bytes=2**23)
"""Held ahead, so that answers are in memory."""


@pytest.fixture(params=[True, False], ids=["lane", "no lane"])
def service(request: pytest.FixtureRequest, valkey_url: str, pool_prefix: str) -> Iterator[RunningService]:
    """Run a service with the fast lane, or without."""
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, fast_lane=request.param)
    with RunningService(config) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["lane", "no lane"])
def serve(
    request: pytest.FixtureRequest, valkey_url: str, pool_prefix: str, pool: PoolClient
) -> Iterator[Callable[..., RunningService]]:
    """Give what runs a service with these limits, with the lane or without, on a pool of 8 MB."""
    pool.push(blocks_for_both(BLOCKS))
    with ExitStack() as stack:

        def run(limits: ConnectionLimits, **more: Any) -> RunningService:
            config = ServiceConfig(
                pool_url=valkey_url,
                pool_prefix=pool_prefix,
                fast_lane=request.param,
                connections=limits,
                reservoir=STOCK,
                **more,
            )
            return stack.enter_context(RunningService(config))

        yield run


@pytest.fixture
def hasty(serve: Callable[..., RunningService]) -> RunningService:
    """Run a service that gives everything a second."""
    return serve(HASTY)


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


def _lasts_s(link: socket.socket, begin: bytes, drop: bytes) -> float:
    """Send `begin`, then `drop` again and again; return after how many seconds the connection ends."""
    begun = time.monotonic()
    try:
        link.sendall(begin)
        while not _is_cut(link, 0.1) and time.monotonic() < begun + WAIT_S:
            link.sendall(drop)
    except ConnectionError:
        pass
    return time.monotonic() - begun


def _deaf_link(service: RunningService) -> socket.socket:
    """Return a connection with little room for what is sent to it."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.settimeout(WAIT_S)
    link.connect(("127.0.0.1", service.port))
    return link


def _masked(text: bytes) -> bytes:
    """Return a WebSocket message as clients send it (RFC 6455, section 5.2), masked by zeros."""
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


def _wait(claim: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
        b"POST /random HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
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


def test_a_connection_that_says_nothing_is_closed(hasty: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port)) as link:
        assert _is_cut(link)


def test_a_request_that_drips_in_is_cut_off(hasty: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port)) as link:
        assert _lasts_s(link, HEAD, b"X: a\r\n") < 4


def test_a_body_that_drips_in_is_cut_off(hasty: RunningService) -> None:
    head = b"POST /random HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", hasty.port)) as link:
        assert _lasts_s(link, head, b" ") < 4


def test_empty_lines_keep_no_connection(hasty: RunningService) -> None:
    """uvicorn's clock of an idle connection was stopped by whatever came."""
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=WAIT_S) as link:
        link.sendall(HEAD + b"\r\n")
        assert link.recv(65_536).startswith(b"HTTP/1.1 200")
        assert _lasts_s(link, b"\r\n", b"\r\n") < 4


def test_a_connection_in_use_is_left_alone(serve: Callable[..., RunningService]) -> None:
    idle_s = 3.0  # ten times what lies between two requests: on a busy machine it may be more
    service, begun = serve(replace(HASTY, idle_s=idle_s)), time.monotonic()
    with closing(HTTPConnection("127.0.0.1", service.port, timeout=WAIT_S)) as link:
        link.connect()
        link.auto_open = 0  # what is closed stays so
        while time.monotonic() < begun + 1.3 * idle_s:
            link.request("GET", "/livez")
            assert link.getresponse().read() == b'{"status":"alive"}'
            time.sleep(0.3)


READ_BY_NOBODY = {
    "draws": DRAW * 200,
    "pages": b"GET /docs-assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
    "descriptions": b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 900,
    "metrics": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500,
    "downloads": b"GET /download/8000000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "lines": b"GET /download/8000000?class=public HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no requests": DRAW * 200 + b"no request\r\n\r\n",
    "last ones": DRAW * 100 + DRAW[:-2] + b"Connection: close\r\n\r\n",
}


@pytest.mark.parametrize("requests", READ_BY_NOBODY.values(), ids=READ_BY_NOBODY)
def test_a_client_that_does_not_read_is_cut_off(hasty: RunningService, requests: bytes) -> None:
    """Each held some 600 KB for as long as it wished."""
    with _deaf_link(hasty) as link:
        link.setblocking(False)
        _wait(lambda: hasty.connections)
        deadline = time.monotonic() + WAIT_S
        while hasty.connections and time.monotonic() < deadline:
            with suppress(OSError):
                requests = requests[link.send(requests) :] if requests else b""
            time.sleep(0.02)
        assert not hasty.connections


def test_a_stream_that_nobody_reads_is_cut_off(serve: Callable[..., RunningService]) -> None:
    service = serve(HASTY, streams=StreamLimits(idle_s=3.0))
    with _deaf_link(service) as link:
        link.sendall(STREAM)
        streams = service.application.service.counts
        _wait(lambda: streams["streams_opened"])
        link.sendall(_masked(b'{"credit": 16777216}'))
        _wait(lambda: streams["served_private_bytes"] > 2**18)
        _wait(lambda: not service.connections)
        assert streams["streams_ended"] == 1


def test_pings_are_not_answered_without_end_to_who_does_not_read(serve: Callable[..., RunningService]) -> None:
    """Each answer waited in memory until the stream was closed for silence."""
    service = serve(PATIENT)
    with _deaf_link(service) as link:
        link.sendall(STREAM)
        _wait(lambda: service.application.service.counts["streams_opened"])
        ping = b"\x89\xfd" + bytes(4) + b"a" * 125
        assert _accepts(link, ping * 500, 2**26) < 2**26
        _wait(lambda: not service.connections)


@pytest.mark.parametrize("said", [_masked(b'{"credit": 1}'), b"no frame" * 40, HEAD])
async def test_who_speaks_before_the_handshake_is_answered_is_cut_off(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """uvicorn's own WebSocket wrote a traceback into the log for it."""

    async def accept(scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    outcome = await Way(accept, Bounded).outcome([(STREAM, False), (said, False)])
    assert (outcome.answers, outcome.closed) == ([], True)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_who_reads_slowly_gets_everything(serve: Callable[..., RunningService]) -> None:
    """Limits are for who does not read, not for a slow line: this takes several of them."""
    service = serve(replace(HASTY, write_s=2.0))  # on a busy machine nobody may have read for a second
    most = 6_000_000
    with socket.create_connection(("127.0.0.1", service.port), timeout=WAIT_S) as link:
        link.sendall(b"GET /download/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % most)
        read, begun = 0, time.monotonic()
        while read < most and (data := link.recv(80_000)):
            read += len(data)
            time.sleep(0.06)
        assert read >= most
        assert time.monotonic() - begun > 4


def test_a_patient_service_keeps_them_all(serve: Callable[..., RunningService]) -> None:
    """The same attacks are not ended by anything but the limits."""
    service = serve(PATIENT)
    with ExitStack() as stack:
        for requests in (HEAD, DRAW * 100, READ_BY_NOBODY["pages"]):
            link = stack.enter_context(_deaf_link(service))
            link.setblocking(False)
            with suppress(OSError):
                link.send(requests)
        time.sleep(4)
        assert len(service.connections) == 3


class OneAnswer:
    """An application whose memory holds one answer."""

    def __init__(self) -> None:
        self.hot_path = self

    def known(self, request: bytes) -> None: ...

    def remember(self, *_: object) -> None: ...

    def asked(self, target: bytes, headers: object) -> bytes:
        return target

    def take(self, asked: object, address: str) -> Taken:
        return [], b"content-length: 4\r\n", None, None, b"lane"

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

    def get_extra_info(self, name: str, default: object = None) -> Any:
        return default


async def test_many_whole_requests_in_a_packet_are_no_long_request() -> None:
    """A packet may hold more than one request is allowed to have."""
    transport = Nowhere()
    config = uvicorn.Config(OneAnswer(), proxy_headers=False, log_config=None, lifespan="off")
    lane = FastLane(config, ServerState(), {}, _loop=asyncio.get_running_loop())
    lane.connection_made(transport)
    request = b"GET /random/4 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    count = 2 * MOST_REQUEST_BYTES // len(request)
    lane.data_received(request * count + request[:10])
    assert (len(transport.written), transport.aborted) == (count, False)
    for _ in range(3):
        lane.data_received(b"a" * (MOST_REQUEST_BYTES // 2))
    assert transport.aborted
    lane.connection_lost(None)
