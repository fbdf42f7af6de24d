"""Whether the fast lane fits the uvicorn that is installed: tried, not read off a version number."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from entropy_assets.serving.answers.hot_path import HotAnswer
from entropy_assets.serving.server.fast_lane import FastLane


def why_no_fast_lane() -> str | None:
    """Return why the fast lane does not fit the uvicorn that is installed, None if it does.

    It is tried on a connection that leads nowhere: two requests in one packet must get two answers from memory, and a
    HEAD must be left to uvicorn.
    """
    loop = asyncio.new_event_loop()
    try:
        return _try_lane(loop)
    except (AttributeError, TypeError, ValueError, LookupError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        loop.close()


def _try_lane(loop: asyncio.AbstractEventLoop) -> str | None:
    config = uvicorn.Config(_OneAnswer(), proxy_headers=False, log_config=None, lifespan="off")
    lane = FastLane(config, ServerState(), {}, _loop=loop)
    transport: Any = _Nowhere()
    lane.connection_made(transport)
    lane.data_received(b"GET /random/4 HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlane"
    if transport.written != [answer] * 2:
        return "an answer from memory does not come out as it should"
    lane.data_received(b"HEAD /random/4 HTTP/1.1\r\nHost: a\r\n\r\n")
    left = len(lane.tasks) == 1 and transport.written == [answer] * 2
    for task in lane.tasks:
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    lane.connection_lost(None)
    return None if left else "a HEAD is not left to uvicorn"


class _OneAnswer:
    """An application whose memory holds one answer."""

    def __init__(self) -> None:
        self.hot_path = self

    def answer(self, target: bytes, headers: object, address: str) -> HotAnswer | None:
        return ([], b"content-length: 4\r\n", [], b"lane") if target == b"/random/4" else None

    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


class _Nowhere(asyncio.Transport):
    """A connection that leads nowhere: keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...
