"""Where one request ends and the next begins: each test is a request that was read otherwise than it was meant.

A proxy in front reads them as RFC 9112 says. Where the service reads them otherwise, one client writes requests that
the proxy takes for part of another's.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.api_keys import FileKeys
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.keyed import Start, key_of
from entropy_assets_tests.serving.running import RunningService

HOST = b"Host: localhost\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
BODY = b'{"n": 16, "format": "hex"}'
JSON = b"Content-Type: application/json\r\n"
DRAW = b"GET /random/4?format=hex&class=public HTTP/1.1\r\n" + HOST + b"\r\n"
STREAM = b"GET /stream HTTP/1.1\r\n" + HOST


@pytest.fixture(params=[True, False], ids=["lane", "no lane"])
def service(
    request: pytest.FixtureRequest, valkey_url: str, pool_prefix: str, pool: PoolClient
) -> Iterator[RunningService]:
    """Run a service with the fast lane, or without, on a pool of 20 blocks."""
    pool.push(blocks_for_both(20))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, fast_lane=request.param)
    with RunningService(config) as running:
        yield running


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def _said(service: RunningService, *parts: bytes, for_s: float = 0.5) -> bytes:
    """Send `parts` one after the other and return all that is answered until nothing comes any more.

    Silence counts where the service answered somebody else in it, what takes it a thread too: a machine that is busy is
    silent as well.
    """
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as link:
        for part in parts:
            link.sendall(part)
            time.sleep(0.05)
        said = b""
        try:
            for wait_s, asked in ((for_s, ()), (0.1, ("/health", "/livez"))):
                for path in asked:
                    service.client.get(path)
                link.settimeout(wait_s)
                with suppress(TimeoutError):
                    while data := link.recv(65_536):
                        said += data
                    return said + b"<closed>"
        except ConnectionResetError:  # what was sent after the end was not read; what was answered before came first
            return said + b"<closed>"
        return said


def _statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def _answers(service: RunningService) -> int:
    counts = service.application.service.counts
    return counts["private_answers"] + counts["public_answers"]


@pytest.mark.parametrize("at_once", [True, False], ids=["one segment", "two segments"])
def test_the_body_of_a_post_that_offers_h2c_is_read(service: RunningService, at_once: bool) -> None:
    """As Java's HttpClient and Ktor send it."""
    head = b"POST /random HTTP/1.1\r\n" + HOST + H2C + JSON + _length(BODY) + b"\r\n"
    said = _said(service, head + BODY) if at_once else _said(service, head, BODY)
    assert _statuses(said) == [200]
    assert len(said.partition(b"\r\n\r\n")[2]) == 32


@pytest.mark.parametrize("at_once", [True, False], ids=["one segment", "two segments"])
@pytest.mark.parametrize("target", [b"POST /random", b"GET /livez"])
def test_a_body_behind_an_offer_of_h2c_is_no_request(service: RunningService, at_once: bool, target: bytes) -> None:
    head = target + b" HTTP/1.1\r\n" + HOST + H2C + JSON + _length(DRAW) + b"\r\n"
    said = _said(service, head + DRAW) if at_once else _said(service, head, DRAW)
    assert len(_statuses(said)) == 1, said
    assert _answers(service) == 0


def test_a_chunked_body_behind_an_offer_of_h2c_is_read_to_its_end(service: RunningService) -> None:
    head = b"POST /random HTTP/1.1\r\n" + HOST + H2C + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert _statuses(_said(service, head, chunks, DRAW)) == [200, 200]


def test_a_connection_is_used_on_after_an_offer_of_h2c(service: RunningService) -> None:
    """As Java's HttpClient does, in one packet and in several."""
    offering = DRAW[:-2] + H2C + b"\r\n"
    assert _statuses(_said(service, offering, DRAW)) == [200, 200]
    assert _statuses(_said(service, offering * 3 + DRAW, DRAW)) == [200] * 5
    assert _answers(service) == 7


@pytest.mark.parametrize("target", [b"localhost:443", b"/random/4", b"http://localhost/random/4"])
def test_a_tunnel_is_refused_and_what_follows_not_read(service: RunningService, target: bytes) -> None:
    connect = b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    said = _said(service, DRAW + connect + DRAW, DRAW)
    assert (_statuses(said), said[-8:]) == ([200, 400], b"<closed>")
    assert _answers(service) == 1


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /stream HTTP/1.1\r\n" + HOST + WEBSOCKET,
        STREAM + WEBSOCKET,
        STREAM + WEBSOCKET.replace(b"websocket", b"h2c"),
    ],
    ids=["POST", "GET", "h2c"],
)
def test_a_body_behind_an_offer_of_a_websocket_is_no_request(service: RunningService, request_head: bytes) -> None:
    said = _said(service, request_head + _length(DRAW) + b"\r\n" + DRAW, DRAW)
    assert _statuses(said) in ([404, 200], [405, 200]), said
    assert _answers(service) == 1


