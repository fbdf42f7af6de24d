"""``/stream``: a WebSocket that sends as many bytes as its client gave credit for.

The client sends texts ``{"credit": N}``, the service binary messages of at most 64 KiB until the credit is used up.
In the public class a text ``{"n": ..., "blocks": "<id>:<start>-<end>,...", "simulated": ..., "reveals_at": ...}`` comes
before the messages that bring the next ``n`` bytes, in that order; a text covers 1 MiB at most. In the private class a
text ``{"simulated": ...}`` comes when a simulated camera is behind the bytes from here on, or no longer.

Closing codes: 1013 if the pool is dry, 1008 for a message that is no credit and for a quota that is used up, 1003 for
a binary message, 1001 after a minute in which nothing was asked for or nothing was read, 1011 if the service failed.
Reasons begin with the code that ``/problems/<code>`` explains, or name the number that the log tells why under.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from entropy_assets.errors import EntropyAssetsError, PoolError
from entropy_assets.serving.access.meter import Meter, subject_of
from entropy_assets.serving.answers.formats import CLASSES
from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.answers.pieces import PARTS, TURN, Pieces, Seats, first_of
from entropy_assets.serving.http.orders import require_known
from entropy_assets.serving.http.problem_answers import Unforeseen, failure, plain_problem, problem, problem_of
from entropy_assets.serving.service import RandomService
from entropy_assets.stores.file_names import printable

MOST_CREDIT: Final = 16 * 2**20
MOST_MESSAGE: Final = 256
"""Longest message that is read, characters; a credit takes a tenth."""
CLOSING_S: Final = 1.0

GOING_AWAY: Final = 1001
FAILED: Final = 1011
UNSUPPORTED: Final = 1003
POLICY: Final = 1008
TRY_AGAIN_LATER: Final = 1013
_LONGEST_REASON: Final = 123  # RFC 6455 5.5: a control frame carries 125 bytes, two of them the code


class Close(NamedTuple):
    """Why the service ends a stream."""

    code: int
    reason: str


class Credit(BaseModel):
    """The one message that a client sends: how many bytes more it has room for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    credit: Annotated[int, Field(ge=1, le=MOST_CREDIT)]


class Stream:
    """One open stream.

    Parameters
    ----------
    service
        Where bytes and counts are.
    pieces
        The bytes of this stream.
    public
        Their class.
    scope, receive, send
        The client, as ASGI has it.
    """

    def __init__(
        self, service: RandomService, pieces: Pieces, public: bool, scope: Any, receive: Any, send: Any
    ) -> None:
        self._scope = scope
        self._counts = service.counts
        self._limits = service.config.streams
        self._pieces = pieces
        self._public = public
        self._receive = receive
        self._send = send
        self._credit = 0
        self._granted = asyncio.Event()
        self._sent = 0
        self._now = asyncio.get_running_loop().time
        self._acted_at = self._now()
        self._turns = 0
        self._simulated = False
        self._takes_parts = PARTS in scope.get("extensions", ())

    async def run(self) -> None:
        """Send and listen until the client leaves or the service has a reason to end."""
        self._counts.add("streams_opened")
        try:
            with Unforeseen(self._scope) as unforeseen:
                close: Close | None = await first_of(self._talk(), self._listen())
            if unforeseen.number is not None:
                close = Close(FAILED, f"the service failed; the log tells why under {unforeseen.number}")
            if close is not None:
                await self._end(close)
        finally:
            self._counts.add("streams_ended")

    async def _end(self, close: Close) -> None:
        reason = printable(close.reason).encode()[:_LONGEST_REASON].decode(errors="ignore")
        try:
            async with asyncio.timeout(CLOSING_S):  # a client that does not read has no room for this either
                await self._send({"type": "websocket.close", "code": close.code, "reason": reason})
        except (TimeoutError, OSError):
            return

    async def _talk(self) -> Close | None:
        try:
            while True:
                if self._credit == 0:
                    await self._credit_given()
                await (self._send_public() if self._public else self._send_private())
        except PoolError as error:
            self._counts.add("streams_closed_dry")
            return Close(TRY_AGAIN_LATER, f"{error.code}: {error.message}")
        except EntropyAssetsError as error:
            self._counts.add("streams_closed_quota")
            return Close(POLICY, f"{error.code}: {error.message}")
        except OSError:  # how ASGI servers say that nobody is there
            return None

    async def _credit_given(self) -> None:
        while self._credit == 0:
            self._granted.clear()
            await self._granted.wait()

    async def _send_public(self) -> None:
        drawn = await self._pieces.messages(self._credit)
        self._credit -= drawn.n_bytes
        with self._on_the_way(drawn.n_bytes):
            await self._note(
                {
                    "n": drawn.n_bytes,
                    "blocks": drawn.blocks,
                    "simulated": drawn.simulated,
                    "reveals_at": drawn.reveals_at,
                }
            )
            for parts in drawn.parts:
                if self._takes_parts:
                    await self._send({"type": PARTS, "parts": parts})
                else:
                    await self._send({"type": "websocket.send", "bytes": b"".join(parts)})
                self._count_sent(sum(map(len, parts)))
                self._turns += 1
                if self._turns % TURN == 0:
                    await asyncio.sleep(0)  # sending waits for nobody while the buffer has room

    async def _send_private(self) -> None:
        draw = await self._pieces.next(self._credit)
        self._credit -= len(draw.data)
        with self._on_the_way(len(draw.data)):
            if draw.simulated != self._simulated:
                await self._note({"simulated": draw.simulated})
                self._simulated = draw.simulated
            await self._send({"type": "websocket.send", "bytes": mixed(draw.data)})
            self._count_sent(len(draw.data))
        await asyncio.sleep(0)  # mixing takes as long as some pieces without it

    def _count_sent(self, n_bytes: int) -> None:
        self._sent += n_bytes
        self._acted_at = self._now()

    @contextmanager
    def _on_the_way(self, n_bytes: int) -> Iterator[None]:
        """Count what of `n_bytes` was not sent when the ``with`` statement ends."""
        aim = self._sent + n_bytes
        try:
            yield
        finally:
            self._counts.add("undelivered_bytes", aim - self._sent)

    async def _note(self, note: dict[str, object]) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps(note).decode()})

    async def _listen(self) -> Close | None:
        while True:
            ends_at = self._acted_at + self._limits.idle_s
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await self._receive()
            except TimeoutError:
                if self._acted_at + self._limits.idle_s <= ends_at:
                    return Close(GOING_AWAY, f"nothing was sent or asked for in {self._limits.idle_s:g} s")
                continue
            if message["type"] == "websocket.disconnect":
                return None
            self._acted_at = self._now()
            close = self._grant(message)
            if close is not None:
                return close

    def _grant(self, message: Mapping[str, Any]) -> Close | None:
        text = message.get("text")
        if text is None:
            return Close(UNSUPPORTED, "invalid-request: a client sends texts only")
        try:
            credit = Credit.model_validate_json(text[: MOST_MESSAGE + 1]).credit
        except ValidationError:
            return Close(POLICY, f'invalid-request: a client sends {{"credit": N}}, N from 1 to {MOST_CREDIT}')
        if self._credit + credit > MOST_CREDIT:
            return Close(POLICY, f"invalid-request: more than {MOST_CREDIT} bytes of credit are open")
        self._credit += credit
        self._granted.set()
        return None


