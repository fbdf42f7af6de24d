"""uvicorn's HTTP protocol with bounds on what one connection may hold, and with what uvicorn takes for requests mended.

uvicorn sets no bounds: a header that never ends, requests that are sent faster than they are answered, answers that
nobody reads, and a connection that never says anything would cost memory and descriptors for as long as somebody wants.

It also leaves the rest of a request unread that offers another protocol (``Upgrade: h2c``) or asks for a tunnel, and
takes it for a request of its own; and fields behind a body (trailers) for headers. Behind a proxy that reads them as
they are meant, both let one client write another one's requests.
"""

import asyncio
import functools
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.protocol import State

from entropy_assets.serving.answers.pieces import PARTS
from entropy_assets.serving.config import ConnectionLimits

_DROP_UNSENT: Final = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``: what the other side did not read is dropped with the connection, by the kernel too."""

MOST_UNREAD_BYTES: Final = 2**18
"""Answers to pings, and whatever else was written to a WebSocket, that its client may leave unread; a stream alone
leaves two messages at most."""


_BINARY: Final = 0x82
"""The first byte of a binary message in one frame (RFC 6455, section 5.2)."""


class BoundedStream(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, with bounds on what a client makes it write, and on when it may begin to speak.

    It also sends a message whose parts lie in several places, without joining them (`answers.pieces.PARTS`).
    """

    def handle_connect(self, event: Request) -> None:
        """Begin a handshake, and tell the application what more it may send."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            self.scope.setdefault("extensions", {})[PARTS] = {}

    async def send(self, message: Any) -> None:
        """Send what the application sends."""
        if message["type"] != PARTS:
            await super().send(message)
            if self.close_sent:  # a refusal completes a handshake too; uvicorn would log it as a failure
                self.handshake_complete = True
            return
        await self.writable.wait()
        if self.disconnected or self.conn.state is not State.OPEN:  # a lost connection may be one in good order
            raise ClientDisconnected
        parts = message["parts"]
        self.transport.writelines([_head_of(sum(map(len, parts))), *parts])

    def data_received(self, data: bytes) -> None:
        """Read what came; cut off who speaks before the handshake is answered, or reads no answers to its pings."""
        if self.handshake_initiated and not self.handshake_complete:  # uvicorn's own would fail on it
            self.transport.abort()
            return
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self.transport.abort()


def _head_of(n_bytes: int) -> bytes:
    """Return what stands before the bytes of a binary message."""
    if n_bytes < 126:
        return struct.pack("!BB", _BINARY, n_bytes)
    if n_bytes < 2**16:
        return struct.pack("!BBH", _BINARY, 126, n_bytes)
    return struct.pack("!BBQ", _BINARY, 127, n_bytes)


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol, with bounds.

    Parameters
    ----------
    config, server_state, app_state
        As uvicorn gives them.
    limits
        What one connection may hold.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
        **more: Any,
    ) -> None:
        super().__init__(config, server_state, app_state, **more)
        self._limits = limits
        self._reading = True  # a connection that says nothing is one that does not say all
        self._began = False
        self._begun = False  # the request that is being read has a cycle
        self._received = 0
        self._phase = ""
        self._since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        self._head_again = b""
        self._last_act: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self._watch = self.loop.call_later(self._limits.look_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._last_act = None
        # uvicorn tells the newest request alone, which may be one that waits behind the one that is being answered
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        HttpToolsProtocol._start_asgi_task(self, cycle, functools.partial(_answer, cycle, app))

    def _is_busy(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    # --- reading ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Read what came, and end a connection whose request does not end."""
        if self._last_act is not None:
            return
        self._began = False
        try:
            self._feed(data)
        except (httptools.HttpParserError, ValueError):
            self._refuse()
        # how much of a packet belongs to a request that begins in it is not told, and many may end in it
        if self._reading and not self._began:
            self._received += len(data)
            if self._received > self._limits.most_request_bytes:
                self._cut()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if not self._head_again:
                    self._end_with(self.handle_websocket_upgrade)
                    return
                # the parser has left the request behind its head; a new one reads all of it, without the offer
                data, self._head_again = self._head_again + data[upgrade.args[0] :], b""
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin()
        HttpToolsProtocol.on_message_begin(self)

    def _begin(self) -> None:
        self._reading, self._began, self._begun, self._received, self._phase = True, True, False, 0, ""

    def on_headers_complete(self) -> None:
        """Begin to answer a request, or wait for its body where it offers another protocol than WebSocket."""
        if self.parser.should_upgrade() and not self._opens_websocket():
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            if method == b"CONNECT":
                raise ValueError("this is no proxy")
            lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
            self._head_again = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))
            return
        HttpToolsProtocol.on_headers_complete(self)
        if not self.parser.should_upgrade():
            self._begun = True
            self.headers = []  # the scope has the old ones; what comes behind a body is no header of the request

    def _opens_websocket(self) -> bool:
        """Tell whether the request opens a WebSocket: a GET of HTTP/1.1 without a body (RFC 6455, section 4.1)."""
        return (
            self._should_upgrade()
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        )

    def on_message_complete(self) -> None:
        """End a request."""
        if self._head_again:
            return
        self._reading = False
        HttpToolsProtocol.on_message_complete(self)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked before the other side ended its half; close at once if that was not all of a request.

        uvicorn drops what it has not answered yet.
        """
        waits = self._is_busy() and not (self._begun and self._reading)
        if waits and self._last_act is None:
            self._end_with(self.transport.close)
        return waits

    # --- what comes last on a connection -----------------------------------------------------------------------

    def _refuse(self) -> None:
        """Answer what is no request, after the requests before it, and close."""
        cycle = self.cycle if self._begun and self._reading else None  # of the request whose body is broken
        if cycle is None:
            self._end_with(lambda: self.send_400_response("Invalid HTTP request received."))
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            cycle.response_complete = True
            self._end_with(lambda: self.send_400_response("Invalid HTTP request received."))
        else:
            unanswered = not cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
            self._last_act = self.transport.close
            self.send_400_response("Invalid HTTP request received.") if unanswered else self.transport.close()

    def _end_with(self, act: Callable[[], None]) -> None:
        """Read no more, and do `act` when all that was read before is answered."""
        self._last_act = act
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self._act_if_done()

    def _act_if_done(self) -> None:
        if self._last_act is None or self.pipeline:
            return
        if self._answered is None or self._answered.response_complete:
            self.flow.resume_reading()
            self._last_act()

    def on_response_complete(self) -> None:
        """Begin the next of the requests that wait; uvicorn would also read more of them."""
        HttpToolsProtocol.on_response_complete(self)
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()  # `_look` closes what is idle
        if self.pipeline or self._last_act is not None:
            self.flow.pause_reading()
        self._act_if_done()

    # --- time ------------------------------------------------------------------------------------------------

    def resume_writing(self) -> None:
        """Note that the other side reads."""
        if self._phase == "writing":
            self._phase = ""
        super().resume_writing()

    def _look(self) -> None:
        """End the connection if it does the same for too long.

        One timer that looks again costs less than one that is set anew by each request.
        """
        self._watch = None
        if self.transport.get_protocol() not in self.connections:  # it was a WebSocket and is gone
            return
        phase, limit_s = self._now_doing()
        now = self.loop.time()
        if phase != self._phase:
            self._phase, self._since = phase, now
        elif limit_s is not None and now - self._since >= limit_s:
            self.transport.close() if phase == "idle" else self._cut()
            if phase != "idle":
                return
        self._watch = self.loop.call_later(self._limits.look_s, self._look)

    def _now_doing(self) -> tuple[str, float | None]:
        """Return what the connection does, and how long it may at most, seconds."""
        limits = self._limits
        if self.transport.is_closing():
            return "closing", limits.closing_s
        if self.transport.get_protocol() is not self:  # a WebSocket by now, whose route has limits of its own
            return "streaming", None
        if self.transport.get_write_buffer_size():
            return "writing", limits.write_s
        if self._reading and not self.flow.read_paused:
            return "reading", limits.request_s
        if self._is_busy() or self.pipeline:
            return "answering", None
        return "idle", limits.idle_s

    def _cut(self) -> None:
        link = self.transport.get_extra_info("socket")
        if link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
        self.transport.abort()


async def _answer(cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Any) -> None:
    """Let `app` answer, unless the request was broken off before its turn came: nobody would get what it draws."""
    if not cycle.disconnected:
        await app(scope, receive, send)
