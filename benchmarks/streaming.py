"""Streams and downloads against the server they run on: megabytes per second, wall and CPU.

``python -m benchmarks.streaming [--json] [--rounds N]``. One client, one connection, pieces of 64 KiB.

``bare`` is an ASGI application that sends messages it has over the same uvicorn with the same settings: the server
library's own limit. No service of random bytes can send the same message again from the processor's cache, so the
yardstick goes through 64 MiB of different ones, and the service through a pool of as many; the row ``constant`` sends
one message again and again and is there to compare. The service draws from a full reservoir; how fast a pool fills it
is measured elsewhere. All take turns, round by round, so that a busy machine hits all alike; the figures are the best
round of each. The figures per CPU second and per message are those of the server's process alone.
"""

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http.app import create_app
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.server.workers import server_options
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolBlock, PoolDepth, PoolHealth, SealedLease

TARGET = 0.75
"""Least that a public stream should reach of the bare one, in bytes per second."""
MIB = 2**20
SIZE = 48 * MIB
HELD = 52 * MIB
WORKING_SET = 64 * MIB
"""Larger than the caches that one process has to itself."""
BLOCKS = WORKING_SET // 4096
CREDIT = 4 * MIB
PIECE_BYTES = 65_536
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    + "A" * 22
    + "==\r\n"
)


# --- servers -------------------------------------------------------------------------------------------------------


class Opened(SealedLease):
    """A lease whose blocks need not be read."""

    def opened(self, start: int = 0, end: int | None = None) -> Lease:
        """Give the blocks of the entries from `start` to `end`."""
        return Lease(tuple(LeasedBlock(block, 1e6) for block in self.entries[start:end]), self.left)  # type: ignore[arg-type]


class Endless:
    """A pool in memory that has blocks while `filling` is set: the same different ones again and again."""

    def __init__(self) -> None:
        self.filling = threading.Event()
        self._blocks = [PoolBlock(f"{at:036d}", os.urandom(4096), "", 9.0, 0) for at in range(BLOCKS)]
        self._next = 0

    def lease_sealed(self, most: int, *, lane: Lane) -> Opened:
        """Give `most` blocks, when it may."""
        self.filling.wait()
        chosen = tuple(self._blocks[(self._next + at) % BLOCKS] for at in range(most))
        self._next += most
        return Opened(chosen, 0.0, 0.0, PoolDepth(2**20, 2**32))  # type: ignore[arg-type]

    def health(self) -> PoolHealth:
        """Is asked by nobody here."""
        return PoolHealth((), None, 0.0)

    def close_blocks(self, begun: Mapping[str, float], closed: Sequence[str]) -> None:
        """Need not know."""

    def count_altered(self, blocks: int, lane: Lane) -> None:
        """Has no altered blocks."""

    def check_server_safety(self, **_: object) -> None:
        """Is safe."""

    def close(self) -> None:
        """Has nothing to close."""


