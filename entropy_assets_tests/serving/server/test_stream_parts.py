"""A binary message whose parts lie in several places: the frame that a client gets, whatever its length and server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.frames import Frame, Opcode

from entropy_assets.serving.answers.pieces import PARTS
from entropy_assets.serving.server.bounds import BoundedStream, _head_of
from entropy_assets.serving.server.workers import server_options

LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 2**20]
"""Either side of where the length takes more bytes (RFC 6455, section 5.2)."""


@pytest.mark.parametrize("n_bytes", LENGTHS)
def test_the_head_of_a_message_is_that_of_the_library(n_bytes: int) -> None:
    data = bytes(n_bytes)
    assert _head_of(n_bytes) + data == Frame(Opcode.BINARY, data).serialize(mask=False)


Talk = Callable[[Any, Any, Any], Any]


@asynccontextmanager
async def served(talk: Talk, protocol: type[WebSocketsSansIOProtocol] = BoundedStream) -> AsyncIterator[str]:
    """Serve an application over WebSocket while the ``with`` statement lasts, and give its address."""
    options = server_options(fast_lane=False) | {"ws": protocol}
    server = uvicorn.Server(uvicorn.Config(talk, port=0, lifespan="off", **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def _parts_of(data: bytes) -> list[bytes]:
    ends = sorted({0, len(data) // 3, len(data) // 2, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


async def test_a_client_gets_each_message_whole_and_between_its_texts() -> None:
    messages = [n_bytes.to_bytes(4, "big") * (n_bytes // 4) + bytes(n_bytes % 4) for n_bytes in LENGTHS]

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        assert PARTS in scope["extensions"]
        await receive()
        await send({"type": "websocket.accept"})
        for message in messages:
            await send({"type": "websocket.send", "text": str(len(message))})
            await send({"type": PARTS, "parts": _parts_of(message)})
            await send({"type": "websocket.send", "bytes": message})
        await send({"type": "websocket.close", "code": 1000})

    async with served(talk) as url, connect(url, max_size=None) as client:
        for message in messages:
            assert await client.recv() == str(len(message))
            assert await client.recv() == message
            assert await client.recv() == message
        with pytest.raises(ConnectionClosedOK):
            await client.recv()


@pytest.mark.parametrize("who", ["the service", "the client", "nobody"])
async def test_nothing_is_sent_after_the_end(who: str) -> None:
    """As of every other message: the application hears that nobody is there, said goodbye or not."""
    raised: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if who == "the service":
            await send({"type": "websocket.close", "code": 1000})
        else:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        try:
            await send({"type": PARTS, "parts": [b"too late"]})
        except OSError as error:
            raised.set_result(error)

    async with served(talk) as url, connect(url) as client:
        if who == "the client":
            await client.close()
        elif who == "nobody":
            client.transport.abort()
        else:
            with pytest.raises(ConnectionClosedOK):
                await client.recv()
        await asyncio.wait_for(raised, 5)


async def test_a_server_that_knows_no_parts_offers_none() -> None:
    offered: list[bool] = []

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        offered.append(PARTS in scope.get("extensions", ()))
        await receive()
        await send({"type": "websocket.close"})

    for protocol in (BoundedStream, WebSocketsSansIOProtocol):
        async with served(talk, protocol) as url:
            with pytest.raises(InvalidStatus):
                await connect(url)
    assert offered == [True, False]
