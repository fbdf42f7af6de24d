"""The HTTP face: routes, documents and errors by FastAPI, with a short-cut in front for what is in memory.

The short-cut and the FastAPI route take their bytes by the same cut of the reservoir, and `encode` writes both answers.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI

from entropy_assets.serving.answers.hot_path import HotPath
from entropy_assets.serving.answers.pieces import Seats
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.counts import Board
from entropy_assets.serving.http.admission import add_gate, add_host_check
from entropy_assets.serving.http.documents import add_documents, add_page
from entropy_assets.serving.http.downloads import add_downloads
from entropy_assets.serving.http.draws import add_draws
from entropy_assets.serving.http.metrics import add_metrics
from entropy_assets.serving.http.problem_answers import Unforeseen, add_problems, failure
from entropy_assets.serving.http.provenance import add_provenance
from entropy_assets.serving.http.reports import add_heads, add_reports
from entropy_assets.serving.http.request_log import RequestLog, add_error_log
from entropy_assets.serving.http.streams import add_streams
from entropy_assets.serving.logs import worker_news
from entropy_assets.serving.service import ProvenanceReader, RandomService
from entropy_assets.stores.pool.shards import AnyPool

SETTLE_S: Final = 1.0
"""Longest that a worker waits for its first lease before it takes connections, seconds."""

_DESCRIPTION: Final = """
Random bytes from the sensor noise of space images, each handed out once.

* `class=private` (the default): pool bytes XOR fresh bytes of this machine's generator. Unpredictable if either is.
* `class=public`: pool bytes as they are, with the blocks they were cut from. **Anyone can compute them from the
  images: never use them for keys.** `/blocks/{id}` says where a block comes from.

**Integers** come from the formats `uint8`, `uint16` (two bytes, big-endian) and `int` with `min` and `max`, by
rejection: take `max(1, ceil(bits / 8))` bytes, where `bits` is the bit length of `max - min`, as a big-endian number;
keep its lowest `bits` bits; if that is at most `max - min`, the next integer is `min` plus it, else drop it. The blocks
named are exactly the bytes that this reads, in order. `int` goes up to 2^53 - 1 either way, which every reader of JSON
holds exactly; `bigint` is the same from -2^63 to 2^63 - 1, with every integer written as a string.

**`WebSocket /stream?class=private|public`** sends as many bytes as its client gave credit for. The client sends texts
`{"credit": N}` (bytes; they add up, to 16 MiB), the service binary messages of at most 64 KiB. In the public class a
text `{"n": ..., "blocks": "<id>:<start>-<end>,...", "simulated": ..., "reveals_at": ...}` names the ranges of blocks
that the next `n` bytes, 1 MiB at most, are in this order, and when the last of these blocks reveals; the bytes come in
one or several messages. In the private class a text `{"simulated": true|false}` comes when that changes; it is false
at first. It is closed with 1013 when the pool is dry, 1008 when a quota is used up or a message is no credit, 1003
after a binary message, 1001 after a minute without credit or without reading, 1011 when the service failed. Keys are
sent with the handshake, as with every request. Pages of another origin are refused.
"""


class MemoryFirst:
    """The ASGI application: memory first, FastAPI for all else.

    Parameters
    ----------
    app
        The FastAPI application.
    service
        Where the bytes are.
    """

    def __init__(self, app: Any, service: RandomService) -> None:
        self.app = app
        self.service = service
        self.hot_path = HotPath(service.reservoirs, service.gate, service.config.max_request_bytes, service.hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["method"] == "GET":
            target, query, client = scope["raw_path"], scope["query_string"], scope["client"]
            if query:
                target = target + b"?" + query
            headers, address = scope["headers"], client[0] if client else ""
            answer = None
            with Unforeseen(scope) as unforeseen:
                answer = self.hot_path.answer(target, headers, address)
                if answer is None and await self.hot_path.more_for(target, headers, address):
                    answer = self.hot_path.answer(target, headers, address)
                    self.service.counts.add("waited_answers", answer is not None)
            if unforeseen.number is not None:
                await failure(unforeseen.number)(scope, receive, send)
                return
            if answer is not None:
                await send({"type": "http.response.start", "status": 200, "headers": answer[0]})
                await send({"type": "http.response.body", "body": answer[1]})
                return
        await self.app(scope, receive, send)


def create_app(
    config: ServiceConfig,
    *,
    pool: AnyPool | None = None,
    provenance: ProvenanceReader | None = None,
    board: Board | None = None,
) -> MemoryFirst:
    """Return the ASGI application of one service; ``.app`` is the FastAPI application behind its short-cut.

    Parameters
    ----------
    config
        Places and limits.
    pool
        The pool to lease from; by default the one at ``config.pool_url``.
    provenance
        Where ``/blocks/{id}`` looks; without it the route answers 503.
    board
        Where the workers of one service count; without it this process is the only one.
    """
    service = RandomService(config, pool, provenance, board)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        with worker_news():
            service.reservoirs.start()
            service.gate.start()
            await service.reservoirs.settle(SETTLE_S)
            try:
                yield
            finally:
                await service.gate.stop()
                await service.reservoirs.stop()
                service.pool.close()

    app = FastAPI(
        title="entropy_assets",
        description=_DESCRIPTION,
        version="1",
        lifespan=life,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # behind a proxy it would lead out of TLS, and it repeats any Host
    )
    add_draws(app, service)
    seats = Seats(config.streams.most)
    add_downloads(app, service, seats)
    add_streams(app, service, seats)
    add_reports(app, service)
    add_metrics(app, service)
    add_provenance(app, service)
    add_documents(app)
    add_page(app)
    add_heads(app)
    add_problems(app, service)
    add_gate(app, service.gate)
    add_host_check(app, service)
    add_error_log(app)
    if config.access_log:
        app.add_middleware(RequestLog)
    return MemoryFirst(app, service)