class Bare:
    """Send `SIZE` bytes that are there already; at ``/constant`` the same piece again and again (ASGI)."""

    def __init__(self) -> None:
        self._pieces = [os.urandom(PIECE_BYTES) for _ in range(WORKING_SET // PIECE_BYTES)]
        self._different = itertools.cycle(self._pieces)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one client."""
        pieces = itertools.repeat(self._pieces[0]) if scope["path"] == "/constant" else self._different
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            for piece in itertools.islice(pieces, SIZE // PIECE_BYTES):
                await send({"type": "websocket.send", "bytes": piece})
            while (await receive())["type"] != "websocket.disconnect":
                pass
        elif scope["type"] == "http":
            headers = [(b"content-length", b"%d" % SIZE)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for left in range(SIZE - PIECE_BYTES, -1, -PIECE_BYTES):
                await send({"type": "http.response.body", "body": next(pieces), "more_body": left > 0})


def with_meter(app: Any) -> Any:
    """Return `app` with ``/cpu``: the CPU seconds of its process, and whether it holds what is going to be read.

    ``/cpu?fill`` has a service fill its reservoir; else nothing is leased, so that only sending is measured.
    """

    async def metered(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/cpu":
            await app(scope, receive, send)
            return
        bare = isinstance(app, Bare)
        full = bare or all(each.buffered_bytes >= HELD for each in app.service.reservoirs)
        if not bare:
            filling = app.service.pool.filling
            (filling.set if scope["query_string"] and not full else filling.clear)()
        body = b"%f %d" % (time.process_time(), full)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    return metered


def serve(name: str, port: int) -> None:
    """Serve in this process."""
    app: Any
    if name == "bare":
        app = Bare()
    else:
        limits = ReservoirLimits(least_bytes=2 * HELD, most_bytes=2 * HELD)  # it is filled to half of it
        app = create_app(ServiceConfig(pool_url="unix:///nowhere", reservoir=limits), pool=Endless())  # type: ignore[arg-type]
    options = {**server_options(fast_lane=False), "lifespan": "on" if name == "service" else "off"}
    uvicorn.run(with_meter(app), port=port, **options)


# --- the client ----------------------------------------------------------------------------------------------------


class Frames:
    """Counts the payload of binary frames in what a server sends."""

    def __init__(self) -> None:
        self.total = 0
        self._left = 0
        self._binary = False
        self._head = b""

    def take(self, data: memoryview) -> None:
        """Take in what came."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self.total += step * self._binary
                self._left -= step
            else:
                step = self._read_head(data[at:])
            at += step

    def _read_head(self, data: memoryview) -> int:
        """Read as much of a frame's head as is there; return how many bytes that were."""
        before = len(self._head)
        head = self._head + bytes(data[: 10 - before])
        short = head[1] & 127 if len(head) > 1 else 127
        size = 2 + {126: 2, 127: 8}.get(short, 0)
        if len(head) < size:
            self._head = head
            return len(data)
        self._head, self._binary = b"", head[0] & 15 == 2
        self._left = short if size == 2 else int.from_bytes(head[2:size], "big")
        return size - before


def request(port: int, path: str, more: str = "") -> socket.socket:
    """Send a request and read the head of its answer."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.split()[1] in (b"101", b"200"), head
    return connection


def read_stream(port: int, path: str) -> None:
    """Read `SIZE` bytes of a WebSocket, with credit for 4 MiB more at every 4 MiB."""
    text = json.dumps({"credit": CREDIT}).encode()
    credit = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
    buffer, frames = memoryview(bytearray(MIB)), Frames()
    with request(port, path, UPGRADE) as connection:
        connection.sendall(credit)
        granted = 0
        while frames.total < SIZE:
            if frames.total >= granted and granted + CREDIT < SIZE:
                connection.sendall(credit)
                granted += CREDIT
            n = connection.recv_into(buffer)
            assert n, "the server closed"
            frames.take(buffer[:n])


def read_body(port: int, path: str) -> None:
    """Read `SIZE` bytes of a body."""
    buffer, total = memoryview(bytearray(MIB)), 0
    with request(port, path) as connection:
        while total < SIZE:
            total += connection.recv_into(buffer)


@dataclass
class Row:
    """One thing that is measured."""

    name: str
    server: str
    path: str
    against: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, port: int) -> None:
        """Read once, and note megabytes per second of the clock and of the server's CPU."""
        before, started = cpu_seconds(port, fill=True), time.perf_counter()
        (read_body if "HTTP" in self.name else read_stream)(port, self.path)
        self.wall.append(SIZE / 1e6 / (time.perf_counter() - started))
        self.cpu.append(SIZE / 1e6 / (cpu_seconds(port, fill=False) - before))


def cpu_seconds(port: int, *, fill: bool) -> float:
    """Return the CPU seconds of a server, with `fill` once its reservoir is full."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/cpu?fill" if fill else "/cpu")
            seconds, full = connection.getresponse().read().split()
            if full == b"1" or not fill:
                return float(seconds)
        except ConnectionRefusedError:
            pass  # it is starting
        finally:
            connection.close()
        time.sleep(0.02)


ROWS = (
    ("WebSocket, constant", "bare", "/constant", "WebSocket, bare"),
    ("WebSocket, bare", "bare", "/", ""),
    ("WebSocket, public", "service", "/stream?class=public", "WebSocket, bare"),
    ("WebSocket, private", "service", "/stream", "WebSocket, bare"),
    ("HTTP body, bare", "bare", "/", ""),
    ("HTTP download, private", "service", f"/download/{SIZE}", "HTTP body, bare"),
)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measured(rounds: int) -> list[Row]:
    """Run both servers and return the rows."""
    rows = [Row(*each) for each in ROWS]
    ports = {name: free_port() for name in ("bare", "service")}
    servers = [multiprocessing.get_context("spawn").Process(target=serve, args=each) for each in ports.items()]
    for server in servers:
        server.start()
    try:
        for _ in range(rounds + 1):
            for row in rows:
                row.measure(ports[row.server])
    finally:
        for server in servers:
            server.kill()  # the service's filler waits for leave to fill
            server.join()
    for row in rows:
        del row.wall[0], row.cpu[0]  # the first round warms up
    return rows


def main() -> None:
    """Print the table, and whether a public stream is as fast as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    rows = {row.name: row for row in measured(given.rounds)}
    report = {}
    for name, row in rows.items():
        wall, cpu = max(row.wall), max(row.cpu)
        ratio = cpu / max(rows[row.against].cpu) if row.against else None
        wall_ratio = wall / max(rows[row.against].wall) if row.against else None
        report[name] = {
            "mb_per_s": wall,
            "wall_ratio": wall_ratio,
            "mb_per_cpu_s": cpu,
            "ratio": ratio,
            "cpu_us_per_message": PIECE_BYTES / cpu,
        }
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print(f"{'':24} {'MB/s':>8} {'ratio':>6} {'MB/CPU s':>9} {'ratio':>6} {'us/64 KiB':>9}")
        for name, one in report.items():
            ratios = [f"{one[each]:6.2f}" if one[each] else " " * 6 for each in ("wall_ratio", "ratio")]
            cpu = f"{one['mb_per_cpu_s']:9.0f} {ratios[1]} {one['cpu_us_per_message']:9.1f}"
            print(f"{name:24} {one['mb_per_s']:8.0f} {ratios[0]} {cpu}")
        reached = report["WebSocket, public"]["wall_ratio"] or 0.0
        missed = ", MISSED" if reached < TARGET else ""
        print(f"WebSocket, public / bare: {reached:.2f}, target: at least {TARGET:g}{missed}")


if __name__ == "__main__":
    main()
