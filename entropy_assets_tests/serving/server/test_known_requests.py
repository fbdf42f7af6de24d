"""When a packet of bytes that are known is answered without being read: in no state but between two requests.

Each state here has a condition of its own in `FastLane.data_received`; the lane leads nowhere, so the state is exact.
"""

import asyncio
from collections.abc import Callable

import pytest
import uvicorn
from uvicorn.server import ServerState

from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets.serving.server.lane_check import _OneAnswer
from entropy_assets_tests.serving.server.wire import Link

KNOWN = b"GET /random/4 HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlane"


class Bench:
    """A lane whose memory knows `KNOWN`, and what comes out of it."""

    def __init__(self) -> None:
        self.state, self.link, self.memory = ServerState(), Link(), _OneAnswer()
        config = uvicorn.Config(self.memory, proxy_headers=False, log_config=None, lifespan="off")
        self.lane = self.link.protocol = FastLane(config, self.state, {}, _loop=asyncio.get_running_loop())
        self.lane.connection_made(self.link)
        for _ in range(2):
            self.lane.data_received(KNOWN)
        assert [*self.memory.requests] == [KNOWN]
        assert self.written() == ANSWER * 2

    def written(self) -> bytes:
        """Return what came out since it was asked last."""
        written = bytes(self.link.written)
        self.link.written.clear()
        return written

    async def end(self) -> None:
        self.lane.connection_lost(None)
        await asyncio.gather(*self.state.tasks, return_exceptions=True)


STATES: dict[str, Callable[[Bench], object]] = {
    "a head is half read": lambda bench: bench.lane.data_received(b"GET /livez HTTP/1.1\r\nX: "),
    "a body is half read": lambda bench: bench.lane.data_received(b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n"),
    "an answer is not out": lambda bench: bench.lane.data_received(b"HEAD /random/4 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a request waits": lambda bench: bench.lane.pipeline.append((None, None)),
    "the last is said": lambda bench: setattr(bench.lane, "_last_act", bench.link.close),
    "nobody reads": lambda bench: bench.lane.flow.pause_writing(),
    "the connection is closing": lambda bench: setattr(bench.link, "ended", True),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_what_is_known_is_answered_between_two_requests_only(state: Callable[[Bench], object]) -> None:
    bench = Bench()
    state(bench)
    bench.lane.data_received(KNOWN)
    assert bench.written() == b""
    assert bench.state.total_requests == 2
    bench.lane.pipeline.clear()
    await bench.end()


async def test_what_is_known_is_answered_again_once_the_answer_before_it_is_out() -> None:
    """So the states above are passing ones, and the conditions close nothing for good."""
    bench = Bench()
    bench.lane.data_received(b"HEAD /random/4 HTTP/1.1\r\nHost: a\r\n\r\n")
    bench.lane.cycle.response_complete = True
    bench.lane.data_received(KNOWN)
    assert bench.written() == ANSWER
    await bench.end()


@pytest.mark.parametrize(
    "packets",
    [
        [KNOWN + KNOWN[:9], KNOWN[9:]],
        [b"GET /random/4 HTTP/1.1\r\nHost: b\r\n\r\n" + KNOWN],
        [KNOWN + b"no request"],
        [KNOWN + b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"],
        [b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + KNOWN],
        [b"GET /random/5 HTTP/1.1\r\nHost: a\r\n\r\n"],
        [KNOWN[:-2] + b"Content-Length: 2\r\n\r\n", b"ab"],
    ],
)
async def test_only_one_whole_request_that_memory_answered_is_remembered(packets: list[bytes]) -> None:
    bench = Bench()
    for packet in packets:
        bench.lane.data_received(packet)
    assert [*bench.memory.requests] == [KNOWN]
    await bench.end()


async def test_each_request_that_comes_alone_is_remembered() -> None:
    bench = Bench()
    other = KNOWN.replace(b"Host: a", b"Host: b")
    bench.lane.data_received(KNOWN + other)
    bench.lane.data_received(other)
    assert [*bench.memory.requests] == [KNOWN, other]
    await bench.end()


async def test_a_known_request_that_memory_can_not_answer_now_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.memory, "take", lambda *_: None)
    bench.lane.data_received(KNOWN)
    assert (bench.written(), len(bench.state.tasks)) == (b"", 1)
    await bench.end()


async def test_a_known_request_keeps_the_connection_as_one_that_is_read_does() -> None:
    """The watch over a connection closes one whose phase lasts too long."""
    bench = Bench()
    bench.lane._phase, bench.lane._reading = "idle", True
    bench.lane.data_received(KNOWN)
    assert (bench.lane._phase, bench.lane._reading) == ("", False)
    await bench.end()


async def test_a_memory_that_fails_on_a_known_request_is_told_of_and_the_connection_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("no such block")

    bench = Bench()
    monkeypatch.setattr(bench.memory, "take", fail)
    bench.lane.data_received(KNOWN)
    assert bench.written().startswith(b"HTTP/1.1 500")
    assert (bench.link.ended, bench.state.tasks) == (True, set())
    assert "unhandled-error" in [record.msg for record in caplog.records]
    await bench.end()
