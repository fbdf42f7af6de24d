"""A client of ``/stream`` as the tests have it: with a library, or by hand where it must behave badly."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from websockets.sync.client import ClientConnection, connect

from entropy_assets.serving.http.streams import MOST_CREDIT
from entropy_assets_tests.serving.running import RunningService


@contextmanager
def open_stream(service: RunningService, query: str = "", **more: object) -> Iterator[ClientConnection]:
    """Open a stream and give its client."""
    url = service.url.replace("http", "ws") + f"/stream{query}"
    with connect(url, compression=None, max_size=None, close_timeout=2, **more) as client:  # type: ignore[arg-type]
        yield client


def grant(client: ClientConnection, n: int) -> None:
    """Send credit for `n` bytes."""
    client.send(json.dumps({"credit": n}))


def read(client: ClientConnection, n: int) -> list[bytes]:
    """Return the binary messages that bring `n` bytes."""
    messages: list[bytes] = []
    while sum(map(len, messages)) < n:
        message = client.recv(timeout=30)
        assert isinstance(message, bytes)
        messages.append(message)
    assert sum(map(len, messages)) == n
    return messages


def read_public(client: ClientConnection, n: int) -> Iterator[tuple[str, int, int, bytes]]:
    """Give the ranges that bring `n` bytes, with their bytes."""
    while n > 0:
        note = json.loads(client.recv(timeout=30))
        data = b"".join(read(client, note["n"]))
        n -= len(data)
        for name in note["blocks"].split(","):
            block_id, span = name.split(":")
            start, end = map(int, span.split("-"))
            yield block_id, start, end, data[: end - start]
            data = data[end - start :]
        assert not data
    assert n == 0


def served(service: RunningService) -> int:
    """Return how many bytes were served."""
    counts = service.application.service.counts
    return counts["served_public_bytes"] + counts["served_private_bytes"]


def leased(service: RunningService) -> int:
    """Give the bytes that the service took out of the pool, of both lanes."""
    return service.application.service.board.totals()["leased_bytes"]


def wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait for `condition`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stands_still(service: RunningService, seconds: float = 0.5) -> int:
    """Return what was served once something was, and nothing more for a while in which the service did other things."""
    wait_until(lambda: served(service) > 0)
    before = -1
    while before != (before := served(service)):
        time.sleep(seconds)
        for path in ("/health", "/livez"):  # a machine that is busy stands still as well
            service.client.get(path)
    return before


def raw_client(service: RunningService, query: str = "", credit: int = MOST_CREDIT) -> socket.socket:
    """Open a stream by hand, with a small receive buffer, and grant it `credit`."""
    host, port = service.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        f"GET /stream{query} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert raw.recv(4096).startswith(b"HTTP/1.1 101")
    text = json.dumps({"credit": credit}).encode()
    raw.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # masked with zeros
    return raw
