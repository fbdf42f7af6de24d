"""A connection in memory, and what came out of it in a form in which two ways of answering can be compared."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import uvicorn
from uvicorn.server import ServerState

from entropy_assets.serving.server.bounds import Bounded
from entropy_assets.serving.server.workers import server_options

TURNS = 25
"""Turns of the loop after which an answer from memory, and one that FastAPI gives from memory, is out."""
IN_THREADS = (b"/health", b"/readyz", b"/stats", b"/metrics", b"/batches", b"/blocks")
"""Routes that ask somebody else, in a thread."""
THREAD_S = 1.0


class Link(asyncio.Transport):
    """A connection that leads nowhere: keeps what is written to it, and gives back what arrives as the loop would."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.protocol: Any = None
        self.ended = False
        self._paused = False
        self._waiting: list[bytes] = []
        self._ending = False

    def deliver(self, data: bytes) -> None:
        """Let `data` arrive, or wait while nobody reads."""
        if self._paused:
            self._waiting.append(data)
        elif not self.ended:
            self.protocol.data_received(data)

    def end(self) -> None:
        """Let the other side end its half."""
        if self._paused:
            self._ending = True
        elif not self.ended and not self.protocol.eof_received():
            self.close()

    def write(self, data: Any) -> None:
        if not self.ended:
            self.written += data

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(lambda: self.protocol.connection_lost(None))

    abort = close

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        asyncio.get_running_loop().call_soon(self._catch_up)

    def is_reading(self) -> bool:
        return not self._paused

    def _catch_up(self) -> None:
        while self._waiting and not self._paused:
            self.deliver(self._waiting.pop(0))
        if self._ending and not self._paused:
            self._ending = False
            self.end()

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def can_write_eof(self) -> bool:
        return False


class Answered(NamedTuple):
    """One answer: status, headers in order, and the body as far as two draws agree in it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass
class Outcome:
    """What became of one connection.

    Attributes
    ----------
    answers
        In order.
    rest
        Bytes that were written and are no whole answer.
    closed
        Whether the service ended the connection.
    counted
        What the service counted for it.
    """

    answers: list[Answered]
    rest: int
    closed: bool
    counted: dict[str, int] = field(default_factory=dict)


class Way:
    """One way to answer: an application inside uvicorn's protocol, with the fast lane or without."""

    def __init__(self, application: Any, protocol: type[Bounded]) -> None:
        options = {**server_options(fast_lane=False), "log_level": None, "http": protocol}
        self._config = uvicorn.Config(application, lifespan="off", log_config=None, **options)
        self._config.load()

    async def outcome(self, segments: Sequence[tuple[bytes, bool]], *, half_closed: bool = False) -> Outcome:
        """Return what becomes of a connection on which `segments` arrive, each with whether its answer is awaited.

        `half_closed` if the client ends its half behind the last one.
        """
        state, link = ServerState(), Link()
        state.default_headers = [(b"date", b"today")]
        loop = asyncio.get_running_loop()
        link.protocol = self._config.http_protocol_class(
            config=self._config, server_state=state, app_state={}, _loop=loop
        )
        link.protocol.connection_made(link)
        threads = any(path in b"".join(data for data, _ in segments) for path in IN_THREADS)
        for data, awaited in segments:
            link.deliver(data)
            if awaited:
                await _settled(state, threads)
        if half_closed:
            link.end()
        await _settled(state, threads)
        closed, written = link.ended, bytes(link.written)
        link.close()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        return Outcome(*_answers(written), closed)


async def _settled(state: ServerState, threads: bool) -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
        if not state.tasks:
            break
    if threads and state.tasks:
        await asyncio.wait(state.tasks, timeout=THREAD_S)
    for _ in range(5):
        await asyncio.sleep(0)


def _answers(written: bytes) -> tuple[list[Answered], int]:
    answers = []
    while b"\r\n\r\n" in written:
        head, _, rest = written.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines[1:])]
        status = int(lines[0].split()[1])
        body, rest = _body(status, dict(fields), rest)
        if body is None:
            return answers, len(written)
        answers.append(Answered(status, _comparable(fields), _told(dict(fields), body)))
        written = rest
    return answers, len(written)


def _body(status: int, fields: Mapping[str, str], rest: bytes) -> tuple[bytes | None, bytes]:
    if status in (100, 101, 304) or not rest or rest.startswith(b"HTTP/1.1 "):  # of the latter two, to a HEAD
        return b"", rest
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while True:
            length, found, after = rest.partition(b"\r\n")
            if not found:
                return None, rest
            size = int(length, 16)
            body, rest = body + after[:size], after[size + 2 :]
            if size == 0:
                return body, rest
    length = int(fields.get("content-length", 0))
    return (None, rest) if len(rest) < length else (rest[:length], rest[length:])


def _comparable(fields: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return headers without what differs from draw to draw: the time, which ranges, how many digits."""
    varies = dict(fields).get("content-type", "").startswith(("application/json", "text/plain; version"))
    ranges = [(name, _range_bytes(value) if name == "x-entropy-blocks" else value) for name, value in fields]
    unlike = {"date", "x-entropy-reveals-at", *(["content-length"] if varies else [])}
    return tuple((name, "-" if name in unlike else value) for name, value in ranges)


def _range_bytes(value: str) -> str:
    ranges = (cut.rpartition(":")[2].split("-") for cut in value.split(","))
    return f"{sum(int(end) - int(start) for start, end in ranges)} bytes"


def _told(fields: Mapping[str, str], body: bytes) -> str:
    kind = fields.get("content-type", "")
    if "x-entropy-class" not in fields:
        if kind == "application/json" or kind.startswith("text/plain; version"):
            return f"a document of {len(json.loads(body)) if kind == 'application/json' and body else 'some'} fields"
        return body.decode("latin-1")
    if kind == "application/json" and body:
        document = json.loads(body)
        drawn = document.pop("data")
        document.pop("reveals_at", None)
        blocks = document.pop("blocks", [])
        return (
            f"{sorted(document.items())}, {len(drawn)} in data, {sum(each['end'] - each['start'] for each in blocks)}"
        )
    if kind == "application/x-ndjson":
        return f"{sum(json.loads(line)['n'] for line in body.splitlines())} bytes in lines"
    return f"{len(body)} bytes"
