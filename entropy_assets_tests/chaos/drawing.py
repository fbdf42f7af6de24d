"""A program that draws bytes over many connections and writes down every answer: what the checker believes.

``python -m entropy_assets_tests.chaos.drawing FILE CONNECTIONS PORT``; a closed standard input ends it. It then
waits for the answers that are on their way, so that what the service counted as served is here too.
"""

import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop

from entropy_assets_tests.chaos.draws import PRIVATE

DEPTH = 4
"""Requests on their way on one connection."""
LOOK_S = 0.1
SILENT_LOOKS = 15
"""Looks in a row before which nothing came, after which a client leaves. Looks, and no time: where this program itself
stood still, what came meanwhile waits to be read."""
PAUSE_S = 0.05
"""After a refusal or a break: a client that asks again at once would only measure itself."""
SPANNING, LARGE = 5000, 1024
SLOW_WAY = "&"
"""A query that no short-cut knows, so that FastAPI answers it."""


@dataclass
class Log:
    """Every answer, in the order of arrival."""

    times: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    cuts: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    stalled_s: float = 0.0

    def write(self, path: Path) -> None:
        """Write it as arrays."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(
                file,
                times=np.array(self.times),
                lengths=np.array(self.lengths, np.int64),
                bodies=np.frombuffer(b"".join(self.bodies), np.uint8),
                cuts=np.frombuffer(b"\n".join(self.cuts), np.uint8),
                counts=np.frombuffer(json.dumps(self.counts).encode(), np.uint8),
                stalled_s=self.stalled_s,
            )
        part.rename(path)


def request_of(n: int, more: str = "", answer_class: str = "public") -> tuple[bytes, int]:
    """Give a request and the length of its answer."""
    return f"GET /random/{n}?class={answer_class}{more} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode(), n


def requests(seed: int) -> Iterator[tuple[bytes, int]]:
    """Mostly small draws, some that span blocks, some that go the long way through FastAPI."""
    chance = random.Random(seed)
    usual = [request_of(16)] * 243 + [request_of(LARGE)] * 4 + [request_of(SPANNING)]
    cycle = usual + [request_of(16, SLOW_WAY)] * 6 + [request_of(33, "&format=raw")] * 2
    cycle += [request_of(16, answer_class="private")] * 60 + [request_of(LARGE, answer_class="private")]
    cycle += [request_of(16, SLOW_WAY, "private")] * 2
    chance.shuffle(cycle)
    return itertools.cycle(cycle)


class Connection(asyncio.Protocol):
    """One connection, kept busy."""

    def __init__(self, log: Log, todo: Iterator[tuple[bytes, int]]) -> None:
        self.log = log
        self.todo = todo
        self.closed = asyncio.get_running_loop().create_future()
        self.stopping = False
        self.transport: asyncio.Transport
        self._asked: deque[int] = deque()
        self._unread = b""
        self._silent_looks = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._ask(DEPTH)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked:
            self.log.counts["broken"] += 1
            self.log.counts["unanswered"] += len(self._asked)
        if not self.closed.done():
            self.closed.set_result(None)

    def _ask(self, count: int) -> None:
        if self.stopping:
            if not self._asked:
                # not at once: an answer that nobody asked for would come now
                asyncio.get_running_loop().call_later(PAUSE_S, self.transport.close)
            return
        asked = [next(self.todo) for _ in range(count)]
        self._asked.extend(n for _, n in asked)
        self.transport.write(b"".join(words for words, _ in asked))

    def stop(self) -> None:
        """Ask nothing more; close when all is answered."""
        self.stopping = True
        self._ask(0)

    def look(self) -> None:
        """Leave a service that does not answer, as clients do."""
        self._silent_looks += 1
        if self._asked and self._silent_looks > SILENT_LOOKS:
            self.log.counts["timed out"] += 1
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._silent_looks = 0
        now = time.monotonic()
        data = self._unread + data
        at = answered = 0
        refused = False
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            head = data[at:end].lower() + b"\r\n"
            begin = end + 4
            length = int(_value(head, b"\r\ncontent-length:"))
            if len(data) < begin + length:
                break
            at = begin + length
            answered += 1
            refused |= not self._note(head, data[begin:at], now)
        self._unread = data[at:]
        if not answered:
            return
        if refused:
            asyncio.get_running_loop().call_later(PAUSE_S, self._ask_if_open, answered)
        else:
            self._ask(answered)

    def _ask_if_open(self, count: int) -> None:
        if not self.closed.done():
            self._ask(count)

    def _note(self, head: bytes, body: bytes, now: float) -> bool:
        if not self._asked:
            self.log.counts["unasked"] += 1
            return True
        wanted = self._asked.popleft()
        status = head[9:12]
        if status != b"200":
            self.log.counts[status.decode()] += 1
            return False
        if len(body) != wanted:
            self.log.counts["of another length"] += 1
        self.log.times.append(now)
        self.log.lengths.append(len(body))
        self.log.bodies.append(body)
        is_private = _value(head, b"\r\nx-entropy-class:") == PRIVATE
        self.log.cuts.append(PRIVATE if is_private else _value(head, b"\r\nx-entropy-blocks:"))
        return True


def _value(head: bytes, name: bytes) -> bytes:
    at = head.find(name)
    return b"" if at < 0 else head[at + len(name) : head.index(b"\r\n", at + 2)].strip()


class Crowd:
    """Clients that come back whenever they were cut off."""

    def __init__(self, log: Log, port: int) -> None:
        self.log = log
        self.port = port
        self.open: set[Connection] = set()
        self.stopping = False

    async def client(self, seed: int) -> None:
        """Be one client until told to stop."""
        loop = asyncio.get_running_loop()
        todo = requests(seed)
        while not self.stopping:
            try:
                _, connection = await loop.create_connection(lambda: Connection(self.log, todo), "127.0.0.1", self.port)
            except OSError:
                self.log.counts["not connected"] += 1
                await asyncio.sleep(PAUSE_S)
                continue
            self.open.add(connection)
            if self.stopping:  # told so while it connected
                connection.stop()
            await connection.closed
            self.open.discard(connection)
            await asyncio.sleep(PAUSE_S)

    async def watch(self) -> None:
        """Look after the time-outs, and how long this program itself stood still."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(LOOK_S)
            self.log.stalled_s = max(self.log.stalled_s, time.monotonic() - begun - LOOK_S)
            for connection in list(self.open):
                connection.look()

    async def stop(self) -> None:
        """Let every client finish."""
        self.stopping = True
        for connection in list(self.open):
            connection.stop()


async def draw(path: Path, connections: int, port: int) -> None:
    """Draw until standard input ends, then write the log."""
    log = Log()
    crowd = Crowd(log, port)
    watch = asyncio.create_task(crowd.watch())
    clients = [asyncio.create_task(crowd.client(seed)) for seed in range(connections)]
    while await asyncio.to_thread(sys.stdin.readline):
        # one line asks how far it is
        print(json.dumps({"draws": len(log.times), **log.counts}), flush=True)
    await crowd.stop()
    await asyncio.gather(*clients)
    watch.cancel()
    log.write(path)


if __name__ == "__main__":
    uvloop.run(draw(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
