"""Whether the fast lane fits the uvicorn that is installed: tried, not read off a version number."""

import asyncio
from typing import Any, Final, cast

import uvicorn
from uvicorn.server import ServerState

from entropy_assets.serving.access.allowances import Headers
from entropy_assets.serving.answers.hot_path import HotRequest, Plan, Taken
from entropy_assets.serving.server.fast_lane import FastLane

_ASKED: Final[HotRequest] = (cast(Plan, None), None)  # what is asked for is looked at by its memory alone


def why_no_fast_lane() -> str | None:
    """Return why the fast lane does not fit the uvicorn that is installed, None if it does.

    It is tried on a connection that leads nowhere: two requests in one packet must get two answers from memory, one
    that comes in two parts must get one, and so must one that comes again, once it was read as one packet, and nothing
    else may be remembered; a HEAD must be left to uvicorn, and so must the whole body of a POST that offers another
    protocol.
    """
    loop = asyncio.new_event_loop()
    state = ServerState()
    try:
        return _try_lane(loop, state)
    except (AttributeError, TypeError, ValueError, LookupError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for task in state.tasks:
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def _try_lane(loop: asyncio.AbstractEventLoop, state: ServerState) -> str | None:
    lane, transport = _connected(loop, state)
    request = b"GET /random/4 HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlane"
    for packet in (request * 2, request + request[:9], request[9:], request, request):
        lane.data_received(packet)
    if transport.written != [answer] * 6 or [*lane.app.requests] != [request]:
        return "an answer from memory does not come out as it should"
    lane.data_received(request.replace(b"GET", b"HEAD"))
    if len(state.tasks) != 1 or transport.written != [answer] * 6:
        return "a HEAD is not left to uvicorn"
    lane.connection_lost(None)
    lane, _ = _connected(loop, state)
    lane.data_received(
        b"POST /random HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nla"
    )
    lane.data_received(b"ne")
    whole = (bytes(lane.cycle.body), lane.cycle.more_body, len(state.tasks)) == (b"lane", False, 2)
    lane.connection_lost(None)
    return None if whole else "the body of a POST that offers another protocol is not read"


def _connected(loop: asyncio.AbstractEventLoop, state: ServerState) -> tuple[FastLane, "_Nowhere"]:
    config = uvicorn.Config(_OneAnswer(), proxy_headers=False, log_config=None, lifespan="off")
    lane, transport = FastLane(config, state, {}, _loop=loop), _Nowhere()
    lane.connection_made(transport)
    return lane, transport


class _OneAnswer:
    """An application whose memory holds one answer."""

    def __init__(self) -> None:
        self.hot_path = self
        self.requests: dict[bytes, HotRequest] = {}

    def asked(self, target: bytes, headers: Headers) -> HotRequest | None:
        return _ASKED if target == b"/random/4" else None

    def take(self, asked: HotRequest, address: str) -> Taken | None:
        return [], b"content-length: 4\r\n", None, None, b"lane"

    def known(self, request: bytes) -> HotRequest | None:
        return self.requests.get(request)

    def remember(self, request: bytes, headers: Headers, asked: HotRequest) -> None:
        self.requests[request] = asked

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