class StreamRoute:
    """The handshake (ASGI): who may open a stream.

    Parameters
    ----------
    service
        Where the bytes are.
    seats
        How many may be open.
    """

    path: Final = "/stream"

    def __init__(self, service: RandomService, seats: Seats) -> None:
        self._service = service
        self._seats = seats

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one client from handshake to end."""
        scope = {**scope, "route": self}  # the log names it, and the framework does not tell
        with Unforeseen(scope) as unforeseen, suppress(OSError):  # how ASGI servers say that nobody is there
            await self._open(scope, receive, send)
        if unforeseen.number is not None:
            await failure(unforeseen.number)(scope, receive, send)

    async def _open(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if _is_foreign(scope["headers"]):
            await problem("foreign-origin", "a page of another origin may not stream from here")(scope, receive, send)
            return
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        try:
            require_known(given, ("class",))
        except EntropyAssetsError as error:
            await self._refusal(error, scope)(scope, receive, send)
            return
        answer_class = dict(given).get("class", "private")
        if answer_class not in CLASSES:
            await problem("invalid-request", f"class is one of {CLASSES}", errors=[])(scope, receive, send)
            return
        await self._serve(scope, receive, send, public=answer_class == "public")

    async def _serve(self, scope: Any, receive: Any, send: Any, *, public: bool) -> None:
        config = self._service.config
        longest, patience_s = config.max_request_bytes, config.streams.patience_s
        reservoir = self._service.reservoirs.of(public=public)
        try:
            meter = await Meter.started(self._service.gate, scope, "stream", 0)
            with self._seats.seat(meter.subject or subject_of(scope)):
                await send({"type": "websocket.accept", "headers": meter.headers})
                await Stream(
                    self._service,
                    Pieces(reservoir, meter, longest=longest, patience_s=patience_s),
                    public,
                    scope,
                    receive,
                    send,
                ).run()
        except EntropyAssetsError as error:
            await self._refusal(error, scope)(scope, receive, send)

    def _refusal(self, error: EntropyAssetsError, scope: Any) -> Response:
        return problem_of(error, self._service.reservoirs.retry_after_s(), scope)


def _is_foreign(headers: list[tuple[bytes, bytes]]) -> bool:
    """Tell whether a browser opens this for a page of another origin, from which it would not shield the data."""
    values = dict(headers)
    origin, host = values.get(b"origin"), values.get(b"host", b"").lower()
    return origin is not None and origin.lower() not in (b"http://" + host, b"https://" + host)


class NoStream:
    """Refuses a handshake at a path that has no stream (ASGI); the framework's refusal says nothing.

    Parameters
    ----------
    no_route
        What answers other requests for which there is no route.
    """

    def __init__(self, no_route: Any) -> None:
        self._no_route = no_route

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse one client."""
        if scope["type"] != "websocket":
            await self._no_route(scope, receive, send)
            return
        await receive()
        with suppress(OSError):  # how ASGI servers say that nobody is there
            await plain_problem(404, f"there is no stream here, but at {StreamRoute.path}")(scope, receive, send)


def add_streams(app: FastAPI, service: RandomService, seats: Seats) -> None:
    """Add ``/stream``. OpenAPI has no words for WebSockets, so the application's description has."""
    app.router.routes.append(WebSocketRoute(StreamRoute.path, StreamRoute(service, seats)))
    app.router.default = NoStream(app.router.default)