def test_a_websocket_opens_when_all_before_it_is_answered(service: RunningService) -> None:
    slow = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    for before in (slow, DRAW, slow + DRAW + slow):
        said = _said(service, before + STREAM + WEBSOCKET + b"\r\n")
        assert _statuses(said) == [200] * before.count(b"Host") + [101], said


def test_what_is_no_request_is_refused_after_the_answers_before_it(service: RunningService) -> None:
    slow = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    for before in (slow, DRAW, slow + DRAW, slow * 3):
        said = _said(service, before + b"no request\r\n\r\n" + DRAW, DRAW)
        assert (_statuses(said), said[-8:]) == ([200] * before.count(b"Host") + [400], b"<closed>")


def test_a_body_that_is_none_is_refused_in_its_turn(service: RunningService) -> None:
    slow = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    broken = b"POST /random HTTP/1.1\r\n" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\nno length\r\n"
    for parts in ((broken,), (slow + broken,), (slow + slow + broken, DRAW), (slow, broken[:-11], broken[-11:])):
        said = _said(service, *parts)
        expected = [200] * b"".join(parts).count(b"/health") + [400]
        assert (_statuses(said), said[-8:]) == (expected, b"<closed>"), parts


def test_nothing_is_written_into_an_answer_that_was_begun(service: RunningService) -> None:
    """A refusal in the middle of a download would be taken for its bytes."""
    head = b"GET /download/60000 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    said = _said(service, head, b"no length\r\n")
    assert said.endswith(b"<closed>")
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "request_line, headers, body",
    [
        (b"GET /random/16 HTTP/1.1\r\n", b"", b""),
        (b"GET /random/16?class=public HTTP/1.1\r\n", b"", b"1\r\na\r\n"),
        (b"POST /random HTTP/1.1\r\n", JSON, b"%x\r\n%b\r\n" % (len(BODY), BODY)),
        (b"GET /random/16 HTTP/1.1\r\n", H2C, b""),
    ],
)
@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_key_behind_a_body_opens_nothing(
    start: Start, store: FileKeys, fast_lane: bool, request_line: bytes, headers: bytes, body: bytes
) -> None:
    """Fields behind a body (trailers) are no headers: proxies drop them, or let them pass unseen (RFC 9110, 6.5.1)."""
    key = key_of(store)
    service = start(anonymous_scopes=("stats",), fast_lane=fast_lane)
    assert service.client.get("/random/16", headers={"X-API-Key": key}).status_code == 200
    head = request_line + HOST + headers + b"Transfer-Encoding: chunked\r\n\r\n"
    trailer = b"0\r\nX-API-Key: " + key.encode() + b"\r\n\r\n"
    for parts in ((head + body + trailer,), (head, body + trailer), (head + body, trailer)):
        assert _statuses(_said(service, *parts)) == [401]
    assert _answers(service) == 1


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_key_in_the_head_opens_before_a_body_too(start: Start, store: FileKeys, fast_lane: bool) -> None:
    key = b"X-API-Key: " + key_of(store).encode() + b"\r\n"
    service = start(anonymous_scopes=("stats",), fast_lane=fast_lane)
    head = b"GET /random/16 HTTP/1.1\r\n" + HOST + key + b"Transfer-Encoding: chunked\r\n\r\n"
    assert _statuses(_said(service, head + b"0\r\nX-API-Key: other\r\n\r\n")) == [200]


@pytest.mark.parametrize("before", [b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", DRAW])
def test_who_ends_its_half_of_the_connection_is_answered(service: RunningService, before: bytes) -> None:
    """As ``printf ... | nc -N`` does it. A request that did not come as a whole gets nothing."""
    for sent, answered in ((before, 1), (before * 3, 3), (before + DRAW[:-2], 1), (before[:-2], 0)):
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as link:
            link.sendall(sent)
            link.shutdown(socket.SHUT_WR)
            said = b""
            while data := link.recv(65_536):
                said += data
        assert _statuses(said) == [200] * answered


def test_a_get_with_a_body_that_does_not_come_is_answered(service: RunningService) -> None:
    """The lane waited for all of it, the usual way for none."""
    assert _statuses(_said(service, DRAW[:-2] + b"Content-Length: 3\r\n\r\n")) == [200]
